// SPDX-License-Identifier: MIT
//
// Counters and histograms that are always on. A thread counts in a cache line of its own
// (hit_counter.hpp), without a locked instruction. A histogram is for operations of a microsecond
// or more: threads share its eight stripes, each with an atomic addition that seldom has
// contention. A stripe is allocated when it is first used: a store has dozens of histograms, and
// most are used by few threads.
//
// Buckets are log-linear: eight for each power of two, from 64 ns to 137 s. So a percentile is
// never more than an eighth too high.
//
// Always holds: nothing is lost or counted twice; a snapshot's count is the sum of its buckets.
// (But a stripe for which there is no memory does not count.) No lock. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <graven/stats.hpp>

#include "observe/hit_counter.hpp"

namespace graven::observe {

/// `kCount` counters, in the order of an enum.
template <class Which, std::size_t kCount>
class Counters {
 public:
  void add(Which which, std::uint64_t number = 1) noexcept {
    const std::uint32_t line = own_line();
    std::atomic<std::uint64_t>& count = lines_[line].counts[static_cast<std::size_t>(which)];
    if (line == 0) {
      count.fetch_add(number, std::memory_order_relaxed);
    } else {
      count.store(count.load(std::memory_order_relaxed) + number, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] std::uint64_t sum(Which which) const noexcept {
    std::uint64_t sum = 0;
    for (const Line& line : lines_) {
      sum += line.counts[static_cast<std::size_t>(which)].load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  struct alignas(64) Line {
    std::array<std::atomic<std::uint64_t>, kCount> counts{};
  };
  std::array<Line, HitCounter::kLines> lines_{};  // the first one is shared
};

/// A histogram of how long something takes.
class Latency {
 public:
  Latency() = default;
  Latency(const Latency&) = delete;
  Latency& operator=(const Latency&) = delete;
  ~Latency();

  void record(std::chrono::nanoseconds took) noexcept;
  [[nodiscard]] Histogram snapshot() const;

  static constexpr std::size_t kBuckets = 240;
  /// The bucket of a time, and the longest time in a bucket; in nanoseconds.
  static std::size_t bucket_of(std::uint64_t nanoseconds) noexcept;
  static std::uint64_t longest_in(std::size_t bucket) noexcept;

 private:
  static constexpr std::size_t kStripes = 8;
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint64_t>, kBuckets> counts{};
    std::atomic<std::uint64_t> sum{0};
    std::atomic<std::uint64_t> max{0};
  };
  /// The calling thread's stripe; nullptr if there is no memory.
  Stripe* own_stripe() noexcept;

  std::array<std::atomic<Stripe*>, kStripes> stripes_{};
};

}  // namespace graven::observe
