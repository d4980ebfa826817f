// SPDX-License-Identifier: MIT
//
// How often what a program does goes to the store: what would be round trips where the store is
// behind a network. Recorded as it is; who changes one of these numbers says so by changing it
// here.
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "graph/graph_under_test.hpp"
#include "map/stored_map.hpp"
#include "port/counting_backend.hpp"

namespace graven::test {

void PrintTo(const Trips& trips, std::ostream* out) {
  *out << "{" << trips.reads << ", " << trips.begins << ", " << trips.writes << ", "
       << trips.commits << "}";
}
bool operator==(const Trips& one, const Trips& other) {
  return one.reads == other.reads && one.begins == other.begins && one.writes == other.writes &&
         one.commits == other.commits;
}

namespace {

class TripsTest : public ::testing::Test {
 protected:
  std::shared_ptr<store::Store> store() const {
    return std::make_shared<store::Store>(std::make_unique<CountingBackend>(store_));
  }
  /// With nothing in memory yet.
  Database open() const {
    return Database(graph::make_live_scope(std::make_shared<graph::Session>(store(), Options{})));
  }
  /// One whose cache is set up.
  Database warm() const {
    const Database db = open();
    db["some"] = 0;
    for (int i = 0; i < 40; ++i) EXPECT_EQ(db["some"].get<int>(), 0);
    return db;
  }

  template <class Body>
  static Trips trips(const Body& body) {
    trips_of_thread() = {};
    body();
    return trips_of_thread();
  }

  const std::shared_ptr<port::Backend> store_ = lazy::open("memory://");
};

TEST_F(TripsTest, Opening) {
  EXPECT_EQ(trips([&] { open(); }), (Trips{6, 1, 1, 1}));
}

TEST_F(TripsTest, Reading) {
  const Database db = warm();
  const auto three_levels = [&] { EXPECT_EQ(db["a"]["b"]["c"].get<int>(), 1); };
  db["a"] = {{"b", {{"c", 1}}}};
  EXPECT_EQ(trips(three_levels), (Trips{0, 0, 0, 0}));  // after an own write
  EXPECT_EQ(trips(three_levels), (Trips{0, 0, 0, 0}));

  const Database other = warm();
  other["a"]["b"].as_dict().set("c", 1);
  EXPECT_EQ(trips(three_levels), (Trips{3, 0, 0, 0}));  // another's commit

  const Database cold = warm();
  EXPECT_EQ(trips([&] { EXPECT_EQ(cold["a"]["b"]["c"].get<int>(), 1); }), (Trips{2, 0, 0, 0}));
}

TEST_F(TripsTest, LargeContainers) {
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
  EXPECT_EQ(trips([&] { EXPECT_EQ(cold["dict"]["k77"].get<int>(), 77); }), (Trips{3, 0, 0, 0}));
  EXPECT_EQ(trips([&] { EXPECT_EQ(cold["list"][77].get<int>(), 77); }), (Trips{2, 0, 0, 0}));
  EXPECT_EQ(trips([&] { EXPECT_EQ(cold["blob"].get<std::string>().size(), 100'000U); }),
            (Trips{1, 0, 0, 0}));
}

TEST_F(TripsTest, Writing) {
  const Database db = warm();
  db["d"] = {{"n", 1}, {"s", "text"}};
  db["l"] = {1, 2, 3};
  const Dict dict = db["d"].as_dict();
  const List list = db["l"].as_list();
  EXPECT_EQ(trips([&] { dict.set("n", 2); }), (Trips{1, 1, 1, 1}));
  EXPECT_EQ(trips([&] { list.push_back(4); }), (Trips{1, 1, 1, 1}));
  EXPECT_EQ(trips([&] { list.pop(); }), (Trips{1, 1, 1, 1}));
  EXPECT_EQ(trips([&] { db.incr("counter"); }), (Trips{1, 1, 1, 1}));
  EXPECT_EQ(trips([&] { db["d"].as_dict().set("l", list); }), (Trips{2, 1, 1, 1}));
  EXPECT_EQ(trips([&] {
              dict.set("new", {{"a", {{"b", {1, 2, {{"c", 3}}}}}}});
            }),
            (Trips{2, 1, 2, 1}));
  EXPECT_EQ(trips([&] {
              db.transaction([&] {
                for (int i = 0; i < 5; ++i) dict.set("n", i);
              });
            }),
            (Trips{1, 1, 1, 1}));
}

/// So many dicts in each dict, down to a depth.
Data tree(int width, int depth) {
  std::map<std::string, Data> entries;
  for (int i = 0; i < width; ++i) {
    entries.emplace(std::to_string(i), depth == 0 ? Data(i) : tree(width, depth - 1));
  }
  return entries;
}

TEST_F(TripsTest, Trees) {
  open()["tree"] = tree(10, 3);  // 1,111 dicts
  const Database db = warm();
  EXPECT_EQ(trips([&] { (void)db["tree"].materialize(); }), (Trips{4, 0, 0, 0}));
  EXPECT_EQ(trips([&] { (void)db["tree"].materialize(); }), (Trips{0, 0, 0, 0}));  // in memory
  EXPECT_EQ(trips([&] { db.root().erase("tree"); }), (Trips{6, 1, 1, 1}));
}

TEST_F(TripsTest, DictsMadeOneAfterTheOther) {
  {
    const Database db = open();
    db["tasks"] = Data::dict();
    for (int i = 0; i < 200; ++i) db["tasks"].as_dict().set(std::to_string(i), {{"n", i}});
  }
  const Database db = warm();
  EXPECT_LE(trips([&] { (void)db["tasks"].materialize(); }).reads, 6U);
  EXPECT_EQ(trips([&] { (void)db["tasks"].materialize(); }).reads, 1U);  // entries of a large dict
}

TEST_F(TripsTest, Maps) {
  const auto store = this->store();
  std::optional<Map> map;
  EXPECT_EQ(trips([&] {
              map.emplace(std::make_shared<map::Session>(
                  std::make_shared<map::StoredMap>(store, MapOptions{})));
            }),
            (Trips{5, 1, 1, 1}));
  std::vector<std::pair<std::string, Data>> items;
  for (int i = 0; i < 1'000; ++i) items.emplace_back("k" + std::to_string(i), Data(i));
  EXPECT_EQ(trips([&] { map->update(items); }), (Trips{2, 1, 1, 1}));
  EXPECT_EQ(trips([&] { map->set("k1", 2); }), (Trips{2, 1, 1, 1}));
  EXPECT_EQ(trips([&] { EXPECT_EQ(map->at("k2"), Data(2)); }), (Trips{1, 0, 0, 0}));
  EXPECT_EQ(trips([&] { map->incr("k2"); }), (Trips{3, 1, 1, 1}));
}

}  // namespace
}  // namespace graven::test
