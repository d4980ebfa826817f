// SPDX-License-Identifier: MIT
//
// Opens a pending map and writes to it. Reading is in pending_reads.cpp, flushing in
// pending_flush.cpp, counting in pending_size.cpp, erasing expired items in pending_expiry.cpp.
#include "map/pending_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include <graven/error.hpp>

#include "map/layout.hpp"
#include "port/scan.hpp"
#include "store/transaction.hpp"

namespace graven::map {

using port::Record;
using port::Row;

namespace {

// Memory of an entry besides its bytes: its place in a chunk and its slots of the index.
constexpr std::size_t kEntryOverhead = sizeof(PendingEntry) + 16;
constexpr auto kForever = std::chrono::hours(24 * 365);

}  // namespace

/// The approximate number of bytes that a pending write occupies.
std::size_t PendingMap::weight(const PendingEntry& entry) noexcept {
  return kEntryOverhead + entry.key.size() + (entry.item ? entry.item->bytes.size() : 0);
}

PendingMap::PendingMap(std::shared_ptr<store::Store> store, const MapOptions& options,
                       std::string place)
    : Core(options,
           {store ? store->backend().facts().cache_path : std::string(),
            store ? std::min(options.warm_bytes, store->warm_limit()) : 0},
           nullptr, nullptr),
      store_(std::move(store)),
      use_(store_ ? std::optional<store::Use>(store_) : std::nullopt),
      limits_{.busy = options.busy_timeout},
      id_(store_ ? open_id(*store_, options.name, limits_) : 0),
      place_(std::move(place)),
      flusher_("map", name(), options.flush_interval, options.pending_limit,
               [this] { return chore(); }) {
  if (!store_) return;
  flusher_.bound_early(kFlushedEarly);
  take_over();
  table_part_ = store_->table_share().join(
      [this](std::size_t bytes) { hot_.tiers().bound(bytes, hot_.capacity()); });
  pending_part_ =
      store_->pending_share().join([this, most = options.pending_limit](std::size_t bytes) {
        flusher_.bound(std::min(bytes, most));
      });
  const auto view = store_->view();
  for (const Due& one : due(*view, id_, INT64_MAX, SIZE_MAX)) {
    timed_.emplace(one.time, one.key);
  }
  any_timed_ = !timed_.empty();
  flusher_.wake();
}

PendingMap::~PendingMap() {
  try {
    PendingMap::close();
  } catch (const std::exception&) {
    // A destructor cannot report errors. A program that wants them calls close().
  }
  flusher_.stop();
  if (!closed() && store_ && !abandoned_.load()) give_up();
}

std::vector<std::unique_lock<std::mutex>> PendingMap::lock_shards(std::uint64_t which) {
  std::vector<std::unique_lock<std::mutex>> locks;
  for (std::size_t i = 0; i < kShards; ++i) {
    if ((which >> i & 1U) != 0) locks.emplace_back(shards_[i].mutex);
  }
  return locks;
}

const PendingEntry* PendingMap::unflushed(const Shard& shard, std::string_view key,
                                          std::uint64_t hash) noexcept {
  const PendingEntry* entry = shard.pending.entries.find(key, hash);
  return entry != nullptr ? entry : shard.flushing.entries.find(key, hash);
}

std::optional<Item> PendingMap::stored(std::string_view key) const {
  if (!store_) return std::nullopt;
  std::optional<Record> record = store_->load(item_key(id_, key));
  if (!record) return std::nullopt;
  return to_item(*std::move(record));
}

/// The current item, expired or not. Under the shard's mutex.
std::optional<Item> PendingMap::find(Shard& shard, std::string_view key, std::uint64_t hash) {
  if (const auto known = hot_.find(key, hash)) return *known;
  if (const PendingEntry* entry = unflushed(shard, key, hash)) return entry->item;
  if (auto item = hot_.find_warm(key, hash)) return item;
  return stored(key);
}

// --- Writing

/// UsageError if the thread has a transaction open on the same file: a write to this map could not
/// be committed or rolled back with it, but would look like a part of it.
void PendingMap::refuse_in_transaction() const {
  if (store::open_in_thread == 0) [[likely]]
    return;
  const auto& all = store::ThreadTransactions::get();
  store::Transaction* open =
      store_ ? all.on_store(store_->backend().facts().identity) : all.at(place_);
  if (open == nullptr) return;
  open->require_open();
  throw UsageError(fmt::format(
      "the map '{}' is {}, so what is written to it cannot be part of the transaction that is open "
      "on "
      "this thread: write before or after it, or open the map with persist=writethrough",
      name(), store_ ? "lazy" : "in memory"));
}

/// To be called before a write. Waits while too much is pending, and throws the error of a failed
/// background flush.
void PendingMap::before_write() {
  require_open();
  refuse_in_transaction();
  if (!store_ || flusher_.ready()) return;
  flusher_.wait_until_ready(std::chrono::steady_clock::now() + kForever);
  require_open();
}

/// Makes the item (or its absence) the pending write of the key. To be called under the shard's
/// mutex, while its version is odd.
void PendingMap::set(Shard& shard, std::string key, std::uint64_t hash, std::optional<Item> item) {
  Batch& batch = shard.pending;
  PendingEntry* entry = batch.entries.find(key, hash);
  std::size_t bytes_before = 0;
  if (item && item->expires != 0) {
    const std::scoped_lock lock(timed_mutex_);
    timed_.emplace(item->expires, key);
    any_timed_ = true;
    if (!store_) flusher_.wake();
  }
  if (!store_ && !item) {
    if (entry != nullptr) {
      flusher_.remove(weight(*entry));
      batch.entries.erase(*entry);
    }
    return hot_.put(key, hash, item, false);
  }
  const std::int64_t now_there = item ? 1 : 0;
  if (entry != nullptr) {
    bytes_before = weight(*entry);
    if (entry->stored) batch.difference += now_there - (entry->item ? 1 : 0);
  } else {
    std::optional<bool> stored;
    if (!store_) {
      stored = false;
    } else if (const PendingEntry* old = shard.flushing.entries.find(key, hash)) {
      stored = old->item.has_value();
    } else {
      stored = hot_.has(key, hash);
    }
    entry = &batch.entries.add(std::move(key), hash);
    entry->stored = stored;
    if (stored) {
      batch.difference += now_there - (*stored ? 1 : 0);
    } else if (counting_.load(std::memory_order_relaxed)) {
      batch.unknown.push_back(entry);
    } else {
      batch.exact = false;
    }
  }
  hot_.put(entry->key, hash, item, false);
  entry->item = std::move(item);
  flusher_.add(weight(*entry) - bytes_before);
}

void PendingMap::write(std::span<Write> writes) {
  before_write();
  note_added(writes);
  if (writes.size() == 1) {
    const std::uint64_t hash = HotItems::hash(writes[0].key);
    Shard& shard = shards_[shard_of(hash)];
    const std::scoped_lock lock(shard.mutex);
    require_open();
    const Changing changing(*this, std::uint64_t{1} << shard_of(hash));
    set(shard, std::move(writes[0].key), hash, std::move(writes[0].item));
    return flusher_.flush_early();
  }
  std::vector<std::uint64_t> hashes(writes.size());
  std::uint64_t which = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    hashes[i] = HotItems::hash(writes[i].key);
    which |= std::uint64_t{1} << shard_of(hashes[i]);
  }
  const auto locks = lock_shards(which);
  require_open();
  const Changing changing(*this, which, true);
  for (std::size_t i = 0; i < writes.size(); ++i) {
    set(shards_[shard_of(hashes[i])], std::move(writes[i].key), hashes[i],
        std::move(writes[i].item));
  }
  flusher_.flush_early();
}

