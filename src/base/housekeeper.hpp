// SPDX-License-Identifier: MIT
//
// The housekeeper: one thread per store for what must happen "soon" without anyone calling:
// collecting nodes whose last handle has gone, reclaiming large pieces in slices, rolling
// back a transaction that outlived its limit. It is started when there is first something to
// do and sleeps until then.
//
// Always holds: the chore runs on this thread only and never after stop() has returned. In a
// forked child there is no thread; it is started anew when wanted.
//
// wake() and stop() from any thread (stop() not from the chore itself).
#pragma once

#include <chrono>
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
  /// `chore` does what is due and says when it wants to run again without being woken.
  explicit Housekeeper(std::function<std::optional<Deadline>()> chore);
  ~Housekeeper() { stop(); }

  /// Has the chore run no later than `when`.
  void wake(Deadline when);
  void stop() noexcept;

 protected:
  struct State {
    std::condition_variable changed;  // the thread waits for it, and who may wait for the chore
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
