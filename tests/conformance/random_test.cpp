// SPDX-License-Identifier: MIT
//
// Random operations on a backend and on std::map side by side: batches, savepoints, rollbacks,
// views kept over many commits and flushes, scans of every shape, and reopening.
#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "conformance/store_under_test.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::KeyShape;
using port::Range;
using port::Record;
using port::Row;
using port::Space;

using Model = std::map<Key, Record>;

class RandomOperations : public Conformance {
 protected:
  Space space() { return static_cast<Space>(random_.below(port::kSpaceCount)); }

  std::int64_t number() {
    if (random_.one_in(30)) return random_.one_in(2) ? INT64_MAX : INT64_MIN;
    const auto small = static_cast<std::int64_t>(random_.below(40)) - 10;
    return random_.one_in(4) ? small * 0x100'0000'0001 : small;
  }

  /// What a store's own check takes for an id given out.
  std::int64_t id() {
    if (random_.one_in(30)) return port::kMostId;
    const auto small = static_cast<std::int64_t>(1 + random_.below(30));
    return random_.one_in(4) ? small * 0x100'0000'0001 : small;
  }

  Key key(Space where) {
    const port::Schema& schema = port::schema(where);
    Key key{.space = where};
    if (!schema.a.empty()) key.a = schema.shape == KeyShape::kId ? id() : number() % 4;
    if (schema.shape == KeyShape::kPair) key.b = number();
    if (schema.shape == KeyShape::kName) {
      for (std::size_t length = random_.below(4); length > 0; --length) {
        key.name += static_cast<char>(random_.one_in(5) ? '\0' : 'a' + random_.below(3));
      }
    }
    return key;
  }

  Record record(Space where) {
    const port::Schema& schema = port::schema(where);
    Record record;
    const auto given_out = [this] { return random_.bits() >> 2; };
    if (schema.has_version) record.version = given_out();
    for (std::size_t i = 0; i < schema.integers.size(); ++i) {
      const bool id = where == Space::kPrefix && i == 0;
      record.integers[i] = static_cast<std::int64_t>(id ? given_out() : random_.bits());
    }
    if (schema.has_body && !random_.one_in(5)) {
      record.body.assign(random_.below(random_.one_in(20) ? 9000 : 60),
                         static_cast<char>(random_.below(256)));
    }
    return record;
  }

  std::vector<Change> batch() {
    std::vector<Change> changes;
    for (std::size_t n = random_.below(30); n > 0; --n) {
      const Space where = space();
      changes.push_back({key(where), std::nullopt});
      if (!random_.one_in(3)) changes.back().record = record(where);
    }
    return changes;
  }

