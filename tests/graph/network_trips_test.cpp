// SPDX-License-Identifier: MIT
//
// How often a program waits for a store behind a network: the table of trips in
// docs/design/port.md, on a store that counts them.
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "graph/graph_under_test.hpp"
#include "map/stored_map.hpp"
#include "port/counting_store.hpp"
#include "port/oracle.hpp"

namespace graven::test {
namespace {

/// What a thread has waited for. A lease counts as one of the others.
struct Waits {
  std::size_t reads = 0;
  std::size_t commits = 0;
  std::size_t others = 0;
  friend bool operator==(const Waits&, const Waits&) = default;
};

std::ostream& operator<<(std::ostream& out, const Waits& waits) {
  return out << "{" << waits.reads << ", " << waits.commits << ", " << waits.others << "}";
}

template <class Body>
Waits waits(const Body& body) {
  const Trips before = trips_of_thread();
  body();
  const Trips trips = trips_of_thread() - before;
  EXPECT_EQ(trips.begins, 0U);
  EXPECT_EQ(trips.writes, 0U);
  return {trips.reads, trips.commits, trips.others};
}

/// So many dicts in each dict, down to a depth.
Data tree(int width, int depth) {
  std::map<std::string, Data> entries;
  for (int i = 0; i < width; ++i) {
    entries.emplace(std::to_string(i), depth == 0 ? Data(i) : tree(width, depth - 1));
  }
  return entries;
}

class NetworkTrips : public ::testing::Test {
 protected:
  std::unique_ptr<port::Backend> backend() const {
    return std::make_unique<CountingStore>(oracle::Oracle::open(store_));
  }
  Database open() const { return over(backend()); }
  /// One whose cache is set up.
  Database warm() const {
    Database db = open();
    db["some"] = 0;
    for (int i = 0; i < 40; ++i) EXPECT_EQ(db["some"].get<int>(), 0);
    return db;
  }

