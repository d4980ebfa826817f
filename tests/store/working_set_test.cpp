// SPDX-License-Identifier: MIT
//
// The working set of a work of much writing: it always gives what the store has, or is to have;
// what it spares the store, and what it costs it at most.
#include "store/working_set.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"
#include "store/work.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::Range;
using port::Record;
using port::Row;
using port::Space;
using store::Work;

constexpr std::size_t kMiB = std::size_t{1} << 20U;

/// A transaction that counts what is asked of it.
class Counted final : public port::WriteTransaction {
 public:
  explicit Counted(port::WriteTransaction& over) : over_(over) {}

  std::optional<Record> load(const Key& key) override {
    ++loads;
    return over_.load(key);
  }
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override {
    loads += keys.size();
    over_.load_many(keys, each);
  }
  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    std::vector<Row> rows = over_.scan(range, limit);
    scanned += rows.size();
    return rows;
  }
  void apply(std::span<const Change> changes) override {
    for (const Change& change : changes) applied.push_back(change.key);
    over_.apply(changes);
  }
  void savepoint(int depth) override { over_.savepoint(depth); }
  void rollback_to(int depth) override { over_.rollback_to(depth); }
  void release(int depth) override { over_.release(depth); }
  void commit(std::uint64_t id) override { over_.commit(id); }

  std::size_t loads = 0;
  std::size_t scanned = 0;
  std::vector<Key> applied;

 private:
  port::WriteTransaction& over_;
};

Key node_key(std::size_t i) { return {.space = Space::kNode, .a = static_cast<std::int64_t>(i)}; }

/// A store with so many nodes, the ids of which are 1, 2 …, and a work of much writing.
class WorkingSet : public ::testing::Test {
 protected:
  void begin(std::size_t nodes, std::size_t bytes) {
    std::vector<Change> changes;
    for (std::size_t i = 1; i <= nodes; ++i) {
      changes.push_back({node_key(i), Record{.version = 1, .body = std::to_string(i)}});
    }
    const auto filling = backend_->begin(soon());
    filling->apply(changes);
    filling->commit(1);
    transaction_ = backend_->begin(soon());
    sink.emplace(*transaction_);
    work.emplace(*sink, ids_);
    work->expect_much(bytes);
    sink->loads = 0;
  }
  void read(std::size_t node) {
    const std::optional<Record> found = work->load(node_key(node));
    ASSERT_TRUE(found);
    ASSERT_EQ(found->body, std::to_string(node));
  }

  std::optional<Counted> sink;
  std::optional<Work> work;

 private:
  Opened backend_ = lazy::open("memory");
  std::unique_ptr<port::WriteTransaction> transaction_;
  store::Ids ids_;
};

TEST_F(WorkingSet, ReadsAheadWhereOneStretchIsReadAllOver) {
  constexpr std::size_t kNodes = 20'000;
  begin(kNodes, 16 * kMiB);
  Random random;
  for (std::size_t i = 0; i < 3 * kNodes; ++i) {
    ASSERT_NO_FATAL_FAILURE(read(1 + random.below(kNodes)));
  }
  EXPECT_LT(sink->loads, kNodes / 4);      // without: at least 95 % of them
  EXPECT_LE(sink->scanned, kNodes + 512);  // each row once
}

TEST_F(WorkingSet, ReadsAheadInOneStretchAfterAnother) {
  constexpr std::size_t kNodes = 12'000;
  begin(2 * kNodes, 16 * kMiB);
  Random random;
  const auto read_all_over = [&](std::size_t from) {
    sink->loads = 0;
    for (std::size_t i = 0; i < 3 * kNodes; ++i) {
      ASSERT_NO_FATAL_FAILURE(read(from + random.below(kNodes)));
    }
    EXPECT_LT(sink->loads, kNodes / 3) << from;
  };
  read_all_over(kNodes + 1);  // to the end of the table
  read_all_over(1);
}

TEST_F(WorkingSet, ReadsLittleInVain) {
  constexpr std::size_t kNodes = 100'000;
  begin(kNodes, 16 * kMiB);
  Random random;
  constexpr std::size_t kReads = 3'000;
  for (std::size_t i = 0; i < kReads; ++i) {
    ASSERT_NO_FATAL_FAILURE(read(1 + random.below(kNodes)));
    for (int again = 0; again < 5; ++again) ASSERT_NO_FATAL_FAILURE(read(1));
  }
  EXPECT_LE(sink->loads, kReads);
  EXPECT_LE(sink->scanned, 3 * kReads);
}

TEST_F(WorkingSet, WritesWhatWasChangedOftenOnceAndInOrder) {
  constexpr std::size_t kNodes = 6'000;
  begin(kNodes, 16 * kMiB);
  Random random;
  std::map<std::size_t, std::string> model;
  for (std::size_t i = 0; i < 10 * kNodes; ++i) {
    const std::size_t node = 1 + random.below(kNodes);
    work->begin_mutation();
    Record record = work->load(node_key(node)).value();
    ASSERT_EQ(record.body, model.contains(node) ? model[node] : std::to_string(node));
    model[node] = record.body = std::to_string(i);
    work->put(node_key(node), std::move(record));
    work->end_mutation();
  }
  EXPECT_TRUE(sink->applied.empty());
  work->finish();
  ASSERT_GE(sink->applied.size(), model.size());
  sink->applied.resize(model.size());  // the clock comes behind
  EXPECT_TRUE(std::is_sorted(sink->applied.begin(), sink->applied.end()));
  for (const auto& [node, body] : model) {
    ASSERT_EQ(sink->load(node_key(node)).value().body, body);
  }
}

