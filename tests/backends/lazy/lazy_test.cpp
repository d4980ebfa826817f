// SPDX-License-Identifier: MIT
//
// A store ahead of another: views of every age against copies of a std::map, what is below against
// what was flushed, room for writers, and who may write.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::Record;
using port::Row;
using port::Space;
using std::chrono::milliseconds;

constexpr milliseconds kNever = std::chrono::hours(1);

/// A store in memory or in a file, with one ahead of it. `below` is the lower one, to look at.
struct Pair {
  explicit Pair(std::unique_ptr<port::Backend> lower, lazy::Options options = {})
      : below(&records(*lower)), above(lazy::over(std::move(lower), options)) {}
  port::Interactive* below;
  Opened above;
};

using Model = std::map<std::int64_t, std::string>;

Model contents(port::View& view) {
  Model model;
  port::Range range{.space = Space::kNode};
  // In small steps, so that pages of both stores are interleaved.
  for (;;) {
    const std::vector<Row> rows = view.scan(range, 7);
    for (const Row& row : rows) model[row.key.a] = row.record.body;
    if (rows.size() < 7) return model;
    range.from = rows.back().key.a + 1;
  }
}

class Views : public ::testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<port::Backend> lower() {
    if (GetParam()) return sqlite::open(folder_ / "store.db");
    return lazy::open("below");
  }

  /// Everything there is, in every way to ask.
  void compare(port::View& view, const Model& model) {
    ASSERT_EQ(contents(view), model);
    std::vector<Key> keys;
    for (std::int64_t id = 0; id < kKeys; ++id) keys.push_back(node_key(id));
    view.load_many(keys, [&](std::size_t i, Record* record) {
      const auto found = model.find(static_cast<std::int64_t>(i));
      ASSERT_EQ(record != nullptr, found != model.end()) << i;
      if (record != nullptr) {
        ASSERT_EQ(record->body, found->second);
      }
    });
    const auto one = static_cast<std::int64_t>(random_.below(kKeys));
    const std::optional<Record> record = view.load(node_key(one));
    ASSERT_EQ(record.has_value(), model.contains(one));
    const std::vector<Row> last = view.scan({.space = Space::kNode, .reverse = true}, 1);
    ASSERT_EQ(last.empty(), model.empty());
    if (!model.empty()) {
      ASSERT_EQ(last[0].record.body, model.rbegin()->second);
    }
  }

  static constexpr std::int64_t kKeys = 40;
  Random random_;
  TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Below, Views, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "sqlite" : "memory"; });

TEST_P(Views, AgreeWithCopiesOfAMap) {
  struct Kept {
    std::unique_ptr<port::View> view;
    Model model;
  };
  const Pair pair(lower(), {.flush_interval = kNever});
  Model now;
  Model flushed;
  std::vector<Kept> kept;
  for (int round = 0; round < 1500; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    switch (random_.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        std::vector<Change> changes;
        for (std::size_t n = random_.below(8); n > 0; --n) {
          const auto id = static_cast<std::int64_t>(random_.below(kKeys));
          changes.push_back({node_key(id), std::nullopt});
          now.erase(id);
          if (random_.one_in(3)) continue;
          now[id] = std::to_string(round);
          changes.back().record = node_record(0, now[id]);
        }
        write(*pair.above, changes);
        break;
      }
      case 4:
        pair.above->flush();
        flushed = now;
        break;
      case 5:
      case 6:
        if (kept.size() > 6) break;
        kept.push_back({pair.above->view(), now});
        ASSERT_NO_FATAL_FAILURE(compare(*kept.back().view, now));
        break;
      default:
        if (kept.empty()) break;
        kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(random_.below(kept.size())));
    }
    for (Kept& one : kept) ASSERT_NO_FATAL_FAILURE(compare(*one.view, one.model));
    ASSERT_EQ(contents(*pair.below->view()), flushed);
    const auto id = static_cast<std::int64_t>(random_.below(kKeys));
    ASSERT_EQ(pair.above->load(node_key(id)).has_value(), now.contains(id));
  }
}

TEST_P(Views, AFlushWithinATransactionDoesNotShowInIt) {
  const Pair pair(lower(), {.flush_interval = kNever});
  write(*pair.above, {{node_key(1), node_record(0, "one")}, {node_key(2), node_record(0, "two")}});
  const auto transaction = pair.above->begin(soon());
  const std::vector<Change> changes{{node_key(1), node_record(1, "uno")}};
  transaction->apply(changes);
  EXPECT_EQ(contents(*transaction), (Model{{1, "uno"}, {2, "two"}}));
  pair.above->flush();
  EXPECT_EQ(contents(*pair.below->view()), (Model{{1, "one"}, {2, "two"}}));
  EXPECT_EQ(contents(*transaction), (Model{{1, "uno"}, {2, "two"}}));
  EXPECT_EQ(transaction->load(node_key(2))->body, "two");
  transaction->commit(1000);
  EXPECT_EQ(contents(*pair.below->view()), (Model{{1, "one"}, {2, "two"}}));
  pair.above->flush();
  EXPECT_EQ(contents(*pair.below->view()), (Model{{1, "uno"}, {2, "two"}}));
}

