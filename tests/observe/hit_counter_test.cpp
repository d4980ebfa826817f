// SPDX-License-Identifier: MIT
//
// The counter of hits is exact, whoever counts: more threads than it has lines, threads that come
// and go, several counters.
#include "observe/hit_counter.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace graven::test {
namespace {

using observe::HitCounter;

TEST(HitCounter, MoreThreadsThanLines) {
  const auto one = std::make_unique<HitCounter>();
  const auto other = std::make_unique<HitCounter>();
  constexpr std::uint64_t kThreads = 3 * HitCounter::kLines / 2;
  constexpr std::uint64_t kEach = 20'000;
  std::atomic<std::uint64_t> ready{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      one->add();
      ready.fetch_add(1);
      while (ready.load() < kThreads) std::this_thread::yield();  // all live at once
      for (std::uint64_t i = 1; i < kEach; ++i) {
        one->add();
        if (i % 4 == 0) other->add(10);
      }
    });
  }
  std::uint64_t last = 0;
  while (last < kThreads * kEach) {  // it never goes back, and gets there
    const std::uint64_t sum = one->sum();
    ASSERT_GE(sum, last);
    last = sum;
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(one->sum(), kThreads * kEach);
  EXPECT_EQ(other->sum(), kThreads * 10 * ((kEach - 1) / 4));
}

TEST(HitCounter, ThreadsThatComeAndGo) {
  const auto counter = std::make_unique<HitCounter>();
  for (int i = 0; i < 300; ++i) {
    std::thread one([&] { counter->add(); });
    std::thread other([&] { counter->add(2); });
    one.join();
    other.join();
  }
  counter->add();
  EXPECT_EQ(counter->sum(), 901U);
}

}  // namespace
}  // namespace graven::test
