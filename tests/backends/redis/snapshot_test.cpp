// SPDX-License-Identifier: MIT
//
// Snapshots: a view sees the state of its first read, whatever is committed, or says that it
// cannot.
#include <atomic>
#include <map>
#include <thread>

#include <graven/error.hpp>

#include "backends/redis/layout.hpp"
#include "backends/redis/redis_store.hpp"
#include "base/random.hpp"
#include "port/scan.hpp"

namespace graven::test {
namespace {

using port::Key;
using port::Outcome;
using port::Range;
using port::Record;
using port::Row;
using port::Space;

using Model = std::map<Key, Record>;

class RedisSnapshots : public RedisStore {
 protected:
  Key random_key() {
    const auto small = [&](std::size_t most) {
      return static_cast<std::int64_t>(random_.below(most));
    };
    switch (random_.below(5)) {
      case 0:
        return at_node(1 + small(40));
      case 1:
        return at_edge(small(3), small(30));
      case 2:
        return {.space = Space::kEntry, .a = 1, .b = small(60)};
      case 3:
        return {.space = Space::kItem,
                .a = 1 + small(2),
                .name = std::string(1 + random_.below(2), static_cast<char>('a' + small(20)))};
      default:
        return {.space = Space::kPage, .a = 1 + small(30)};
    }
  }
  Record random_record(const Key& key) {
    ++version_;
    if (key.space == Space::kNode) return a_node(version_, 1, std::to_string(version_));
    if (key.space == Space::kEdge) return a_number(static_cast<std::int64_t>(version_));
    Record record{.body = std::to_string(version_)};
    if (port::schema(key.space).has_version) record.version = version_;
    return record;
  }
  void commit_random() {
    std::map<Key, port::Change> changes;
    for (std::size_t n = 1 + random_.below(6); n > 0; --n) {
      const Key key = random_key();
      changes[key] = {key, random_.one_in(3) ? std::nullopt : std::optional(random_record(key))};
    }
    port::Batch batch;
    for (const auto& [key, change] : changes) {
      batch.changes.push_back(change);
      if (change.record) {
        model_[key] = *change.record;
      } else {
        model_.erase(key);
      }
    }
    if (random_.one_in(4)) {
      const Range range{.space = Space::kEdge, .a = 2};
      batch = {.operations = {{.kind = Do::kEraseRange, .number = 3, .range = range}}};
      // The changes of the batch above are dropped: the model is read again.
      ASSERT_EQ(client_->commit(batch).outcome, Outcome::kDone);
      reload();
      return;
    }
    ASSERT_EQ(client_->commit(batch).outcome, Outcome::kDone);
  }
  void reload() {
    model_.clear();
    for (const Space space :
         {Space::kNode, Space::kEdge, Space::kEntry, Space::kItem, Space::kPage}) {
      for (Row& row : client_->scan(port::whole(space))) model_[row.key] = std::move(row.record);
    }
  }
  Range random_range() {
    const auto small = [&] { return static_cast<std::int64_t>(random_.below(40)); };
    const std::array<Space, 5> spaces{Space::kNode, Space::kEdge, Space::kEntry, Space::kItem,
                                      Space::kPage};
    const Space space = spaces[random_.below(spaces.size())];
    if (random_.one_in(3)) return port::whole(space);
    Range range{.space = space, .a = 1};
    if (space == Space::kItem) {
      if (random_.one_in(2)) range.after = std::string(1, static_cast<char>('a' + small() / 2));
      if (random_.one_in(3)) range.a_to = 2;
      return range;
    }
    if (random_.one_in(2)) range.from = small();
    if (random_.one_in(2)) range.to = small();
    range.reverse = random_.one_in(3);
    return range;
  }
  static std::vector<Row> expected(const Model& model, const Range& range, std::size_t limit) {
    std::vector<Row> rows;
    for (const auto& [key, record] : model) {
      if (port::in_range(range, key)) rows.push_back({key, record});
    }
    if (port::backwards(range)) std::reverse(rows.begin(), rows.end());
    if (rows.size() > limit) rows.resize(limit);
    return rows;
  }
  static void expect_same(const std::vector<Row>& found, const std::vector<Row>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].key, wanted[i].key);
      ASSERT_EQ(found[i].record, wanted[i].record);
    }
  }
  void look(port::View& view, const Model& model) {
    const Range range = random_range();
    const std::size_t limit = random_.one_in(3) ? SIZE_MAX : 1 + random_.below(12);
    switch (random_.below(4)) {
      case 0: {
        const Key key = random_key();
        const auto at = model.find(key);
        ASSERT_EQ(view.load(key), at != model.end() ? std::optional(at->second) : std::nullopt);
        return;
      }
      case 1:
        expect_same(view.scan(range, limit), expected(model, range, limit));
        return;
      case 2: {
        const std::vector<port::ReadOp> ops{{.key = random_key()},
                                            {.range = range, .limit = limit}};
        view.read(ops, [&](std::size_t op, std::span<Row> rows) {
          if (op == 1) {
            expect_same({rows.begin(), rows.end()}, expected(model, range, limit));
          } else {
            ASSERT_EQ(rows.size(), model.count(*ops[0].key));
          }
        });
        return;
      }
      default:
        ASSERT_EQ(
            view.count_items(1),
            expected(model, {.space = Space::kItem, .a = 1, .include_empty_name = true}, SIZE_MAX)
                .size());
    }
  }

  Random random_;
  Model model_;
  std::uint64_t version_ = 0;
};