bool PendingMap::try_write(std::string_view key, Item& item) {
  require_open();
  refuse_in_transaction();
  if (store_ && !flusher_.ready()) return false;
  note_added(key);
  const std::uint64_t hash = HotItems::hash(key);
  Shard& shard = shards_[shard_of(hash)];
  const std::unique_lock lock(shard.mutex, std::try_to_lock);
  if (!lock) return false;
  shard.pending.entries.expect(hash);
  shard.flushing.entries.expect(hash);
  require_open();
  const Changing changing(*this, std::uint64_t{1} << shard_of(hash));
  set(shard, std::string(key), hash, std::move(item));
  flusher_.flush_early();
  return true;
}

void PendingMap::edit(std::string_view key, Decide decide) {
  before_write();
  const std::uint64_t hash = HotItems::hash(key);
  Shard& shard = shards_[shard_of(hash)];
  const std::scoped_lock lock(shard.mutex);
  require_open();
  const std::optional<Item> old = find(shard, key, hash);
  const bool there = old && !old->expired(now());
  Edit edit = decide(there ? &*old : nullptr);
  if (edit.action == Edit::Action::kKeep) return;
  const Changing changing(*this, std::uint64_t{1} << shard_of(hash));
  std::optional<Item> item;
  if (edit.action == Edit::Action::kPut) item = std::move(edit.item);
  if (item && !there) iterations().changed(0, 1);
  set(shard, std::string(key), hash, std::move(item));
}

std::vector<std::optional<Item>> PendingMap::take_many(std::span<const std::string_view> keys) {
  before_write();
  const std::uint64_t which = shards_of(keys);
  const auto locks = lock_shards(which);
  require_open();
  const Changing changing(*this, which, true);
  const Expiry time = now();
  std::vector<std::optional<Item>> taken(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t hash = HotItems::hash(keys[i]);
    Shard& shard = shards_[shard_of(hash)];
    taken[i] = find(shard, keys[i], hash);
    if (!taken[i]) continue;
    if (taken[i]->expired(time)) taken[i].reset();
    set(shard, std::string(keys[i]), hash, std::nullopt);
  }
  return taken;
}

void PendingMap::clear() {
  before_write();
  const auto locks = lock_shards(all_shards());
  require_open();
  const Changing changing(*this, all_shards(), true);
  std::vector<std::string> keys;
  for (const Shard& shard : shards_) {
    for (const Batch* batch : {&shard.pending, &shard.flushing}) {
      batch->entries.each([&](const PendingEntry& entry) { keys.push_back(entry.key); });
    }
  }
  if (store_) {
    // A view for each batch: all of it may take longer than a view may last.
    for (port::Batches batches(items_of(id_)); !batches.ended();) {
      for (Row& row : batches.next(*store_->view(), kRowsAtATime)) {
        keys.push_back(std::move(row.key.name));
      }
    }
  }
  for (std::string& key : keys) {
    const std::uint64_t hash = HotItems::hash(key);
    set(shards_[shard_of(hash)], std::move(key), hash, std::nullopt);
  }
}

// --- fork()

void PendingMap::child_after_fork() noexcept {
  if (!store_) return;
  barred_.fetch_or(kEnded);  // only the parent may flush what is pending
  abandoned_ = true;
}

}  // namespace graven::map
