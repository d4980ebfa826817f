// SPDX-License-Identifier: MIT
//
// Ending waits from outside. A call of graven may wait: for the write lock, which another thread or
// process has, for a connection, for the disk to take what a lazy store has written, for a change.
// A program may have a say in that, in two ways.
//
//     graven::set_interrupt_check([] {
//       if (interrupted) throw Interrupted();     // set by a handler of SIGINT, say
//     });
//
//     graven::Cancellation cancellation;          // another thread calls cancellation.cancel()
//     cancellation.run([&] { db["x"] = 1; });     // AbortedError, should it wait then
//
// What has waited in vain has changed nothing, but for steps that were committed before, of what
// works in such. Work that is long without waiting (check(), repair(), backup(), restore(),
// collect(), maintenance(), SQL of the program's own) asks as well. What is being committed is not
// ended any more: a cancellation then ends the next wait, and what a check has thrown meanwhile is
// thrown when the commit is done.
#pragma once

#include <atomic>
#include <functional>

namespace graven {

/// Called about every 50 ms by what waits or works for long, on its thread, without any lock that
/// another call of graven might want; not by graven's own threads. What it throws passes through
/// the call. It must not wait in graven: UsageError.
using InterruptCheck = void (*)();

/// Has all waits of the process call it from now on; nullptr: none. Any thread.
void set_interrupt_check(InterruptCheck check) noexcept;

/// Ends the waits of one thread. Any thread may cancel; it outlives run().
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  /// Once and for all: later runs do not wait either.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_release); }
  [[nodiscard]] bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_acquire);
  }
  /// Calls `body` on this thread. Once cancelled, what it waits for in graven ends by AbortedError
  /// within some 50 ms. Runs may nest: the innermost one counts.
  void run(const std::function<void()>& body) const;

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace graven
