// SPDX-License-Identifier: MIT
//
// Group commit: writes that arrive during a commit wait, and the next commit serves all of them.
//
// The first write in the queue is the leader. It waits a little for threads that are likely to
// write again at once, takes the write lock, and commits for all that are in the queue by then. The
// others wait until their write is committed, or until they become the leader. Where commits are
// quick they wait without sleeping: to sleep and be woken takes longer than a disk that answers in
// 30 us.
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
    std::exception_ptr error{};  // of this request alone; set by the leader

   private:
    friend class CommitQueue;
    enum class State : std::uint8_t { kWaits, kLeads, kDone };
    std::atomic<State> state_{State::kWaits};
  };

  /// Returns when the mutation is committed, or throws why it is not. An interrupt that comes when
  /// the commit has already begun is thrown after the commit. `lead` is called by one thread at a
  /// time; it must call take() and commit. What `lead` throws is thrown to all whom it took.
  void write(Mutation mutation, base::FunctionRef<void()> lead);
  /// Called by the leader: takes all requests in the queue.
  const std::vector<Request*>& take();

 private:
  using Clock = std::chrono::steady_clock;

  /// Waits until the request is done or leads. If interrupted, takes it back unless a leader has
  /// it.
  void await(Request& request);
  bool take_back(Request& request);
  void await_companions();
  void lead_with(Request& first, base::FunctionRef<void()> lead);
  void child_after_fork() noexcept override;

  base::ForkMutex mutex_{base::kForkRankStore};
  std::deque<Request*> queue_;  // the first one is the leader; mutex_
  std::atomic<std::size_t> queued_{0};
  base::Bell turn_;  // rung at the end of each commit
  std::atomic<Clock::duration> commit_took_{Clock::duration{}};
  std::vector<Request*> batch_;  // what is being committed; the leader changes it, under mutex_
  // Used by the leader only; mutex_ orders one leader after another:
  Clock::time_point taken_{};
  std::size_t companions_ = 0;  // how many writers there were at the last commit
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::store
