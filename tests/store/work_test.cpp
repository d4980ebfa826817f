// SPDX-License-Identifier: MIT
//
// Work against a plain map: what it shows is always what a naive overlay would, through
// mutations that end or are dropped, savepoints, scans of every shape, and spilling early.
// Then the ids it gives out, and what it does to clock and prefixes.
#include "store/work.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

using port::Key;
using port::KeyShape;
using port::Range;
using port::Record;
using port::Row;
using port::Space;
using store::Work;

using Model = std::map<Key, Record>;

bool inside(const Range& range, const Key& key) {
  if (key.space != range.space) return false;
  const KeyShape shape = port::schema(range.space).shape;
  if (shape == KeyShape::kId) return range.from <= key.a && key.a <= range.to;
  const bool span = range.a_to > range.a;
  if (key.a != range.a) return span && range.a < key.a && key.a <= range.a_to;
  if (shape == KeyShape::kPair) return range.from <= key.b && (span || key.b <= range.to);
  const bool back = range.reverse && !span;
  if (key.name.empty()) return range.include_empty_name && (back || range.after.empty());
  return back ? range.after.empty() || key.name < range.after : key.name > range.after;
}

std::vector<Row> scan(const Model& model, const Range& range, std::size_t limit) {
  std::vector<Row> rows;
  for (const auto& [key, record] : model) {
    if (inside(range, key)) rows.push_back({key, record});
  }
  if (range.reverse) std::reverse(rows.begin(), rows.end());
  if (rows.size() > limit) rows.resize(limit);
  return rows;
}

class RandomWork {
 public:
  explicit RandomWork(Random& random) : random_(random) {}

  Space space() { return static_cast<Space>(random_.below(port::kSpaceCount)); }

  Key key(Space where) {
    const port::Schema& schema = port::schema(where);
    Key key{.space = where};
    if (!schema.a.empty()) key.a = number(schema.shape == KeyShape::kId ? 24 : 3);
    if (schema.shape == KeyShape::kPair) key.b = number(8);
    // The empty name of kPrefix is the clock's, which a Work writes itself.
    if (schema.shape == KeyShape::kName) key.name = std::string(where == Space::kPrefix ? "p" : "");
    for (std::size_t i = 0; schema.shape == KeyShape::kName && i < random_.below(3); ++i) {
      key.name += static_cast<char>('a' + random_.below(3));
    }
    return key;
  }

  Record record(Space where, std::uint64_t version) {
    const port::Schema& schema = port::schema(where);
    Record record;
    if (schema.has_version) record.version = version;
    for (std::size_t i = 0; i < schema.integers.size(); ++i) record.integers[i] = number(1000);
    if (schema.has_body) record.body.assign(random_.below(5), 'x');
    return record;
  }

  Range range() {
    Range range{.space = space()};
    const port::Schema& schema = port::schema(range.space);
    if (schema.shape != KeyShape::kId && !schema.a.empty()) {
      range.a = number(3);
      if (random_.one_in(3)) range.a_to = range.a + static_cast<std::int64_t>(random_.below(4));
    }
    const bool span = range.a_to > range.a;
    if (random_.one_in(2)) range.from = number(12);
    if (random_.one_in(2) && !span) range.to = number(12);
    if (range.space == Space::kPrefix) {
      range.after = key(Space::kPrefix).name.substr(0, 1 + random_.below(2));
    } else if (random_.one_in(2)) {
      range.after = key(Space::kCounter).name;
    }
    range.include_empty_name = random_.one_in(2) && range.space != Space::kPrefix;
    range.reverse = random_.one_in(2) && !span;
    return range;
  }

  std::int64_t number(std::size_t below) {
    return static_cast<std::int64_t>(random_.below(below)) - static_cast<std::int64_t>(below / 3);
  }

