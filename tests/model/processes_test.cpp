// SPDX-License-Identifier: MIT
//
// Several processes on one store: each edits a part of its own and one they share, and in the
// end exactly what the root reaches is there. What a killed process held is swept; what another
// process collects is gone for one's handles.
#include <csignal>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "backends/sqlite/child.hpp"
#include "base/random.hpp"
#include "graph/collector/links.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class Processes : public ::testing::Test {
 protected:
  [[nodiscard]] std::string url() const { return folder_ / "shared.db"; }
  TemporaryFolder folder_;
};

/// Everything links lead to from the roots, by the raw records.
std::set<NodeId> reached(const Database& db) {
  const auto view = store_of(db).view();
  std::set<NodeId> all;
  std::vector<NodeId> queue;
  for (const auto& [key, record] : records_of(*view, Space::kPrefix)) {
    if (!key.name.empty() && all.insert(record.integers[1]).second)
      queue.push_back(record.integers[1]);
  }
  while (!queue.empty()) {
    const NodeRecord node = graph::load_node(*view, queue.back());
    queue.pop_back();
    graph::each_link(*view, node, [&](graph::Link link) {
      if (all.insert(link.id).second) queue.push_back(link.id);
      return true;
    });
  }
  return all;
}

std::set<NodeId> stored(const Database& db) {
  std::set<NodeId> all;
  for (const auto& [key, record] : records_of(*store_of(db).view(), Space::kNode))
    all.insert(key.a);
  return all;
}

/// Random edits of a process: in its own dict by handles it knows, in the shared one by keys
/// that the others use too.
class Editor {
 public:
  Editor(const std::string& url, std::uint64_t seed)
      : db_(url), own_(own(db_, seed)), shared_(db_.root()["shared"].as_dict()), engine_(seed) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      try {
        if (below(6) == 0) {
          transact();
        } else {
          edit();
        }
      } catch (const CollectedError&) {
        // Another process unlinked what this one was about to use.
        held_.clear();
      } catch (const KeyNotFound&) {
      } catch (const WrongTypeError&) {
      }
      if (held_.size() > 6)
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(below(held_.size())));
    }
  }

 private:
  static Dict own(const Database& db, std::uint64_t seed) {
    return db.root().setdefault("own " + std::to_string(seed), Data::dict()).as_dict();
  }

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  std::string key() { return "k" + std::to_string(below(6)); }

  /// Somewhere below a dict, by a random way down.
  Dict somewhere(Dict dict) {
    for (std::size_t depth = below(5); depth > 0; --depth) {
      const std::optional<Value> next = dict.get(key());
      if (!next || !next->is<Dict>()) break;
      dict = next->as_dict();
    }
    return dict;
  }

  Dict some_dict() {
    if (!held_.empty() && below(3) == 0) return held_[below(held_.size())];
    return somewhere(below(2) == 0 ? shared_ : own_);
  }

  void edit() {
    const Dict target = some_dict();
    switch (below(10)) {
      case 0:
      case 1:
        target.set(key(), {{"k1", {{"k2", 1}}}, {"k3", {{"up", target}}}});
        break;
      case 2:
      case 3:
        target.set(key(), some_dict());
        break;
      case 4: {
        const auto popped = target.pop(key());
        if (popped && popped->is<Dict>()) held_.push_back(popped->as_dict());
        break;
      }
      case 5:
        target.erase(key());
        break;
      case 6:
        held_.push_back(db_.new_dict({{"k0", some_dict()}}));
        break;
      case 7:
        held_.push_back(some_dict());
        break;
      case 8:
        if (below(8) == 0) target.clear();
        break;
      default:
        if (!held_.empty()) target.set(key(), held_[below(held_.size())]);
    }
  }

  void transact() {
    Transaction transaction = db_.begin();
    for (std::size_t n = 1 + below(4); n > 0; --n) edit();
    if (below(3) == 0) {
      transaction.rollback();
      held_.clear();
    } else {
      transaction.commit();
    }
  }

  Database db_;
  Dict own_;
  Dict shared_;
  std::mt19937_64 engine_;
  std::vector<Dict> held_;
};

