// SPDX-License-Identifier: MIT
//
// The lane: one writer at a time in this process, first come, first served. It says who is
// next among threads; the backend's write lock does the same among processes.
//
// Always holds: at most one holder; whoever waits longest gets it next. The holder may be
// another thread than the one that took it (an expired transaction is rolled back by the
// housekeeper). After fork() the child's lane is free.
//
// Any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "base/fork.hpp"
#include "observe/metrics.hpp"
#include "port/backend.hpp"

namespace graven::store {

class Lane final : private base::ForkGuard {
 public:
  /// Waits go into `waits`, also those of no time.
  explicit Lane(base::Latency& waits) : waits_(waits) {}

  /// Waits for the lane, until it is interrupted; BusyError when the deadline passes first, which
  /// says what the holder is doing. `doing` must be a literal.
  void acquire(Deadline deadline, const char* doing);
  void release();
  /// How many wait for it.
  [[nodiscard]] std::size_t waiting();

 private:
  void hand_on();  // under mutex_
  void child_after_fork() noexcept override;

  struct Waiter {
    std::condition_variable ready;
    bool granted = false;
  };

  base::Latency& waits_;
  base::ForkMutex mutex_{base::kForkRankStore};
  // Guarded by mutex_:
  bool held_ = false;
  const char* doing_ = "";
  Deadline since_{};
  std::deque<std::shared_ptr<Waiter>> waiters_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::store
