// SPDX-License-Identifier: MIT
//
// Ending waits from outside. A call of graven may wait: for a lock that another thread or process
// has, for a connection, for the disk that a lazy store writes to, for a change. A program can end
// such waits in two ways.
//
//     graven::set_interrupt_check([] {
//       if (interrupted) throw Interrupted();     // set by a handler of SIGINT, say
//     });
//
//     graven::Cancellation cancellation;          // another thread calls cancellation.cancel()
//     cancellation.run([&] { db["x"] = 1; });     // AbortedError, should it wait then
//
// A call whose wait was ended has changed nothing, except for steps that it had already committed
// (calls that work in several commits). Calls that work for long without waiting (check(),
// repair(), backup(), restore(), collect(), maintenance(), the program's SQL) can be ended too. A
// running commit is not ended: a cancellation then ends the next wait, and an exception of the
// interrupt check is thrown after the commit.
#pragma once

#include <atomic>
#include <functional>

namespace graven {

/// Called about every 50 ms by calls that wait or work for long, on their thread; not by graven's
/// own threads. No lock is held that another call of graven might need. Its exceptions pass through
/// the call. It must not wait in graven: UsageError.
using InterruptCheck = void (*)();

/// Sets the check for all waits of the process; nullptr: none. Any thread.
void set_interrupt_check(InterruptCheck check) noexcept;

/// Ends the waits of one thread. Any thread may call cancel(). It must outlive run().
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  /// Cannot be undone: later runs do not wait either.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_release); }
  [[nodiscard]] bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_acquire);
  }
  /// Calls `body` on this thread. Once cancelled, its waits in graven end with AbortedError within
  /// about 50 ms. Runs may nest: the innermost one counts.
  void run(const std::function<void()>& body) const;

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace graven
