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
#include <optional>
#include <span>
#include <vector>

#include "store/store.hpp"

namespace graven::store {

/// What was changed, as far as it is known.
struct Changed {
  bool anything = false;                // some of it is not told
  std::vector<std::uint64_t> hashes{};  // else of all records, in the commits that are of interest
};

class Follower {
 public:
  explicit Follower(Store& store);

  /// Until a record may have been changed whose hash (record_hash(), container_hash(),
  /// item_hash()) is among the interests: what was since wait() last returned. Nothing: the time is
  /// up, or stop() was called.
  std::optional<Changed> wait(std::span<const std::uint64_t> interests, Deadline until);
  void stop() noexcept;

 private:
  /// What may concern the interests of what has moved the mark.
  std::optional<Changed> moved(std::span<const std::uint64_t> interests);

  Store& store_;
  const MarkWords* live_;
  Mark seen_;
  std::uint64_t commits_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace graven::store
