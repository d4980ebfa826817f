// SPDX-License-Identifier: MIT
//
// Reading and writing pending items. Flushing is in pending_flush.cpp.
#include "map/pending_map.hpp"

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "map/layout.hpp"

namespace graven::map {

using store::Key;
using store::Range;
using store::Record;
using store::Row;
using store::Space;

namespace {

constexpr std::size_t kRowsAtATime = 256;
constexpr int kOptimisticReads = 3;
constexpr std::size_t kEntryOverhead = 128;  // of an entry beside its bytes

MapValue value_of(const Item& item) { return {static_cast<MapValue::Kind>(item.kind), item.bytes}; }

}  // namespace

/// Bytes a pending write occupies, about.
std::size_t PendingMap::weight(std::string_view key, const std::optional<Item>& item) {
  return kEntryOverhead + key.size() + (item ? item->bytes.size() : 0);
}

PendingMap::PendingMap(std::shared_ptr<store::Store> store, const MapOptions& options)
    : Core(options.name, options.persist, options.hot_capacity, nullptr, nullptr),
      store_(std::move(store)),
      limits_{.busy = options.busy_timeout},
      id_(store_ ? open_id(*store_, options.name, limits_) : 0),
      interval_(options.flush_interval),
      pending_limit_(options.pending_limit),
      housekeeper_([this] { return chore(); }) {
  if (!store_) return;
  take_over();
  const auto view = store_->backend().view();
  for (const Due& one : due(*view, id_, INT64_MAX, SIZE_MAX)) {
    timed_.emplace(one.record.a, one.key);
  }
  any_timed_ = !timed_.empty();
  housekeeper_.wake(std::chrono::steady_clock::now() + interval_);
}

PendingMap::~PendingMap() {
  try {
    PendingMap::close();
  } catch (const std::exception&) {
    // Who wants to know closes it; there is nobody to tell here.
  }
  housekeeper_.stop();
  if (!closed() && store_ && !abandoned_.load()) give_up();
}

std::vector<std::unique_lock<std::mutex>> PendingMap::lock_shards(std::uint64_t which) {
  std::vector<std::unique_lock<std::mutex>> locks;
  for (std::size_t i = 0; i < kShards; ++i) {
    if ((which >> i & 1U) != 0) locks.emplace_back(shards_[i].mutex);
  }
  return locks;
}

const PendingMap::Entry* PendingMap::unflushed(const Shard& shard, std::string_view key) const {
  for (const Batch* batch : {&shard.pending, &shard.flushing}) {
    if (batch->entries.empty()) continue;
    if (const auto at = batch->entries.find(key); at != batch->entries.end()) return &at->second;
  }
  return nullptr;
}

std::optional<Item> PendingMap::stored(std::string_view key) const {
  if (!store_) return std::nullopt;
  std::optional<Record> record = store_->backend().load(item_key(id_, key));
  if (!record) return std::nullopt;
  return to_item(*std::move(record));
}

/// The item, expired or not.
std::optional<Item> PendingMap::find(Shard& shard, std::string_view key, std::uint64_t hash) {
  if (const auto known = hot_.find(key, hash)) return *known;
  if (const Entry* entry = unflushed(shard, key)) return entry->item;
  return stored(key);
}

// --- Reading

bool PendingMap::read_below(std::string_view key, std::uint64_t hash, Shown shown) {
  require_open();
  misses_.fetch_add(1, std::memory_order_relaxed);
  Shard& shard = shards_[shard_of(hash)];
  std::optional<Item> item;
  std::uint64_t cuts = 0;
  const auto from_memory = [&] {
    const std::scoped_lock lock(shard.mutex);
    const Entry* entry = unflushed(shard, key);
    cuts = cuts_.load();
    if (entry == nullptr && store_) return false;
    if (entry != nullptr) item = entry->item;
    hot_.put(key, hash, item, true);
    return true;
  };
  if (!from_memory()) {
    item = stored(key);
    const std::scoped_lock lock(shard.mutex);
    // Kept unless it may have been overwritten since, and even flushed.
    if (unflushed(shard, key) == nullptr && cuts_.load() == cuts) hot_.put(key, hash, item, true);
  }
  if (!item || item->expired(now())) return false;
  shown(value_of(*item));
  return true;
}

void PendingMap::read_many(std::span<const std::string_view> keys,
                           base::FunctionRef<void(std::size_t, const MapValue*)> shown) {
  require_open();
  std::uint64_t which = 0;
  for (const std::string_view key : keys) {
    which |= std::uint64_t{1} << shard_of(HotItems::hash(key));
  }
  std::array<std::uint64_t, kShards> versions{};
  const auto note_versions = [&] {
    bool even = true;
    for (std::size_t i = 0; i < kShards; ++i) {
      if ((which >> i & 1U) == 0) continue;
      versions[i] = shards_[i].version.load();
      even = even && versions[i] % 2 == 0;
    }
    return even;
  };
  const auto unchanged = [&] {
    std::atomic_thread_fence(std::memory_order_acquire);
    for (std::size_t i = 0; i < kShards; ++i) {
      if ((which >> i & 1U) != 0 && shards_[i].version.load() != versions[i]) return false;
    }
    return true;
  };
  const auto read = [&](bool locked) {
    std::vector<std::size_t> unknown;
    hot_.show_many(keys, shown, unknown);
    for (const std::size_t i : unknown) {
      const auto show = [&](const MapValue& value) { shown(i, &value); };
      const std::uint64_t hash = HotItems::hash(keys[i]);
      bool there = false;
      if (locked) {
        const std::optional<Item> item = find(shards_[shard_of(hash)], keys[i], hash);
        there = item && !item->expired(now());
        if (there) show(value_of(*item));
      } else {
        there = read_below(keys[i], hash, show);
      }
      if (!there) shown(i, nullptr);
    }
  };
  for (int attempt = 0; attempt < kOptimisticReads; ++attempt) {
    if (note_versions()) {
      read(false);
      if (unchanged()) return;
      shown(SIZE_MAX, nullptr);
    }
  }
  const auto locks = lock_shards(which);
  read(true);
}

/// Rows of the store and the keys that were unflushed at the beginning, merged; each item as it is
/// when it is come to.
class PendingMap::Items final : public Scan {
 public:
  explicit Items(PendingMap& map) : map_(map), exhausted_(!map.store_) {
    const auto locks = map_.lock_shards(all_shards());
    for (const Shard& shard : map_.shards_) {
      for (const Batch* batch : {&shard.pending, &shard.flushing}) {
        for (const auto& [key, entry] : batch->entries) keys_.push_back(key);
      }
    }
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
  }