TEST_F(RedisSnapshots, StayUnderRandomWrites) {
  struct Snapshot {
    std::unique_ptr<port::View> view;
    Model model;
  };
  std::vector<Snapshot> snapshots;
  for (int step = 0; step < 3'000; ++step) {
    ASSERT_NO_FATAL_FAILURE(commit_random());
    if (random_.one_in(20)) {
      if (snapshots.size() == 4) snapshots.erase(snapshots.begin());
      snapshots.push_back({store_->snapshot({}, patiently()), model_});
    }
    if (snapshots.empty()) continue;
    Snapshot& one = snapshots[random_.below(snapshots.size())];
    ASSERT_NO_FATAL_FAILURE(look(*one.view, one.model)) << "step " << step;
  }
}

TEST_F(RedisSnapshots, AreOfOneStateWhileOthersWrite) {
  constexpr std::int64_t kNodes = 200;
  const auto all = [](std::int64_t number) {
    port::Batch batch;
    for (std::int64_t i = 1; i <= kNodes; ++i) {
      batch.changes.push_back({at_node(i), a_node(1, 1, std::to_string(number))});
      batch.changes.push_back({at_edge(i % 40, 1'000 * number + i), a_number(number)});
      if (number > 0)
        batch.changes.push_back({at_edge(i % 40, 1'000 * (number - 1) + i), std::nullopt});
    }
    return batch;
  };
  client_->commit(all(0));
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    Client other(*store_);
    for (std::int64_t number = 1; !ended; ++number) other.commit(all(number));
  });
  for (int round = 0; round < 20; ++round) {
    const auto view = store_->snapshot({}, patiently());
    const std::string body = view->load(at_node(7))->body;
    std::size_t nodes = 0;
    port::each_row(*view, port::whole(Space::kNode), 33, [&](const Row& row) {
      EXPECT_EQ(row.record.body, body);
      ++nodes;
    });
    EXPECT_EQ(nodes, static_cast<std::size_t>(kNodes));
    std::size_t edges = 0;
    port::each_row(*view, port::whole(Space::kEdge), 17, [&](const Row& row) {
      EXPECT_EQ(std::to_string(row.record.integers[0]), body);
      ++edges;
    });
    EXPECT_EQ(edges, static_cast<std::size_t>(kNodes));
  }
  ended = true;
  writer.join();
}

TEST_F(RedisSnapshots, SayWhenWhatTheyNeedIsGone) {
  client_->put(at_node(1), a_node(1, 1, "old"));
  const redis::Names names("store", {});
  const auto view = store_->snapshot({}, patiently());
  client_->put(at_node(1), a_node(2, 1, "new"));
  EXPECT_EQ(view->load(at_node(1))->body, "old");
  EXPECT_EQ(raw_->number({"EXISTS", names.undo()}), 1);
  client_->put(at_node(1), a_node(3, 1, "newer"));
  raw_->number({"DEL", names.undo()});
  EXPECT_THROW(view->load(at_node(1)), ConflictError);
  EXPECT_THROW(view->scan(port::whole(Space::kNode), 5), ConflictError);

  const auto next = store_->snapshot({}, patiently());
  raw_->number({"HDEL", names.head(), "snap"});  // as if nobody had renewed it
  client_->put(at_node(1), a_node(4, 1, "last"));
  EXPECT_THROW(next->load(at_node(1)), ConflictError);
}

TEST_F(RedisSnapshots, WhatIsTooLargeToBeKeptIsAGap) {
  constexpr std::int64_t kNodes = 5;
  const std::string body(std::size_t{20} << 20U, 'x');  // 100 MiB together
  client_->put(at_node(100), a_node(1, 1, "small"));
  for (std::int64_t i = 1; i <= kNodes; ++i) client_->put(at_node(i), a_node(1, 1, body));
  const redis::Names names("store", {});
  const auto view = store_->snapshot({}, patiently());
  client_->put(at_node(100), a_node(2, 1, "changed"));
  EXPECT_EQ(view->load(at_node(100))->body, "small");
  port::Batch batch;
  for (std::int64_t i = 1; i <= kNodes; ++i) {
    batch.changes.push_back({at_node(i), a_node(2, 1, "now")});
  }
  EXPECT_EQ(client_->commit(batch).outcome, Outcome::kDone);
  EXPECT_EQ(raw_->number({"EXISTS", names.undo()}), 0);
  EXPECT_THROW(view->load(at_node(1)), ConflictError);
  const auto next = store_->snapshot({}, patiently());
  client_->put(at_node(1), a_node(3, 1, "later"));
  EXPECT_EQ(next->load(at_node(1))->body, "now");
}

TEST_F(RedisSnapshots, AreHeldWhileTheyLiveAndNoLonger) {
  client_->put(at_node(1), a_node(1, 1, "old"));
  const redis::Names names("store", {});
  auto view = store_->snapshot({}, patiently());
  std::this_thread::sleep_for(std::chrono::milliseconds(6'500));  // longer than one hold
  client_->put(at_node(1), a_node(2, 1, "new"));
  EXPECT_EQ(view->load(at_node(1))->body, "old");
  view.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(5'500));
  client_->put(at_node(1), a_node(3, 1));
  EXPECT_EQ(raw_->number({"EXISTS", names.undo()}), 0);
  EXPECT_TRUE(raw_->text({"HGET", names.head(), "snap"}).empty());
}

}  // namespace
}  // namespace graven::test
