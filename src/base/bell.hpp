// SPDX-License-Identifier: MIT
//
// A bell on which threads sleep. A thread takes a ticket, finds nothing to do, and waits with the
// ticket: the next ring after the ticket wakes it, however soon it comes. Like std::atomic's
// wait(), but also with a time limit.
//
// Any thread. ring() is a system call only while a thread sleeps.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace graven::base {

class Bell {
 public:
  [[nodiscard]] std::uint32_t ticket() const noexcept {
    return rings_.load(std::memory_order_acquire);
  }
  /// Waits until a ring after the ticket was taken. It may return early.
  void wait(std::uint32_t ticket) noexcept;
  void wait_for(std::uint32_t ticket, std::chrono::nanoseconds most) noexcept;
  void ring() noexcept;

 private:
  void sleep(std::uint32_t ticket, const struct timespec* most) noexcept;

  std::atomic<std::uint32_t> rings_{0};
  std::atomic<std::uint32_t> sleepers_{0};
};

}  // namespace graven::base