  bool next(std::vector<std::pair<std::string, Item>>& items) override {
    items.clear();
    map_.require_open();
    const Expiry time = now();
    while (items.empty()) {
      std::vector<Row> rows;
      cuts_ = map_.cuts_.load();
      if (!exhausted_) {
        rows = map_.store_->backend().view()->scan(range_, kRowsAtATime);
        exhausted_ = rows.size() < kRowsAtATime;
        if (!rows.empty()) {
          range_.after = rows.back().key.name;
          range_.include_empty_name = false;
        }
      }
      std::size_t row = 0;
      for (std::size_t taken = 0; row < rows.size() || (exhausted_ && at_ < keys_.size());) {
        if (row == rows.size() && taken >= kRowsAtATime) break;
        const bool own =
            at_ < keys_.size() && (row == rows.size() || keys_[at_] <= rows[row].key.name);
        std::optional<Item> item;
        const bool in_store = row < rows.size() && (!own || keys_[at_] == rows[row].key.name);
        std::string key = own ? keys_[at_] : rows[row].key.name;
        if (in_store) item = to_item(std::move(rows[row++].record));
        if (own) ++at_;
        ++taken;
        newest(key, item);
        if (item && !item->expired(time)) items.emplace_back(std::move(key), *std::move(item));
      }
      if (items.empty() && exhausted_ && at_ == keys_.size()) return false;
    }
    return true;
  }

 private:
  /// Replaces the stored item by the unflushed one; reads the stored one if it was not given, or
  /// may have been read before a flush changed it.
  void newest(const std::string& key, std::optional<Item>& item) {
    {
      Shard& shard = map_.shards_[shard_of(HotItems::hash(key))];
      const std::scoped_lock lock(shard.mutex);
      if (const Entry* entry = map_.unflushed(shard, key)) {
        item = entry->item;
        return;
      }
    }
    if (!item || map_.cuts_.load() != cuts_) item = map_.stored(key);
  }

