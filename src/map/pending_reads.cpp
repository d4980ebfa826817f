// SPDX-License-Identifier: MIT
//
// Reads a pending map: one item, several items of one state, or all items. See pending_map.hpp.
#include <algorithm>
#include <utility>

#include "map/interval.hpp"
#include "map/layout.hpp"
#include "map/pending_map.hpp"

namespace graven::map {

using port::Row;

namespace {

constexpr int kOptimisticReads = 3;

}  // namespace

bool PendingMap::read_below(std::string_view key, std::uint64_t hash, Shown shown) {
  require_open();
  Shard& shard = shards_[shard_of(hash)];
  std::optional<Item> item;
  std::uint64_t cuts = 0;
  const auto from_memory = [&] {
    const std::scoped_lock lock(shard.mutex);
    if (auto known = hot_.find(key, hash)) {  // not used before if several keys were changing
      hits_.add();
      item = *std::move(known);
      return true;
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    const PendingEntry* entry = unflushed(shard, key, hash);
    cuts = cuts_.load();
    if (entry != nullptr) {
      item = entry->item;
    } else if (store_) {
      item = hot_.find_warm(key, hash);
      if (!item) return false;
    }
    hot_.put(key, hash, item, true);
    return true;
  };
  if (!from_memory()) {
    item = stored(key);
    count_stored(item.has_value());
    const std::scoped_lock lock(shard.mutex);
    // Keep it only if it was surely not overwritten (and perhaps flushed) meanwhile.
    if (unflushed(shard, key, hash) == nullptr && cuts_.load() == cuts)
      hot_.put(key, hash, item, true);
  }
  if (!item || item->expired(now())) return false;
  shown(value_of(*item));
  return true;
}

/// The versions of some shards, to find out whether several reads were of one state.
class PendingMap::Versions {
 public:
  Versions(const PendingMap& map, std::uint64_t which) : map_(map), which_(which) {}

  /// Notes the versions. False while one of the shards changes.
  bool note() {
    bool even = true;
    for (std::size_t i = 0; i < kShards; ++i) {
      if ((which_ >> i & 1U) == 0) continue;
      versions_[i] = map_.shards_[i].version.load();
      even = even && versions_[i] % 2 == 0;
    }
    return even;
  }
  [[nodiscard]] bool unchanged() const {
    std::atomic_thread_fence(std::memory_order_acquire);
    for (std::size_t i = 0; i < kShards; ++i) {
      if ((which_ >> i & 1U) != 0 && map_.shards_[i].version.load() != versions_[i]) return false;
    }
    return true;
  }

 private:
  const PendingMap& map_;
  const std::uint64_t which_;
  std::array<std::uint64_t, kShards> versions_{};
};

std::uint64_t PendingMap::shards_of(std::span<const std::string_view> keys) {
  std::uint64_t which = 0;
  for (const std::string_view key : keys) {
    which |= std::uint64_t{1} << shard_of(HotItems::hash(key));
  }
  return which;
}

/// The sum of all shard versions. Versions only grow, so if the sum is the same, all of them are.
std::optional<std::uint64_t> PendingMap::state() {
  if (!fresh()) return std::nullopt;
  std::atomic_thread_fence(std::memory_order_acquire);
  std::uint64_t sum = 0;
  for (const Shard& shard : shards_) {
    const std::uint64_t version = shard.version.load();
    if (version % 2 != 0) return std::nullopt;
    sum += version;
  }
  return sum;
}

bool PendingMap::peek_many(std::span<const std::string_view> keys,
                           base::FunctionRef<void(std::size_t, const MapValue*)> shown) {
  if (!fresh()) return false;
  Versions versions(*this, all_shards());
  if (!versions.note()) return false;
  std::vector<std::size_t> unknown;
  hot_.show_many(keys, shown, unknown);
  if (!unknown.empty() || !versions.unchanged()) return false;
  hits_.add(keys.size());
  return true;
}

void PendingMap::read_many(std::span<const std::string_view> keys,
                           base::FunctionRef<void(std::size_t, const MapValue*)> shown) {
  require_open();
  const std::uint64_t which = shards_of(keys);
  Versions versions(*this, which);
  const auto read = [&](bool locked) {
    std::vector<std::size_t> unknown;
    hot_.show_many(keys, shown, unknown);
    hits_.add(keys.size() - unknown.size());
    if (locked) misses_.fetch_add(unknown.size(), std::memory_order_relaxed);
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
    if (versions.note()) {
      read(false);
      if (versions.unchanged()) return;
      shown(SIZE_MAX, nullptr);
    }
  }
  const auto locks = lock_shards(which);
  read(true);
}

std::optional<Item> PendingMap::item(std::string_view key) {
  require_open();
  const std::uint64_t hash = HotItems::hash(key);
  Shard& shard = shards_[shard_of(hash)];
  const std::scoped_lock lock(shard.mutex);
  std::optional<Item> item = find(shard, key, hash);
  if (item && item->expired(now())) item.reset();
  return item;
}

/// Merges the rows of the store with the keys that were unflushed at the beginning. Each item is
/// the current one when the scan reaches it.
class PendingMap::Items final : public Scan {
 public:
  Items(PendingMap& map, const Interval& interval)
      : map_(map), reverse_(interval.reverse), keys_(reverse_), below_(map.id_, interval) {
    if (!map_.store_) below_.end();
    if (interval.empty()) return;
    const auto locks = map_.lock_shards(all_shards());
    for (const Shard& shard : map_.shards_) {
      for (const Batch* batch : {&shard.pending, &shard.flushing}) {
        batch->entries.each([&](const PendingEntry& entry) {
          if (interval.has(entry.key)) keys_.add(entry.key);
        });
      }
    }
  }

  bool next(std::vector<std::pair<std::string, Item>>& items) override {
    items.clear();
    map_.require_open();
    const Expiry time = now();
    while (items.empty()) {
      std::vector<Row> rows;
      cuts_ = map_.cuts_.load();
      if (!below_.ended()) rows = below_.next(*map_.store_->view());
      std::size_t row = 0;
      for (std::size_t taken = 0;; ++taken) {
        const std::string* own = keys_.next();
        if (row == rows.size() && (own == nullptr || !below_.ended() || taken >= kRowsAtATime)) {
          break;
        }
        if (own != nullptr && row < rows.size() && before(rows[row].key.name, *own)) own = nullptr;
        std::optional<Item> item;
        const bool in_store = row < rows.size() && (own == nullptr || *own == rows[row].key.name);
        std::string key = own != nullptr ? *own : rows[row].key.name;
        if (in_store) item = to_item(std::move(rows[row++].record));
        if (own != nullptr) keys_.step();
        newest(key, item);
        if (item && !item->expired(time)) items.emplace_back(std::move(key), *std::move(item));
      }
      if (items.empty() && below_.ended() && keys_.next() == nullptr) return false;
    }
    return true;
  }

 private:
  /// Replaces the stored item by the unflushed one, if there is one. Otherwise reads the stored
  /// item again if it was not given, or if a flush committed after it was read.
  void newest(const std::string& key, std::optional<Item>& item) {
    {
      const std::uint64_t hash = HotItems::hash(key);
      Shard& shard = map_.shards_[shard_of(hash)];
      const std::scoped_lock lock(shard.mutex);
      if (const PendingEntry* entry = unflushed(shard, key, hash)) {
        item = entry->item;
        return;
      }
    }
    if (!item || map_.cuts_.load() != cuts_) item = map_.stored(key);
  }

  [[nodiscard]] bool before(const std::string& left, const std::string& right) const noexcept {
    return reverse_ ? right < left : left < right;
  }

  PendingMap& map_;
  const bool reverse_;
  KeysInOrder keys_;
  std::uint64_t cuts_ = 0;  // PendingMap::cuts_ before the rows were read
  ItemPages below_;
};

std::unique_ptr<Scan> PendingMap::scan(const Interval& interval) {
  require_open();
  return std::make_unique<Items>(*this, interval);
}

}  // namespace graven::map
