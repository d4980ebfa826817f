// SPDX-License-Identifier: MIT
//
// Waits that can be ended from outside; see <graven/interrupt.hpp>. Every loop that waits for
// another thread, another process or the disk goes round by one of these.
//
// Always holds: a check is called without a lock that others wait for, because it may wait itself
// (Python's takes the GIL). In a thread that can have no check called a wait is one sleep.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <graven/error.hpp>

namespace graven::base {

/// When a wait gives up.
using Deadline = std::chrono::steady_clock::time_point;

/// What a Cancellation ends a wait by. It is not lost where it comes too late: it ends the next.
class Cancelled final : public AbortedError {
 public:
  using AbortedError::AbortedError;
};

/// The longest time between two checks.
inline constexpr std::chrono::milliseconds kInterruptSlice{50};

/// Whether this thread's waits may be ended.
[[nodiscard]] bool interruptible() noexcept;

/// Calls what has a say. It may throw.
void check_interrupt();

/// While one lives, this thread's waits are not ended: for what must come to its end, and where an
/// exception could not be told.
class Uninterrupted {
 public:
  Uninterrupted() noexcept;
  ~Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;
};

/// For a loop that goes round often: checks when it is time to.
class InterruptPoll {
 public:
  using Clock = std::chrono::steady_clock;
  void operator()() { (*this)(Clock::now()); }
  void operator()(Clock::time_point now) {
    if (now < next_) return;
    next_ = now + kInterruptSlice;
    check_interrupt();
  }
  /// The same where looking at the clock each time would be too much.
  void now_and_then() {
    if ((++calls_ & 0x3ffU) == 0) (*this)();
  }

 private:
  Clock::time_point next_ = Clock::now() + kInterruptSlice;
  unsigned calls_ = 0;
};

/// How long to sleep at most, should one want to until `deadline`.
inline Deadline interrupt_slice(Deadline deadline) {
  if (!interruptible()) return deadline;
  return std::min(deadline, std::chrono::steady_clock::now() + kInterruptSlice);
}

/// Waits until `ready()`; false when the deadline passes first. With the lock, which is held again
/// when this returns or throws, and not while a check is called.
template <class Ready>
bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                Deadline deadline, Ready&& ready) {
  while (!changed.wait_until(lock, interrupt_slice(deadline), ready)) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    lock.unlock();
    try {
      check_interrupt();
    } catch (...) {
      lock.lock();
      throw;
    }
    lock.lock();
  }
  return true;
}

void sleep_until(Deadline time);

/// Locks a mutex that may be held for long.
[[nodiscard]] inline std::unique_lock<std::timed_mutex> lock(std::timed_mutex& mutex) {
  std::unique_lock held(mutex, std::defer_lock);
  // By the system's clock: gcc 12's ThreadSanitizer does not know the lock call with the steady
  // one. A clock that is set back makes one slice longer, no more.
  while (!held.try_lock_until(std::chrono::system_clock::now() + kInterruptSlice)) {
    check_interrupt();
  }
  return held;
}

}  // namespace graven::base
