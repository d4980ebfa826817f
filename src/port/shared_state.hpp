// SPDX-License-Identifier: MIT
//
// The facet of stores whose state version stands in memory that this process can compare with one
// it has seen: caches need no call to the store to know whether their records are still valid.
//
// Any thread.
#pragma once

#include "port/change_feed.hpp"
#include "port/mark.hpp"

namespace graven::port {

class SharedState {
 public:
  virtual ~SharedState() = default;

  /// Where the state version (Mark) of the newest state is, valid until the backend is destroyed or
  /// the process forks; nullptr when this store has none to watch. The first call may be slow.
  virtual const MarkWords* live_mark() = 0;
  /// Whether a state version read from there is complete, and belongs to no other state.
  [[nodiscard]] virtual bool distinctive(const Mark& mark) const = 0;
  /// Whether something was committed between two state versions. (A version may change without
  /// that.)
  [[nodiscard]] virtual bool commit_between(const Mark& before, const Mark& after) const {
    return before != after;
  }
  /// Whether the state version in memory follows the store only while the store is heard of; then a
  /// cache asks fresh() too before it relies on it.
  [[nodiscard]] virtual bool expires() const noexcept { return false; }
  virtual bool fresh() noexcept { return true; }
  /// The invalidation log (ChangeFeed), by which processes tell each other of commits. Valid until
  /// the backend is destroyed or the process forks; nullptr when there is none, or it cannot be
  /// used at the moment. Only where live_mark() gives a state version.
  virtual ChangeFeed* changes() { return nullptr; }
};

}  // namespace graven::port