  PendingMap& map_;
  std::vector<std::string> keys_;
  std::size_t at_ = 0;
  bool exhausted_;
  std::uint64_t cuts_ = 0;  // committed before the rows were read
  Range range_{.space = Space::kItem, .a = map_.id_, .include_empty_name = true};
};

std::unique_ptr<Scan> PendingMap::scan() {
  require_open();
  return std::make_unique<Items>(*this);
}

// --- Writing

/// Puts the item, or its absence, on top. Under the shard's mutex, its version odd.
void PendingMap::set(Shard& shard, std::string key, std::uint64_t hash, std::optional<Item> item) {
  Batch& batch = shard.pending;
  auto at = batch.entries.find(std::string_view(key));
  if (item && item->expires != 0) {
    const std::scoped_lock lock(timed_mutex_);
    timed_.emplace(item->expires, key);
    any_timed_ = true;
    if (!store_) housekeeper_.wake(std::chrono::steady_clock::now() + interval_);
  }
  if (!store_ && !item) {
    if (at != batch.entries.end()) {
      pending_bytes_ -= weight(key, at->second.item);
      batch.entries.erase(at);
    }
    hot_.put(key, hash, item, false);
    return;
  }
  const std::int64_t now_there = item ? 1 : 0;
  pending_bytes_ += weight(key, item);
  if (at != batch.entries.end()) {
    pending_bytes_ -= weight(key, at->second.item);
    if (at->second.stored) batch.difference += now_there - (at->second.item ? 1 : 0);
  } else {
    Entry entry;
    if (!store_) {
      entry.stored = false;
    } else if (const auto old = shard.flushing.entries.find(std::string_view(key));
               old != shard.flushing.entries.end()) {
      entry.stored = old->second.item.has_value();
    } else if (const auto known = hot_.find(key, hash)) {
      entry.stored = known->has_value();
    }
    if (entry.stored) {
      batch.difference += now_there - (*entry.stored ? 1 : 0);
    } else if (counting_.load(std::memory_order_relaxed)) {
      batch.unknown.push_back(key);
    } else {
      batch.exact = false;
    }
    at = batch.entries.emplace(key, std::move(entry)).first;
  }
  hot_.put(key, hash, item, false);
  at->second.item = std::move(item);
}

void PendingMap::write(std::vector<Write>& writes) {
  before_write();
  if (writes.size() == 1) {
    const std::uint64_t hash = HotItems::hash(writes[0].key);
    Shard& shard = shards_[shard_of(hash)];
    const std::scoped_lock lock(shard.mutex);
    require_open();
    const Changing changing(*this, std::uint64_t{1} << shard_of(hash));
    set(shard, std::move(writes[0].key), hash, std::move(writes[0].item));
    return;
  }
  std::vector<std::uint64_t> hashes(writes.size());
  std::uint64_t which = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    hashes[i] = HotItems::hash(writes[i].key);
    which |= std::uint64_t{1} << shard_of(hashes[i]);
  }
  const auto locks = lock_shards(which);
  require_open();
  const Changing changing(*this, which);
  for (std::size_t i = 0; i < writes.size(); ++i) {
    set(shards_[shard_of(hashes[i])], std::move(writes[i].key), hashes[i],
        std::move(writes[i].item));
  }
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
  set(shard, std::string(key), hash, std::move(item));
}

std::size_t PendingMap::erase_many(std::span<const std::string_view> keys) {
  before_write();
  std::uint64_t which = 0;
  for (const std::string_view key : keys) {
    which |= std::uint64_t{1} << shard_of(HotItems::hash(key));
  }
  const auto locks = lock_shards(which);
  require_open();
  const Changing changing(*this, which);
  const Expiry time = now();
  std::size_t erased = 0;
  for (const std::string_view key : keys) {
    const std::uint64_t hash = HotItems::hash(key);
    Shard& shard = shards_[shard_of(hash)];
    const std::optional<Item> old = find(shard, key, hash);
    if (!old) continue;
    if (!old->expired(time)) ++erased;
    set(shard, std::string(key), hash, std::nullopt);
  }
  return erased;
}

