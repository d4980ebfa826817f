// SPDX-License-Identifier: MIT
//
// Watches: what is reported, in which words, whoever made the change, and that nothing is missed.
#include <graven/graven.hpp>

#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{60'000};
constexpr milliseconds kNow{0};

class WatchTest : public ::testing::TestWithParam<Persist> {
 protected:
  WatchTest() : db(folder_ / "w.db", {.persist = GetParam()}) {
    db["tasks"] = Data::dict({{"T1", Data::dict({{"status", "new"}})}});
    db["list"] = Data::list({1, 2, 3});
    for (int i = 0; i < 300; ++i) large["k" + std::to_string(i)] = i;
  }
  Dict make_large() {
    db["large"] = Data::dict();
    return db["large"].as_dict();
  }

  TemporaryFolder folder_;
  Database db;
  std::map<std::string, int> large;
};

TEST_P(WatchTest, AValueThatChangesIsReported) {
  const Watch watch(db, "tasks/T1/status");
  EXPECT_EQ(watch.next(kNow), std::nullopt);
  db["tasks"]["T1"]["status"] = "done";
  auto change = watch.next(kLong);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->path, "tasks/T1/status");
  EXPECT_EQ(change->value->get<std::string>(), "done");
  EXPECT_EQ(watch.next(kNow), std::nullopt);
  db["tasks"]["T1"].as_dict().erase("status");
  change = watch.next(kLong);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->value, std::nullopt);
  db["tasks"]["T1"]["status"] = "again";
  EXPECT_EQ(watch.next(kLong)->value->get<std::string>(), "again");
}

TEST_P(WatchTest, WhatIsOnTheWayMayBeReplaced) {
  const Watch watch(db, "/tasks/T1/status");
  db["tasks"]["T1"] = Data::dict({{"status", "replaced"}});
  EXPECT_EQ(watch.next(kLong)->value->get<std::string>(), "replaced");
  db["tasks"]["T1"] = Data::dict({{"status", "replaced"}});  // nothing new
  EXPECT_EQ(watch.next(milliseconds(30)), std::nullopt);
  db.root().erase("tasks");
  EXPECT_EQ(watch.next(kLong)->value, std::nullopt);
  db["tasks"] = Data::dict({{"T1", Data::dict({{"status", "new"}})}});
  EXPECT_EQ(watch.next(kLong)->value->get<std::string>(), "new");
}

TEST_P(WatchTest, EachKeyOfADictIsAChange) {
  const Watch watch(db, "tasks");
  db.transaction([&] {
    db["tasks"]["a/b"] = 1;
    db["tasks"]["z"] = nullptr;
    db["tasks"].as_dict().erase("T1");
  });
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    const auto change = watch.next(kLong);
    ASSERT_TRUE(change);
    seen.insert(change->path + (change->value ? "" : " gone"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"tasks/a~1b", "tasks/z", "tasks/T1 gone"}));
  EXPECT_EQ(watch.next(kNow), std::nullopt);
}

TEST_P(WatchTest, WhatLiesDeeperIsNotReported) {
  const Watch watch(db, "tasks");
  db["tasks"]["T1"]["status"] = "deeper";
  EXPECT_EQ(watch.next(milliseconds(30)), std::nullopt);
}

TEST_P(WatchTest, ListsAndTheRoot) {
  const Watch list(db, "list");
  const Watch item(db, "list/1");
  const Watch root(db, "");
  db["list"].as_list().push_back(4);
  EXPECT_EQ(list.next(kLong)->path, "list");
  EXPECT_EQ(item.next(milliseconds(30)), std::nullopt);
  db["list"].as_list().set(1, "two");
  EXPECT_EQ(list.next(kLong)->value->as_list().at(1).get<std::string>(), "two");
  EXPECT_EQ(item.next(kLong)->value->get<std::string>(), "two");
  EXPECT_EQ(root.next(kNow), std::nullopt);
  db["new"] = 1;
  EXPECT_EQ(root.next(kLong)->path, "new");
}

TEST_P(WatchTest, LargeContainers) {
  const Dict dict = make_large();
  for (const auto& [key, value] : large) dict.set(key, value);
  db["items"] = Data::list();
  const List items = db["items"].as_list();
  for (int i = 0; i < 1000; ++i) items.push_back(i);
  const Watch of_dict(db, "large");
  const Watch of_key(db, "large/k123");
  const Watch of_list(db, "items");
  dict.set("k123", "changed");
  EXPECT_EQ(of_dict.next(kLong)->path, "large/k123");
  EXPECT_EQ(of_key.next(kLong)->value->get<std::string>(), "changed");
  dict.set("k7", "other");
  EXPECT_EQ(of_dict.next(kLong)->path, "large/k7");
  EXPECT_EQ(of_key.next(kNow), std::nullopt);
  dict.erase("k8");
  EXPECT_EQ(of_dict.next(kLong)->value, std::nullopt);
  for (const int at : {500, 0, 999}) {
    items.set(at, "set");
    EXPECT_EQ(of_list.next(kLong)->path, "items");
  }
  items.pop(300);
  EXPECT_EQ(of_list.next(kLong)->path, "items");
}

TEST_P(WatchTest, ASleeperIsWokenAndStopped) {
  std::atomic<bool> seen{false};
  const Watch watch(db, "signal");
  std::thread sleeper([&] {
    seen = watch.next(kLong).has_value();
    EXPECT_EQ(watch.next(kLong), std::nullopt);  // stopped
  });
  db["signal"] = 1;
  while (!seen) std::this_thread::yield();
  watch.stop();
  sleeper.join();
  EXPECT_EQ(watch.next(kLong), std::nullopt);
}

