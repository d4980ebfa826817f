// SPDX-License-Identifier: MIT
//
// The lane: one holder, first come first served, deadlines, and a free lane in a forked child.
#include "store/lane.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using store::Lane;

void wait_for(Lane& lane, std::size_t waiters) {
  while (lane.waiting() != waiters) std::this_thread::yield();
}

TEST(TheLane, IsServedInTheOrderOfArrival) {
  observe::Latency waits;
  Lane lane(waits);
  lane.acquire(soon(), "a test");
  std::vector<std::size_t> served;  // by whoever holds the lane
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&lane, &served, i] {
      lane.acquire(soon(), "a test");
      served.push_back(i);
      lane.release();
    });
    wait_for(lane, i + 1);
  }
  lane.release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(TheLane, HasOneHolderAtATime) {
  observe::Latency waits;
  Lane lane(waits);
  int holders = 0;
  int turns = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 2000; ++turn) {
        lane.acquire(soon(), "a test");
        ASSERT_EQ(++holders, 1);
        ++turns;
        --holders;
        lane.release();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns, 8000);
}

TEST(TheLane, WhoWaitsTooLongIsToldWhatTheHolderDoes) {
  observe::Latency waits;
  Lane lane(waits);
  lane.acquire(soon(), "baking a cake");
  std::thread other([&] {
    try {
      lane.acquire(in(std::chrono::milliseconds(20)), "a write");
      ADD_FAILURE() << "got a lane that was held";
    } catch (const BusyError& error) {
      EXPECT_NE(std::string(error.what()).find("baking a cake"), std::string::npos) << error.what();
    }
  });
  other.join();
  EXPECT_EQ(lane.waiting(), 0U);
  lane.release();
  lane.acquire(in(std::chrono::milliseconds(0)), "a write");  // free at once
  lane.release();
}

TEST(TheLane, WhoGivesUpDoesNotHoldUpThoseBehind) {
  observe::Latency waits;
  Lane lane(waits);
  lane.acquire(soon(), "a test");
  std::thread hasty([&] {
    EXPECT_THROW(lane.acquire(in(std::chrono::milliseconds(100)), "a write"), BusyError);
  });
  wait_for(lane, 1);
  std::atomic<bool> served{false};
  std::thread patient([&] {
    lane.acquire(soon(), "a write");
    served = true;
    lane.release();
  });
  hasty.join();
  EXPECT_FALSE(served);
  lane.release();
  patient.join();
  EXPECT_TRUE(served);
}

TEST(TheLane, MayBeReleasedByAnotherThread) {
  observe::Latency waits;
  Lane lane(waits);
  lane.acquire(soon(), "a test");
  std::thread([&] { lane.release(); }).join();
  lane.acquire(in(std::chrono::milliseconds(0)), "a test");
  lane.release();
}

TEST(TheLane, IsFreeInAForkedChild) {
  observe::Latency waits;
  Lane lane(waits);
  lane.acquire(soon(), "a test");
  std::thread waiter([&] {
    lane.acquire(soon(), "a test");
    lane.release();
  });
  wait_for(lane, 1);
  Child child([&lane] {
    lane.acquire(in(std::chrono::milliseconds(0)), "a test");
    lane.release();
    return lane.waiting() == 0;
  });
  EXPECT_TRUE(child.succeeded());
  lane.release();
  waiter.join();
}

}  // namespace
}  // namespace graven::test
