// SPDX-License-Identifier: MIT
//
// The invalidation log (ChangeFeed) of a store that only this process writes: the changes of the
// last commits, in memory, and a condition variable to wait for more.
//
// Always holds: every commit wakes waiting threads, even if its changes were not published; then
// the log has a gap. Any thread. A forked child keeps the log, but not the waiting threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fork.hpp"
#include "port/change_feed.hpp"

namespace graven::lazy {

class Feed final : public port::ChangeFeed, private base::ForkGuard {
 public:
  static constexpr std::size_t kRemembered = 1024;

  /// Wakes waiting threads after a commit.
  void notify() noexcept;

  // port::ChangeFeed; the first word of a state version (Mark) is the number of commits.
  void publish(const port::Mark& before, const port::Mark& after, Hashes hashes,
               std::uint64_t flags) noexcept override;
  bool follow(const port::Mark& from, const port::Mark& to, Each each) override;
  [[nodiscard]] std::uint32_t ticket() const noexcept override;
  bool wait(std::uint32_t ticket, std::chrono::steady_clock::time_point until) noexcept override;
  void wake() noexcept override { notify(); }

 private:
  void child_after_fork() noexcept override;

  struct Told {
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    std::uint64_t flags = 0;
    std::vector<std::uint64_t> hashes{};
  };
  struct State {
    std::condition_variable changed;
    std::uint32_t ticket = 0;
    std::vector<Told> told{kRemembered};  // each at `after` modulo the size
  };
  mutable base::ForkMutex mutex_{base::kForkRankHousekeeper};
  // Guarded by mutex_. Leaked in a forked child, because the parent's threads may be waiting in it.
  std::unique_ptr<State> state_ = std::make_unique<State>();
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::lazy
