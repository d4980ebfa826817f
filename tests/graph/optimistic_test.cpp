// SPDX-License-Identifier: MIT
//
// The graph on a store without interactive transactions: what is particular to it. The suites for
// every store run on it too, and tests/race/shared_store_race_test.cpp lets processes conflict.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "graph/graph_under_test.hpp"
#include "port/counting_store.hpp"
#include "port/oracle.hpp"

namespace graven::test {
namespace {

class OptimisticStore : public ::testing::Test {
 protected:
  Database open(const Options& options = {}) const {
    return over(oracle::Oracle::open(store_), options);
  }
  /// One whose cache is set up.
  Database warm() const {
    Database db = open();
    db["some"] = 0;
    for (int i = 0; i < 40; ++i) EXPECT_EQ(db["some"].get<int>(), 0);
    return db;
  }

  const std::shared_ptr<oracle::OracleStore> store_ = oracle::Oracle::create();
};

TEST_F(OptimisticStore, KeysOfADictThatGrewInTheTransactionThatMadeIt) {
  const Database db = warm();
  db.transaction([&] {
    db["d"] = Data::dict();
    for (int i = 0; i < 100; ++i) db["d"].as_dict().set("k" + std::to_string(i), i);
  });
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(db["d"]["k" + std::to_string(i)].get<int>(), i);
    EXPECT_EQ(open()["d"]["k" + std::to_string(i)].get<int>(), i);
  }
  expect_clean(db);
}

TEST_F(OptimisticStore, ALinkFromADictThatTheTransactionMade) {
  const Database db = warm();
  db["existing"] = {{"n", 1}};
  const Dict existing = db["existing"].as_dict();
  db.transaction([&] {
    db["x"] = Data::dict();
    db["x"].as_dict().set("c", existing);
  });
  db.transaction([&] { db["x"].as_dict().erase("c"); });
  db["x"].as_dict().set("c", existing);
  db["x"].as_dict().erase("c");
  expect_clean(db);
}

TEST_F(OptimisticStore, ATransactionMayLastLongerThanItWaitsForTheLease) {
  Options options;
  options.busy_timeout = std::chrono::milliseconds(50);
  const Database db = open(options);
  db["n"] = 1;
  db.transaction([&] {
    db["n"] = 2;
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    EXPECT_EQ(db["n"].get<int>(), 2);
    EXPECT_FALSE(db.root().contains("not read before"));
    db["m"] = 3;
  });
  EXPECT_EQ(open()["n"].get<int>(), 2);
  EXPECT_EQ(open()["m"].get<int>(), 3);
}

TEST_F(OptimisticStore, AWriterWaitsForALeaseNoLongerThanItMay) {
  Options options;
  options.busy_timeout = std::chrono::milliseconds(50);
  const Database db = open();
  const Database other = open(options);
  db.transaction([&] {
    db["n"] = 1;
    std::thread([&] { EXPECT_THROW(other["m"] = 1, BusyError); }).join();
  });
  other["m"] = 2;
  EXPECT_EQ(db["m"].get<int>(), 2);
}

/// The error of a mutation that has seen records of two states is not told: it runs again.
TEST_F(OptimisticStore, WhatAConflictCausedIsNotTheCallersError) {
  const Database other = warm();
  other["d"] = {{"n", 1}};
  auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(store_));
  bool between = false;
  counting->script([&](const Call& call) {
    if (call.asked == Asked::kCommit && std::exchange(between, false)) {
      other["d"].as_dict().set("n", 5);
    }
    return Fault{};
  });
  const Database db = over(std::move(counting));
  const Dict dict = db["d"].as_dict();
  EXPECT_EQ(dict["n"].get<int>(), 1);
  between = true;
  db.incr("counter");
  between = true;
  dict.set("m", 1);
  EXPECT_EQ(dict["n"].get<int>(), 5);
  EXPECT_EQ(dict["m"].get<int>(), 1);
  EXPECT_EQ(db.count("counter"), 1);
}