TEST_P(Views, WhatIsBeingReclaimedIsKnownAcrossFlushes) {
  const Pair pair(lower(), {.flush_interval = kNever});
  const Key doomed{.space = Space::kOrphan, .a = 0, .b = 1};
  const auto reclaiming = [&] {
    bool told = false;
    pair.above->load_node(1, told);
    return told;
  };
  EXPECT_FALSE(reclaiming());
  write(*pair.above, {{doomed, Record{}}, {node_key(1), node_record(0, "x")}});
  EXPECT_TRUE(reclaiming());
  pair.above->flush();
  EXPECT_TRUE(reclaiming());
  write(*pair.above, {{doomed, std::nullopt}});
  EXPECT_FALSE(reclaiming());
  pair.above->flush();
  EXPECT_FALSE(reclaiming());
}

TEST_P(Views, TheEndFlushes) {
  if (!GetParam()) return;
  {
    const Pair pair(lower(), {.flush_interval = kNever});
    write(*pair.above, {{node_key(1), node_record(0, "kept")}});
  }
  EXPECT_EQ(contents(*Opened(lower())->view()), (Model{{1, "kept"}}));
  const Pair again(lower());
  EXPECT_EQ(contents(*again.above->view()), (Model{{1, "kept"}}));
}

// --- Marks

TEST_P(Views, EveryCommitHasAMarkOfItsOwnAndAFlushHasNone) {
  const Pair pair(lower(), {.flush_interval = kNever});
  const port::MarkWords* live = pair.above->live_mark();
  ASSERT_NE(live, nullptr);
  const port::Mark before = port::read_mark(*live);
  EXPECT_TRUE(pair.above->distinctive(before));
  EXPECT_FALSE(pair.above->distinctive({}));
  const auto transaction = pair.above->begin(soon());
  std::optional<port::Mark> told;
  transaction->when_released([&](const port::Mark* mark) {
    ASSERT_NE(mark, nullptr);
    told = *mark;
    EXPECT_EQ(pair.above->load(node_key(1))->body, "x");  // it is there, nobody else is
    EXPECT_THROW(pair.above->begin(base::Deadline{}), BusyError);
  });
  write(*transaction, {{node_key(1), node_record(0, "x")}});
  EXPECT_EQ(told, port::read_mark(*live));
  EXPECT_NE(told, before);
  pair.above->flush();
  EXPECT_EQ(told, port::read_mark(*live));
  bool rolled_back = false;
  {
    const auto nothing = pair.above->begin(soon());
    nothing->when_released([&](const port::Mark* mark) { rolled_back = mark == nullptr; });
  }
  EXPECT_TRUE(rolled_back);
  EXPECT_EQ(told, port::read_mark(*live));
}

TEST_P(Views, TheFeedTellsWhatItWasToldAndWakes) {
  const Pair pair(lower(), {.flush_interval = kNever});
  port::ChangeFeed& feed = *pair.above->changes();
  const port::MarkWords& live = *pair.above->live_mark();
  const port::Mark first = port::read_mark(live);
  const std::vector<std::uint64_t> hashes{7, 8};
  const auto commit = [&](bool tell) {
    const port::Mark before = port::read_mark(live);
    const auto transaction = pair.above->begin(soon());
    transaction->when_released([&](const port::Mark* after) {
      if (tell) feed.publish(before, *after, hashes, 3);
    });
    write(*transaction, {{node_key(1), node_record(0, "x")}});
  };
  const std::uint32_t ticket = feed.ticket();
  EXPECT_FALSE(feed.wait(ticket, std::chrono::steady_clock::now()));
  commit(true);
  EXPECT_TRUE(feed.wait(ticket, soon()));
  commit(true);
  std::size_t entries = 0;
  const auto each = [&](port::ChangeFeed::Hashes told, std::uint64_t flags) {
    ++entries;
    EXPECT_EQ(std::vector<std::uint64_t>(told.begin(), told.end()), hashes);
    EXPECT_EQ(flags, 3U);
  };
  EXPECT_TRUE(feed.follow(first, port::read_mark(live), each));
  EXPECT_EQ(entries, 2U);
  commit(false);
  EXPECT_FALSE(feed.follow(first, port::read_mark(live), each));
  const port::Mark later = port::read_mark(live);
  for (int i = 0; i < 2000; ++i) commit(true);
  EXPECT_FALSE(feed.follow(later, port::read_mark(live), each));  // long forgotten
}

// --- Room