TEST_F(WorkingSet, WhatDoesNotWaitThereDoesNotPileUpElsewhere) {
  constexpr std::int64_t kErased = 3 * static_cast<std::int64_t>(Work::kSpillRecords);
  begin(1, 16 * kMiB);
  for (std::int64_t i = 0; i < kErased; ++i) {
    work->begin_mutation();
    Record record = work->load(node_key(1)).value();
    record.body = std::to_string(i);
    work->put(node_key(1), std::move(record));
    work->erase({.space = Space::kEntry, .a = 1, .b = i});
    work->end_mutation();
    ASSERT_LT(i - static_cast<std::int64_t>(sink->applied.size()),
              static_cast<std::int64_t>(Work::kSpillRecords));
  }
}

TEST_F(WorkingSet, ForgetsWhatIsNoLongerComeBackTo) {
  constexpr std::size_t kNodes = 12'000;
  begin(kNodes, kMiB);  // room for half of them
  Random random;
  const auto read_often = [&](std::size_t from) {
    sink->loads = 0;
    for (std::size_t i = 0; i < 20'000; ++i) {
      ASSERT_NO_FATAL_FAILURE(read(from + random.below(4'000)));
    }
  };
  read_often(1);
  read_often(8'000);
  read_often(8'000);
  EXPECT_LT(sink->loads, 200U);
  read_often(1);
  read_often(1);
  EXPECT_LT(sink->loads, 200U);
}

/// Against a map: bodies of every size that grow and shrink, more of them than there is room for,
/// mutations that are dropped, savepoints, and all ways to read.
class WorkOfMuch : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Bytes, WorkOfMuch,
                         ::testing::Values(1, 100'000, 300'000, kMiB, 64 * kMiB));

TEST_P(WorkOfMuch, ShowsWhatAMapWould) {
  Random random;
  using Model = std::map<Key, std::string>;
  const TemporaryFolder folder;
  const Opened backend = random.one_in(2) ? lazy::open("memory") : sqlite::open(folder / "test.db");
  store::Ids ids;
  constexpr std::array<Space, 4> kSpaces{Space::kNode, Space::kPage, Space::kEntry, Space::kSlot};
  const auto some_key = [&] {
    const Space space = kSpaces[random.below(kSpaces.size())];
    const auto number = static_cast<std::int64_t>(random.below(800));
    if (port::schema(space).shape == port::KeyShape::kId) return Key{.space = space, .a = number};
    return Key{.space = space, .a = number % 2, .b = number / 2};
  };
  const auto some_body = [&] {
    return std::string(random.one_in(20) ? random.below(20'000) : random.below(1'000), 'x') +
           std::to_string(random.below(1000));
  };
  const auto body_of = [](const Record* record) {
    return record != nullptr ? std::optional(record->body) : std::nullopt;
  };
  const auto expected = [](const Model& model, const Key& key) {
    const auto at = model.find(key);
    return at != model.end() ? std::optional(at->second) : std::nullopt;
  };
  Model committed;
  for (int round = 0; round < 3; ++round) {
    const auto transaction = backend->begin(soon());
    Work work(*transaction, ids);
    work.expect_much(GetParam());
    Model model = committed;
    std::vector<Model> savepoints;
    const auto compare = [&](const Key& key) {
      const std::optional<Record> record = work.load(key);
      ASSERT_EQ(body_of(record ? &*record : nullptr), expected(model, key));
    };
    for (int step = 0; step < 800; ++step) {
      const Model before = model;
      work.begin_mutation();
      for (std::size_t n = 1 + random.below(6); n > 0; --n) {
        const Key key = some_key();
        ASSERT_NO_FATAL_FAILURE(compare(key));
        if (random.one_in(8)) {
          work.erase(key);
          model.erase(key);
        } else if (random.one_in(2)) {
          work.put(key, {.body = model[key] = some_body()});
        }
        ASSERT_NO_FATAL_FAILURE(compare(key));
      }
      if (random.one_in(6)) {
        work.drop_mutation();
        model = before;
      } else {
        work.end_mutation();
      }
      if (random.one_in(10)) {
        std::vector<Key> keys;
        const Space space = some_key().space;
        while (keys.size() < 20) {
          if (const Key key = some_key(); key.space == space) keys.push_back(key);
        }
        work.load_many(keys, [&](std::size_t i, Record* record) {
          EXPECT_EQ(body_of(record), expected(model, keys[i]));
        });
      }
      if (random.one_in(100)) {
        Range range{.space = some_key().space};
        const std::vector<Row> rows = work.scan(range, SIZE_MAX);
        const bool id = port::schema(range.space).shape == port::KeyShape::kId;
        std::size_t count = 0;
        for (const auto& [key, body] : model) {
          if (key.space != range.space || (!id && key.a != 0)) continue;
          ASSERT_LT(count, rows.size());
          ASSERT_EQ(rows[count].key, key);
          ASSERT_EQ(rows[count].record.body, body);
          ++count;
        }
        ASSERT_EQ(count, rows.size());
      }
      const std::size_t choice = random.below(100);
      if (choice < 2) {
        work.savepoint();
        savepoints.push_back(model);
      } else if (choice < 5 && !savepoints.empty()) {
        if (choice == 2) {
          work.rollback_to_savepoint();
          model = savepoints.back();
        } else {
          work.release_savepoint();
        }
        savepoints.pop_back();
      }
    }
    for (; !savepoints.empty(); savepoints.pop_back()) work.release_savepoint();
    work.finish();
    transaction->commit(work.commit_id());
    committed = model;
    const auto view = backend->view();
    for (const auto& [key, body] : committed) ASSERT_EQ(view->load(key).value().body, body);
    for (int i = 0; i < 500; ++i) {
      const Key key = some_key();
      ASSERT_EQ(view->load(key).has_value(), committed.contains(key));
    }
  }
}

}  // namespace
}  // namespace graven::test
