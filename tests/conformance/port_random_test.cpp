// SPDX-License-Identifier: MIT
//
// Random clients of one store: they read, wait for each other, commit what relies on what they have
// read, send it again, or resolve it. Afterwards a model does the commits in the order of their
// clocks: each answer must be the one of its state, and the contents must be equal. Clients take
// turns in a random order, which a seed repeats; or they are threads.
#include <algorithm>
#include <set>
#include <thread>

#include "base/random.hpp"
#include "conformance/port_model.hpp"
#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

using port::Batch;
using port::CommitId;
using port::CommitResult;
using port::Key;
using port::Operation;
using port::Outcome;
using port::Predicate;
using port::Range;
using port::ReadOp;
using port::Record;
using port::Row;
using port::Space;
using port::StateVersion;

/// A commit as its client saw it.
struct Sent {
  CommitId id;
  Batch batch;
  CommitResult result;
};

class RandomClient {
 public:
  RandomClient(port::Backend& store, std::uint64_t seed) : client_(store), random_(seed) {}

  /// Reads, or commits what relies on the last read.
  void step() {
    if (predicates_.empty() && changes_.empty()) return read();
    commit();
    predicates_.clear();
    changes_.clear();
  }
  [[nodiscard]] const std::vector<Sent>& sent() const noexcept { return sent_; }

 private:
  std::int64_t small() { return static_cast<std::int64_t>(1 + random_.below(5)); }

  Key key() {
    switch (random_.below(5)) {
      case 0:
        return at_node(small());
      case 1:
        return at_edge(small(), small());
      case 2:
        return at_orphan(static_cast<std::int64_t>(random_.below(2)), small());
      case 3:
        return {.space = Space::kEntry, .a = small(), .b = small()};
      default:
        return at_counter(random_.one_in(2) ? "x" : "y");
    }
  }

  Range range() {
    const std::array<Space, 3> spaces{Space::kEdge, Space::kEntry, Space::kOrphan};
    Range range{.space = spaces[random_.below(spaces.size())], .a = small()};
    if (range.space == Space::kOrphan) range.a = 0;
    if (random_.one_in(3)) range.from = small();
    if (random_.one_in(3)) range.to = small();
    range.reverse = random_.one_in(4);
    return range;
  }

  Record record(const Key& key, std::uint64_t version) {
    Record record;
    if (key.space == Space::kNode) {
      const std::int64_t anchor = random_.one_in(4) ? -small() + 1 : small();
      record = a_node(version, anchor, std::string(random_.below(20), 'b'));
    } else if (key.space == Space::kEntry) {
      record = {.version = version, .body = std::string(1 + random_.below(9), 'e')};
    } else if (key.space != Space::kOrphan) {
      record = a_number(small());
    }
    return record;
  }

  void rely_on(const Key& key, const std::optional<Record>& seen) {
    Predicate says{.kind = Is::kAbsent, .key = key};
    if (seen && port::schema(key.space).has_version) {
      says.kind = Is::kVersion;
      says.number = seen->version;
      if (key.space == Space::kNode && random_.one_in(3)) {
        says.kind = Is::kAnchor;
        says.number = static_cast<std::uint64_t>(seen->integers[2]);
      } else if (key.space == Space::kNode && seen->integers[2] > 0 && random_.one_in(3)) {
        says.kind = Is::kAnchored;
      }
    } else if (seen) {
      says.kind = Is::kSame;
      says.record = *seen;
    }
    predicates_.push_back(std::move(says));
  }

  void rely_on(const Range& range, std::size_t limit, std::span<const Row> rows) {
    if (rows.size() == limit) {
      predicates_.push_back(
          {.kind = Is::kNth, .key = rows.back().key, .number = limit, .range = range});
    } else {
      predicates_.push_back({.kind = Is::kCount, .number = rows.size(), .range = range});
    }
  }

  void read() {
    std::vector<ReadOp> ops;
    for (std::size_t n = random_.below(4); n > 0; --n) {
      if (random_.one_in(3)) {
        ops.push_back({.range = range(), .limit = 1 + random_.below(3)});
      } else {
        ops.push_back({.key = key()});
      }
    }
    const StateVersion state = client_.store().read(
        {}, ops,
        [&](std::size_t op, std::span<Row> rows, std::uint64_t) {
          if (!ops[op].key) return rely_on(ops[op].range, ops[op].limit, rows);
          rely_on(*ops[op].key, rows.empty() ? std::nullopt : std::optional(rows.front().record));
        },
        patiently());
    if (random_.one_in(8)) {
      predicates_.push_back({.kind = Is::kPending, .number = state.pending});
    }
    if (random_.one_in(16)) predicates_.push_back({.kind = Is::kUnmoved, .state = state});
    std::set<Key> once;
    for (std::size_t n = random_.below(5); n > 0; --n) {
      if (const Key one = key(); once.insert(one).second) changes_.push_back({one, Record{}});
    }
  }

  std::vector<Operation> operations() {
    std::vector<Operation> all;
    const auto changed = [&](const Key& key) {
      return std::any_of(changes_.begin(), changes_.end(),
                         [&](const port::Change& change) { return change.key == key; });
    };
    for (std::size_t n = random_.below(3); n > 0; --n) {
      Operation one{.kind = Do::kErase, .key = key(), .number = random_.one_in(3) ? -1 : 1};
      if (changed(one.key)) continue;
      if (one.key.space == Space::kCounter) one.kind = Do::kAdd;
      if (one.key.space == Space::kEdge) one.kind = Do::kLinks;
      all.push_back(std::move(one));
    }
    if (changes_.empty() && random_.one_in(4)) {
      all.push_back({.kind = Do::kEraseRange, .number = small(), .range = range()});
    }
    return all;
  }