  void compare(Work& work, const Model& model) {
    for (int i = 0; i < 3; ++i) {
      const Key one = key(space());
      ASSERT_EQ(work.load(one), find(model, one));
    }
    const std::int64_t owner = number(3);
    ASSERT_EQ(work.any_orphan(owner),
              !scan(model, {.space = Space::kOrphan, .a = owner}, 1).empty());
    const Space where = space();
    std::vector<Key> keys;
    for (std::size_t n = random_.below(10); n > 0; --n) keys.push_back(key(where));
    std::size_t answers = 0;
    work.load_many(keys, [&](std::size_t i, Record* found) {
      ++answers;
      EXPECT_EQ(found == nullptr ? std::nullopt : std::optional(*found), find(model, keys[i]));
    });
    ASSERT_EQ(answers, keys.size());
    const Range stretch = range();
    const std::size_t limit = random_.one_in(2) ? 1000 : random_.below(6);
    const std::vector<Row> rows = work.scan(stretch, limit);
    const std::vector<Row> expected = scan(model, stretch, limit);
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(rows[i].key, expected[i].key);
      ASSERT_EQ(rows[i].record, expected[i].record);
    }
  }

  /// Edges or slots that are not there, on both.
  void add_pairs(Work& work, Model& model, Space where) {
    std::map<Key, port::NewPair> pairs;
    for (std::size_t n = random_.below(20); n > 0; --n) {
      Key one = key(where);
      if (where == Space::kEdge) one.b = 1000 + edges_++;  // its parent is new
      if (model.contains(one)) continue;
      pairs[one] = {one.a, one.b, number(1000)};
    }
    std::vector<port::NewPair> list;
    for (const auto& [one, pair] : pairs) {
      list.push_back(pair);
      model[one] = {.integers = {pair.value}};
    }
    if (random_.one_in(2)) std::reverse(list.begin(), list.end());
    work.write_new_pairs(where, list);
  }

  /// Nodes and entries that are not there, on both.
  void add_rows(Work& work, Model& model, Space where) {
    const bool pair = port::schema(where).shape == KeyShape::kPair;
    port::NewRows rows(where);
    const std::size_t count = random_.one_in(3) ? random_.below(8) : 64 + random_.below(40);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t number = 2000 + rows_++;
      Key one{.space = where, .a = pair ? 1 : number, .b = pair ? number : 0};
      Record made = record(where, work.commit_id());
      rows.bytes() += made.body;
      rows.add(one.a, one.b, made.integers);
      model[one] = made;
    }
    work.write_new(std::move(rows));
  }

  /// Many puts and erasures at once, and what nobody knows, on both.
  void change_many(Work& work, Model& model) {
    if (random_.one_in(2)) add_pairs(work, model, Space::kEdge);
    if (random_.one_in(2)) add_pairs(work, model, Space::kSlot);
    if (random_.one_in(3)) add_rows(work, model, Space::kNode);
    if (random_.one_in(3)) add_rows(work, model, Space::kEntry);
    std::map<Key, std::optional<Record>> changes;
    for (std::size_t n = random_.below(200); n > 0; --n) {
      const Key one = key(space());
      changes[one] =
          random_.one_in(3) ? std::nullopt : std::optional(record(one.space, work.commit_id()));
    }
    std::vector<port::Change> list;
    for (const auto& [one, made] : changes) {
      list.push_back({one, made});
      if (made) {
        model.insert_or_assign(one, *made);
      } else {
        model.erase(one);
      }
    }
    if (random_.one_in(2)) std::reverse(list.begin(), list.end());
    work.write_many(std::move(list));
  }

  /// Some puts and erasures, on both.
  void change(Work& work, Model& model) {
    if (random_.one_in(3)) change_many(work, model);
    for (std::size_t n = 1 + random_.below(12); n > 0; --n) {
      const Key one = key(space());
      if (random_.one_in(3)) {
        work.erase(one);
        model.erase(one);
      } else {
        const Record made = record(one.space, work.commit_id());
        work.put(one, made);
        model.insert_or_assign(one, made);
      }
    }
  }

  static std::optional<Record> find(const Model& model, const Key& key) {
    const auto at = model.find(key);
    return at == model.end() ? std::nullopt : std::optional(at->second);
  }

 private:
  Random& random_;
  std::int64_t edges_ = 0;
  std::int64_t rows_ = 0;
};

/// Everything in the store but the clock.
Model content(port::View& view) {
  Model model;
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    for (Row& row : view.scan(port::whole(static_cast<Space>(i)), SIZE_MAX)) {
      model.emplace(row.key, std::move(row.record));
    }
  }
  model.erase(port::clock_key());
  return model;
}

struct Spilling {
  const char* store;
  std::size_t records;
};

