// SPDX-License-Identifier: MIT
//
// A follower sleeps until something it is interested in may have been committed, by this process
// or another: it compares the live mark, asks the change feed what a commit changed, and sleeps
// on the feed. Without a mark it counts this process's commits.
//
// Always holds: what was committed after the follower was made, or after wait() last returned
// true, is not missed: it may be reported without need, never not at all.
//
// wait() from one thread at a time, stop() from any. Outlived by its store.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "store/store.hpp"

namespace graven::store {

class Follower {
 public:
  explicit Follower(Store& store);

  /// Until a record may have been changed whose hash (record_hash(), container_hash(),
  /// item_hash()) is among the interests; false: the time is up, or stop() was called.
  bool wait(std::span<const std::uint64_t> interests, Deadline until);
  void stop() noexcept;

 private:
  /// Whether the mark has moved in a way that may concern the interests.
  bool moved(std::span<const std::uint64_t> interests);

  Store& store_;
  const MarkWords* live_;
  Mark seen_;
  std::uint64_t commits_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace graven::store
