// SPDX-License-Identifier: MIT
//
// Handles and collection: what a handle keeps, when it goes, what happens to handles of rolled
// back transactions, and that a handle just read is never stale in its own process.
#include <atomic>
#include <optional>
#include <thread>

#include <unistd.h>

#include "backends/sqlite/child.hpp"
#include "base/forks.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class Handles : public OnEveryStore {
 protected:
  std::uint64_t nodes() { return records_of(*store_of(db).view(), Space::kNode).size(); }

  /// Waits for the housekeeper.
  void expect_soon(std::uint64_t wanted) {
    const auto deadline = soon();
    while (nodes() != wanted && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(nodes(), wanted);
    expect_clean(db);
  }

  Dict root = db.root();
};
GRAVEN_ON_EVERY_STORE(Handles);

TEST_P(Handles, WhatIsUnlinkedWithoutAHandleIsGoneAtOnce) {
  root.set("x", {{"y", {{"z", 1}}}, {"text", std::string(5000, 'x')}});
  EXPECT_EQ(nodes(), 3U);
  root.erase("x");
  EXPECT_EQ(nodes(), 1U);
  EXPECT_EQ(record_count(db), 2U);  // the prefix, its root
}

TEST_P(Handles, CyclesGoToo) {
  root.set("x", {{"y", Data::dict()}});
  {
    const Dict x = root["x"].as_dict();
    x["y"].as_dict().set("x", x);
    x.set("x", x);
  }
  root.erase("x");
  EXPECT_EQ(nodes(), 1U);
}

TEST_P(Handles, AHeldNodeStaysReadableAndCanBeLinkedAgain) {
  root.set("x", {{"y", {{"z", 1}}}});
  const Dict x = root.pop("x")->as_dict();
  EXPECT_FALSE(root.contains("x"));
  EXPECT_TRUE(x.exists());
  EXPECT_EQ(x["y"]["z"].get<int>(), 1);
  EXPECT_EQ(x.refcount(), 0U);
  EXPECT_TRUE(db.why_alive(x).empty());
  x.set("w", {1, 2});
  root.set("again", x);
  EXPECT_EQ(root["again"]["w"][1].get<int>(), 2);
  EXPECT_EQ(db.why_alive(x), (std::vector<std::string>{root.uid(), x.uid()}));
  expect_clean(db);
  EXPECT_EQ(db.check().held, 0U);
}

TEST_P(Handles, AHandleBelowKeepsOnlyItsPart) {
  root.set("x", {{"y", {{"z", {{"w", 1}}}}}, {"other", Data::dict()}});
  const Dict z = root["x"]["y"]["z"].as_dict();
  root.erase("x");
  EXPECT_EQ(nodes(), 2U);
  EXPECT_EQ(z["w"].get<int>(), 1);
  EXPECT_EQ(z.refcount(), 0U);
}

TEST_P(Handles, TheNextCommitCollectsWhatNoHandleHoldsAnyMore) {
  root.set("x", {{"y", {{"z", 1}}}});
  {
    const Dict x = root.pop("x")->as_dict();
    EXPECT_EQ(nodes(), 3U);
  }
  root.set("unrelated", 1);
  EXPECT_EQ(nodes(), 1U);
}

TEST_P(Handles, EvenACommitWithNothingToWrite) {
  { const Dict made = db.new_dict({{"y", Data::list()}}); }
  root.erase("absent");
  EXPECT_EQ(nodes(), 1U);
}

TEST_P(Handles, WithoutAnyCommitItHappensSoonAllTheSame) {
  { const Dict made = db.new_dict({{"y", {{"z", 1}}}}); }
  expect_soon(1);
  root.set("x", {{"y", {{"z", 1}}}});
  { const Dict x = root.pop("x")->as_dict(); }
  expect_soon(1);
}

TEST_P(Handles, ACopyOfAHandleHoldsToo) {
  std::optional<Dict> made = db.new_dict({{"y", 1}});
  const Dict copy = *made;
  made.reset();
  db.collect();
  EXPECT_EQ(copy["y"].get<int>(), 1);
}

TEST_P(Handles, CollectCountsWhatItReclaims) {
  EXPECT_EQ(db.collect(), 0U);
  { const Dict made = db.new_dict({{"y", {{"z", 1}}}, {"l", {1, 2}}}); }
  const std::uint64_t here = db.collect();
  EXPECT_LE(here, 3U);  // the housekeeper may have been quicker
  EXPECT_EQ(nodes(), 1U);
  EXPECT_EQ(db.collect(), 0U);
  Transaction transaction = db.begin();
  EXPECT_THROW(db.collect(), UsageError);
  transaction.rollback();
}

TEST_P(Handles, OneHeldNodeMayHoldAnother) {
  const Dict one = db.new_dict();
  {
    const Dict other = db.new_dict({{"x", 1}});
    one.set("other", other);
    other.set("one", one);
  }
  db.collect();
  EXPECT_EQ(one["other"]["x"].get<int>(), 1);
  EXPECT_EQ(nodes(), 3U);
}

TEST_P(Handles, HandlesOfWhatWasRolledBackAreCollected) {
  std::optional<Dict> made;
  std::optional<Dict> child;
  Transaction transaction = db.begin();
  made = db.new_dict({{"y", {{"z", 1}}}});
  child = (*made)["y"].as_dict();
  root.set("made", *made);
  transaction.rollback();
  EXPECT_FALSE(made->exists());
  EXPECT_THROW(static_cast<void>(made->size()), CollectedError);
  EXPECT_THROW(static_cast<void>(child->at("z")), CollectedError);
  EXPECT_THROW(made->set("x", 1), CollectedError);
  EXPECT_THROW(root.set("x", *made), CollectedError);
  EXPECT_EQ(nodes(), 1U);
  expect_clean(db);
}

