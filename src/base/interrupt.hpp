// SPDX-License-Identifier: MIT
//
// Waits that can be ended from outside; see <graven/interrupt.hpp>. Every loop that waits for
// another thread, another process or the disk uses one of these.
//
// Always holds: a check is called without any lock that others wait for, because it may wait itself
// (Python's takes the GIL). In a thread for which no check is set, a wait is one sleep.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <graven/error.hpp>

namespace graven::base {

/// The time at which a wait gives up.
using Deadline = std::chrono::steady_clock::time_point;

/// Thrown by a wait that a Cancellation ends. A cancellation that comes too late is not lost: it
/// ends the next wait.
class Cancelled final : public AbortedError {
 public:
  using AbortedError::AbortedError;
};

/// The longest time between two checks.
inline constexpr std::chrono::milliseconds kInterruptSlice{50};

/// Whether this thread's waits may be ended.
[[nodiscard]] bool interruptible() noexcept;

/// Calls the checks. They may throw.
void check_interrupt();

/// While one lives, this thread's waits cannot be interrupted: for operations that must be
/// completed, or where an exception could not be reported.
class Uninterrupted {
 public:
  Uninterrupted() noexcept;
  ~Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;
};

/// For a loop with many short rounds: calls the checks every kInterruptSlice.
class InterruptPoll {
 public:
  using Clock = std::chrono::steady_clock;
  void operator()() { (*this)(Clock::now()); }
  void operator()(Clock::time_point now) {
    if (now < next_) return;
    next_ = now + kInterruptSlice;
    check_interrupt();
  }
  /// The same, where reading the clock in each round would cost too much.
  void now_and_then() {
    if ((++calls_ & 0x3ffU) == 0) (*this)();
  }

 private:
  Clock::time_point next_ = Clock::now() + kInterruptSlice;
  unsigned calls_ = 0;
};

/// When a sleep until `deadline` must end at the latest, to check for interrupts.
inline Deadline interrupt_slice(Deadline deadline) {
  if (!interruptible()) return deadline;
  return std::min(deadline, std::chrono::steady_clock::now() + kInterruptSlice);
}

/// Waits until `ready()`; false if the deadline passes first. Called with the lock, which is held
/// again when this returns or throws, but not while a check is called.
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
  // Uses the system clock: gcc 12's ThreadSanitizer does not know the lock call with the steady
  // clock. Setting the system clock back makes one slice longer, no more.
  while (!held.try_lock_until(std::chrono::system_clock::now() + kInterruptSlice)) {
    check_interrupt();
  }
  return held;
}

}  // namespace graven::base
