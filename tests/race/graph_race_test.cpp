// SPDX-License-Identifier: MIT
//
// Threads on one database: they read, write, link, unlink, hold handles, run transactions and
// collect all at once. What each thread counts on is checked as it goes; at the end the store
// checks clean and nothing is left over. Most of its worth is under ThreadSanitizer.
#include <graven/graven.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven {
namespace {

class GraphRace : public testing::TestWithParam<Persist> {
 protected:
  GraphRace() : db_(folder_ / "state.db", options()) {}

  /// A lazy one is flushed all the time.
  static Options options() {
    Options options;
    options.persist = GetParam();
    options.flush_interval = std::chrono::milliseconds(1);
    return options;
  }

  /// Runs each body on a thread of its own until all of them have returned.
  static void together(const std::vector<std::function<void()>>& bodies) {
    std::vector<std::thread> threads;
    threads.reserve(bodies.size());
    for (const auto& body : bodies) threads.emplace_back(body);
    for (std::thread& thread : threads) thread.join();
  }

  void expect_clean(std::uint64_t nodes) {
    db_.collect();
    const CheckReport report = db_.check();
    EXPECT_TRUE(report.ok()) << report.problems.front().what;
    EXPECT_EQ(report.nodes, nodes);
    EXPECT_EQ(report.held, 0U);
  }

  test::TemporaryFolder folder_;
  Database db_;
};

TEST_P(GraphRace, CountersAppendsAndTransactionsLoseNothing) {
  constexpr int kRounds = 150;
  db_["list"] = Data::list();
  db_["account"] = {{"a", 1000}, {"b", 1000}};
  const auto work = [&] {
    const List list = db_["list"].as_list();
    const Dict account = db_["account"].as_dict();
    const Transactor t = db_.transactor();
    for (int i = 0; i < kRounds; ++i) {
      db_.incr("n");
      list.push_back(i);
      db_.transaction([&] {
        account.set("a", account["a"].get<int>() - 1);
        account.set("b", account["b"].get<int>() + 1);
      });
      t.transact([&] {
        const auto a = t["account"]["a"].get<int>();
        const auto b = t["account"]["b"].get<int>();
        EXPECT_EQ(a + b, 2000);
        t.root()["account"].as_dict().set("a", a + 1);
        t.root()["account"].as_dict().set("b", b - 1);
      });
      const Data seen = account.materialize();
      EXPECT_EQ(seen.at("a").get<int>() + seen.at("b").get<int>(), 2000);
    }
  };
  together({work, work, work});
  EXPECT_EQ(db_.count("n"), 3 * kRounds);
  EXPECT_EQ(db_["list"].as_list().size(), 3U * kRounds);
  EXPECT_EQ(db_["account"]["a"].get<int>(), 1000);
  expect_clean(3);
}

TEST_P(GraphRace, AHandleReadWhileItsNodeIsUnlinkedStaysGood) {
  db_["slot"] = {{"v", 0}, {"inner", {{"v", 0}}}};
  std::atomic<bool> done{false};
  const auto replace = [&] {
    for (int i = 1; i <= 400; ++i) db_["slot"] = {{"v", i}, {"inner", {{"v", i}}}};
    done = true;
  };
  const auto read = [&] {
    while (!done) {
      // Whatever the slot held when it was read is whole and stays so.
      const Dict held = db_["slot"].as_dict();
      const Dict inner = held["inner"].as_dict();
      EXPECT_EQ(held["v"].get<int>(), inner["v"].get<int>());
      EXPECT_TRUE(held.exists());
    }
  };
  together({replace, read, read, [&] {
              while (!done) db_.collect();
            }});
  expect_clean(3);
}

TEST_P(GraphRace, NodesArePassedAroundWithoutBeingLost) {
  for (int i = 0; i < 3; ++i) db_["t" + std::to_string(i)] = Data::dict();
  const auto move = [&](int who) {
    const Dict own = db_["t" + std::to_string(who)].as_dict();
    for (int i = 0; i < 200; ++i) {
      own.set("x", {{"n", i}});
      const std::optional<Value> taken = own.pop("x");
      db_["t" + std::to_string((who + 1) % 3)]["y" + std::to_string(who)] = taken->as_dict();
      EXPECT_EQ(taken->as_dict()["n"].get<int>(), i);
      const Dict other = db_["t" + std::to_string((who + 2) % 3)].as_dict();
      for (const std::string& key : other.keys()) {
        const std::optional<Value> value = other.get(key);  // gone, if its thread was quicker
        EXPECT_TRUE(!value || value->is<Dict>()) << key;
      }
    }
  };
  together({[&] { move(0); }, [&] { move(1); }, [&] { move(2); }});
  expect_clean(7);
}

INSTANTIATE_TEST_SUITE_P(Stores, GraphRace,
                         testing::Values(Persist::kMemory, Persist::kWritethrough, Persist::kLazy),
                         [](const auto& store) {
                           return store.param == Persist::kLazy     ? "lazy"
                                  : store.param == Persist::kMemory ? "memory"
                                                                    : "sqlite";
                         });

}  // namespace
}  // namespace graven
