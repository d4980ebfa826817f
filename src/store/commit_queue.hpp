// SPDX-License-Identifier: MIT
//
// Group commit: writes that come while another one is committed wait, and the next commit is for
// all of them.
//
// The first in the queue leads: it waits a little for those who are likely to write again at once,
// and commits for all who are there when it has the write lock. The others wait to be told, or to
// be the first. Where commits are quick they wait awake: going to sleep and being woken takes
// longer than a disk that answers in 30 us.
//
// Any thread. A write may run on another writer's thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <vector>

#include "base/bell.hpp"
#include "base/fork.hpp"
#include "base/function_ref.hpp"

namespace graven::store {

class Work;

class CommitQueue final : private base::ForkGuard {
 public:
  using Mutation = base::FunctionRef<void(Work&)>;

  class Request {
   public:
    explicit Request(Mutation of) : mutation(of) {}
    Mutation mutation;
    std::exception_ptr error{};  // of it alone, set by the leader

   private:
    friend class CommitQueue;
    enum class State : std::uint8_t { kWaits, kLeads, kDone };
    std::atomic<State> state_{State::kWaits};
  };

  /// Returns when the mutation is committed, or throws why it is not; what the program's check has
  /// thrown too late for that it throws although it is. `lead` is called by one thread at a time:
  /// it is to take() and commit. What it throws is thrown to all of those.
  void write(Mutation mutation, base::FunctionRef<void()> lead);
  /// The leader's: all who are there.
  const std::vector<Request*>& take();

 private:
  using Clock = std::chrono::steady_clock;

  /// Until it is done, or to lead; or, interrupted, takes it back if no leader has taken it.
  void await(Request& request);
  bool take_back(Request& request);
  void await_companions();
  void lead_with(Request& first, base::FunctionRef<void()> lead);
  void child_after_fork() noexcept override;

  base::ForkMutex mutex_{base::kForkRankStore};
  std::deque<Request*> queue_;  // the first one leads; mutex_
  std::atomic<std::size_t> queued_{0};
  base::Bell turn_;  // rung at each end of a commit
  std::atomic<Clock::duration> commit_took_{Clock::duration{}};
  std::vector<Request*> batch_;  // what is being committed; changed under mutex_, by the leader
  // The leader's alone, handed on by mutex_:
  Clock::time_point taken_{};
  std::size_t companions_ = 0;  // how many wrote at the time of the last commit
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::store
