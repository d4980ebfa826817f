// SPDX-License-Identifier: MIT
//
// Map as an ordered map: ranges of keys, the first and the last one, and times to live that are
// changed. Random ranges against std::map are also in map_model_test.cpp.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "base/random.hpp"
#include "map/interval.hpp"
#include "map/map_fixture.hpp"

namespace graven::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using Keys = std::vector<std::string>;

Keys keys_of(const Map& map, const MapRange& range) {
  Keys keys;
  std::string key;
  Data value;
  for (const auto cursor = map.cursor(range); cursor->next(key, &value);) {
    EXPECT_EQ(value, Data(key));
    keys.push_back(key);
  }
  return keys;
}

class MapRanges : public MapTest, public ::testing::WithParamInterface<Persist> {
 protected:
  [[nodiscard]] Map open_map() const {
    MapOptions options = lazy();
    options.persist = GetParam();
    return open(options);
  }
  static void fill(const Map& map, const Keys& keys) {
    for (const std::string& key : keys) map.set(key, key);
  }
};

TEST_P(MapRanges, AreByTheBytesOfTheKeys) {
  const Map map = open_map();
  EXPECT_EQ(map.first(), std::nullopt);
  EXPECT_EQ(map.last(), std::nullopt);
  const Keys all{"", std::string("\0", 1), "a", "a/1", "a/2", "a/20", "a0", "b", "é", "\uffff",
                 "😀"};
  fill(map, {all.rbegin(), all.rend()});
  EXPECT_EQ(keys_of(map, {}), all);
  EXPECT_EQ(keys_of(map, {.reverse = true}), Keys(all.rbegin(), all.rend()));
  EXPECT_EQ(keys_of(map, {.prefix = "a/"}), (Keys{"a/1", "a/2", "a/20"}));
  EXPECT_EQ(keys_of(map, {.prefix = "a/", .reverse = true, .limit = 2}), (Keys{"a/20", "a/2"}));
  EXPECT_EQ(keys_of(map, {.prefix = "a/", .start = "a/2"}), (Keys{"a/2", "a/20"}));
  EXPECT_EQ(keys_of(map, {.prefix = "a/", .start = "b"}), Keys{});
  EXPECT_EQ(keys_of(map, {.prefix = "a/2", .stop = "a/20"}), Keys{"a/2"});
  EXPECT_EQ(keys_of(map, {.start = "a/2", .stop = "b"}), (Keys{"a/2", "a/20", "a0"}));
  EXPECT_EQ(keys_of(map, {.start = "a/2", .stop = "b", .reverse = true}),
            (Keys{"a0", "a/20", "a/2"}));
  EXPECT_EQ(keys_of(map, {.start = "a/15", .stop = "a/2"}), Keys{});
  EXPECT_EQ(keys_of(map, {.start = "b", .stop = "a"}), Keys{});
  EXPECT_EQ(keys_of(map, {.stop = ""}), Keys{});
  EXPECT_EQ(keys_of(map, {.stop = "", .reverse = true}), Keys{});
  EXPECT_EQ(keys_of(map, {.start = "", .limit = 2}), (Keys{"", std::string("\0", 1)}));
  EXPECT_EQ(keys_of(map, {.stop = "a", .reverse = true}), (Keys{std::string("\0", 1), ""}));
  EXPECT_EQ(keys_of(map, {.limit = 0}), Keys{});
  EXPECT_EQ(keys_of(map, {.prefix = "\uffff"}), Keys{"\uffff"});
  EXPECT_EQ(keys_of(map, {.prefix = "\U0010ffff"}), Keys{});
  EXPECT_EQ(map.first()->first, "");
  EXPECT_EQ(map.last(), std::make_pair(std::string("😀"), Data("😀")));
  EXPECT_THROW((void)map.cursor({.prefix = "\xff"}), BadValueError);
  EXPECT_THROW((void)map.cursor({.start = "\xff"}), BadValueError);
  EXPECT_THROW((void)map.cursor({.stop = "\xff"}), BadValueError);
}

