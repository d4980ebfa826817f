// SPDX-License-Identifier: MIT
//
// Erases the items of a pending map that have expired. See pending_map.hpp; lock order as in
// pending_flush.cpp.
#include <utility>
#include <vector>

#include "map/pending_map.hpp"

namespace graven::map {
namespace {

constexpr std::size_t kErasedAtATime = 1000;

}  // namespace

/// Erases expired items.
void PendingMap::erase_due() {
  for (;;) {
    std::vector<std::pair<Expiry, std::string>> due;
    {
      const std::scoped_lock lock(timed_mutex_);
      const Expiry time = now();
      for (const auto& one : timed_) {
        if (one.first > time || due.size() >= kErasedAtATime) break;
        due.push_back(one);
      }
    }
    for (const auto& [time, key] : due) {
      const std::uint64_t hash = HotItems::hash(key);
      Shard& shard = shards_[shard_of(hash)];
      const std::scoped_lock lock(shard.mutex);
      const std::optional<Item> item = find(shard, key, hash);
      if (item && item->expired(now())) {
        const Changing changing(*this, std::uint64_t{1} << shard_of(hash));
        set(shard, key, hash, std::nullopt);
      }
    }
    const std::scoped_lock lock(timed_mutex_);
    for (const auto& one : due) {
      timed_.erase(one);
      if (store_) swept_.insert(one);
    }
    any_timed_ = !timed_.empty();
    if (due.size() < kErasedAtATime) return;
  }
}

}  // namespace graven::map
