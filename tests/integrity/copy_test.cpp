// SPDX-License-Identifier: MIT
//
// Copies between stores of every kind: afterwards both hold the same records, ids included, and the
// copy is sound; one that was interrupted cannot be opened, and begins anew; nothing that was there
// is overwritten; others may write the source meanwhile.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/lazy/backend.hpp"
#include "base/random.hpp"
#include "graph/graph_under_test.hpp"
#include "integrity/check.hpp"
#include "integrity/copy.hpp"
#include "map/core.hpp"
#include "map/value.hpp"
#include "port/counting_store.hpp"
#include "servers/stores.hpp"
#include "store/incomplete.hpp"
#include "store/open.hpp"

namespace graven::test {
namespace {

using store::Opened;

/// A store that can be opened several times.
class Shop {
 public:
  explicit Shop(std::string kind) : kind_(std::move(kind)) {}

  [[nodiscard]] Opened open() const {
    if (kind_ == "oracle") return Opened(oracle::Oracle::open(oracle_));
    auto file = sqlite::open(path());
    if (kind_ == "sqlite") return Opened(std::move(file));
    return Opened(lazy::over(std::move(file), {.flush_interval = std::chrono::milliseconds(2)}));
  }
  [[nodiscard]] std::string path() const { return folder_ / "store.db"; }

