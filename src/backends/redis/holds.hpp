// SPDX-License-Identifier: MIT
//
// Which partitions have views in this process, and until when their commits keep what they replace.
// Views renew that when they read, and keep_alive() for those that do not.
//
// Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "backends/redis/core.hpp"
#include "base/fork.hpp"

namespace graven::redis {

class Holds {
 public:
  using Clock = std::chrono::steady_clock;

  void add_view(const port::Partition& partition);
  void remove_view(const port::Partition& partition) noexcept;
  /// Whether a read should renew it.
  bool due(const port::Partition& partition);
  /// It was renewed by a request that was sent then.
  void renewed(const port::Partition& partition, Clock::time_point sent);
  /// The partitions that have views and must be renewed now.
  std::vector<port::Partition> all_due();
  /// Whether there are views.
  bool any();

  /// How often all_due() should be asked while there are views.
  static constexpr std::chrono::milliseconds kEvery{1'000};

 private:
  struct Hold {
    std::size_t views = 0;
    Clock::time_point until{};
  };
  base::ForkMutex mutex_{base::kForkRankReads};
  std::map<port::Partition, Hold> holds_;  // mutex_
};

}  // namespace graven::redis