TEST_P(WatchTest, CloseEndsIt) {
  const Watch watch(db, "signal");
  std::thread closer([&] {
    std::this_thread::sleep_for(milliseconds(20));
    db.close();
  });
  EXPECT_THROW(static_cast<void>(watch.next(kLong)), ClosedError);
  closer.join();
}

TEST_P(WatchTest, NothingIsMissed) {
  const Watch watch(db, "n");
  constexpr int kLast = 3000;
  std::thread writer([&] {
    for (int i = 1; i <= kLast; ++i) db["n"] = i;
  });
  std::int64_t last = 0;
  while (last < kLast) {
    const auto change = watch.next(kLong);
    ASSERT_TRUE(change);
    ASSERT_GT(change->value->get<std::int64_t>(), last);
    last = change->value->get<std::int64_t>();
  }
  writer.join();
}

TEST_P(WatchTest, Refusals) {
  EXPECT_THROW(Watch(db, "a~9"), UsageError);
  const Watch watch(db, "a");
  db.transaction([&] {
    EXPECT_THROW(static_cast<void>(watch.next(kNow)), UsageError);
    EXPECT_THROW(Watch(db, "a"), UsageError);
  });
  EXPECT_FALSE(wait(db, "a", milliseconds(1)));
}

INSTANTIATE_TEST_SUITE_P(Stores, WatchTest,
                         ::testing::Values(Persist::kMemory, Persist::kWritethrough,
                                           Persist::kLazy),
                         [](const auto& store) {
                           return store.param == Persist::kLazy     ? "Lazy"
                                  : store.param == Persist::kMemory ? "Memory"
                                                                    : "Sqlite";
                         });

// A commit that changes so many dicts that not even their names are told.
TEST(WatchOfMuch, WhatIsToldByItsSpaceOnlyIsNoticed) {
  constexpr int kDicts = 40;
  TemporaryFolder folder;
  const Database db(folder / "w.db");
  std::vector<Dict> dicts;
  for (int i = 0; i < kDicts; ++i) {
    const std::string name = "d" + std::to_string(i);
    db[name] = Data::dict();
    dicts.push_back(db[name].as_dict());
    for (int k = 0; k < 300; ++k) dicts.back().set("k" + std::to_string(k), k);
  }
  const Watch watch(db, "d0");
  for (int round = 1; round <= 3; ++round) {
    db.transaction([&] {
      for (const Dict& dict : dicts) dict.set("k1", -round);
      for (int k = 2; k <= 4; ++k) dicts[0].set("k" + std::to_string(k), -round);
    });
    std::set<std::string> seen;
    for (int i = 0; i < 4; ++i) {
      const auto change = watch.next(milliseconds(5000));
      ASSERT_TRUE(change);
      seen.insert(change->path);
    }
    EXPECT_EQ(seen, (std::set<std::string>{"d0/k1", "d0/k2", "d0/k3", "d0/k4"}));
  }
}

TEST(WatchFailures, ALookThatFailsIsMadeUpFor) {
  TemporaryFolder folder;
  const Database db(folder / "w.db", {.busy_timeout = milliseconds(100), .pool_size = 1});
  db["d"] = Data::dict();
  const Dict dict = db["d"].as_dict();
  for (int i = 0; i < 1000; ++i) dict.set("k" + std::to_string(i), i);
  const Watch watch(db, "d");
  dict.set("k0", "seen");
  EXPECT_EQ(watch.next(kLong)->path, "d/k0");
  std::optional<Snapshot> only_connection;
  std::thread([&] { only_connection.emplace(db.snapshot()); }).join();
  dict.set("k1", std::string(std::size_t{1} << 20U, 'x'));  // not kept in memory
  dict.set("k7", "seven");
  EXPECT_THROW(static_cast<void>(watch.next(kLong)), BusyError);
  only_connection.reset();
  std::set<std::string> seen;
  for (int i = 0; i < 2; ++i) {
    const auto change = watch.next(kNow);  // nothing else would have it look again
    ASSERT_TRUE(change);
    seen.insert(change->path);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"d/k1", "d/k7"}));
  EXPECT_EQ(watch.next(kNow), std::nullopt);
}

TEST(WatchProcesses, AnotherProcesssChangesAreSeen) {
  TemporaryFolder folder;
  const std::string path = folder / "w.db";
  const Database db(path);
  db["n"] = 0;
  const Watch watch(db, "n");
  Child child([&] {
    const Database own(path);
    for (int i = 1; i <= 2000; ++i) own["n"] = i;
    return true;
  });
  std::int64_t last = 0;
  while (last < 2000) {
    const auto change = watch.next(kLong);
    ASSERT_TRUE(change);
    last = change->value->get<std::int64_t>();
  }
  EXPECT_TRUE(child.succeeded());
}

TEST(WatchProcesses, AChildThatWaitsIsWoken) {
  TemporaryFolder folder;
  const std::string path = folder / "w.db";
  const Database db(path);
  db["ball"] = "parent";
  Child child([&](const Reporter& reporter) {
    const Database own(path);
    const Watch watch(own, "ball");
    reporter.say("ready");
    for (int i = 0; i < 200; ++i) {
      if (!watch.next(kLong)) return false;
      own["back"] = i;
    }
    return true;
  });
  EXPECT_EQ(child.line(), "ready");
  const Watch watch(db, "back");
  for (int i = 0; i < 200; ++i) {
    db["ball"] = i;
    const auto change = watch.next(kLong);
    ASSERT_TRUE(change);
    ASSERT_EQ(change->value->get<std::int64_t>(), i);
  }
  EXPECT_TRUE(child.succeeded());
}

}  // namespace
}  // namespace graven::test
