// SPDX-License-Identifier: MIT
//
// A bell that threads sleep by: who takes a ticket, finds nothing to do and waits with it is woken
// by the next ring, however soon that comes. As std::atomic's wait(), but for a time too.
//
// Any thread. Ringing is a system call only while somebody sleeps.
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
  /// Until it rings after the ticket was taken. It may return early.
  void wait(std::uint32_t ticket) noexcept;
  void wait_for(std::uint32_t ticket, std::chrono::nanoseconds most) noexcept;
  void ring() noexcept;

 private:
  void sleep(std::uint32_t ticket, const struct timespec* most) noexcept;

  std::atomic<std::uint32_t> rings_{0};
  std::atomic<std::uint32_t> sleepers_{0};
};

}  // namespace graven::base
