// SPDX-License-Identifier: MIT
//
// A follower sleeps until a commit, of this process or another, may have changed something that its
// user waits for. It compares the live version, asks the invalidation log (ChangeFeed) what a
// commit changed, and sleeps on the log. Where there is no state version it counts this process's
// commits.
//
// Always holds: what was committed after the follower was constructed, or after wait() last
// returned a change, is not missed. It may report a change without need.
//
// wait() from one thread at a time, stop() from any. The store outlives it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/store.hpp"

namespace graven::store {

/// What was changed, as far as it is known.
struct Changed {
  bool anything = false;                // some changes are not listed
  std::vector<std::uint64_t> hashes{};  // else: all records of the commits that are of interest
};

class Follower {
 public:
  explicit Follower(Store& store);

  /// Waits until a record may have been changed whose hash (record_hash(), container_hash(),
  /// item_hash()) is among the interests; returns what was changed since wait() last returned.
  /// Returns nothing when the time is up or stop() was called.
  std::optional<Changed> wait(std::span<const std::uint64_t> interests, Deadline until);
  void stop() noexcept;

 private:
  /// If the live version has moved: what changes may concern the interests.
  std::optional<Changed> moved(std::span<const std::uint64_t> interests);

  Store& store_;
  const port::MarkWords* live_;
  port::Mark seen_;
  std::uint64_t commits_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace graven::store