class WorkInATransaction : public ::testing::TestWithParam<Spilling> {};
INSTANTIATE_TEST_SUITE_P(
    Spilling, WorkInATransaction,
    ::testing::Values(Spilling{"memory", 1}, Spilling{"memory", 5}, Spilling{"memory", 30},
                      Spilling{"memory", Work::kSpillRecords}, Spilling{"sqlite", 1},
                      Spilling{"sqlite", 7}, Spilling{"sqlite", Work::kSpillRecords}),
    [](const auto& one) {
      return one.param.store + std::string("_") + std::to_string(one.param.records);
    });

TEST_P(WorkInATransaction, ShowsWhatANaiveOverlayWould) {
  const TemporaryFolder folder;
  const Opened backend = GetParam().store == std::string("memory")
                             ? lazy::open("memory")
                             : sqlite::open(folder / "test.db");
  store::Ids ids;
  Random random;
  RandomWork some(random);
  Model committed;
  for (int round = 0; round < 100; ++round) {
    const auto transaction = backend->begin(soon());
    Work work(*transaction, ids, nullptr, GetParam().records);
    constexpr std::array<std::size_t, 3> kMuch{0, 300, std::size_t{1} << 20U};
    work.expect_much(kMuch[random.below(kMuch.size())]);
    Model model = committed;
    std::vector<Model> savepoints;
    for (std::size_t step = random.below(10); step > 0; --step) {
      const Model before = model;
      work.begin_mutation();
      for (std::size_t part = 1 + random.below(3); part > 0; --part) {
        some.change(work, model);
        ASSERT_NO_FATAL_FAILURE(some.compare(work, model));
      }
      if (random.one_in(3)) {
        work.drop_mutation();
        model = before;
      } else {
        work.end_mutation();
      }
      ASSERT_NO_FATAL_FAILURE(some.compare(work, model));
      const std::size_t choice = random.below(5);
      if (choice == 0) {
        work.savepoint();
        savepoints.push_back(model);
      } else if (choice == 1 && !savepoints.empty()) {
        work.rollback_to_savepoint();
        model = savepoints.back();
        savepoints.pop_back();
      } else if (choice == 2 && !savepoints.empty()) {
        work.release_savepoint();
        savepoints.pop_back();
      }
      ASSERT_NO_FATAL_FAILURE(some.compare(work, model));
    }
    for (; !savepoints.empty(); savepoints.pop_back()) work.release_savepoint();
    if (random.one_in(4)) continue;
    work.finish();
    transaction->commit(work.commit_id());
    committed = model;
    ASSERT_EQ(content(*backend->view()), committed);
  }
}

/// A transaction of which an apply fails, and everything behind it.
class Failing final : public port::WriteTransaction {
 public:
  Failing(port::WriteTransaction& over, int good) : over_(over), good_(good) {}
  std::optional<Record> load(const Key& key) override { return over_.load(key); }
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override {
    over_.load_many(keys, each);
  }
  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    return over_.scan(range, limit);
  }
  void apply(std::span<const port::Change> changes) override {
    require(good_-- > 0);
    over_.apply(changes);
  }
  void savepoint(int depth) override {
    require(good_ >= 0);
    over_.savepoint(depth);
  }
  void rollback_to(int depth) override {
    require(good_ >= 0);
    over_.rollback_to(depth);
  }
  void release(int depth) override {
    require(good_ >= 0);
    over_.release(depth);
  }
  void commit(std::uint64_t) override { require(false); }

 private:
  static void require(bool good) {
    if (!good) throw LimitError("no space is left");
  }
  port::WriteTransaction& over_;
  int good_;
};