  void commit() {
    const CommitId id = client_.next();
    for (port::Change& change : changes_) {
      if (random_.one_in(3)) {
        change.record.reset();
      } else {
        change.record = record(change.key, version_of(id));
      }
    }
    const Batch batch{.predicates = predicates_, .operations = operations(), .changes = changes_};
    if (random_.one_in(20)) client_.resolve(id);  // before it arrives
    const bool resent = random_.one_in(8);
    Sent sent{id, batch, client_.commit(id, batch, resent)};
    if (resent || sent.result.outcome == Outcome::kDone) {
      const Outcome outcome = sent.result.outcome;
      if (random_.one_in(4)) {
        EXPECT_EQ(client_.commit(id, batch, true).outcome, outcome);
      }
      if (random_.one_in(4)) {
        EXPECT_EQ(client_.resolve(id).outcome, outcome);
      }
    }
    sent_.push_back(std::move(sent));
  }

  Client client_;
  Random random_;
  std::vector<Predicate> predicates_;
  std::vector<port::Change> changes_;
  std::vector<Sent> sent_;
};

class PortRandom : public PortConformance {
 protected:
  void make_clients(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      stores_.push_back(open_());
      clients_.push_back(std::make_unique<RandomClient>(*stores_.back(), random_.bits()));
    }
  }

  /// The model does what was done, and looks at each answer in the state that it is of.
  void check() {
    std::vector<const Sent*> all;
    for (const auto& client : clients_) {
      for (const Sent& one : client->sent()) all.push_back(&one);
    }
    const auto at = [](const Sent* one) {
      const bool first = one->result.outcome == Outcome::kDone && writes(one->batch);
      const auto& states = one->result.states;
      return std::pair(states.empty() ? 0 : states.front().clock, !first);
    };
    std::stable_sort(all.begin(), all.end(),
                     [&](const Sent* one, const Sent* other) { return at(one) < at(other); });
    std::array<std::size_t, 4> outcomes{};
    for (const Sent* one : all) {
      ++outcomes[static_cast<std::size_t>(one->result.outcome)];
      ASSERT_NO_FATAL_FAILURE(check(*one)) << "commit " << one->id.sequence;
    }
    EXPECT_GT(outcomes[static_cast<std::size_t>(Outcome::kDone)], all.size() / 8);
    EXPECT_GT(outcomes[static_cast<std::size_t>(Outcome::kConflict)], 0U);
    EXPECT_EQ(outcomes[static_cast<std::size_t>(Outcome::kUnknown)], 0U);
    EXPECT_EQ(model_.state, client_.state());
    compare();
  }

  void check(const Sent& one) {
    const CommitResult& result = one.result;
    if (result.outcome == Outcome::kNotDone) {
      ASSERT_EQ(result.reason, port::Reason::kBurnt);
      return;
    }
    ASSERT_EQ(result.states.size(), 1U);
    const StateVersion& state = result.states.front();
    if (result.outcome == Outcome::kDone) {
      for (const Predicate& says : one.batch.predicates) {
        ASSERT_TRUE(model_.holds(says)) << "kind " << static_cast<int>(says.kind);
      }
      if (writes(one.batch)) {
        ASSERT_GT(state.clock, model_.state.clock);
        if (GetParam().log) {
          ASSERT_EQ(state.history, history_after(model_.state.history, one.id));
        }
        ASSERT_EQ(model_.apply(one.batch), result.given);
        model_.state = state;
        const Range pending{.space = Space::kOrphan, .a = 0};
        ASSERT_EQ(state.pending == 0, model_.keys_in(pending).empty());
      }
      ASSERT_EQ(state, model_.state);
    } else {
      ASSERT_EQ(state, model_.state);
      ASSERT_TRUE(model_.conflicts(one.batch));
      for (const port::Change& fresh : result.fresh) {
        ASSERT_EQ(fresh.record, model_.find(fresh.key));
      }
    }
  }

  void compare() {
    std::size_t count = 0;
    for (const Space space : {Space::kNode, Space::kEdge, Space::kOrphan, Space::kEntry}) {
      for (const Row& row : client_.scan(port::whole(space))) {
        EXPECT_EQ(row.record, model_.find(row.key));
        ++count;
      }
    }
    for (const auto& [key, record] : model_.records()) {
      EXPECT_EQ(client_.load(key), record);
      if (key.space == Space::kCounter) ++count;
    }
    EXPECT_EQ(count, model_.records().size());
  }

  Random random_;
  std::vector<std::unique_ptr<port::Backend>> stores_;
  std::vector<std::unique_ptr<RandomClient>> clients_;
  PortModel model_;
};
INSTANTIATE_TEST_SUITE_P(Stores, PortRandom, ::testing::ValuesIn(every_port()), port_name);

TEST_P(PortRandom, TwoClientsTakeTurns) {
  make_clients(2);
  for (int step = 0; step < 3'000; ++step) clients_[random_.below(2)]->step();
  check();
}

TEST_P(PortRandom, FourClientsTakeTurns) {
  make_clients(4);
  for (int step = 0; step < 4'000; ++step) clients_[random_.below(4)]->step();
  check();
}

TEST_P(PortRandom, FourThreads) {
  make_clients(4);
  std::vector<std::thread> threads;
  for (const auto& client : clients_) {
    threads.emplace_back([&client] {
      for (int step = 0; step < 1'000; ++step) client->step();
    });
  }
  for (std::thread& thread : threads) thread.join();
  check();
}

}  // namespace
}  // namespace graven::test
