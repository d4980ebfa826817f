// SPDX-License-Identifier: MIT
//
// Map: incr, decr, add and update_with, which change a key by what is there. That no other write
// comes between is in map_threads_test.cpp too, and in recorded histories (map_history_test.cpp).
#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/child.hpp"
#include "map/map_fixture.hpp"

namespace graven::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class MapChanges : public MapTest, public ::testing::WithParamInterface<Persist> {
 protected:
  [[nodiscard]] Map open_map() const {
    MapOptions options;
    options.persist = GetParam();
    return open(options);
  }
};

TEST_P(MapChanges, AddsToNumbersOfAnySize) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Map map = open_map();
  EXPECT_EQ(map.incr("n"), Data(1));
  EXPECT_EQ(map.incr("n", 5), Data(6));
  EXPECT_EQ(map.decr("n", 10), Data(-4));
  EXPECT_EQ(map.incr("m", 2, 40), Data(42));
  EXPECT_EQ(map.decr("d", 1, 10), Data(9));
  EXPECT_EQ(map.at("m"), Data(42));
  map.set("big", kMost);
  EXPECT_EQ(map.incr("big"), Data(BigInt{"8000000000000000"}));
  EXPECT_EQ(map.incr("big", BigInt{"ffffffffffffffffffff"}), Data(BigInt{"100007fffffffffffffff"}));
  EXPECT_EQ(map.decr("big", BigInt{"100000000000000000000"}), Data(kMost));
  EXPECT_EQ(map.incr("low", std::numeric_limits<std::int64_t>::min()),
            Data(std::numeric_limits<std::int64_t>::min()));
  EXPECT_EQ(map.decr("low"), Data(BigInt{"-8000000000000001"}));
  EXPECT_EQ(map.incr("n", 0.5), Data(-3.5));
  EXPECT_EQ(map.incr("n", 1), Data(-2.5));
  map.set("huge", BigInt{"1" + std::string(300, '0')});
  EXPECT_THROW(map.incr("huge", 0.5), LimitError);
  EXPECT_EQ(map.at("huge"), Data(BigInt{"1" + std::string(300, '0')}));
}

TEST_P(MapChanges, WhatIsNoNumberIsNamed) {
  const Map map = open_map();
  const std::vector<std::pair<Data, const char*>> others{
      {nullptr, "null"},     {true, "bool"},         {"1", "str"},
      {Bytes{"1"}, "bytes"}, {Data::dict(), "dict"}, {Data::list(), "list"}};
  for (const auto& [value, kind] : others) {
    map.set("visits", value);
    for (const auto& call : {+[](const Map&of, const Data&by) { of.incr("visits", by); },
                             +[](const Map&of, const Data&by) { of.decr("visits", by); }}) {
      try {
        call(map, 1);
        FAIL() << kind;
      } catch (const WrongTypeError& error) {
        const std::string text = error.what();
        EXPECT_NE(text.find("'visits' is " + std::string(kind)), std::string::npos) << text;
      }
      EXPECT_THROW(call(map, value), WrongTypeError);
    }
    EXPECT_THROW(map.incr("visits", 1, value), WrongTypeError);
    EXPECT_THROW(map.incr("new", value), WrongTypeError);
    EXPECT_EQ(map.at("visits"), value);
  }
  EXPECT_FALSE(map.contains("new"));
  EXPECT_THROW(map.incr("n", 1, 0, milliseconds(0)), BadValueError);
  EXPECT_THROW(map.incr("\xff"), BadValueError);
}

TEST_P(MapChanges, AKeyIsAddedOnce) {
  const Map map = open_map();
  EXPECT_TRUE(map.add("a", 1));
  EXPECT_FALSE(map.add("a", 2));
  EXPECT_EQ(map.at("a"), Data(1));
  EXPECT_TRUE(map.add("timed", 1, milliseconds(1)));
  wait_until([&] { return !map.contains("timed"); });
  EXPECT_TRUE(map.add("timed", 2));
  EXPECT_EQ(map.at("timed"), Data(2));
}