/// A store that cannot keep the state of a view as long as it is wanted.
class AgeingViews : public OptimisticStore {
 protected:
  AgeingViews() {
    const Database writer = open();
    writer["tree"] = {{"a", {{"b", 1}}}};
    writer["large"] = Data::dict();
    writer.transaction([&] {
      for (int i = 0; i < 5'000; ++i) writer["large"].as_dict().set("k" + std::to_string(i), i);
    });
  }
  /// Reads before the next one that finds its state too old; -1: none does. Then so many more do.
  void tire(int after, int times) {
    after_ = after;
    times_ = times;
    tired_ = 0;
  }
  Database tiring() {
    auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(store_));
    counting->script([this](const Call& call) {
      if (call.asked == Asked::kRead && after_ >= 0 && after_-- == 0) {
        ++tired_;
        if (--times_ > 0) after_ = 1;
        throw ConflictError("the state is too old: take another snapshot");
      }
      return Fault{};
    });
    return over(std::move(counting));
  }

  int tired_ = 0;

 private:
  int after_ = -1;
  int times_ = 0;
};

TEST_F(AgeingViews, AReadBeginsAgainWithAnother) {
  const Database db = tiring();
  const auto read = [&] {
    int whole = 0;
    db.scope()->read([&](port::View& view) {
      for (const char* name : {"x", "y"}) view.load({.space = Space::kPrefix, .name = name});
      ++whole;
    });
    return whole;
  };
  for (const int times : {1, 2, 3}) {
    tire(1, times);
    EXPECT_EQ(read(), 1);
    EXPECT_EQ(tired_, times);
    open()["n"] = times;  // so that nothing is in the cache
    open().incr("n");
  }
  tire(1, 4);
  EXPECT_THROW(read(), ConflictError);
}

TEST_F(AgeingViews, SnapshotsAndIterationsPassItOn) {
  const Database db = tiring();
  const Snapshot snapshot = db.snapshot();
  tire(0, 1);
  EXPECT_THROW((void)snapshot.root().at("tree").as_dict().materialize(), ConflictError);
  int seen = 0;
  const Dict large = db["large"].as_dict();
  const auto iterate = [&] {
    for (const auto& [key, value] : large) {
      if (!value.is_null() && ++seen == 10) tire(0, 1);
    }
  };
  EXPECT_THROW(iterate(), ConflictError);
  EXPECT_GE(seen, 10);
  tire(-1, 0);
  expect_clean(db);
}

TEST_F(AgeingViews, ATransactorRunsAgain) {
  const Database db = tiring();
  const Transactor transactor = db.transactor();
  int runs = 0;
  transactor.transact([&] {
    if (++runs == 1) tire(0, 1);
    const std::int64_t n = transactor.count("n");
    transactor.root()["seen"] = n;
    transactor.incr("n");
  });
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(open().count("n"), 1);
  EXPECT_EQ(open()["seen"].get<int>(), 0);
}

TEST(OptimisticStores, WhatIsTooLargeForOneCommitGoesInSlices) {
  const Database db = over(oracle::Oracle::open(oracle::Oracle::create({.most_changes = 30'000})));
  std::map<std::string, Data> keys;
  for (int i = 0; i < 12'500; ++i) keys.emplace(std::to_string(i), i);
  db["large"] = keys;
  std::map<std::string, Data> more;
  for (int i = 0; i < 12'500; ++i) more.emplace("k" + std::to_string(i), i);
  db["large"].as_dict().update(more);
  db.root().erase("large");
  db["next"] = 1;
  heap_of(db).reclaim(UINT64_MAX, std::chrono::seconds(20));
  expect_clean(db);
  EXPECT_EQ(record_count(db), 2U);  // the prefix and its root
}

TEST_F(OptimisticStore, ATransactorThatWatchesAllMeetsAnyCommit) {
  const Database db = warm();
  const Database other = warm();
  const Transactor transactor = db.transactor();
  transactor.watch();
  transactor.root()["mine"] = 1;
  other["somewhere"] = 2;
  EXPECT_FALSE(transactor.execute());
  transactor.watch();
  transactor.root()["mine"] = 1;
  EXPECT_TRUE(transactor.execute());
  EXPECT_EQ(other["mine"].get<int>(), 1);
}

}  // namespace
}  // namespace graven::test
