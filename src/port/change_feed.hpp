// SPDX-License-Identifier: MIT
//
// The invalidation log (ChangeFeed): processes that have one store open tell each other through it
// what a commit changed. A cache then drops only the changed records, and a thread that waits for
// changes is woken. A part of the backend port, for backends with state versions (Mark).
//
// Always holds: the live state version tells whether anything has changed; the log only explains
// how one version came from another. If an entry is missing (another program committed without
// writing one), follow() returns false; the log never gives a wrong answer.
//
// Any thread, except publish().
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "base/function_ref.hpp"
#include "port/mark.hpp"

namespace graven::port {

class ChangeFeed {
 public:
  using Hashes = std::span<const std::uint64_t>;
  using Each = base::FunctionRef<void(Hashes hashes, std::uint64_t flags)>;

  /// The most hashes one commit may have, scopes included (port/touched.hpp explains hashes and
  /// flags). A commit with more says that everything may have changed.
  static constexpr std::size_t kMost = 32;

  virtual ~ChangeFeed() = default;

  /// Publishes that `after` came from `before` by changing what the hashes stand for. Both versions
  /// are distinctive, and the caller has held the write lock since `before` was the live one.
  virtual void publish(const Mark& before, const Mark& after, Hashes hashes,
                       std::uint64_t flags) noexcept = 0;

  /// Calls `each`, in order, for every commit that led from one state version to the other. Returns
  /// false when the log cannot tell, perhaps after some calls: then everything may have changed.
  virtual bool follow(const Mark& from, const Mark& to, Each each) = 0;

  /// A ticket for wait(). Take it before you look whether there is anything to wait for.
  [[nodiscard]] virtual std::uint32_t ticket() const noexcept = 0;
  /// Returns true after a publish() or wake() since the ticket was taken, false when the time has
  /// come; also returns after a while, because not every program publishes, so the caller looks
  /// again.
  virtual bool wait(std::uint32_t ticket, std::chrono::steady_clock::time_point until) noexcept = 0;
  /// Ends every wait() of this process; it may end waits of other processes too.
  virtual void wake() noexcept = 0;
};

}  // namespace graven::port