TEST_F(Processes, TogetherLeaveExactlyWhatTheRootReaches) {
  Random random;
  const int steps =
      std::getenv("GRAVEN_STEPS") != nullptr ? std::atoi(std::getenv("GRAVEN_STEPS")) : 400;
  Database(url()).root().set("shared", Data::dict());
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t seed = random.bits();
    children.push_back(std::make_unique<Child>([&, seed] {
      Editor(url(), seed).run(steps);
      return true;
    }));
  }
  for (const auto& child : children) EXPECT_TRUE(child->succeeded());
  const Database db(url());
  db.collect();
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 0U);
  EXPECT_EQ(report.reclaiming, 0U);
  EXPECT_EQ(stored(db), reached(db));
  EXPECT_GT(stored(db).size(), 3U);
}

TEST_F(Processes, CheckIsCleanWhileOthersEdit) {
  Random random;
  Database(url()).root().set("shared", Data::dict());
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t seed = random.bits();
    children.push_back(std::make_unique<Child>([&, seed] {
      Editor(url(), seed).run(250);
      return true;
    }));
  }
  {
    const Database db(url());
    for (int i = 0; i < 15; ++i) {
      const CheckReport report = db.check();
      ASSERT_TRUE(report.ok()) << problems_of(report);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  for (const auto& child : children) EXPECT_TRUE(child->succeeded());
}

TEST_F(Processes, WhatAKilledProcessHeldIsSwept) {
  Database db(url());
  db.root().set("x", {{"y", {{"z", 1}}}});
  Child child([this](const Reporter& reporter) {
    const Database mine(url());
    const Dict made = mine.new_dict({{"a", {{"b", 1}}}});
    const Value popped = *mine.root().pop("x");
    reporter.say("holding");
    for (;;) ::pause();
    return false;
  });
  ASSERT_EQ(child.line(), "holding");
  CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 4U);
  db.collect();  // takes nothing from the living
  EXPECT_EQ(stored(db).size(), 5U);
  child.kill();
  report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 0U);
  EXPECT_EQ(report.reclaiming, 4U);
  db.collect();
  EXPECT_EQ(stored(db).size(), 1U);
  expect_clean(db);
}

TEST_F(Processes, LeftoversAreSweptSoonAfterAnOpen) {
  {
    Child child([this](const Reporter& reporter) {
      const Database mine(url());
      const Dict made = mine.new_dict({{"a", {{"b", 1}}}});
      reporter.say("holding");
      for (;;) ::pause();
      return false;
    });
    ASSERT_EQ(child.line(), "holding");
  }
  const Database db(url());
  const auto deadline = soon();
  while (stored(db).size() != 1 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(stored(db).size(), 1U);
}

TEST_F(Processes, WhatAnotherProcessCollectsIsGoneForOnesHandles) {
  // Forked before there are handles: a child has copies of its parent's.
  Child child([this] {
    const auto deadline = soon();
    for (;;) {
      const Database other(url());
      if (other.root().contains("go")) return other.root().erase("x");
      if (std::chrono::steady_clock::now() > deadline) return false;
    }
  });
  Database db(url());
  db.root().set("x", {{"y", {{"z", 1}}}});
  const Dict y = db.root()["x"]["y"].as_dict();
  db.root().set("go", true);
  ASSERT_TRUE(child.succeeded());
  EXPECT_FALSE(y.exists());
  EXPECT_THROW(static_cast<void>(y.size()), CollectedError);
  EXPECT_THROW(y.set("z", 2), CollectedError);
  EXPECT_THROW(db.root().set("again", y), CollectedError);
  expect_clean(db);
}

TEST_F(Processes, AForkedChildsHandlesHoldForItself) {
  Database db(url());
  const Dict held = db.new_dict({{"a", {{"b", 1}}}});
  Child child([&] {
    // The parent holds the node; the child reads it, and what the child makes is its own.
    const Dict mine = db.new_dict({{"c", 1}});
    mine.set("held", held);
    return held["a"]["b"].get<int>() == 1 && db.check().ok();
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(held["a"]["b"].get<int>(), 1);
  db.collect();
  expect_clean(db);
}

}  // namespace
}  // namespace graven::test
