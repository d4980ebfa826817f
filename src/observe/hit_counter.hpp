// SPDX-License-Identifier: MIT
//
// A counter for events that happen some ten million times a second in each thread. A thread adds to
// a cache line that is its own while it lives, without a locked instruction. If there are more
// threads than lines, the other threads share one line, with locked instructions.
//
// Always holds: sum() is exact for some moment during the call. A thread has the same line in every
// counter; when it ends, the line goes to another thread with the counts in it.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/near_tls.hpp"

namespace graven::observe {

/// The line that only this thread uses in every counter; 0: none, or none yet.
GRAVEN_NEAR_TLS extern constinit thread_local std::uint32_t line_of_thread;
/// Takes a line, once in a thread's life; 0 if none is free.
std::uint32_t claim_line() noexcept;
/// This thread's line, or 0, the shared one.
inline std::uint32_t own_line() noexcept {
  const std::uint32_t line = line_of_thread;
  return line != 0 ? line : claim_line();
}

class HitCounter {
 public:
  static constexpr std::size_t kLines = 64;

  void add(std::uint64_t number = 1) noexcept {
    const std::uint32_t line = line_of_thread;
    if (line == 0) [[unlikely]]
      return add_without_line(number);
    add_to(line, number);
  }
  [[nodiscard]] std::uint64_t sum() const noexcept {
    std::uint64_t sum = 0;
    for (const Line& line : lines_) sum += line.hits.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Line {
    std::atomic<std::uint64_t> hits{0};
  };

  void add_to(std::uint32_t line, std::uint64_t number) noexcept {
    std::atomic<std::uint64_t>& hits = lines_[line].hits;
    hits.store(hits.load(std::memory_order_relaxed) + number, std::memory_order_relaxed);
  }
  void add_without_line(std::uint64_t number) noexcept;

  std::array<Line, kLines> lines_;  // the first one is shared
};

}  // namespace graven::observe
