// SPDX-License-Identifier: MIT
//
// Pins: how many handles of one Database this process has on each node. What is pinned is not
// collected when this process unlinks it.
//
// Always holds: a node with a living handle is counted, from before its reader checks that
// no collection came between (see Heap::collections) until the handle is destroyed, and in one
// place: in the slot for it, or, while another node has that, in its shard's map. A slot goes
// to another node, and a count out of the map, when it is zero, under the shard's lock only.
// Any thread; each shard has its own short lock, never held while waiting for anything else. What
// has its slot is pinned without it. The child of a fork has copies of all handles, so it keeps the
// counts.
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
  /// The handles in the lower half, and in a slot how often that changed hands in the upper one.
  using Count = std::atomic<std::uint64_t>;

  /// One more handle. What it gives is for unpin().
  Count& pin(NodeId id) {
    Shard& shard = shard_of(id);
    Slot& slot = shard.slot_of(id);
    std::uint64_t before = slot.count.load(std::memory_order_acquire);
    while ((before & kChanging) == 0 && slot.id.load(std::memory_order_acquire) == id) {
      // That fails if the slot has changed hands since `before`.
      if (slot.count.compare_exchange_weak(before, before + 1)) return slot.count;
    }
    return shard.pin(id, slot);
  }

  /// True when that was the last handle.
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
  static constexpr std::uint64_t kChanging = std::uint64_t{1} << 31U;  // hands, just now
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
    std::unordered_map<NodeId, Count> counts;  // stay where they are
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

    /// Zeros stay for a while: what is read again and again is pinned again and again.
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
