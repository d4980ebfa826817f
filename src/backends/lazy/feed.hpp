// SPDX-License-Identifier: MIT
//
// The change feed of a store that only this process writes: the last commits, in memory, and a
// condition to sleep on. Every commit notifies, told or not; what was not told is a gap.
//
// Any thread. A forked child has the past, and none of the sleepers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fork.hpp"
#include "port/change_feed.hpp"

namespace graven::memory {

class Feed final : public store::ChangeFeed, private base::ForkGuard {
 public:
  static constexpr std::size_t kRemembered = 1024;

  /// Wakes who sleeps: there was a commit.
  void notify() noexcept;

  // store::ChangeFeed; the first word of a mark counts the commits.
  void publish(const store::Mark& before, const store::Mark& after, Hashes hashes,
               std::uint64_t flags) noexcept override;
  bool follow(const store::Mark& from, const store::Mark& to, Each each) override;
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
  // mutex_; leaked in a forked child: threads of the parent may be waiting in it
  std::unique_ptr<State> state_ = std::make_unique<State>();
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::memory
