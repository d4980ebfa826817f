// SPDX-License-Identifier: MIT
//
// What a map promises, rule by rule: modes, openings, times to live, transactions, refusals.
#include <graven/graven.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <sqlite3.h>
#include "backends/sqlite/child.hpp"
#include "map_fixture.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

TEST_F(MapTest, WhatIsWrittenIsThereAfterReopening) {
  {
    const Map map = open();
    map.set("a", 1);
    map.set("b", "two");
    map.erase("a");
    map.set("c", Data::dict({{"x", Data::list({1, 2})}}));
  }
  const Map map = open();
  EXPECT_EQ(map.size(), 2U);
  EXPECT_FALSE(map.contains("a"));
  EXPECT_EQ(map.at("b"), Data("two"));
  EXPECT_EQ(map.at("c").at("x").at(1), Data(2));
  EXPECT_THROW(static_cast<void>(map.at("a")), KeyNotFound);
}

TEST_F(MapTest, WhatWasReadIsReadFromMemory) {
  for (int opening = 0; opening < 3; ++opening) {
    const Map map = open();
    if (opening == 0) {
      for (int i = 0; i < 100; ++i) map.set(std::to_string(i), i);
    }
    const auto read_all = [&] {
      for (int i = 0; i < 100; ++i) EXPECT_EQ(map.at(std::to_string(i)), Data(i));
      return map.stats().misses;
    };
    read_all();
    const std::uint64_t misses = read_all();  // the first few reads are not worth keeping
    EXPECT_EQ(read_all(), misses);
    EXPECT_EQ(map.stats().hot_entries, 100U);
    map.close();
  }
}

TEST_F(MapTest, StatsTellWhoAnsweredAndEachReadOnce) {
  const TemporaryFolder disk(TemporaryFolder::Place::kDisk);
  for (const Persist persist : {Persist::kWritethrough, Persist::kLazy, Persist::kMemory}) {
    for (const std::size_t warm : {std::size_t{0}, std::size_t{1} << 20U}) {
      MapOptions options = named(std::to_string(static_cast<int>(persist)) + std::to_string(warm));
      options.persist = persist;
      options.hot_capacity = 10;
      options.warm_bytes = warm;
      const Map map(disk / "m.db", options);
      for (int i = 0; i < 300; ++i) map.set(std::to_string(i), i);
      map.flush();
      for (int i = 0; i < 20; ++i) static_cast<void>(map.contains("0"));  // the cache is set up
      const MapStats before = map.stats();
      EXPECT_LE(before.hot_entries, 20U);
      EXPECT_EQ(before.pending, 0U);
      std::uint64_t reads = 0;
      for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 310; ++i, reads += 4) {  // the last few are not there
          const std::string key = std::to_string(i);
          for (int again = 0; again < 3; ++again) EXPECT_EQ(map.contains(key), i < 300);
          const Map::Key both[] = {key};
          EXPECT_EQ(map.get_many(both)[0].has_value(), i < 300);
        }
      }
      const MapStats after = map.stats();
      const std::uint64_t hits = after.hot_hits - before.hot_hits;
      const std::uint64_t misses = after.misses - before.misses;
      const std::uint64_t warm_hits = after.warm_hits - before.warm_hits;
      const std::uint64_t stored = after.store_hits - before.store_hits;
      const std::uint64_t absent = after.store_misses - before.store_misses;
      EXPECT_EQ(hits + misses, reads);
      EXPECT_GT(misses, 300U);
      EXPECT_GT(after.evictions, before.evictions);
      const bool has_warm = after.warm_bytes != 0;
      EXPECT_GT(hits, has_warm ? 0 : reads / 2);  // few of a warm file's move up
      EXPECT_TRUE(!has_warm || (warm != 0 && persist != Persist::kMemory));
      EXPECT_EQ(warm_hits > 0, has_warm);
      EXPECT_EQ(stored > 0, persist != Persist::kMemory);
      if (persist == Persist::kMemory) {
        EXPECT_EQ(absent, 0U);
      } else {
        EXPECT_GE(absent, 10U);
        EXPECT_EQ(warm_hits + stored + absent, misses);
        EXPECT_GE(after.warm_misses - before.warm_misses, has_warm ? absent : 0);
      }
    }
  }
  MapOptions small = named("small");
  small.warm_bytes = 1000;
  EXPECT_THROW(open(small), UsageError);
}

TEST_F(MapTest, AWriteThatWouldWaitForItsOwnThreadIsRefused) {
  const Map map(path_, MapOptions{.synchronous = Synchronous::kOff});
  map.set("a", 1);
  const Database db(path_);
  const Database other(path_, Options{.synchronous = Synchronous::kFull});
  db.transaction([&] {
    EXPECT_EQ(map.at("a"), Data(1));  // as it is outside
    EXPECT_THROW(map.set("a", 2), UsageError);
    EXPECT_THROW(other["a"] = 2, UsageError);
    EXPECT_THROW(static_cast<void>(other.begin()), UsageError);
    db["b"] = 3;
  });
  map.set("a", 2);
  other["a"] = 2;
  EXPECT_EQ(db["b"].get<int>(), 3);
}

