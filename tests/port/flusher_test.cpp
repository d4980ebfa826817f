// SPDX-License-Identifier: MIT
//
// The flusher: when it flushes, again after a failure, whom it tells of that, and who waits.
#include "port/flusher.hpp"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using base::Deadline;
using port::Flusher;
using std::chrono::hours;
using std::chrono::milliseconds;

class TheFlusher : public ::testing::Test {
 protected:
  /// Flushes what waits, when it is told to, unless it is to fail.
  void flush() {
    ++flushes;
    if (failing) throw std::runtime_error("no disk");
    flusher.flushed(flusher.pending());
  }
  template <class F>
  static void eventually(F&& condition) {
    const Deadline deadline = soon();
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_TRUE(condition());
  }

  std::atomic<bool> failing{false};
  std::atomic<int> flushes{0};
  const std::string name = "test";
  Flusher flusher{"store", name, milliseconds(5), 100, [this]() -> std::optional<Deadline> {
                    flush();
                    return std::nullopt;
                  }};
};

TEST_F(TheFlusher, FlushesAfterTheInterval) {
  flusher.add(10);
  EXPECT_EQ(flusher.pending(), 10U);
  EXPECT_TRUE(flusher.ready());
  flusher.wake();
  eventually([&] { return flusher.pending() == 0; });
  EXPECT_EQ(flushes, 1);
}

TEST_F(TheFlusher, FlushesMuchBeforeThat) {
  Flusher slow("store", name, hours(1), 1000, [&]() -> std::optional<Deadline> {
    ++flushes;
    slow.flushed(slow.pending());
    return slow.later();
  });
  slow.add(50);
  slow.wake();
  slow.flush_early();
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(flushes, 0);
  slow.bound_early(60);
  slow.flush_early();
  slow.add(10);
  slow.flush_early();
  eventually([&] { return flushes == 1; });
  slow.add(60);
  eventually([&] {
    slow.flush_early();
    return flushes == 2;
  });
}

TEST_F(TheFlusher, TriesAgainAndTellsTheNextWriteOnce) {
  failing = true;
  flusher.add(10);
  flusher.wake();
  eventually([&] { return flusher.failures() >= 2; });
  EXPECT_FALSE(flusher.ready());
  EXPECT_THROW(flusher.wait_until_ready(soon()), std::runtime_error);
  failing = false;
  eventually([&] { return flusher.pending() == 0; });
  try {
    flusher.wait_until_ready(soon());  // it may have failed once more in between
  } catch (const std::runtime_error&) {
  }
  EXPECT_TRUE(flusher.wait_until_ready(soon()));
  EXPECT_TRUE(flusher.ready());
}

TEST_F(TheFlusher, WhoFlushesHimselfIsToldHimself) {
  failing = true;
  EXPECT_THROW(flusher.run([&] { flush(); }), std::runtime_error);
  EXPECT_EQ(flusher.failures(), 1U);
  EXPECT_TRUE(flusher.ready());
  flusher.wake();
  eventually([&] { return !flusher.ready(); });
  failing = false;
  eventually([&] {  // the background may be about to tell of one more
    flusher.run([&] { flush(); });
    return flusher.ready();
  });
}

TEST_F(TheFlusher, WritersWaitWhileTooMuchDoes) {
  failing = false;
  flusher.add(101);
  EXPECT_FALSE(flusher.ready());
  EXPECT_TRUE(flusher.wait_until_ready(soon()));  // which has it flushed
  EXPECT_EQ(flusher.pending(), 0U);

  std::atomic<bool> stuck{true};
  Flusher other("store", name, milliseconds(1), 100, [&]() -> std::optional<Deadline> {
    while (stuck) std::this_thread::sleep_for(milliseconds(1));
    return std::nullopt;
  });
  other.add(101);
  EXPECT_FALSE(other.wait_until_ready(in(milliseconds(5))));
  other.bound(200);
  EXPECT_TRUE(other.wait_until_ready(in(milliseconds(5))));
  other.bound(100);
  std::thread stopping([&] {
    std::this_thread::sleep_for(milliseconds(5));
    stuck = false;
    other.stop();
  });
  EXPECT_TRUE(other.wait_until_ready(soon()));
  stopping.join();
}

TEST_F(TheFlusher, NobodyWaitsInAForkedChild) {
  flusher.stop();
  flusher.add(101);
  Child child([&] { return flusher.wait_until_ready(in(milliseconds(0))); });
  EXPECT_TRUE(child.succeeded());
  EXPECT_FALSE(flusher.ready());
}

}  // namespace
}  // namespace graven::test