TEST(Lazy, WritersWaitForTheDiskWhenTooMuchIsPending) {
  constexpr std::size_t kLimit = 100'000;
  constexpr std::size_t kBody = 5'000;
  const Pair pair(lazy::open("below"), {.flush_interval = kNever, .pending_limit = kLimit});
  for (std::int64_t id = 1; id <= 400; ++id) {
    write(*pair.above, {{node_key(id), node_record(0, std::string(kBody, 'x'))}});
    const auto last = pair.below->view()->scan({.space = Space::kNode, .reverse = true}, 1);
    const std::int64_t there = last.empty() ? 0 : last[0].key.a;
    ASSERT_LE(static_cast<std::size_t>(id - there) * kBody, kLimit + 2 * kBody);
  }
}

TEST(Lazy, WhoWaitsForRoomInVainIsTold) {
  const Pair pair(lazy::open("below"),
                  {.flush_interval = kNever, .pending_limit = 1000, .patience = milliseconds(10)});
  write(*pair.above, {{node_key(1), node_record(0, std::string(5000, 'x'))}});
  auto in_the_way = pair.below->begin(soon());
  // The flush cannot have the store below: that, or that there is no room.
  EXPECT_THROW(pair.above->begin(in(milliseconds(100))), BusyError);
  EXPECT_EQ(pair.above->load(node_key(1))->body.size(), 5000U);
  in_the_way.reset();
  pair.above->flush();
  write(*pair.above, {{node_key(2), node_record(0, "there is room again")}});
}

// --- Who may write

TEST(Lazy, ThereIsOneWriter) {
  const TemporaryFolder folder;
  const std::string path = folder / "store.db";
  const Pair pair(sqlite::open(path));
  write(*pair.above, {{node_key(1), node_record(0, "mine")}});
  pair.above->flush();
  const std::string process = "process " + std::to_string(::getpid());
  Child child([&] {
    const Opened other = sqlite::open(path);
    if (other->load(node_key(1))->body != "mine") return false;
    const auto refused = [&](const auto& call) {
      try {
        call();
      } catch (const BusyError& error) {
        const std::string text = error.what();
        return text.find(process) != std::string::npos && text.find(path) != std::string::npos &&
               text.find("read-only") != std::string::npos;
      }
      return false;
    };
    return refused([&] { other->begin(soon()); }) &&
           refused([&] { lazy::over(sqlite::open(path)); });
  });
  EXPECT_TRUE(child.succeeded());
}

TEST(Lazy, WhoeverHasWrittenIsInTheWayUntilHeCloses) {
  const TemporaryFolder folder;
  const std::string path = folder / "store.db";
  Opened writer = sqlite::open(path);
  const Opened reader = sqlite::open(path);
  write(*writer, {{node_key(1), node_record(0, "x")}});
  EXPECT_THROW(lazy::over(sqlite::open(path)), BusyError);
  writer->close();
  EXPECT_THROW(writer->begin(soon()), ClosedError);
  writer = sqlite::open(path);
  {
    const Pair pair(sqlite::open(path));
    EXPECT_THROW(writer->begin(soon()), BusyError);
    EXPECT_EQ(reader->load(node_key(1))->body, "x");
    pair.above->leases().announce(5);
    EXPECT_TRUE(reader->leases().alive(5));
  }
  write(*writer, {{node_key(1), node_record(0, "y")}});
  writer.reset();
  EXPECT_EQ(Pair(sqlite::open(path)).above->load(node_key(1))->body, "y");
}

TEST(Lazy, AKilledOneIsNobody) {
  const TemporaryFolder folder;
  const std::string path = folder / "store.db";
  sqlite::open(path);
  Child child([&](const Reporter& reporter) {
    const Pair pair(sqlite::open(path));
    reporter.say("open");
    ::pause();
    return true;
  });
  ASSERT_EQ(child.line(), "open");
  EXPECT_THROW(lazy::over(sqlite::open(path)), BusyError);
  child.kill();
  EXPECT_NO_THROW(lazy::over(sqlite::open(path)));
}

TEST(Lazy, OneThatHasEndedWritesNoMore) {
  const TemporaryFolder folder;
  const Pair pair(sqlite::open(folder / "store.db"), {.flush_interval = kNever});
  write(*pair.above, {{node_key(1), node_record(0, "x")}});
  const auto view = pair.above->view();
  EXPECT_EQ(view->load(node_key(1))->body, "x");
  pair.above->close();
  EXPECT_THROW(pair.above->begin(soon()), ClosedError);
  EXPECT_THROW(pair.above->load(node_key(1)), ClosedError);
  const Opened next = sqlite::open(folder / "store.db");
  write(*next, {{node_key(2), node_record(0, "y")}});
  EXPECT_EQ(contents(*next->view()), (Model{{1, "x"}, {2, "y"}}));
}

TEST(Lazy, ReadOnlyStoresAreRefused) {
  const TemporaryFolder folder;
  sqlite::open(folder / "store.db");
  EXPECT_THROW(lazy::over(sqlite::open(folder / "store.db", {.read_only = true})), UsageError);
}

}  // namespace
}  // namespace graven::test