void PendingMap::clear() {
  before_write();
  const auto locks = lock_shards(all_shards());
  require_open();
  const Changing changing(*this, all_shards());
  std::vector<std::string> keys;
  for (const Shard& shard : shards_) {
    for (const Batch* batch : {&shard.pending, &shard.flushing}) {
      for (const auto& [key, entry] : batch->entries) keys.push_back(key);
    }
  }
  Range range{.space = Space::kItem, .a = id_, .include_empty_name = true};
  while (store_) {
    std::vector<Row> rows = store_->backend().view()->scan(range, kRowsAtATime);
    if (rows.empty()) break;
    range.after = rows.back().key.name;
    range.include_empty_name = false;
    for (Row& row : rows) keys.push_back(std::move(row.key.name));
  }
  for (std::string& key : keys) {
    const std::uint64_t hash = HotItems::hash(key);
    set(shards_[shard_of(hash)], std::move(key), hash, std::nullopt);
  }
}

// --- Counting

/// Finds out what was in the store under the keys where that is not known. `above_stored` is
/// what is being flushed, for what is pending on top of it.
void PendingMap::resolve(Batch& batch, const Entries* above_stored) {
  const auto look = [&](const std::string& key, Entry& entry) {
    if (!entry.stored) {
      const auto above =
          above_stored != nullptr ? above_stored->find(key) : Entries::const_iterator{};
      entry.stored = above_stored != nullptr && above != above_stored->end()
                         ? above->second.item.has_value()
                         : stored(key).has_value();
    }
    return (entry.item ? 1 : 0) - (*entry.stored ? 1 : 0);
  };
  if (!batch.exact) {
    batch.difference = 0;
    for (auto& [key, entry] : batch.entries) batch.difference += look(key, entry);
    batch.exact = true;
  } else {
    for (const std::string& key : batch.unknown) {
      batch.difference += look(key, batch.entries.find(key)->second);
    }
  }
  batch.unknown.clear();
}

std::uint64_t PendingMap::size() {
  require_open();
  if (any_timed_.load()) erase_due();
  if (!store_) {
    const auto locks = lock_shards(all_shards());
    std::uint64_t size = 0;
    for (const Shard& shard : shards_) size += shard.pending.entries.size();
    return size;
  }
  const auto sum = [&] {
    std::int64_t size = static_cast<std::int64_t>(stored_count_.value_or(0));
    for (Shard& shard : shards_) {
      resolve(shard.flushing, nullptr);
      resolve(shard.pending, &shard.flushing.entries);
      size += shard.flushing.difference + shard.pending.difference;
    }
    return static_cast<std::uint64_t>(size);
  };
  {
    const auto locks = lock_shards(all_shards());
    if (stored_count_ && !flushing_unknown()) return sum();
  }
  // While nothing is being committed the store says what is in it.
  const std::scoped_lock flush(flush_mutex_);
  const auto locks = lock_shards(all_shards());
  counting_ = true;
  if (!stored_count_) stored_count_ = store_->backend().view()->count_items(id_);
  return sum();
}

bool PendingMap::flushing_unknown() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const Shard& shard) {
    return !shard.flushing.exact || !shard.flushing.unknown.empty();
  });
}

MapStats PendingMap::stats() const {
  MapStats stats = Core::stats();
  stats.pending_bytes = pending_bytes_.load();
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    stats.pending += shard.pending.entries.size() + shard.flushing.entries.size();
  }
  if (!store_) stats.pending = 0;
  stats.flushes = flushes_.load();
  stats.failed_flushes = failed_flushes_.load();
  return stats;
}

// --- fork()

void PendingMap::prepare_fork() noexcept {
  housekeeper_.prepare_fork();
  for (Shard& shard : shards_) shard.mutex.lock();
  hot_.table().prepare_fork();
  timed_mutex_.lock();
  error_mutex_.lock();
}

void PendingMap::parent_after_fork() noexcept {
  error_mutex_.unlock();
  timed_mutex_.unlock();
  hot_.table().parent_after_fork();
  for (Shard& shard : shards_) shard.mutex.unlock();
  housekeeper_.parent_after_fork();
}

void PendingMap::child_after_fork() noexcept {
  error_mutex_.unlock();
  timed_mutex_.unlock();
  hot_.table().child_after_fork();
  for (Shard& shard : shards_) shard.mutex.unlock();
  housekeeper_.child_after_fork();
  if (store_) {  // what is pending is the parent's to write
    usable_ = false;
    abandoned_ = true;
  }
}

}  // namespace graven::map
