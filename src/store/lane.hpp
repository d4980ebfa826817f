// SPDX-License-Identifier: MIT
//
// The writer lock (Lane): one thread of this process writes at a time, in order of arrival (the
// writer queue). It orders the threads of a process; the backend's write lock orders processes.
//
// Always holds: at most one holder; whoever waits longest gets it next. It may be released by
// another thread than the one that took it (the housekeeper rolls back an expired transaction).
// After fork() the child's lock is free.
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

using base::Deadline;

class Lane final : private base::ForkGuard {
 public:
  /// Every wait is recorded in `waits`, also those of no time.
  explicit Lane(observe::Latency& waits) : waits_(waits) {}

  /// Waits for the lock. Throws BusyError, which says what the holder is doing, when the deadline
  /// passes first; throws when interrupted. `doing` must be a literal.
  void acquire(Deadline deadline, const char* doing);
  void release();
  /// How many threads wait for it.
  [[nodiscard]] std::size_t waiting();

 private:
  void hand_on();  // under mutex_
  void child_after_fork() noexcept override;

  struct Waiter {
    std::condition_variable ready;
    bool granted = false;
  };

  observe::Latency& waits_;
  base::ForkMutex mutex_{base::kForkRankStore};
  // Guarded by mutex_:
  bool held_ = false;
  const char* doing_ = "";
  Deadline since_{};
  std::deque<std::shared_ptr<Waiter>> waiters_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::store
