// SPDX-License-Identifier: MIT
//
// Uses the system's futex. A sleeper counts itself before the kernel compares the ticket, and
// ring() looks for sleepers after it has changed the number: so one of the two sees the other.
#include "base/bell.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace graven::base {

void Bell::sleep(std::uint32_t ticket, const struct timespec* most) noexcept {
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  ::syscall(SYS_futex, &rings_, FUTEX_WAIT_PRIVATE, ticket, most, nullptr, 0);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void Bell::wait(std::uint32_t ticket) noexcept { sleep(ticket, nullptr); }

void Bell::wait_for(std::uint32_t ticket, std::chrono::nanoseconds most) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  struct timespec time {};
  time.tv_sec = static_cast<time_t>(most.count() / kSecond);
  time.tv_nsec = static_cast<long>(most.count() % kSecond);
  sleep(ticket, &time);
}

void Bell::ring() noexcept {
  rings_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  ::syscall(SYS_futex, &rings_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace graven::base
