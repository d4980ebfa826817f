// SPDX-License-Identifier: MIT
//
// The housekeeper: its chore runs when it is due, again when it says so, and never after
// stop(); a forked child starts its own thread.
#include "base/housekeeper.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using base::Deadline;
using base::Housekeeper;
using Clock = std::chrono::steady_clock;

/// Waits for what another thread will do; false when it does not.
template <class F>
bool eventually(F&& condition) {
  const auto deadline = soon();
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TEST(TheHousekeeper, SleepsUntilItIsWoken) {
  std::atomic<int> runs{0};
  Housekeeper housekeeper([&]() -> std::optional<Deadline> {
    ++runs;
    return std::nullopt;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(runs, 0);
  housekeeper.wake(Clock::now());
  EXPECT_TRUE(eventually([&] { return runs == 1; }));
  housekeeper.wake(Clock::now());
  EXPECT_TRUE(eventually([&] { return runs == 2; }));
}

TEST(TheHousekeeper, RunsNoEarlierThanAsked) {
  std::atomic<int> runs{0};
  std::atomic<Deadline> ran{};
  Housekeeper housekeeper([&]() -> std::optional<Deadline> {
    ran = Clock::now();
    ++runs;
    return std::nullopt;
  });
  const Deadline due = in(std::chrono::milliseconds(50));
  housekeeper.wake(due);
  housekeeper.wake(in(std::chrono::hours(1)));  // a later wish changes nothing
  EXPECT_TRUE(eventually([&] { return runs == 1; }));
  EXPECT_GE(ran.load(), due);
}

TEST(TheHousekeeper, AnEarlierWishCounts) {
  std::atomic<int> runs{0};
  Housekeeper housekeeper([&]() -> std::optional<Deadline> {
    ++runs;
    return std::nullopt;
  });
  housekeeper.wake(in(std::chrono::hours(1)));
  housekeeper.wake(Clock::now());
  EXPECT_TRUE(eventually([&] { return runs == 1; }));
}

TEST(TheHousekeeper, RunsAgainWhenItSaysSo) {
  std::atomic<int> runs{0};
  Housekeeper housekeeper([&]() -> std::optional<Deadline> {
    if (++runs == 5) return std::nullopt;
    return Clock::now() + std::chrono::milliseconds(1);
  });
  housekeeper.wake(Clock::now());
  EXPECT_TRUE(eventually([&] { return runs == 5; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(runs, 5);
}

TEST(TheHousekeeper, DoesNothingOnceStopped) {
  std::atomic<int> runs{0};
  Housekeeper housekeeper([&]() -> std::optional<Deadline> {
    ++runs;
    return Clock::now();
  });
  housekeeper.wake(Clock::now());
  EXPECT_TRUE(eventually([&] { return runs > 3; }));
  housekeeper.stop();
  const int before = runs;
  housekeeper.wake(Clock::now());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(runs, before);
  housekeeper.stop();  // again is no harm
}

TEST(TheHousekeeper, WorksInAForkedChild) {
  std::atomic<int> runs{0};
  Housekeeper housekeeper([&]() -> std::optional<Deadline> {
    ++runs;
    return std::nullopt;
  });
  housekeeper.wake(Clock::now());
  ASSERT_TRUE(eventually([&] { return runs == 1; }));
  Child child([&] {
    housekeeper.wake(Clock::now());
    const bool ran = eventually([&] { return runs == 2; });
    housekeeper.stop();
    return ran;
  });
  EXPECT_TRUE(child.succeeded());
  housekeeper.wake(Clock::now());
  EXPECT_TRUE(eventually([&] { return runs == 2; }));
}

}  // namespace
}  // namespace graven::test