TEST_P(Handles, AHandleOfWhatWasRolledBackNeverComesToStandForAnotherNode) {
  std::vector<Dict> left_over;
  for (int i = 0; i < 200; ++i) {
    Transaction transaction = db.begin();
    left_over.push_back(db.new_dict());
    transaction.rollback();
    root.set("x", {{"a", {{"b", i}}}});
  }
  for (const Dict& made : left_over) EXPECT_FALSE(made.exists());
  Transactor transactor = db.transactor();
  for (int i = 0; i < 50; ++i) {
    transactor.root().set("x", Data::dict());
    left_over.push_back(transactor.root()["x"].as_dict());
    transactor.discard();
    root.set("x", {{"a", {{"b", i}}}});
    EXPECT_FALSE(db.get_via_uid(left_over.back().uid()));
  }
}

TEST_P(Handles, AnUnlinkThatWasRolledBackDidNotHappen) {
  root.set("x", {{"y", {{"z", 1}}}});
  Transaction transaction = db.begin();
  root.erase("x");
  EXPECT_FALSE(root.contains("x"));
  transaction.rollback();
  EXPECT_EQ(root["x"]["y"]["z"].get<int>(), 1);
  expect_clean(db);
}

TEST_P(Handles, WithinATransactionWhatIsHeldCanBeMoved) {
  root.set("x", {{"y", {{"z", 1}}}});
  db.transaction([&] {
    const Dict x = root.pop("x")->as_dict();
    EXPECT_EQ(x["y"]["z"].get<int>(), 1);
    x.set("new", {{"w", 2}});
    root.set("moved", x);
  });
  EXPECT_EQ(root["moved"]["new"]["w"].get<int>(), 2);
  EXPECT_EQ(nodes(), 4U);
  expect_clean(db);
}

TEST_P(Handles, WithinATransactionNothingIsLostThatIsLinkedAgain) {
  root.set("x", {{"y", {{"z", 1}}}});
  const std::string uid = root["x"]["y"].as_dict().uid();
  db.transaction([&] {
    const Dict y = root["x"]["y"].as_dict();
    root.erase("x");
    root.set("y", y);
  });
  EXPECT_EQ(root["y"].as_dict().uid(), uid);
  EXPECT_EQ(nodes(), 2U);
  expect_clean(db);
}

TEST_P(Handles, OnTheRootFollowItsPrefix) {
  const Database other = db.with_prefix("other");
  const Dict top = other.root();
  top.set("x", 1);
  db.delete_prefix_immediately("other");
  EXPECT_EQ(top.size(), 0U);
  EXPECT_TRUE(top.exists());
}

TEST_P(Handles, AHandleJustReadIsNeverStaleInItsOwnProcess) {
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::atomic<int> stale{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const std::optional<Value> x = root.get("x");
        if (!x) continue;
        try {
          const std::optional<Value> y = x->as_dict().get("y");
          if (y) static_cast<void>(y->as_dict().get("z"));
          ++reads;
        } catch (const CollectedError&) {
          ++stale;
        }
      }
    });
  }
  for (int i = 0; i < 300 || (reads < 200 && i < 20'000); ++i) {
    root.set("x", {{"y", {{"z", i}}}});
    root.erase("x");
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(stale, 0);
  db.collect();
  EXPECT_EQ(nodes(), 1U);
  expect_clean(db);
}

TEST_P(Handles, ThreadsThatLinkAndUnlinkTheSameNodesLeaveAWholeGraph) {
  root.set("shared", Data::dict());
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, t] {
      const Dict shared = root["shared"].as_dict();
      std::optional<Dict> kept;
      for (int i = 0; i < 150; ++i) {
        const std::string key = "k" + std::to_string((i * 7 + t) % 5);
        try {
          switch ((i + t) % 5) {
            case 0:
              shared.set(key, {{"up", shared}, {"n", {{"m", i}}}});
              break;
            case 1:
              if (const auto popped = shared.pop(key)) kept = popped->as_dict();
              break;
            case 2:
              if (kept) shared.set(key, *kept);
              break;
            case 3:
              if (kept) kept->set("self", *kept);
              break;
            default:
              shared.erase(key);
          }
        } catch (const CollectedError&) {
          ADD_FAILURE() << "a node this process holds was collected";
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  db.collect();
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 0U);
}

TEST(HandlesInAChild, ItReclaimsThoughItsParentDidSoAtTheFork) {
  GRAVEN_FORKS_AMID_THREADS();
  const TemporaryFolder folder;
  const Database db(folder / "state.db");
  const Database other = db.with_prefix("other");
  for (int i = 0; i < 50; ++i) other.root().set(std::to_string(i), Data::dict());
  db.delete_prefix_batch("other", 0);  // doomed, and nothing reclaimed
  std::optional<Transaction> transaction(db.begin());
  // The child may be the first to get the write lock; then nothing is left for its parent.
  std::thread reclaims([&] { heap_of(db).reclaim(UINT64_MAX, std::chrono::seconds(20)); });
  while (db.stats().writes.waiting == 0) std::this_thread::yield();
  Child child([&] {
    ::alarm(30);
    std::thread([&] { heap_of(db).reclaim(UINT64_MAX, std::chrono::seconds(20)); }).join();
    return true;
  });
  transaction.reset();
  EXPECT_TRUE(child.succeeded());
  reclaims.join();
  EXPECT_TRUE(records_of(*store_of(db).view(), Space::kOrphan).empty());
  expect_clean(db);
}

}  // namespace
}  // namespace graven::test
