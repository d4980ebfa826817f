// SPDX-License-Identifier: MIT
//
// Flush barriers (cuts), their commits, and the background work of a pending map. See
// pending_map.hpp. Lock order: flush_mutex_, the shards in order, timed_mutex_, then the flusher's.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "base/interrupt.hpp"
#include "map/layout.hpp"
#include "map/pending_map.hpp"

namespace graven::map {

using port::Change;
using port::Record;
using store::Work;
using Clock = std::chrono::steady_clock;

namespace {
constexpr std::size_t kChangesAtATime = 512;

/// An entry, with 8 bytes of its key as a number: those after the prefix that all keys share.
struct Flushed {
  std::uint64_t prefix;
  const PendingEntry* entry;
};

/// Sorts by key, so that the pages of SQLite's tree are visited one after the other.
void sort_by_key(std::vector<Flushed>& entries) {
  if (entries.empty()) return;
  std::string_view shared = entries.front().entry->key;
  for (const Flushed& one : entries) {
    const std::string_view key = one.entry->key;
    const auto end = std::mismatch(shared.begin(), shared.end(), key.begin(), key.end()).first;
    shared = shared.substr(0, static_cast<std::size_t>(end - shared.begin()));
  }
  for (Flushed& one : entries) {
    const std::string_view rest = std::string_view(one.entry->key).substr(shared.size());
    for (std::size_t i = 0; i < sizeof one.prefix; ++i) {
      one.prefix = one.prefix << 8U | (i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0U);
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Flushed& left, const Flushed& right) {
    if (left.prefix != right.prefix) return left.prefix < right.prefix;
    return left.entry->key < right.entry->key;
  });
}
}  // namespace

/// Makes this process the map's owner: takes the lease.
void PendingMap::take_over() {
  store_->write(
      [&](Work& work) {
        require_no_lazy_owner(work, *store_, name(), 0);
        owner_ = work.next_id(port::Space::kMap);
        store_->backend().leases().announce(owner_);
        Record record = *work.load(map_key(name()));
        record.integers[1] = owner_;
        record.integers[2] = ::getpid();
        work.put(map_key(name()), std::move(record));
      },
      limits_);
}

void PendingMap::give_up() noexcept {
  const base::Uninterrupted to_the_end;
  try {
    store_->write(
        [&](Work& work) {
          std::optional<Record> record = work.load(map_key(name()));
          if (!record || record->integers[1] != owner_) return;
          record->integers[1] = 0;
          record->integers[2] = 0;
          work.put(map_key(name()), *std::move(record));
        },
        limits_);
  } catch (const Error&) {
    // When this process has ended, others see that its lease is void.
  }
}

/// Makes a flush barrier: the pending writes become the ones being flushed, of which there must be
/// none before. False if nothing was pending.
bool PendingMap::cut() {
  const auto locks = lock_shards(all_shards());
  bool any = false;
  for (Shard& shard : shards_) {
    std::swap(shard.pending, shard.flushing);
    any = any || !shard.flushing.entries.empty();
  }
  return any;
}

void PendingMap::commit_cut() {
  std::vector<Flushed> entries;
  std::size_t bytes = 0;
  bool rising = true;
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    if (counting_.load()) resolve(shard.flushing, nullptr);
    const std::size_t first = entries.size();
    shard.flushing.entries.each([&](const PendingEntry& entry) {
      rising = rising && (entries.size() == first || entries.back().entry->key < entry.key);
      entries.push_back({0, &entry});
      bytes += weight(entry);
    });
  }
  Times swept;
  {
    const std::scoped_lock lock(timed_mutex_);
    swept.swap(swept_);
  }
  if (entries.empty() && swept.empty()) return;
  // A few entries say little about the order of keys.
  if (bytes >= kRisingFlushedEarly) {
    flusher_.bound_early(rising ? kRisingFlushedEarly : kFlushedEarly);
  }
  sort_by_key(entries);
  const auto write_all = [&](Work& work) {
    require_no_lazy_owner(work, *store_, name(), owner_);
    std::vector<Change> changes;
    for (const auto& [time, key] : swept) {
      changes.push_back({expiry_key(id_, time, key), std::nullopt});
    }
    changes.reserve(kChangesAtATime + 2);
    for (const Flushed& one : entries) {
      append_changes(id_, one.entry->key, one.entry->item, changes);
      if (changes.size() < kChangesAtATime) continue;
      work.write_many(std::exchange(changes, {}));
      changes.reserve(kChangesAtATime + 2);
    }
    if (!changes.empty()) work.write_many(std::move(changes));
  };
  try {
    store_->write(write_all, limits_);
  } catch (...) {
    const std::scoped_lock lock(timed_mutex_);
    swept_.merge(swept);
    throw;
  }
  committed_ = true;
  std::vector<Batch> done(kShards);
  {
    const auto locks = lock_shards(all_shards());
    cuts_.fetch_add(1);
    std::int64_t difference = 0;
    bool known = true;
    for (std::size_t i = 0; i < kShards; ++i) {
      std::swap(done[i], shards_[i].flushing);
      difference += done[i].difference;
      known = known && done[i].exact && done[i].unknown.empty();
    }
    if (!known) stored_count_.reset();
    if (stored_count_) *stored_count_ += static_cast<std::uint64_t>(difference);
  }
  flushes_.fetch_add(1);
  flusher_.flushed(bytes);
}

void PendingMap::flush_all() {
  const auto flush = base::lock(flush_mutex_);
  commit_cut();  // commits what an earlier flush failed to commit
  if (cut()) commit_cut();
}

/// For the background thread: if it fails, the next turn tries again.
void PendingMap::flush_store() {
  try {
    store_->flush();
  } catch (...) {
    committed_ = true;
    throw;
  }
}

void PendingMap::flush() {
  require_open();
  if (!store_) return;
  if (store_->in_transaction()) {
    throw UsageError("flush() of a lazy map inside a transaction: call it before or after");
  }
  flusher_.run([this] {
    flush_all();
    store_->flush();
  });
}

void PendingMap::sync() {
  flush();
  if (store_) store_->sync(Clock::now() + limits_.busy);
}

void PendingMap::close() {
  if (closed()) return;
  if (abandoned_.load()) return end();
  flush();
  {
    // A write in progress holds its shard's mutex, so after this block there is none.
    const auto locks = lock_shards(all_shards());
    end();
  }
  try {
    if (store_) {
      flush_all();
      store_->flush();
    }
  } catch (...) {
    closed_ = false;
    barred_.fetch_and(~kEnded);
    throw;
  }
  flusher_.stop();
  hot_.tiers().close();
  if (!store_) return;
  give_up();
  use_->end();
}

std::optional<base::Deadline> PendingMap::chore() {
  if (closed()) return std::nullopt;
  if (any_timed_.load()) erase_due();
  if (!store_) return any_timed_.load() ? std::optional(flusher_.later()) : std::nullopt;
  flush_all();
  if (committed_.exchange(false)) flush_store();
  return flusher_.later();
}

}  // namespace graven::map