TEST_P(MapRanges, AreOfAllLayersAndPages) {
  const Map map = open_map();
  std::map<std::string, bool> model;
  Random random;
  const auto key = [&] { return "k" + std::to_string(random.below(4'000)); };
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 800; ++i) {
      const std::string one = key();
      map.set(one, one);
      model[one] = true;
    }
    if (round == 1) map.flush();
    for (int i = 0; i < 200; ++i) {
      const std::string one = key();
      map.erase(one);
      model.erase(one);
    }
    for (int i = 0; i < 30; ++i) {
      MapRange range;
      if (random.one_in(2)) range.prefix = key().substr(0, random.below(4));
      if (random.one_in(2)) range.start = key();
      if (random.one_in(2)) range.stop = key();
      if (random.one_in(2)) range.limit = random.below(600);
      range.reverse = random.one_in(2);
      Keys expected;
      for (const auto& [name, there] : model) {
        if (name.rfind(range.prefix, 0) == 0 && (!range.start || *range.start <= name) &&
            (!range.stop || name < *range.stop)) {
          expected.push_back(name);
        }
      }
      if (range.reverse) std::reverse(expected.begin(), expected.end());
      if (expected.size() > range.limit) expected.resize(range.limit);
      ASSERT_EQ(keys_of(map, range), expected);
    }
    ASSERT_EQ(map.first()->first, model.begin()->first);
    ASSERT_EQ(map.last()->first, model.rbegin()->first);
  }
}

TEST_P(MapRanges, MeetWhatChangesOnTheWay) {
  const Map map = open_map();
  for (int i = 100; i < 999; ++i) map.set(std::to_string(i), i);
  map.flush();
  const auto down = map.cursor({.start = "300", .reverse = true});
  std::string key;
  ASSERT_TRUE(down->next(key, nullptr));
  EXPECT_EQ(key, "998");
  // Beyond the page that it has read.
  map.erase("400");
  map.set("350", "new");
  std::map<std::string, Data> met;
  for (Data value; down->next(key, &value);) {
    ASSERT_TRUE(met.empty() || key < met.begin()->first);
    met[key] = value;
  }
  EXPECT_EQ(met.size(), 697U);
  EXPECT_EQ(met.begin()->first, "300");
  EXPECT_EQ(met.count("400"), 0U);
  EXPECT_EQ(met.at("350"), Data("new"));
}

TEST_P(MapRanges, LeaveOutWhatHasExpired) {
  const Map map = open_map();
  map.set("a", "a", milliseconds(1));
  map.set("b", "b");
  map.set("c", "c", milliseconds(1));
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(keys_of(map, {}), Keys{"b"});
  EXPECT_EQ(map.first()->first, "b");
  EXPECT_EQ(map.last()->first, "b");
}

TEST_P(MapRanges, TimesToLiveCanBeChanged) {
  const Map map = open_map();
  map.set("stays", "v");
  EXPECT_EQ(map.ttl("stays"), std::nullopt);
  EXPECT_THROW((void)map.ttl("none"), KeyNotFound);
  EXPECT_FALSE(map.touch("none", hours(1)));
  EXPECT_FALSE(map.contains("none"));
  EXPECT_TRUE(map.touch("stays", hours(1)));
  EXPECT_GT(map.ttl("stays"), milliseconds(hours(1)) - std::chrono::minutes(5));
  EXPECT_LE(map.ttl("stays"), milliseconds(hours(1)));
  EXPECT_EQ(map.at("stays"), Data("v"));
  EXPECT_TRUE(map.touch("stays", std::nullopt));
  EXPECT_EQ(map.ttl("stays"), std::nullopt);
  EXPECT_THROW(map.touch("stays", milliseconds(0)), BadValueError);

  const auto now = std::chrono::ceil<milliseconds>(std::chrono::system_clock::now());
  EXPECT_TRUE(map.expire_at("stays", now + hours(2)));
  EXPECT_GT(map.ttl("stays"), milliseconds(hours(1)));
  EXPECT_TRUE(map.touch("stays", milliseconds(1)));
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(map.touch("stays", hours(1))) << "what has expired does not come back";
  EXPECT_THROW((void)map.ttl("stays"), KeyNotFound);
  EXPECT_EQ(map.size(), 0U);

  map.set("k", 1, hours(1));
  EXPECT_TRUE(map.expire_at("k", now - hours(1)));
  EXPECT_FALSE(map.contains("k"));
  EXPECT_FALSE(map.expire_at("k", now + hours(1)));
  map.set("k", 1);
  EXPECT_TRUE(map.expire_at("k", std::chrono::sys_time<milliseconds>(milliseconds(0))));
  EXPECT_FALSE(map.contains("k")) << "1970 has passed";
  map.set("k", 1);
  EXPECT_TRUE(map.expire_at("k", std::chrono::sys_time<milliseconds>::max()));
  EXPECT_TRUE(map.contains("k"));
}

TEST_P(MapRanges, AShorterTimeToLiveIsKept) {
  const Map map = open_map();
  map.set("k", 1, hours(1));
  map.flush();
  EXPECT_TRUE(map.touch("k", milliseconds(20)));
  wait_until([&] { return !map.contains("k"); });
  EXPECT_EQ(map.size(), 0U);
  map.set("k", 1, milliseconds(20));
  EXPECT_TRUE(map.touch("k", hours(1)));
  std::this_thread::sleep_for(milliseconds(40));
  EXPECT_EQ(map.size(), 1U);
  EXPECT_EQ(map.at("k"), Data(1)) << "the sweep of the first time must not take it";
}

TEST_P(MapRanges, PopManyAndGetOrSet) {
  const Map map = open_map();
  fill(map, {"a", "b", "c"});
  map.set("gone", 1, milliseconds(1));
  std::this_thread::sleep_for(milliseconds(5));
  const std::vector<Map::Key> keys{"a", "x", "c", "a", "gone"};
  EXPECT_EQ(map.pop_many(keys),
            (std::vector<std::optional<Data>>{Data("a"), std::nullopt, Data("c"), std::nullopt,
                                              std::nullopt}));
  EXPECT_EQ(keys_of(map, {}), Keys{"b"});
  EXPECT_TRUE(map.pop_many({}).empty());
  EXPECT_EQ(map.size(), 1U);

  int made = 0;
  const auto make = [&] {
    ++made;
    return Data("new");
  };
  EXPECT_EQ(map.get_or_set("b", make), Data("b"));
  EXPECT_EQ(made, 0);
  EXPECT_EQ(map.get_or_set("n", make, hours(1)), Data("new"));
  EXPECT_EQ(map.get_or_set("n", make), Data("new"));
  EXPECT_EQ(made, 1);
  EXPECT_TRUE(map.ttl("n"));
  // Somebody else was faster.
  EXPECT_EQ(map.get_or_set("m",
                           [&] {
                             map.set("m", "other");
                             return Data("late");
                           }),
            Data("other"));
  EXPECT_EQ(map.setdefault("d", 1, hours(1)), Data(1));
  EXPECT_TRUE(map.ttl("d"));
  EXPECT_EQ(map.setdefault("d", 2), Data(1));
  EXPECT_TRUE(map.ttl("d"));
}

INSTANTIATE_TEST_SUITE_P(Modes, MapRanges,
                         ::testing::Values(Persist::kWritethrough, Persist::kLazy,
                                           Persist::kMemory));

TEST_F(MapTest, RangesAndTimesInsideATransaction) {
  const Database db(path_);
  const Map map = open();
  for (const char* const key : {"a", "b", "c"}) map.set(key, key);
  const auto change = [&] {
    map.erase("c");
    map.set("d", "d");
    EXPECT_TRUE(map.touch("a", hours(1)));
    EXPECT_EQ(keys_of(map, {.reverse = true}), (Keys{"d", "b", "a"}));
    EXPECT_EQ(keys_of(map, {.start = "b", .stop = "d"}), Keys{"b"});
    EXPECT_EQ(map.last()->first, "d");
    EXPECT_TRUE(map.ttl("a"));
    const std::vector<Map::Key> keys{"b", "c"};
    EXPECT_EQ(map.pop_many(keys), (std::vector<std::optional<Data>>{Data("b"), std::nullopt}));
  };
  {
    auto transaction = db.begin();
    change();
    transaction.rollback();
  }
  EXPECT_EQ(keys_of(map, {}), (Keys{"a", "b", "c"}));
  EXPECT_EQ(map.ttl("a"), std::nullopt);
  {
    auto transaction = db.begin();
    change();
    transaction.commit();
  }
  EXPECT_EQ(keys_of(map, {}), (Keys{"a", "d"}));
  EXPECT_TRUE(map.ttl("a"));
}

TEST_F(MapTest, ARangeIsOfItsOwnMap) {
  const Map one = open(named("one"));
  const Map two = open(named("two"));
  one.set("b", "b");
  two.set("a", "a");
  two.set("c", "c");
  EXPECT_EQ(keys_of(one, {.reverse = true}), Keys{"b"});
  EXPECT_EQ(keys_of(two, {.reverse = true}), (Keys{"c", "a"}));
  EXPECT_EQ(one.last()->first, "b");
  EXPECT_EQ(two.first()->first, "a");
}

TEST(MapInterval, TheTextBehindAPrefix) {
  using map::behind_prefix;
  EXPECT_EQ(behind_prefix(""), std::nullopt);
  EXPECT_EQ(behind_prefix("a"), "b");
  EXPECT_EQ(behind_prefix(std::string("\0", 1)), "\x01");
  EXPECT_EQ(behind_prefix("\x7f"), "\u0080");
  EXPECT_EQ(behind_prefix("x\u07ff"), "x\u0800");
  EXPECT_EQ(behind_prefix("\ud7ff"), "\ue000");
  EXPECT_EQ(behind_prefix("\uffff"), "\U00010000");
  EXPECT_EQ(behind_prefix("é\U0010ffff\U0010ffff"), "ê");
  EXPECT_EQ(behind_prefix("\U0010ffff"), std::nullopt);
}

}  // namespace
}  // namespace graven::test
