// SPDX-License-Identifier: MIT
//
// The change feed: how processes that have one store open tell each other what a commit changed,
// so that a cache drops only that, and wake who waits for a change. A part of the backend port,
// for backends with marks.
//
// Always holds: the live mark says whether anything has changed; the feed only explains how one
// mark came from another. What it lacks (somebody committed without telling) is a broken chain,
// never a wrong answer.
//
// Any thread, but for publish().
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "base/function_ref.hpp"
#include "port/mark.hpp"

namespace graven::store {

class ChangeFeed {
 public:
  using Hashes = std::span<const std::uint64_t>;
  using Each = base::FunctionRef<void(Hashes hashes, std::uint64_t flags)>;

  /// Hashes that one commit may have, scopes included (port/touched.hpp says what they and the
  /// flags mean); with more it says that everything may have changed.
  static constexpr std::size_t kMost = 32;

  virtual ~ChangeFeed() = default;

  /// Tells that `after` came from `before` by changing what the hashes stand for. Both marks are
  /// distinctive, and the write lock is held since `before` was the live one.
  virtual void publish(const Mark& before, const Mark& after, Hashes hashes,
                       std::uint64_t flags) noexcept = 0;

  /// Calls `each` for every commit that led from one mark to the other, in order. False when that
  /// cannot be told, perhaps after some calls: then everything may have changed.
  virtual bool follow(const Mark& from, const Mark& to, Each each) = 0;

  /// For wait(): taken before looking whether there is anything to wait for.
  [[nodiscard]] virtual std::uint32_t ticket() const noexcept = 0;
  /// Until something was published since the ticket, or wake() called (true), or the time has
  /// come (false), or a while has passed: not everybody publishes, so the caller looks again.
  virtual bool wait(std::uint32_t ticket, std::chrono::steady_clock::time_point until) noexcept = 0;
  /// Ends every wait() of this process; it may end others'.
  virtual void wake() noexcept = 0;
};

}  // namespace graven::store