TEST(WorkOnASinkThatFails, IsRefusedItsEnd) {
  // Where the sink fails: as a run is applied, behind a savepoint, in the edges at the end.
  for (int good = 0; good < 5; ++good) {
    const Opened backend = lazy::open("memory");
    const auto transaction = backend->begin(soon());
    Failing sink(*transaction, good);
    store::Ids ids;
    Work work(sink, ids);
    work.expect_much(std::size_t{1} << 20U);
    const auto mutation = [&](std::int64_t from, bool scanned) {
      work.begin_mutation();
      try {
        std::vector<port::Change> nodes;
        for (std::int64_t i = from; i < from + 100; ++i) {
          nodes.push_back({{.space = Space::kNode, .a = i}, Record{}});
        }
        work.write_many(std::move(nodes));
        const port::NewPair edge{.a = from, .b = 1, .value = 1};
        work.write_new_pairs(Space::kEdge, {&edge, 1});
        if (scanned) work.scan({.space = Space::kNode}, SIZE_MAX);
      } catch (...) {
        work.drop_mutation();
        throw;
      }
      work.end_mutation();
    };
    EXPECT_THROW(
        {
          mutation(0, false);
          mutation(100, true);
          work.finish();
        },
        LimitError)
        << good;
    EXPECT_THROW(work.finish(), UnavailableError) << good;
  }
}

TEST(OptimisticWork, ShowsWhatANaiveOverlayWouldAndIsReplayed) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  Random random;
  RandomWork some(random);
  Model committed;
  for (int round = 0; round < 60; ++round) {
    const auto view = backend->view();
    Work work(*view, ids);
    Model model = committed;
    for (std::size_t step = random.below(6); step > 0; --step) {
      const Model before = model;
      work.begin_mutation();
      some.change(work, model);
      ASSERT_NO_FATAL_FAILURE(some.compare(work, model));
      if (random.one_in(3)) {
        work.drop_mutation();
        model = before;
      } else {
        work.end_mutation();
      }
      ASSERT_NO_FATAL_FAILURE(some.compare(work, model));
    }
    const auto transaction = backend->begin(soon());
    Work target(*transaction, ids);
    EXPECT_TRUE(work.read_set().holds_in(target));
    work.replay_into(target);
    // What is replayed is written by this commit, so it carries its version.
    for (auto& [key, record] : model) {
      const auto was = committed.find(key);
      if (was != committed.end() && was->second == record) continue;
      if (port::schema(key.space).has_version) record.version = target.commit_id();
    }
    target.finish();
    transaction->commit(target.commit_id());
    committed = model;
    ASSERT_EQ(content(*backend->view()), committed);
  }
}

// --- Ids and the clock

TEST(WorkIds, GrowWithinAndAcrossWorks) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  std::int64_t last = 0;
  for (int round = 0; round < 5; ++round) {
    const auto transaction = backend->begin(soon());
    Work work(*transaction, ids);
    EXPECT_GT(static_cast<std::int64_t>(work.commit_id()), last);
    last = static_cast<std::int64_t>(work.commit_id());
    for (int i = 0; i < 100'000; ++i) {
      const std::int64_t id = work.next_id(Space::kNode);
      ASSERT_GT(id, last);
      last = id;
    }
    work.put({.space = Space::kCounter, .a = 1, .name = "x"}, {});
    work.finish();
    transaction->commit(work.commit_id());
    EXPECT_EQ(backend->load(port::clock_key())->integers[0], last);
  }
}

TEST(WorkIds, AreNotGivenOutAgainAfterARollBack) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  std::set<std::int64_t> seen;
  for (int round = 0; round < 2000; ++round) {
    const auto transaction = backend->begin(soon());
    Work work(*transaction, ids);
    ASSERT_TRUE(seen.insert(static_cast<std::int64_t>(work.commit_id())).second);
    ASSERT_TRUE(seen.insert(work.next_id(Space::kNode)).second);
    const auto view = backend->view();
    Work optimistic(*view, ids);
    ASSERT_TRUE(seen.insert(optimistic.next_id(Space::kNode)).second);
    ASSERT_TRUE(seen.insert(work.next_id(Space::kPage)).second);
    if (round % 10 != 0) continue;  // mostly nothing is committed
    work.put({.space = Space::kCounter, .a = 1, .name = "x"}, {});
    work.finish();
    transaction->commit(work.commit_id());
  }
}

TEST(WorkIds, AreTheTimeOfDay) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  const auto transaction = backend->begin(soon());
  const auto now = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  const auto before = now();
  Work work(*transaction, ids);
  const auto made = work.next_id(Space::kNode) >> 15;
  EXPECT_GE(made, before);
  EXPECT_LE(made, now() + 1);
}

