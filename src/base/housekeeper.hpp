// SPDX-License-Identifier: MIT
//
// A background thread for work that is due without a caller. A store has one: it collects nodes
// whose last handle has gone, reclaims large pieces in slices, and rolls back a transaction past
// its limit. A Flusher is another. The thread starts when there is first something to do, and
// sleeps until it is due.
//
// Always holds: the chore runs on this thread only, and never after stop() has returned. A forked
// child has no such thread; it is started again when needed.
//
// wake() and stop() from any thread (stop() not from the chore itself).
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/fork.hpp"
#include "base/interrupt.hpp"

namespace graven::base {

class Housekeeper : private ForkGuard {
 public:
  /// `chore` does what is due and returns when it wants to run again without wake().
  explicit Housekeeper(std::function<std::optional<Deadline>()> chore);
  ~Housekeeper() { stop(); }

  /// Makes the chore run at `when` or earlier.
  void wake(Deadline when);
  void stop() noexcept;

 protected:
  struct State {
    std::condition_variable changed;  // the thread waits on it, and those who wait for the chore
    std::optional<Deadline> due;
    bool stopping = false;
    std::thread thread;
  };

  void child_after_fork() noexcept override;

  ForkMutex mutex_{kForkRankHousekeeper};
  std::unique_ptr<State> state_;  // mutex_; leaked, never destroyed, in a forked child

 private:
  void run();

  std::function<std::optional<Deadline>()> chore_;
  ForkEnrolment enrolment_{*this};
};

}  // namespace graven::base