TEST_F(MapTest, WritesInATransactionBelongToItOrAreRefused) {
  const Database db(path_);
  const Map stored = open(named("stored"));
  MapOptions options = lazy();
  options.name = "lazy";
  const Map pending = open(options);
  options.persist = Persist::kMemory;
  const Map memory = open(options);
  const Map elsewhere("memory://", options);
  for (const Map& map : {stored, pending, memory, elsewhere}) map.set("a", 1);
  const std::vector<std::pair<std::string, Data>> several{{"b", 2}, {"c", 3}};
  const std::vector<Map::Key> keys{"a"};
  EXPECT_THROW(db.transaction([&] {
    stored.set("b", 2);
    for (const Map& map : {pending, memory}) {
      EXPECT_THROW(map.set("b", 2), UsageError);
      EXPECT_THROW(static_cast<void>(map.try_set_value("b", {})), UsageError);
      EXPECT_THROW(map.update(several), UsageError);
      EXPECT_THROW(map.erase("a"), UsageError);
      EXPECT_THROW(static_cast<void>(map.pop("a")), UsageError);
      EXPECT_THROW(map.erase_many(keys), UsageError);
      EXPECT_THROW(map.clear(), UsageError);
      EXPECT_EQ(map.at("a"), Data(1));
      EXPECT_EQ(map.setdefault("a", 2), Data(1));
      std::thread([&] { map.set("meanwhile", 1); }).join();
    }
    elsewhere.set("b", 2);  // no transaction of a file is its
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  EXPECT_EQ(stored.size(), 1U);
  EXPECT_EQ(elsewhere.size(), 2U);
  for (const Map& map : {pending, memory}) {
    map.set("b", 2);
    EXPECT_EQ(map.size(), 3U);
  }
}

TEST_F(MapTest, SeveralMapsInOneFileBesideAGraph) {
  const Map one = open(named("one"));
  const Map two = open(named("two"));
  const Database db(path_);
  db["name"] = "graph";
  one.set("k", 1);
  two.set("k", 2);
  EXPECT_EQ(one.at("k"), Data(1));
  EXPECT_EQ(two.at("k"), Data(2));
  EXPECT_EQ(two.size(), 1U);
  one.clear();
  EXPECT_TRUE(one.empty());
  EXPECT_EQ(two.at("k"), Data(2));
  EXPECT_EQ(db["name"].get<std::string>(), "graph");
  EXPECT_TRUE(db.check().ok());
}

TEST_F(MapTest, ValuesAreSqlitesOwn) {
  const Map map = open();
  map.set("i", 7);
  map.set("r", 2.5);
  map.set("t", "text");
  map.set("b", true);
  map.set("j", Data::list({1, 2}));
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
  const auto ask = [&](const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
    std::string answer;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return answer;
  };
  EXPECT_EQ(ask("SELECT sum(value) FROM item WHERE key IN ('i', 'r', 'b')"), "10.5");
  EXPECT_EQ(ask("SELECT value || '!' FROM item WHERE key = 't'"), "text!");
  EXPECT_EQ(ask("SELECT json(value) FROM item WHERE key = 'j'"), "[1,2]");
  sqlite3_close(database);
}

TEST_F(MapTest, AWriteInATransactionIsPartOfIt) {
  const Database db(path_);
  const Map map = open();
  map.set("a", 1);
  EXPECT_EQ(map.size(), 1U);
  try {
    db.transaction([&] {
      map.set("a", 2);
      map.set("b", 3);
      db["g"] = 4;
      EXPECT_EQ(map.at("a"), Data(2));  // its own writes
      EXPECT_EQ(map.size(), 2U);
      const std::vector<Map::Key> keys{"a", "b", "c"};
      EXPECT_EQ(map.get_many(keys)[1], Data(3));
      std::thread([&] {
        EXPECT_EQ(map.at("a"), Data(1));  // others do not see them
        EXPECT_FALSE(map.contains("b"));
        EXPECT_EQ(map.size(), 1U);
      }).join();
      throw std::runtime_error("back");
    });
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(map.at("a"), Data(1));
  EXPECT_FALSE(map.contains("b"));
  EXPECT_EQ(map.size(), 1U);
  db.transaction([&] {
    map.set("b", 3);
    map.erase("a");
    map.set("c", 5);
  });
  EXPECT_EQ(map.size(), 2U);
  EXPECT_FALSE(map.contains("a"));
  EXPECT_EQ(map.at("c"), Data(5));
}

TEST_F(MapTest, AnotherOpeningSeesEveryWrite) {
  const Map map = open();
  MapOptions other = {};
  other.synchronous = Synchronous::kOff;  // so that nothing is shared
  const Map second = open(other);
  for (int i = 0; i < 100; ++i) {
    map.set("k", i);
    EXPECT_EQ(second.at("k"), Data(i));
    second.set("l", i);
    EXPECT_EQ(map.at("l"), Data(i));
    EXPECT_EQ(map.size(), 2U);
    EXPECT_EQ(second.size(), 2U);
  }
}

/// The state, once reads have brought what is in memory up to it.
std::uint64_t state_of(const Map& map) {
  std::optional<std::uint64_t> state;
  for (int i = 0; i < 1000 && !(state = map.state()); ++i) {
    static_cast<void>(map.contains("k"));
  }
  EXPECT_TRUE(state);
  return state.value_or(0);
}

TEST_F(MapTest, TheStateIsTheSameUntilSomethingIsWritten) {
  for (const Persist persist : {Persist::kWritethrough, Persist::kLazy, Persist::kMemory}) {
    MapOptions options;
    options.persist = persist;
    options.name = std::to_string(static_cast<int>(persist));
    const Map map = open(options);
    map.set("k", 1);
    const std::uint64_t first = state_of(map);
    EXPECT_EQ(map.at("k"), Data(1));
    EXPECT_EQ(state_of(map), first);
    map.set("l", 2);
    const std::uint64_t second = state_of(map);
    EXPECT_NE(second, first);
    map.erase("l");
    const std::uint64_t third = state_of(map);
    EXPECT_TRUE(third != first && third != second);
  }
}

TEST_F(MapTest, TheStateMovesWithTheWritesOfOthersAndIsNoneInATransaction) {
  const Database db(path_);
  const Map map = open();
  MapOptions other;
  other.synchronous = Synchronous::kOff;  // so that nothing is shared
  const Map second = open(other);
  map.set("k", 1);
  const std::uint64_t before = state_of(map);
  second.set("k", 2);
  EXPECT_NE(map.state(), before);
  EXPECT_NE(state_of(map), before);
  db.transaction([&] {
    map.set("k", 3);
    EXPECT_EQ(map.state(), std::nullopt);
  });
  state_of(map);
}

TEST_F(MapTest, ReadingItAllFromManyProcesses) {
  const Map map = open();
  map.set("n", 0);
  std::vector<std::unique_ptr<Child>> children;
  for (int c = 0; c < 3; ++c) {
    children.push_back(std::make_unique<Child>([&, c] {
      const Map own = open();
      for (int i = 0; i < 200; ++i) {
        own.set("own " + std::to_string(c), i);
        if (own.at("own " + std::to_string(c)) != Data(i)) return false;
      }
      return own.at("n") == Data(0);
    }));
  }
  for (const auto& child : children) EXPECT_TRUE(child->succeeded());
  EXPECT_EQ(map.size(), 4U);
  for (int c = 0; c < 3; ++c) EXPECT_EQ(map.at("own " + std::to_string(c)), Data(199));
}

TEST_F(MapTest, MemoryLeavesNoFile) {
  MapOptions options;
  options.persist = Persist::kMemory;
  options.hot_capacity = 1;
  const Map map = open(options);
  for (int i = 0; i < 1000; ++i) map.set(std::to_string(i), i);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(map.at(std::to_string(i)), Data(i));
  EXPECT_EQ(map.size(), 1000U);
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_EQ(Map("memory://").size(), 0U);
}

TEST_F(MapTest, AForkedChildGoesOnWithAStoredMap) {
  const Map map = open();
  map.set("a", 1);
  EXPECT_EQ(map.at("a"), Data(1));
  Child child([&] {
    if (map.at("a") != Data(1)) return false;
    map.set("b", 2);
    return map.at("b") == Data(2) && map.size() == 2;
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(map.at("b"), Data(2));
}

TEST_F(MapTest, TimesToLive) {
  for (const Persist persist : {Persist::kWritethrough, Persist::kLazy, Persist::kMemory}) {
    MapOptions options;
    options.persist = persist;
    options.name = "mode " + std::to_string(static_cast<int>(persist));
    options.flush_interval = milliseconds(10);
    const Map map = open(options);
    map.set("stays", 0);
    map.set("short", 1, milliseconds(30));
    map.set("long", 2, std::chrono::hours(1));
    map.set("made to stay", 3, milliseconds(30));
    map.set("made to stay", 4);
    EXPECT_EQ(map.at("long"), Data(2));
    wait_until([&] { return !map.contains("short"); });
    EXPECT_EQ(map.get("short"), std::nullopt);
    EXPECT_EQ(map.size(), 3U);
    EXPECT_FALSE(map.erase("short"));
    EXPECT_EQ(map.setdefault("short", 5), Data(5));
    EXPECT_EQ(map.at("made to stay"), Data(4));
    std::vector<std::string> keys;
    const auto cursor = map.cursor();
    for (std::string key; cursor->next(key, nullptr);) keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"long", "made to stay", "short", "stays"}));
    EXPECT_THROW(map.set("x", 1, milliseconds(0)), BadValueError);
    map.close();
  }
}

TEST_F(MapTest, WhatExpiredIsSweptFromTheFile) {
  {
    const Map map = open();
    for (int i = 0; i < 100; ++i) map.set(std::to_string(i), i, milliseconds(1));
    map.set("stays", 1);
  }
  std::this_thread::sleep_for(milliseconds(5));
  const auto rows = [&](const char* table) {
    sqlite3* database = nullptr;
    sqlite3_open(path_.c_str(), &database);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, (std::string("SELECT count(*) FROM ") + table).c_str(), -1,
                       &statement, nullptr);
    const int count = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
  };
  EXPECT_EQ(rows("expiry"), 100);
  MapOptions reading;
  reading.read_only = true;
  EXPECT_EQ(open(reading).size(), 1U);
  MapOptions options = lazy();
  options.flush_interval = milliseconds(5);
  const Map map = open(options);
  EXPECT_EQ(map.size(), 1U);
  wait_until([&] { return rows("item") == 1 && rows("expiry") == 0; });
}

TEST_F(MapTest, HandlesCountOpenings) {
  const Map first = open();
  {
    const Map second = open();
    second.set("a", 1);
    second.close();
    EXPECT_TRUE(second.closed());
    EXPECT_THROW(second.set("b", 1), ClosedError);
    second.close();
  }
  EXPECT_EQ(first.at("a"), Data(1));
  const Map copy = first;  // NOLINT(performance-unnecessary-copy-initialization)
  first.close();
  EXPECT_THROW(static_cast<void>(copy.get("a")), ClosedError);
}

TEST_F(MapTest, BadInputIsRefusedBeforeAnythingChanges) {
  const Map map = open();
  map.set("a", 1);
  EXPECT_THROW(map.set("a", "\xff"), BadValueError);
  EXPECT_THROW(map.set(std::string(70'000, 'k'), 1), LimitError);
  EXPECT_THROW(map.update(std::vector<std::pair<std::string, Data>>{{"a", 2}, {"\xff", 3}}),
               BadValueError);
  EXPECT_EQ(map.at("a"), Data(1));
  EXPECT_EQ(map.size(), 1U);
  const Database db(path_);
  db["d"] = Data::dict();
  EXPECT_THROW(map.set("a", db["d"].value()), WrongTypeError);
  EXPECT_THROW(open(named("")), BadValueError);
  EXPECT_THROW(open(named("a\nb")), BadValueError);
  MapOptions reading;
  reading.read_only = true;
  EXPECT_THROW(open(reading).set("a", 2), UsageError);
  reading.name = "missing";
  EXPECT_THROW(open(reading), UsageError);
}

TEST_F(MapTest, LargeAndManyValues) {
  MapOptions options;
  options.hot_capacity = 100;
  const Map map = open(options);
  map.set("large", Bytes{std::string(20 << 20, 'x')});
  std::vector<std::pair<std::string, Data>> entries;
  for (int i = 0; i < 30'000; ++i) entries.emplace_back("key " + std::to_string(i), i);
  map.update(entries);
  EXPECT_EQ(map.size(), 30'001U);
  EXPECT_EQ(map.at("large").get<Bytes>().data.size(), std::size_t{20} << 20U);
  for (int i = 0; i < 30'000; i += 777) EXPECT_EQ(map.at("key " + std::to_string(i)), Data(i));
  map.clear();
  EXPECT_EQ(map.size(), 0U);
  EXPECT_FALSE(map.contains("key 1"));
}

TEST_F(MapTest, WaitDurableAndFullSynchronous) {
  MapOptions options;
  options.synchronous = Synchronous::kFull;
  const Map map = open(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) map.set(std::to_string(t) + "/" + std::to_string(i), i);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(map.size(), 200U);
  map.wait_durable();
  open(named("other")).wait_durable();
}

TEST_F(MapTest, ReadShowsTheBytes) {
  const Map map = open();
  map.set("t", "text");
  std::string seen;
  EXPECT_TRUE(map.read("t", [&](const MapValue& value) {
    EXPECT_EQ(value.kind, MapValue::Kind::kText);
    seen = value.bytes;
  }));
  EXPECT_EQ(seen, "text");
  EXPECT_FALSE(map.read("none", [&](const MapValue&) { seen = "wrong"; }));
  EXPECT_EQ(seen, "text");
}

}  // namespace
}  // namespace graven::test