TEST(WorkIds, OptimisticOnesGrowFromTheClockOnToo) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  constexpr std::int64_t kAhead = std::int64_t{1} << 62;  // somebody's clock was wrong
  {
    const auto transaction = backend->begin(soon());
    transaction->apply(
        std::vector<port::Change>{{port::clock_key(), Record{.version = 1, .integers = {kAhead}}}});
    transaction->commit(1);
  }
  const auto view = backend->view();
  Work work(*view, ids);
  std::int64_t last = kAhead;
  for (int i = 0; i < 100; ++i) {
    const std::int64_t id = work.next_id(Space::kNode);
    ASSERT_GT(id, last);
    last = id;
  }
}

TEST(WorkIds, AnIdThatSomebodyElseTookMeanwhileIsAConflict) {
  for (const Space space : {Space::kNode, Space::kPage, Space::kBlob}) {
    const Opened backend = lazy::open("memory");
    store::Ids ids;
    const auto view = backend->view();
    Work work(*view, ids);
    const std::int64_t id = work.next_id(space);
    EXPECT_TRUE(work.read_set().holds_in(*backend->view()));
    const auto transaction = backend->begin(soon());
    Work other(*transaction, ids);
    other.put({.space = space, .a = id}, {});
    other.finish();
    transaction->commit(other.commit_id());
    EXPECT_FALSE(work.read_set().holds_in(*backend->view()));
  }
}

TEST(WorkIds, OptimisticIdsDoNotDependOnTheClock) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  const auto view = backend->view();
  Work work(*view, ids);
  static_cast<void>(work.next_id(Space::kNode));
  const auto transaction = backend->begin(soon());
  Work other(*transaction, ids);
  other.put({.space = Space::kCounter, .a = 1, .name = "x"}, {});
  other.finish();
  transaction->commit(other.commit_id());
  EXPECT_TRUE(work.read_set().holds_in(*backend->view()));
}

TEST(WorkFinish, MovesTheTouchedPrefixesOnAndNoOthers) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  const Key one{.space = Space::kPrefix, .name = "one"};
  const Key two{.space = Space::kPrefix, .name = "two"};
  std::uint64_t first = 0;
  {
    const auto transaction = backend->begin(soon());
    Work work(*transaction, ids);
    work.put(one, {.integers = {1, 10}});
    work.put(two, {.integers = {2, 20}});
    work.remember_last_prefix(2);
    work.finish();
    first = work.commit_id();
    transaction->commit(first);
  }
  const auto transaction = backend->begin(soon());
  Work work(*transaction, ids);
  work.touch_prefix("one");
  work.touch_prefix("absent");
  work.put({.space = Space::kMap, .name = "something"}, {});
  work.finish();
  transaction->commit(work.commit_id());
  EXPECT_EQ(backend->load(one), (Record{.version = work.commit_id(), .integers = {1, 10}}));
  EXPECT_EQ(backend->load(two), (Record{.version = first, .integers = {2, 20}}));
  EXPECT_FALSE(backend->load({.space = Space::kPrefix, .name = "absent"}));
  EXPECT_EQ(backend->load(port::clock_key())->integers[1], 2);  // the prefix used last is kept
}

TEST(WorkFinish, LeavesClockAndPrefixesWhereOnlyCountersAndItemsWereChanged) {
  const Opened backend = lazy::open("memory");
  store::Ids ids;
  const Key prefix{.space = Space::kPrefix, .name = "one"};
  const auto commit = [&](const auto& body) {
    const auto transaction = backend->begin(soon());
    Work work(*transaction, ids);
    work.touch_prefix("one");
    body(work);
    work.finish();
    transaction->commit(work.commit_id());
  };
  commit([&](Work& work) { work.put(prefix, {.integers = {1, 10}}); });
  const auto clock = backend->load(port::clock_key());
  const auto before = backend->load(prefix);
  commit([&](Work& work) {
    work.put({.space = Space::kCounter, .a = 1, .name = "x"}, {.integers = {7}});
    work.put({.space = Space::kItem, .a = 1, .name = "y"}, {});
  });
  EXPECT_EQ(backend->load({.space = Space::kCounter, .a = 1, .name = "x"})->integers[0], 7);
  EXPECT_EQ(backend->load(port::clock_key()), clock);
  EXPECT_EQ(backend->load(prefix), before);
}

}  // namespace
}  // namespace graven::test