TEST_P(MapChanges, UpdateWithStoresWhatTheFunctionGives) {
  const Map map = open_map();
  const auto doubled = [](const Data& old) { return Data(old.get<std::int64_t>() * 2); };
  EXPECT_THROW(map.update_with("a", doubled), KeyNotFound);
  EXPECT_EQ(map.update_with("a", doubled, 4), Data(8));
  EXPECT_EQ(map.update_with("a", doubled), Data(16));
  EXPECT_EQ(map.at("a"), Data(16));
  EXPECT_THROW(map.update_with("a", [](const Data&) -> Data { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_EQ(map.at("a"), Data(16));
  // The function may use the map, this very key too: then it has changed, and runs again.
  int runs = 0;
  EXPECT_EQ(map.update_with("a",
                            [&](const Data& old) {
                              if (++runs == 1) map.set("a", 5);
                              return Data(old.get<std::int64_t>() + 1);
                            }),
            Data(6));
  EXPECT_EQ(runs, 2);
}

TEST_P(MapChanges, AFunctionThatChangesItsKeyEachTimeEnds) {
  const Map map = open_map();
  map.set("a", 0);
  const auto bump = [&](const Data& old) {
    map.incr("a");
    return Data(old.get<std::int64_t>());
  };
  EXPECT_THROW(map.update_with("a", bump), ConflictError);
  EXPECT_FALSE(map.in_transaction());
}

TEST_P(MapChanges, TheTimeToLiveStays) {
  const Map map = open_map();
  map.set("a", 1, milliseconds(300));
  EXPECT_EQ(map.incr("a", 1, 0, hours(1)), Data(2));
  EXPECT_EQ(map.update_with("a", [](const Data&) { return Data(7); }), Data(7));
  EXPECT_EQ(map.incr("made", 1, 0, milliseconds(300)), Data(1));
  EXPECT_EQ(map.incr("made", 1, 0, milliseconds(300)), Data(2));
  wait_until([&] { return !map.contains("a") && !map.contains("made"); });
  EXPECT_EQ(map.incr("a", 1, 10), Data(11));  // what expired counts as missing
  map.update(std::vector<std::pair<std::string, Data>>{{"u", 1}, {"v", 2}}, milliseconds(1));
  wait_until([&] { return map.size() == 1; });
}

TEST_P(MapChanges, NoCountIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kSteps = 150;
  const Map map = open_map();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kSteps; ++i) {
        map.incr("n");
        map.decr("m", 2);
        map.update_with(
            "u", [](const Data& old) { return Data(old.get<std::int64_t>() + 1); }, 0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(map.at("n"), Data(kThreads * kSteps));
  EXPECT_EQ(map.at("m"), Data(-2 * kThreads * kSteps));
  EXPECT_EQ(map.at("u"), Data(kThreads * kSteps));
}

INSTANTIATE_TEST_SUITE_P(Modes, MapChanges,
                         testing::Values(Persist::kWritethrough, Persist::kLazy, Persist::kMemory),
                         [](const auto& mode) {
                           return mode.param == Persist::kWritethrough ? "Writethrough"
                                  : mode.param == Persist::kLazy       ? "Lazy"
                                                                       : "Memory";
                         });

TEST_F(MapTest, NoCountIsLostBetweenProcesses) {
  constexpr int kSteps = 300;
  const auto count = [&] {
    const Map map = open();
    int added = 0;
    for (int i = 0; i < kSteps; ++i) {
      map.incr("n");
      map.update_with(
          "u", [](const Data& old) { return Data(old.get<std::int64_t>() + 1); }, 0);
      added += map.add("k" + std::to_string(i), 1) ? 1 : 0;
    }
    map.incr("added", added);
    return true;
  };
  Child one(count);
  Child two(count);
  ASSERT_TRUE(one.succeeded());
  ASSERT_TRUE(two.succeeded());
  const Map map = open();
  EXPECT_EQ(map.at("n"), Data(2 * kSteps));
  EXPECT_EQ(map.at("u"), Data(2 * kSteps));
  EXPECT_EQ(map.at("added"), Data(kSteps));
}

TEST_F(MapTest, ChangesByWhatIsThereArePartOfATransaction) {
  const Database db(path_);
  const Map map = open();
  map.set("n", 1);
  const auto one_more = [](const Data& old) { return Data(old.get<std::int64_t>() + 1); };
  EXPECT_THROW(db.transaction([&] {
    EXPECT_EQ(map.incr("n"), Data(2));
    EXPECT_EQ(map.update_with("n", one_more), Data(3));
    EXPECT_TRUE(map.add("a", 1));
    EXPECT_FALSE(map.add("a", 1));
    throw std::runtime_error("back");
  }),
               std::runtime_error);
  EXPECT_EQ(map.at("n"), Data(1));
  EXPECT_FALSE(map.contains("a"));
}

TEST_F(MapTest, ASlowFunctionEndsBesideQuickWriters) {
  const Map map = open();
  std::atomic<bool> done{false};
  std::thread quick([&] {
    while (!done) map.incr("n");
  });
  for (int i = 0; i < 3; ++i) {
    map.update_with(
        "n",
        [](const Data& old) {
          std::this_thread::sleep_for(milliseconds(5));
          return old;
        },
        0);
  }
  done = true;
  quick.join();
  EXPECT_GT(map.at("n").get<std::int64_t>(), 0);
}

}  // namespace
}  // namespace graven::test