  static void apply(Model& model, const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      model.erase(change.key);
      if (change.record) model[change.key] = *change.record;
    }
  }

  Range range(Space where) {
    Range range{.space = where};
    if (port::schema(where).shape != KeyShape::kId && !port::schema(where).a.empty()) {
      range.a = number() % 4;
      range.a_to = range.a + (random_.one_in(3) ? static_cast<std::int64_t>(random_.below(6)) : 0);
    }
    if (random_.one_in(2)) range.from = number();
    if (random_.one_in(2)) range.to = number();
    range.after = key(Space::kCounter).name;
    if (random_.one_in(2)) range.after.clear();
    range.include_empty_name = random_.one_in(2);
    range.reverse = range.a_to <= range.a && random_.one_in(2);
    return range;
  }

  static bool inside(const Range& range, KeyShape shape, const Key& key) {
    if (shape == KeyShape::kId) return range.from <= key.a && key.a <= range.to;
    const bool many = range.a_to > range.a;
    if (key.a != range.a) return many && range.a < key.a && key.a <= range.a_to;
    if (shape == KeyShape::kPair) return range.from <= key.b && (many || key.b <= range.to);
    const bool back = range.reverse && !many;
    if (key.name.empty()) return range.include_empty_name && (back || range.after.empty());
    return back ? range.after.empty() || key.name < range.after : key.name > range.after;
  }

  static std::vector<Row> scan(const Model& model, const Range& range, std::size_t limit) {
    std::vector<Row> rows;
    const KeyShape shape = port::schema(range.space).shape;
    for (const auto& [key, record] : model) {
      if (key.space != range.space) continue;
      if (inside(range, shape, key)) rows.push_back({key, record});
    }
    if (range.reverse) std::reverse(rows.begin(), rows.end());
    if (rows.size() > limit) rows.resize(limit);
    return rows;
  }

  void compare(port::View& view, const Model& model) {
    const auto expected = [&model](const Key& key) {
      const auto found = model.find(key);
      return found == model.end() ? std::nullopt : std::optional(found->second);
    };
    for (int i = 0; i < 5; ++i) {
      const Key one = key(space());
      ASSERT_EQ(view.load(one), expected(one));
    }
    const Space where = space();
    std::vector<Key> keys;
    for (std::size_t n = random_.below(40); n > 0; --n) keys.push_back(key(where));
    std::size_t answers = 0;
    view.load_many(keys, [&](std::size_t i, Record* record) {
      ++answers;
      EXPECT_EQ(record == nullptr ? std::nullopt : std::optional(*record), expected(keys[i]));
    });
    ASSERT_EQ(answers, keys.size());
    const Range stretch = range(space());
    const std::size_t limit = random_.one_in(3) ? 1000 : random_.below(6);
    const auto rows = view.scan(stretch, limit);
    const auto rows_expected = scan(model, stretch, limit);
    ASSERT_EQ(rows.size(), rows_expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(rows[i].key, rows_expected[i].key);
      ASSERT_EQ(rows[i].record, rows_expected[i].record);
    }
  }

  /// One transaction, with savepoints, to whatever end.
  void transact() {
    const auto transaction = backend_->begin(soon());
    Model model = committed_;
    std::vector<Model> savepoints;
    for (std::size_t step = random_.below(8); step > 0; --step) {
      maybe_flush();
      const std::vector<Change> changes = batch();
      transaction->apply(changes);
      apply(model, changes);
      switch (random_.below(6)) {
        case 0:
          transaction->savepoint(static_cast<int>(savepoints.size()));
          savepoints.push_back(model);
          break;
        case 1:
          if (savepoints.empty()) break;
          savepoints.resize(1 + random_.below(savepoints.size()));
          transaction->rollback_to(static_cast<int>(savepoints.size()) - 1);
          model = savepoints.back();
          break;
        case 2:
          if (savepoints.empty()) break;
          savepoints.resize(random_.below(savepoints.size()));
          transaction->release(static_cast<int>(savepoints.size()));
          break;
        default:
          break;
      }
      ASSERT_NO_FATAL_FAILURE(compare(*transaction, model));
    }
    if (random_.one_in(4)) return;
    transaction->commit(++commits_);
    committed_ = model;
  }

  /// A store's own check wants items and the times of maps to fit, which here are any.
  void forget_times() {
    std::vector<Change> changes;
    for (const auto& [key, record] : committed_) {
      if (key.space == Space::kExpiry) changes.push_back({key, std::nullopt});
      if (key.space == Space::kItem) changes.push_back({key, Record{}});
    }
    const auto transaction = backend_->begin(soon());
    transaction->apply(changes);
    transaction->commit(++commits_);
    apply(committed_, changes);
    backend_->flush();
  }

  /// Changes nothing that can be seen here, at whatever moment.
  void maybe_flush() {
    if (random_.one_in(10)) backend_->flush();
  }

  Random random_;
  Model committed_;
  std::uint64_t commits_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Backends, RandomOperations, ::testing::ValuesIn(every_backend()),
                         backend_name);

TEST_P(RandomOperations, AgreeWithAMap) {
  struct Kept {
    std::unique_ptr<port::View> view;
    Model model;
  };
  std::vector<Kept> kept;
  for (int round = 0; round < 600; ++round) {
    ASSERT_NO_FATAL_FAILURE(transact());
    if (random_.one_in(5)) {
      kept.push_back({backend_->view(), committed_});
      maybe_flush();
      ASSERT_NO_FATAL_FAILURE(compare(*kept.back().view, committed_));
    }
    if (kept.size() > 8) kept.erase(kept.begin() + static_cast<long>(random_.below(kept.size())));
    maybe_flush();
    for (Kept& one : kept) ASSERT_NO_FATAL_FAILURE(compare(*one.view, one.model));
    const Key one = key(space());
    const auto found = committed_.find(one);
    ASSERT_EQ(backend_->load(one),
              found == committed_.end() ? std::nullopt : std::optional(found->second));
    if (random_.one_in(60)) {
      kept.clear();
      backend_->maintain();
      reopen();
    }
  }
  kept.clear();
  forget_times();
  for (const std::string& problem : backend_->check()) ADD_FAILURE() << problem;
  reopen();
  const auto view = backend_->view();
  for (const auto& [key, record] : committed_) ASSERT_EQ(view->load(key), record);
}

}  // namespace
}  // namespace graven::test
