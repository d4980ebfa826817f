// SPDX-License-Identifier: MIT
//
// What a lazy map promises: when its writes come to the file, whose they are, and who may write.
#include <graven/graven.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "base/forks.hpp"
#include "map_fixture.hpp"

namespace graven::test {
namespace {

using LazyMap = MapTest;
using std::chrono::milliseconds;

TEST_F(LazyMap, WritesComeWithTheFlush) {
  const Map map = open(lazy());
  map.set("a", 1);
  MapOptions reading;
  reading.read_only = true;
  const Map reader = open(reading);
  EXPECT_FALSE(reader.contains("a"));
  EXPECT_EQ(map.stats().pending, 1U);
  map.flush();
  EXPECT_EQ(map.stats().pending, 0U);
  EXPECT_EQ(reader.at("a"), Data(1));
  EXPECT_EQ(map.at("a"), Data(1));
  map.erase("a");
  EXPECT_FALSE(map.contains("a"));
  EXPECT_TRUE(reader.contains("a"));
  map.close();
  EXPECT_FALSE(reader.contains("a"));
  EXPECT_THROW(static_cast<void>(map.get("a")), ClosedError);
}

TEST_F(LazyMap, FlushesByItself) {
  MapOptions options = lazy();
  options.flush_interval = milliseconds(5);
  const Map map = open(options);
  MapOptions reading;
  reading.read_only = true;
  const Map reader = open(reading);
  map.set("a", 1);
  wait_until([&] { return reader.contains("a"); });
}

TEST_F(LazyMap, HasOneWriter) {
  const Map map = open(lazy());
  map.set("a", 1);
  EXPECT_THROW(open(), UsageError);  // another mode, same process
  Child child([&](const Reporter& reporter) {
    const auto refused = [&](const MapOptions& options) {
      try {
        const Map other(path_, options);
        other.set("b", 2);
      } catch (const BusyError& error) {
        const std::string message = error.what();
        return message.find(std::to_string(::getppid())) != std::string::npos &&
               message.find("'main'") != std::string::npos;
      }
      return false;
    };
    MapOptions other = lazy();
    const bool both = refused(other) && refused({});
    other.name = "another";
    const Map free(path_, other);  // other maps are nobody's
    free.set("x", 1);
    free.close();
    reporter.say(both ? "refused" : "not refused");
    return true;
  });
  EXPECT_EQ(child.line(), "refused");
  EXPECT_TRUE(child.succeeded());
  map.close();
  EXPECT_EQ(open().at("a"), Data(1));
}

TEST_F(LazyMap, ADeadOwnerIsForgotten) {
  Child child([&](const Reporter& reporter) {
    const Map map = open(lazy());
    map.set("kept", 1);
    map.flush();
    map.set("lost", 1);
    reporter.say("ready");
    ::pause();
    return true;
  });
  EXPECT_EQ(child.line(), "ready");
  EXPECT_THROW(open().set("x", 1), BusyError);
  child.kill();
  const Map map = open();
  map.set("x", 1);
  EXPECT_TRUE(map.contains("kept"));
  EXPECT_FALSE(map.contains("lost"));
}

TEST_F(LazyMap, AForkedChildHasNoPartInIt) {
  const Map map = open(lazy());
  map.set("a", 1);
  Child child([&] {
    try {
      static_cast<void>(map.get("a"));
      return false;
    } catch (const UsageError&) {
    }
    try {
      map.set("b", 1);
      return false;
    } catch (const UsageError&) {
    }
    map.close();
    return true;
  });
  EXPECT_TRUE(child.succeeded());
  map.flush();
  map.close();
  EXPECT_EQ(open().size(), 1U);
}

/// Writers wake the background with a shard locked; fork() locks the two in the same order.
TEST_F(LazyMap, ForksWhileOthersWrite) {
  GRAVEN_FORKS_AMID_THREADS();
  MapOptions options;
  options.persist = Persist::kMemory;
  const Map map = open(options);
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; !done; ++i) map.set(std::to_string(i % 100), t, std::chrono::hours(1));
    });
  }
  for (int i = 0; i < 200; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ASSERT_GT(child, 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  }
  done = true;
  for (std::thread& writer : writers) writer.join();
}

/// About `mebibytes` of new items, numbers [first, first + what is returned).
std::size_t write_much(const Map& map, std::size_t first, double mebibytes, bool rising) {
  const auto count = static_cast<std::size_t>(mebibytes * 1024);
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 10'000'000 + first);
  if (!rising) std::shuffle(numbers.begin(), numbers.end(), std::mt19937_64(first));
  for (const std::size_t number : numbers) {
    map.set(std::to_string(number), std::string(1024, 'v'));
  }
  return count;
}

TEST_F(LazyMap, FlushesMuchBeforeTheIntervalIsOver) {
  for (const bool rising : {true, false}) {
    const Map map = open(lazy());
    const auto flushes = [&] { return map.stats().flushes; };
    std::size_t number = write_much(map, 0, 3, rising);
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_EQ(flushes(), 0U);
    number += write_much(map, number, 1.5, rising);
    wait_until([&] { return flushes() > 0; });
    map.flush();
    // From then on, what comes in order is flushed sooner.
    const std::uint64_t before = flushes();
    number += write_much(map, number, 1.5, rising);
    if (rising) {
      wait_until([&] { return flushes() > before; });
    } else {
      std::this_thread::sleep_for(milliseconds(100));
      EXPECT_EQ(flushes(), before);
      number += write_much(map, number, 3, rising);
      wait_until([&] { return flushes() > before; });
    }
    EXPECT_EQ(map.size(), number);
    map.clear();
    map.close();
  }
}

}  // namespace
}  // namespace graven::test