 private:
  std::string kind_;
  TemporaryFolder folder_;
  std::shared_ptr<oracle::OracleStore> oracle_ = oracle::Oracle::create();
};

Database database(const Opened& opened, const std::string& prefix = {}) {
  return Database(graph::make_live_scope(
      std::make_shared<graph::Session>(opened.store, Options{.prefix = prefix})));
}

Map map_of(const Opened& opened, const std::string& name) {
  return Map(map::open(opened.store, MapOptions{.name = name}));
}

/// What must be equal in both stores.
Records contents(const Opened& opened) {
  Records records;
  const auto view = opened.store->view();
  for (std::size_t space = 0; space < port::kSpaceCount; ++space) {
    records.merge(records_of(*view, static_cast<Space>(space)));
  }
  records.erase(port::clock_key());
  for (auto& [key, record] : records) record.version = 0;
  return records;
}

std::size_t count(const Records& records, Space space) {
  std::size_t number = 0;
  for (const auto& [key, record] : records) number += key.space == space ? 1 : 0;
  return number;
}

void expect_same(const Records& one, const Records& other) {
  EXPECT_EQ(one.size(), other.size());
  std::size_t different = 0;
  for (const auto& [key, record] : one) {
    const auto it = other.find(key);
    different += it == other.end() || it->second != record ? 1 : 0;
  }
  EXPECT_EQ(different, 0U);
}

void expect_sound(const Opened& opened) {
  const CheckReport report = integrity::check(opened.store->backend(), map::prove, {});
  EXPECT_TRUE(report.ok()) << problems_of(report);
}

CopyReport copied(const Opened& from, const Opened& to, const CopyOptions& options = {}) {
  return integrity::copy(*from.store, to.store, options);
}

/// Random dicts and lists, small and large, with shared children and cycles; texts that are blobs.
void grow(const Database& db, Random& random) {
  db.transaction([&] {
    std::vector<Dict> dicts{db.root()};
    for (int i = 0; i < 60; ++i) {
      const Dict& parent = dicts[random.below(dicts.size())];
      const std::string key = "k" + std::to_string(random.below(40));
      switch (random.below(7)) {
        case 0:
          parent[key] = std::string(20'000 + random.below(5'000), 'x');
          break;
        case 1: {
          std::vector<std::int64_t> items(random.below(3) == 0 ? 3'000 : 5);
          for (auto& item : items) item = static_cast<std::int64_t>(random.bits() >> 20U);
          parent[key] = items;
          break;
        }
        case 2: {
          std::map<std::string, std::size_t> entries;
          for (std::size_t n = random.one_in(3) ? 2'000 : 3; n > 0; --n) {
            entries.emplace("e" + std::to_string(n), random.below(9));
          }
          parent[key] = entries;
          break;
        }
        case 3:
        case 4:
          parent[key] = dicts[random.below(dicts.size())];  // shared, or a cycle
          break;
        default:
          parent[key] = Data::dict({{"n", i}});
          dicts.push_back(parent[key].get<Dict>());
      }
    }
  });
}

/// Something of everything.
void fill(const Opened& opened, Random& random) {
  for (const char* prefix : {"main", "other", "a third"}) {
    const Database db = database(opened, prefix);
    grow(db, random);
    db.incr("made", static_cast<int>(random.below(1'000)) + 1);
    db.incr("below zero", -5);
  }
  for (const char* name : {"prices", "sessions"}) {
    const Map map = map_of(opened, name);
    std::vector<std::pair<std::string, Data>> entries;
    for (int i = 0; i < 3'000; ++i) entries.emplace_back("i" + std::to_string(i), Data(i * 0.5));
    map.update(entries);
    map.set("text", "ä", std::chrono::hours(1));
    map.set("nested", Data::dict({{"a", Data::list()}}), std::chrono::hours(2));
    map.set("large", std::string(100'000, 'y'));
  }
}

class Copies : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  Shop source_{GetParam().first};
  Shop target_{GetParam().second};
};

TEST_P(Copies, EverythingIsThere) {
  Random random;
  const Opened from = source_.open();
  fill(from, random);
  const Opened to = target_.open();
  std::uint64_t told = 0;
  const CopyReport report =
      copied(from, to, {.progress = [&](std::uint64_t done, std::uint64_t) { told = done; }});
  const Records records = contents(from);
  expect_same(records, contents(to));
  expect_sound(to);
  EXPECT_EQ(report.records, records.size());
  EXPECT_EQ(told, records.size());
  EXPECT_EQ(report.prefixes, 3U);
  EXPECT_EQ(report.maps, 2U);
  EXPECT_EQ(report.items, 6'006U);
  EXPECT_EQ(report.counters, 6U);
  EXPECT_EQ(report.nodes, count(records, Space::kNode));
  EXPECT_EQ(report.digest.size(), 32U);
  EXPECT_EQ(report.collected, 0U);

  // The copy is a store like any other: it is read, and written.
  for (const char* prefix : {"main", "other", "a third"}) {
    const Database here = database(from, prefix);
    const Database there = database(to, prefix);
    EXPECT_EQ(here.root().keys(), there.root().keys());
    EXPECT_EQ(here.count("made"), there.count("made"));
    there["new"] = {{"one", {{"two", 2}}}};
    there.root().erase("k1");
    EXPECT_EQ(there.incr("below zero"), -4);
    expect_clean(there);
  }
  const Map map = map_of(to, "prices");
  EXPECT_EQ(map.at("i7").get<double>(), 3.5);
  EXPECT_EQ(map.at("large").get<std::string>(), std::string(100'000, 'y'));
  EXPECT_TRUE(map.contains("text"));
  map.set("after", 1);
  database(to, "yet another")["x"] = 1;
  expect_sound(to);
}

TEST_P(Copies, WhatHandlesHoldAndWhatIsGoingIsNotInTheCopy) {
  const Opened from = source_.open();
  const Database db = database(from);
  db["kept"] = {{"child", {{"n", 1}}}};
  db["gone"] = {{"own", {{"n", 2}}}};
  db["gone"]["shared"] = db["kept"]["child"].get<Dict>();
  const Dict held = db["gone"].get<Dict>();
  db.root().erase("gone");
  ASSERT_EQ(count(contents(from), Space::kOrphan), 1U);
  // As a deletion that has begun, and not ended, leaves it.
  const Database second = database(from, "second");
  second["deep"] = {{"n", 3}};
  NodeRecord root = stored_node(second, second.root());
  root.anchor = graph::kNobody;
  plant(second, {erased({.space = Space::kPrefix, .name = "second"}),
                 saved(root),
                 {graph::orphan_key(0, root.id), Record{}}});
  const Opened to = target_.open();
  const CopyReport report = copied(from, to);
  EXPECT_EQ(report.collected, 4U);  // `gone`, `own`, the root and `deep`
  expect_sound(to);
  const CheckReport checked = integrity::check(to.store->backend(), map::prove, {});
  EXPECT_EQ(checked.held, 0U);
  EXPECT_EQ(checked.reclaiming, 0U);
  EXPECT_EQ(count(contents(to), Space::kOrphan), 0U);
  EXPECT_EQ(database(to)["kept"]["child"]["n"].get<int>(), 1);
  EXPECT_EQ(held["own"]["n"].get<int>(), 2) << "the source is as it was";
}

TEST_P(Copies, ATargetWithContentsIsLeftAlone) {
  Random random;
  const Opened from = source_.open();
  database(from)["x"] = 1;
  {
    const Opened to = target_.open();
    database(to).incr("visits");
    const Records before = contents(to);
    EXPECT_THROW(copied(from, to), UsageError);
    expect_same(before, contents(to));
  }
  Shop other(GetParam().second);
  {
    const Opened to = other.open();
    database(to)["y"] = 1;
    EXPECT_THROW(copied(from, to), UsageError);
    database(to).root().erase("y");
    map_of(to, "m").set("k", 1);
    EXPECT_THROW(copied(from, to), UsageError);
    EXPECT_EQ(map_of(to, "m").at("k").get<int>(), 1);
  }
  Shop named(GetParam().second);
  const Opened to = named.open();
  (void)database(to, "a name");  // an empty root
  copied(from, to);
  expect_same(contents(from), contents(to));
  EXPECT_EQ(database(to).prefixes(), std::vector<std::string>{"main"});
  EXPECT_THROW(copied(from, from), UsageError);
}

struct Enough {};

TEST_P(Copies, AnInterruptedOneCannotBeOpenedAndBeginsAnew) {
  Random random;
  const Opened from = source_.open();
  fill(from, random);
  const std::size_t most = contents(from).size();
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t until = random.below(2 * most);
    std::uint64_t before = 0;
    const Opened to = target_.open();
    std::uint64_t step = 0;
    const auto stop = [&](std::uint64_t done, std::uint64_t total) {
      step = total == 0 ? done : total + done;
      if (step >= until && done != before) throw Enough{};
      before = done;
    };
    try {
      copied(from, to, {.progress = stop});
      ADD_FAILURE() << "not interrupted at " << until;
    } catch (const Enough&) {
    }
    if (!to.store->view()->load(store::incomplete_key())) break;  // it was told of its end
    EXPECT_THROW((void)database(to), UsageError);
    EXPECT_THROW((void)database(to, "named"), UsageError);
    EXPECT_THROW((void)map_of(to, "prices"), UsageError);
    EXPECT_FALSE(integrity::check(to.store->backend(), map::prove, {}).ok());
    Shop unused("oracle");
    EXPECT_THROW(copied(to, unused.open()), UsageError);
  }
  Shop fresh(GetParam().second);
  const Opened to = fresh.open();
  EXPECT_THROW(copied(from, to, {.progress = [](auto, auto) { throw Enough{}; }}), Enough);
  // The source has changed meanwhile.
  database(from, "main")["later"] = 1;
  database(from, "main").root().erase("k2");
  copied(from, to);
  expect_same(contents(from), contents(to));
  expect_sound(to);
}

TEST_P(Copies, OfTwoIntoOneStoreOneIsRefused) {
  const Opened from = source_.open();
  database(from)["x"] = 1;
  const Opened to = target_.open();
  int refused = 0;
  copied(from, to, {.progress = [&](auto, auto) {
           if (refused++ != 0) return;
           const Opened again = target_.open();
           EXPECT_THROW(copied(from, again), BusyError);
         }});
  EXPECT_GE(refused, 1);
  expect_same(contents(from), contents(to));
}

TEST_P(Copies, WhileOthersWriteItIsOneState) {
  const Opened from = source_.open();
  const Database db = database(from);
  db["a"] = 0;
  db["b"] = 0;
  db["many"] = std::vector<int>(3'000, 1);
  db["list"] = Data::list();
  map_of(from, "m").set("k", 0);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 1; !stop; ++i) {
      db.transaction([&] {
        db["a"] = i;
        db["list"].get<List>().push_back(i);
        db["child"] = {{"n", i}};
        db["b"] = i;
      });
    }
  });
  while (db["a"].get<int>() < 20) std::this_thread::yield();
  for (int round = 0; round < 3; ++round) {
    Shop shop(GetParam().second);
    const Opened to = shop.open();
    copied(from, to);
    const Database there = database(to);
    EXPECT_EQ(there["a"].get<int>(), there["b"].get<int>());
    EXPECT_EQ(there["list"].get<List>().size(), there["a"].get<std::size_t>());
    expect_sound(to);
  }
  stop = true;
  writer.join();
}

INSTANTIATE_TEST_SUITE_P(
    Stores, Copies,
    ::testing::Values(std::pair("sqlite", "sqlite"), std::pair("sqlite", "oracle"),
                      std::pair("oracle", "sqlite"), std::pair("oracle", "oracle"),
                      std::pair("lazy", "oracle"), std::pair("lazy", "sqlite")),
    [](const auto& pair) { return std::string(pair.param.first) + "_to_" + pair.param.second; });

TEST(Copy, MapsHaveNoLazyOwner) {
  Shop source("sqlite");
  const Map map(source.path(), {.name = "m", .persist = Persist::kLazy});
  map.set("k", 1);
  map.flush();
  Shop target("oracle");
  const Opened to = target.open();
  copied(source.open(), to);
  const std::optional<Record> there = to.store->load({.space = Space::kMap, .name = "m"});
  ASSERT_TRUE(there);
  EXPECT_EQ(there->integers[1], 0);
  EXPECT_EQ(there->integers[2], 0);
  map_of(to, "m").set("k", 2);
}

TEST(Copy, MoreNamesThanOneCommitTakes) {
  Shop source("sqlite");
  const Opened from = source.open();
  for (int i = 0; i < 70; ++i) {
    const Database db = database(from, "p" + std::to_string(i));
    db["x"] = i;
    db.incr("n", i + 1);
    map_of(from, "m" + std::to_string(i)).set("k", i);
  }
  const auto on = oracle::Oracle::create({.most_changes = 40, .slow_commits = true});
  const Opened to(oracle::Oracle::open(on));
  const CopyReport report = copied(from, to);
  EXPECT_EQ(report.prefixes, 70U);
  EXPECT_EQ(report.maps, 70U);
  expect_same(contents(from), contents(to));
  expect_sound(to);
  EXPECT_EQ(database(to, "p69")["x"].get<int>(), 69);
}

TEST(Copy, WhatOthersAddMeanwhileIsNotTakenForACopy) {
  Shop source("sqlite");
  const Opened from = source.open();
  database(from).incr("n", 5);
  map_of(from, "m").set("k", 1);
  const std::int64_t prefix =
      from.store->load({.space = Space::kPrefix, .name = "main"})->integers[0];
  int copies = 0;
  for (int at = 1; at < 20; ++at) {
    const auto on = oracle::Oracle::create({.slow_commits = true});
    const Opened stale(oracle::Oracle::open(on));  // it has opened the store when it was empty
    auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(on));
    int commits = 0;
    bool unfinished = false;
    counting->script([&](const Call& call) {
      if (call.asked != Asked::kCommit || ++commits != at) return Fault{};
      unfinished = stale.store->load(store::incomplete_key()).has_value();
      if (unfinished && stale.store->load({.space = Space::kPrefix, .name = "main"})) {
        EXPECT_THROW((void)database(stale), UsageError);
        EXPECT_THROW((void)map_of(stale, "m"), UsageError);
      }
      std::int64_t sum = 0;
      stale.store->write(
          [&](store::Work& work) {
            work.add({.space = Space::kCounter, .a = prefix, .name = "n"}, 1, sum);
          },
          {});
      return Fault{};
    });
    const Opened to(std::move(counting));
    try {
      copied(from, to);
      ++copies;
      if (unfinished || commits < at) expect_same(contents(from), contents(to));
      if (commits < at) break;
    } catch (const UsageError&) {
      EXPECT_EQ(at, 1) << "the store is not empty";
    } catch (const CorruptionError&) {
      EXPECT_TRUE(stale.store->view()->load(store::incomplete_key()));
    }
  }
  EXPECT_GT(copies, 0);
}

TEST(Copy, TheClockOfAFileIsBeyondEveryId) {
  // A store whose clocks run ahead.
  Shop source("oracle");
  const Opened from = source.open();
  const auto ahead =
      (std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::system_clock::now().time_since_epoch() + std::chrono::hours(24 * 365))
           .count())
      << store::Ids::kSequenceBits;
  static_cast<void>(from.store->ids().next(ahead));
  database(from)["x"] = {{"y", 1}};
  Shop target("sqlite");
  {
    const Opened to = target.open();
    copied(from, to);
    expect_sound(to);
  }
  const Opened to = target.open();
  const std::optional<Record> clock = to.store->load(port::clock_key());
  ASSERT_TRUE(clock);
  EXPECT_GT(clock->integers[0], ahead);
  database(to)["x"]["z"] = {{"new", 1}};
  expect_sound(to);
}

TEST(Copy, ByUrl) {
  const TemporaryFolder folder;
  const std::string one = folder / "one.db";
  const std::string two = folder / "two.db";
  EXPECT_THROW(copy_store(one, two), UnavailableError);
  EXPECT_FALSE(std::filesystem::exists(one));
  std::string uid;
  {
    const Database db(one);
    db["x"] = {{"y", 1}};
    uid = db["x"].get<Dict>().uid();
  }
  const CopyReport report = copy_store(one, "sqlite:///" + two);
  EXPECT_EQ(report.records, 3U);
  EXPECT_EQ(report.from, one);
  EXPECT_THROW(copy_store(one, two), UsageError);
  EXPECT_THROW(copy_store(one, one), UsageError);
  EXPECT_THROW(copy_store(one, "memory://"), UsageError);
  EXPECT_TRUE(report.same_uids);
  EXPECT_TRUE(Database(two).get_via_uid(uid).has_value());
  EXPECT_TRUE(check(two).ok());
}

/// Of a file, and of each server there is: the constant is that of the source only where nothing
/// is.
TEST(Copy, OnlyAnEmptyStoreGetsAnotherConstant) {
  const TemporaryFolder folder;
  const std::string source = folder / "source.db";
  const Database db(source);
  db["x"] = {{"y", 1}};
  std::vector<std::string> names = server_stores();
  names.emplace_back("file");
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    auto new_url = [&, number = 0]() mutable {
      return name == "file" ? folder / ("target" + std::to_string(++number) + ".db")
                            : url_of_new_store(name);
    };
    const std::string copy = new_url();
    const CopyReport report = copy_store(source, copy);
    EXPECT_TRUE(report.same_uids);
    EXPECT_TRUE(Database(copy).get_via_uid(db["x"].get<Dict>().uid()).has_value());

    const std::string url = new_url();
    const auto constant = [&] { return store::open(url, {}).store->backend().facts().constant; };
    const Opened first = store::open(url, {});
    const std::uint64_t before = first.store->backend().facts().constant;
    auto* const restamped = port::facet<port::Restamped>(first.store->backend());
    ASSERT_NE(restamped, nullptr);
    (void)database(store::open(url, {}), "somebody");  // was faster
    EXPECT_FALSE(restamped->set_constant(before + 1));
    EXPECT_EQ(constant(), before);
  }
}

}  // namespace
}  // namespace graven::test
