// SPDX-License-Identifier: MIT
//
// Which thread has which line. In the child of a fork the lines of other threads stay taken.
#include "observe/hit_counter.hpp"

#include <bit>

#include "base/of_thread.hpp"

namespace graven::observe {

GRAVEN_NEAR_TLS constinit thread_local std::uint32_t line_of_thread = 0;

namespace {

std::atomic<std::uint64_t> taken{1};  // a bit for each line; nobody owns the shared one

/// A thread's ownership of a line; it ends with the thread.
class LineClaim {
 public:
  LineClaim() noexcept {
    std::uint64_t before = taken.load(std::memory_order_relaxed);
    while (~before != 0) {
      const auto line = static_cast<std::uint32_t>(std::countr_one(before));
      // Acquire and release: this thread sees the counts of the previous owner and adds to them.
      if (taken.compare_exchange_weak(before, before | std::uint64_t{1} << line,
                                      std::memory_order_acquire, std::memory_order_relaxed)) {
        line_of_thread = line;
        return;
      }
    }
  }
  ~LineClaim() {
    const std::uint32_t line = line_of_thread;
    line_of_thread = 0;
    if (line != 0) taken.fetch_and(~(std::uint64_t{1} << line), std::memory_order_release);
  }
  LineClaim(const LineClaim&) = delete;
  LineClaim& operator=(const LineClaim&) = delete;
};

}  // namespace

std::uint32_t claim_line() noexcept {
  static_assert(HitCounter::kLines == 64);
  base::of_thread<LineClaim>();  // once in a thread's life, also if no line was free
  return line_of_thread;
}

void HitCounter::add_without_line(std::uint64_t number) noexcept {
  const std::uint32_t line = claim_line();
  if (line != 0) return add_to(line, number);
  lines_[0].hits.fetch_add(number, std::memory_order_relaxed);
}

}  // namespace graven::observe
