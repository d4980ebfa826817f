// SPDX-License-Identifier: MIT
//
// Pins: how many handles of one Database this process has on each node. What is pinned is not
// collected when this process unlinks it.
//
// Always holds: a node with a living handle is counted, from before its reader checks that
// no collection came between (see Heap::collections) until the handle is destroyed.
// Any thread; each shard has its own short lock, never held while waiting for anything else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "graph/stored.hpp"

namespace graven::graph {

class Pins {
 public:
  void pin(NodeId id) {
    Shard& shard = shard_of(id);
    const std::scoped_lock lock(shard.mutex);
    ++shard.counts[id];
  }

  /// True when that was the last handle.
  bool unpin(NodeId id) {
    Shard& shard = shard_of(id);
    const std::scoped_lock lock(shard.mutex);
    const auto it = shard.counts.find(id);
    if (it == shard.counts.end()) return false;
    if (it->second == 0 || --it->second != 0) return false;
    // A few zeros stay: what is read again and again is pinned again and again.
    if (shard.counts.size() > kKept)
      std::erase_if(shard.counts, [](const auto& each) { return each.second == 0; });
    return true;
  }

  [[nodiscard]] bool pinned(NodeId id) {
    Shard& shard = shard_of(id);
    const std::scoped_lock lock(shard.mutex);
    const auto it = shard.counts.find(id);
    return it != shard.counts.end() && it->second != 0;
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
    std::unordered_map<NodeId, std::uint32_t> counts;
  };
  Shard& shard_of(NodeId id) {
    return shards_[(static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15ULL) >> 60U];
  }

  std::array<Shard, 16> shards_;
};

}  // namespace graven::graph
