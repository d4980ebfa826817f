// SPDX-License-Identifier: MIT
//
// Pins: how many handles of one Database this process has on each node. What is pinned is not
// collected when this process unlinks it.
//
// Always holds: a node with a living handle is counted, from before its reader checks that
// no collection came between (see Heap::collections) until the handle is destroyed. A count is
// erased, when it is zero, under its shard's lock only.
// Any thread; each shard has its own short lock, never held while waiting for anything else.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "graph/stored.hpp"

namespace graven::graph {

class Pins {
 public:
  using Count = std::atomic<std::uint32_t>;

  /// One more handle. What it gives is for unpin().
  Count& pin(NodeId id) {
    Shard& shard = shard_of(id);
    const std::scoped_lock lock(shard.mutex);
    const auto [it, added] = shard.counts.try_emplace(id, 0);
    it->second.fetch_add(1);
    Count& count = it->second;
    // Zeros stay for a while: what is read again and again is pinned again and again.
    if (added && shard.counts.size() > shard.swept_at) {
      std::erase_if(shard.counts, [](const auto& each) { return each.second.load() == 0; });
      shard.swept_at = std::max(kKept, 2 * shard.counts.size());
    }
    return count;
  }

  /// True when that was the last handle.
  static bool unpin(Count& count) noexcept { return count.fetch_sub(1) == 1; }

  [[nodiscard]] bool pinned(NodeId id) {
    Shard& shard = shard_of(id);
    const std::scoped_lock lock(shard.mutex);
    const auto it = shard.counts.find(id);
    return it != shard.counts.end() && it->second.load() != 0;
  }

  void prepare_fork() {
    for (Shard& shard : shards_) shard.mutex.lock();
  }
  // A child has copies of all handles, so it keeps the counts.
  void after_fork() {
    for (Shard& shard : shards_) shard.mutex.unlock();
  }

 private:
  static constexpr std::size_t kKept = 512;
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<NodeId, Count> counts;  // stay where they are
    std::size_t swept_at = kKept;
  };
  Shard& shard_of(NodeId id) {
    return shards_[(static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15ULL) >> 60U];
  }

  std::array<Shard, 16> shards_;
};

}  // namespace graven::graph
