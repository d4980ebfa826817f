// SPDX-License-Identifier: MIT
//
// Pins: the number of handles that this process has on each node, for one Database. A pinned node
// is not collected when this process unlinks it.
//
// Always holds: a node with a handle is counted in exactly one place: in its slot, or, while
// another node uses that slot, in its shard's map. The count begins before the reader checks that
// no collection came between (see Heap::collections) and ends when the handle is destroyed. A
// slot is given to another node, and a count is erased from the map, only when it is zero and the
// shard's lock is held.
// Any thread; each shard has its own short lock, which is never held while waiting for anything
// else. A node that already has its slot is pinned without the lock. The child of a fork has
// copies of all handles, so it keeps the counts.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/fork.hpp"
#include "graph/value/stored.hpp"

namespace graven::graph {

class Pins {
 public:
  /// Lower half: the number of handles. Upper half, in a slot: how often it was given to another
  /// node.
  using Count = std::atomic<std::uint64_t>;

  /// Counts one more handle. Pass the returned count to unpin().
  Count& pin(NodeId id) {
    Shard& shard = shard_of(id);
    Slot& slot = shard.slot_of(id);
    std::uint64_t before = slot.count.load(std::memory_order_acquire);
    while ((before & kChanging) == 0 && slot.id.load(std::memory_order_acquire) == id) {
      // This fails if the slot was given to another node after `before` was read.
      if (slot.count.compare_exchange_weak(before, before + 1)) return slot.count;
    }
    return shard.pin(id, slot);
  }

  /// Counts one handle less. True if it was the last one.
  static bool unpin(Count& count) noexcept { return handles(count.fetch_sub(1)) == 1; }

  [[nodiscard]] bool pinned(NodeId id) {
    Shard& shard = shard_of(id);
    const std::scoped_lock lock(shard.mutex);
    const Slot& slot = shard.slot_of(id);
    if (slot.id.load() == id && handles(slot.count.load()) != 0) return true;
    const auto it = shard.counts.find(id);
    return it != shard.counts.end() && handles(it->second.load()) != 0;
  }

 private:
  static constexpr std::uint64_t kChanging = std::uint64_t{1} << 31U;  // slot gets another node now
  static constexpr std::uint64_t kOneChange = std::uint64_t{1} << 32U;
  static constexpr std::size_t kKept = 512;
  static constexpr std::size_t kSlots = 32;

  static std::uint64_t handles(std::uint64_t count) noexcept { return count & (kChanging - 1); }
  static std::uint64_t mixed(NodeId id) noexcept {
    return static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15ULL;
  }

  struct Slot {
    Count count{0};
    std::atomic<NodeId> id{0};
  };
  struct alignas(64) Shard {
    base::ForkMutex mutex{base::kForkRankPinShard};
    std::unordered_map<NodeId, Count> counts;  // elements have stable addresses
    std::size_t swept_at = kKept;
    std::array<Slot, kSlots> slots;

    Slot& slot_of(NodeId id) noexcept { return slots[(mixed(id) >> 55U) % kSlots]; }

    Count& pin(NodeId id, Slot& slot) {
      const std::scoped_lock lock(mutex);
      if (slot.id.load(std::memory_order_relaxed) == id) {
        slot.count.fetch_add(1);
        return slot.count;
      }
      const auto known = counts.find(id);
      if (known != counts.end() && handles(known->second.load()) != 0) {
        known->second.fetch_add(1);
        return known->second;
      }
      std::uint64_t free = slot.count.load();
      if (handles(free) == 0 && slot.count.compare_exchange_strong(free, free | kChanging)) {
        slot.id.store(id);
        slot.count.store(free + kOneChange + 1);
        return slot.count;
      }
      Count& count = counts[id];
      count.fetch_add(1);
      sweep();
      return count;
    }

    /// Erases zero counts, but not often: a node that is read repeatedly is pinned repeatedly.
    void sweep() {
      if (counts.size() <= swept_at) return;
      std::erase_if(counts, [](const auto& each) { return handles(each.second.load()) == 0; });
      swept_at = std::max(kKept, 2 * counts.size());
    }
  };
  Shard& shard_of(NodeId id) noexcept { return shards_[mixed(id) >> 60U]; }

  std::array<Shard, 16> shards_;
};

}  // namespace graven::graph