  const std::shared_ptr<oracle::OracleStore> store_ = oracle::Oracle::create();
};

TEST_F(NetworkTrips, Opening) {
  (void)open();
  EXPECT_LE(waits([&] { (void)open(); }).reads, 4U);
}

TEST_F(NetworkTrips, Reading) {
  const Database other = warm();
  const Database db = warm();
  const auto three_levels = [&] { EXPECT_EQ(db["a"]["b"]["c"].get<int>(), 1); };
  db["a"] = {{"b", {{"c", 1}}}};
  EXPECT_EQ(waits(three_levels), (Waits{0, 0, 0}));  // after an own write
  EXPECT_EQ(waits(three_levels), (Waits{0, 0, 0}));

  other["a"]["b"].as_dict().set("d", 1);
  EXPECT_EQ(waits(three_levels), (Waits{1, 0, 0}));  // another's commit to one of the records
  EXPECT_EQ(waits(three_levels), (Waits{0, 0, 0}));

  const Database cold = warm();
  EXPECT_EQ(waits([&] { EXPECT_EQ(cold["a"]["b"]["c"].get<int>(), 1); }), (Waits{2, 0, 0}));
}

TEST_F(NetworkTrips, LargeContainers) {
  {
    const Database db = open();
    db["dict"] = Data::dict();
    db["list"] = Data::list();
    db.transaction([&] {
      for (int i = 0; i < 5'000; ++i) db["dict"].as_dict().set("k" + std::to_string(i), i);
      for (int i = 0; i < 5'000; ++i) db["list"].as_list().push_back(i);
    });
    db["blob"] = std::string(100'000, 'x');
  }
  const Database cold = warm();
  EXPECT_LE(waits([&] { EXPECT_EQ(cold["dict"]["k77"].get<int>(), 77); }).reads, 3U);
  EXPECT_LE(waits([&] { EXPECT_EQ(cold["list"][77].get<int>(), 77); }).reads, 3U);
  EXPECT_EQ(waits([&] { EXPECT_EQ(cold["blob"].get<std::string>().size(), 100'000U); }),
            (Waits{1, 0, 0}));
}

TEST_F(NetworkTrips, Writing) {
  const Database db = warm();
  db["d"] = {{"n", 1}, {"s", "text"}};
  db["l"] = {1, 2, 3};
  const Dict dict = db["d"].as_dict();
  const List list = db["l"].as_list();
  db.incr("counter");
  const Waits one_commit{0, 1, 0};
  EXPECT_EQ(waits([&] { dict.set("n", 2); }), one_commit);
  EXPECT_EQ(waits([&] { list.push_back(4); }), one_commit);
  EXPECT_EQ(waits([&] { list.pop(); }), one_commit);
  EXPECT_EQ(waits([&] { db.incr("counter"); }), one_commit);
  EXPECT_LE(waits([&] { db["d"].as_dict().set("l", list); }).reads, 1U);  // the edge
  EXPECT_EQ(waits([&] { dict.set("new", {{"a", {{"b", {1, 2, {{"c", 3}}}}}}}); }), one_commit);
  EXPECT_EQ(waits([&] {
              db.transaction([&] {
                for (int i = 0; i < 5; ++i) dict.set("n", i);
              });
            }),
            (Waits{0, 1, 2}));  // the lease, taken and let go
}

TEST_F(NetworkTrips, AConflictCostsOneMore) {
  auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(store_));
  bool between = false;
  const Database other = warm();
  other["d"] = {{"n", 1}};
  counting->script([&](const Call& call) {
    if (call.asked == Asked::kCommit && std::exchange(between, false)) {
      other["d"].as_dict().set("m", 1);  // before the commit arrives
    }
    return Fault{};
  });
  const Database db = over(std::move(counting));
  const Dict dict = db["d"].as_dict();
  for (int i = 0; i < 40; ++i) EXPECT_EQ(dict["n"].get<int>(), 1);
  between = true;
  EXPECT_EQ(waits([&] { dict.set("n", 2); }), (Waits{0, 3, 0}));  // the other's, refused, repeated
  EXPECT_EQ(dict["n"].get<int>(), 2);
  EXPECT_EQ(dict["m"].get<int>(), 1);
}

TEST_F(NetworkTrips, IncrementsOfOneCounterDoNotConflict) {
  auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(store_));
  bool between = false;
  const Database other = warm();
  std::int64_t theirs = other.incr("n", 5);
  counting->script([&](const Call& call) {
    if (call.asked == Asked::kCommit && std::exchange(between, false)) theirs = other.incr("n");
    return Fault{};
  });
  const Database db = over(std::move(counting));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(db.count("n"), 5);
  for (std::int64_t sum = 6; sum < 26; sum += 2) {
    std::int64_t own = 0;
    between = true;
    EXPECT_EQ(waits([&] { own = db.incr("n"); }), (Waits{0, 2, 0}));  // the other's, and its own
    EXPECT_EQ(theirs, sum);
    EXPECT_EQ(own, sum + 1);
    EXPECT_EQ(waits([&] { EXPECT_EQ(db.count("n"), sum + 1); }), (Waits{0, 0, 0}));
  }
  const std::int64_t before = db.count("n");
  EXPECT_EQ(waits([&] {
              db.transaction([&] {
                EXPECT_EQ(db.incr("n"), before + 1);
                EXPECT_EQ(db.count("n"), before + 1);
                EXPECT_EQ(db.decr("n", 3), before - 2);
              });
            }),
            (Waits{0, 1, 2}));
  EXPECT_EQ(other.count("n"), before - 2);
}

TEST_F(NetworkTrips, Trees) {
  open()["tree"] = tree(10, 3);  // 1,111 dicts
  const Database db = warm();
  EXPECT_LE(waits([&] { (void)db["tree"].materialize(); }).reads, 4U);
  EXPECT_EQ(waits([&] { (void)db["tree"].materialize(); }), (Waits{0, 0, 0}));  // in memory
  const Waits erased = waits([&] { db.root().erase("tree"); });
  EXPECT_EQ(erased.commits, 1U);
  EXPECT_LE(erased.reads, 6U);
}

TEST_F(NetworkTrips, LargeContainersGoInFewTrips) {
  {
    const Database filling = open();
    std::map<std::string, Data> keys;
    std::vector<Data> dicts;
    for (int i = 0; i < 3'000; ++i) {
      keys.emplace(std::to_string(i), i);
      dicts.emplace_back(Data::dict());
    }
    filling["erased"] = keys;
    filling["cleared"] = keys;
    filling["list"] = dicts;
  }
  const Database db = warm();
  EXPECT_LE(waits([&] { db.root().erase("erased"); }).reads, 60U);
  EXPECT_LE(waits([&] { db["cleared"].as_dict().clear(); }).reads, 30U);
  EXPECT_LE(waits([&] { db["list"].as_list().clear(); }).reads, 120U);
  expect_clean(db);
}

TEST_F(NetworkTrips, Maps) {
  const auto store = std::make_shared<store::Store>(backend());
  const Map map(
      std::make_shared<map::Session>(std::make_shared<map::StoredMap>(store, MapOptions{})));
  std::vector<std::pair<std::string, Data>> items;
  for (int i = 0; i < 1'000; ++i) items.emplace_back("k" + std::to_string(i), Data(i));
  map.update(items);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(map.at("k2"), Data(2));
  EXPECT_EQ(waits([&] { map.update(items); }).commits, 1U);
  EXPECT_EQ(waits([&] { map.set("k1", 2); }).commits, 1U);
  EXPECT_EQ(waits([&] { EXPECT_EQ(map.at("k2"), Data(2)); }), (Waits{1, 0, 0}));
  EXPECT_EQ(waits([&] { EXPECT_EQ(map.at("k2"), Data(2)); }), (Waits{0, 0, 0}));
  EXPECT_EQ(waits([&] { map.incr("k2"); }).commits, 1U);
}

}  // namespace
}  // namespace graven::test
