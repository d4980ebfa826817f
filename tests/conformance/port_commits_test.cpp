// SPDX-License-Identifier: MIT
//
// What the port promises about a batch: each kind of predicate and of operation, all or nothing.
#include <limits>

#include <graven/error.hpp>

#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

using port::Batch;
using port::CommitResult;
using port::Operation;
using port::Outcome;
using port::Predicate;
using port::Range;
using port::Reason;
using port::Space;

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();

class PortCommits : public PortConformance {
 protected:
  /// Nodes: 1 a root, 2 below it, 3 adrift, 4 held by a process. Edges of 2: from 5, 6 and 7.
  PortCommits() {
    client_.commit({.changes = {{at_node(1), a_node(11, 1, "root")},
                                {at_node(2), a_node(12, 1)},
                                {at_node(3), a_node(13, 0)},
                                {at_node(4), a_node(14, -9)},
                                {at_edge(2, 5), a_number(1)},
                                {at_edge(2, 6), a_number(2)},
                                {at_edge(2, 7), a_number(3)},
                                {at_counter("c"), a_number(5)}}});
  }

  /// Whether the predicate decides about a commit, as holds() says.
  bool decides(const Predicate& predicate) {
    const bool holds = client_.holds(predicate);
    const port::StateVersion before = client_.state();
    const std::int64_t marks = client_.number(at_counter("mark"));
    const CommitResult result =
        client_.commit({.predicates = {{.kind = Is::kAbsent, .key = at_node(99)}, predicate},
                        .operations = {{.kind = Do::kAdd, .key = at_counter("other"), .number = 1}},
                        .changes = {{at_counter("mark"), a_number(marks + 1)}}});
    EXPECT_EQ(result.outcome, holds ? Outcome::kDone : Outcome::kConflict);
    EXPECT_EQ(client_.number(at_counter("mark")), holds ? marks + 1 : marks);
    EXPECT_EQ(client_.state() == before, !holds);
    return holds;
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, PortCommits, ::testing::ValuesIn(every_port()), port_name);

TEST_P(PortCommits, PredicatesOfOneRecord) {
  EXPECT_TRUE(decides({.kind = Is::kVersion, .key = at_node(1), .number = 11}));
  EXPECT_FALSE(decides({.kind = Is::kVersion, .key = at_node(1), .number = 12}));
  EXPECT_FALSE(decides({.kind = Is::kVersion, .key = at_node(8), .number = 0}));
  EXPECT_TRUE(decides({.kind = Is::kAbsent, .key = at_node(8)}));
  EXPECT_FALSE(decides({.kind = Is::kAbsent, .key = at_node(1)}));
  EXPECT_TRUE(decides({.kind = Is::kSame, .key = at_edge(2, 6), .record = a_number(2)}));
  EXPECT_FALSE(decides({.kind = Is::kSame, .key = at_edge(2, 6), .record = a_number(3)}));
  EXPECT_FALSE(decides({.kind = Is::kSame, .key = at_edge(2, 8), .record = {}}));

  const port::Key slot{.space = Space::kSlot, .a = 1, .b = -5};
  client_.put(slot, port::Record{.integers = {4}, .body = "more"});
  EXPECT_TRUE(
      decides({.kind = Is::kSame, .key = slot, .record = {.integers = {4}, .body = "more"}}));
  EXPECT_FALSE(decides({.kind = Is::kSame, .key = slot, .record = {.integers = {4}}}));
}

TEST_P(PortCommits, PredicatesOfAnchors) {
  const auto anchor = [](std::int64_t node, std::int64_t is) {
    return Predicate{
        .kind = Is::kAnchor, .key = at_node(node), .number = static_cast<std::uint64_t>(is)};
  };
  EXPECT_TRUE(decides(anchor(2, 1)));
  EXPECT_FALSE(decides(anchor(2, 3)));
  EXPECT_TRUE(decides(anchor(1, 1)));
  EXPECT_TRUE(decides(anchor(3, 0)));
  EXPECT_TRUE(decides(anchor(4, -9)));
  EXPECT_FALSE(decides(anchor(8, 0)));
  EXPECT_TRUE(decides({.kind = Is::kAnchored, .key = at_node(1)}));
  EXPECT_TRUE(decides({.kind = Is::kAnchored, .key = at_node(2)}));
  EXPECT_FALSE(decides({.kind = Is::kAnchored, .key = at_node(3)}));
  EXPECT_FALSE(decides({.kind = Is::kAnchored, .key = at_node(4)}));
  EXPECT_FALSE(decides({.kind = Is::kAnchored, .key = at_node(8)}));
}

TEST_P(PortCommits, PredicatesOfRanges) {
  const auto count = [](const Range& range, std::uint64_t is) {
    return Predicate{.kind = Is::kCount, .number = is, .range = range};
  };
  const auto nth = [](const Range& range, std::uint64_t place, const port::Key& is) {
    return Predicate{.kind = Is::kNth, .key = is, .number = place, .range = range};
  };
  EXPECT_TRUE(decides(count(edges_of(2), 3)));
  EXPECT_FALSE(decides(count(edges_of(2), 2)));
  EXPECT_FALSE(decides(count(edges_of(2), 4)));
  EXPECT_TRUE(decides(count(edges_of(3), 0)));
  Range from_six = edges_of(2);
  from_six.from = 6;
  EXPECT_TRUE(decides(count(from_six, 2)));
  EXPECT_TRUE(decides(nth(from_six, 1, at_edge(2, 6))));
  EXPECT_TRUE(decides(nth(edges_of(2), 3, at_edge(2, 7))));
  EXPECT_FALSE(decides(nth(edges_of(2), 2, at_edge(2, 7))));
  EXPECT_FALSE(decides(nth(edges_of(2), 4, at_edge(2, 7))));
  Range backwards = edges_of(2);
  backwards.reverse = true;
  EXPECT_TRUE(decides(nth(backwards, 3, at_edge(2, 5))));
  const Range names{.space = Space::kCounter, .a = 1, .include_empty_name = true};
  EXPECT_TRUE(decides(nth(names, 1, at_counter("c"))));
  const Range last{.space = Space::kCounter, .a = 1, .include_empty_name = true, .reverse = true};
  EXPECT_TRUE(decides(nth(last, 1, at_counter("other"))));
  EXPECT_TRUE(decides(nth(last, 3, at_counter("c"))));
  EXPECT_FALSE(decides(nth(last, 2, at_counter("c"))));
  Range before_c = last;
  before_c.after = "c";
  EXPECT_TRUE(decides(count(before_c, 0)));
}

TEST_P(PortCommits, LongRanges) {
  constexpr std::int64_t kMany = 2'500;
  Batch many;
  for (std::int64_t i = 0; i < kMany; ++i) many.changes.push_back({at_edge(3, i), a_number(1)});
  if (store_->facts().most_changes < many.changes.size()) GTEST_SKIP() << "takes no such batch";
  client_.commit(std::move(many));
  EXPECT_TRUE(client_.holds({.kind = Is::kCount, .number = kMany, .range = edges_of(3)}));
  EXPECT_FALSE(client_.holds({.kind = Is::kCount, .number = kMany - 1, .range = edges_of(3)}));
  EXPECT_TRUE(client_.holds(
      {.kind = Is::kNth, .key = at_edge(3, 2'047), .number = 2'048, .range = edges_of(3)}));
  const CommitResult result =
      client_.operate({.kind = Do::kEraseRange, .number = 2'100, .range = edges_of(3)});
  EXPECT_EQ(result.given, (std::vector<std::int64_t>{2'100}));
  EXPECT_TRUE(client_.holds({.kind = Is::kCount, .number = 400, .range = edges_of(3)}));
}

TEST_P(PortCommits, PredicatesOfTheState) {
  const port::StateVersion state = client_.state();
  EXPECT_TRUE(client_.holds({.kind = Is::kUnmoved, .state = state}));
  EXPECT_TRUE(client_.holds({.kind = Is::kPending, .number = 0}));
  client_.put(at_orphan(5, 4), port::Record{});  // of a process
  EXPECT_TRUE(decides({.kind = Is::kPending, .number = 0}));
  EXPECT_FALSE(decides({.kind = Is::kUnmoved, .state = state}));
  EXPECT_TRUE(decides({.kind = Is::kUnmoved, .state = client_.state()}));
  port::StateVersion other = client_.state();
  ++other.history;
  EXPECT_FALSE(decides({.kind = Is::kUnmoved, .state = other}));
}

TEST_P(PortCommits, PendingMovesWithEachListing) {
  EXPECT_EQ(client_.state().pending, 0U);
  client_.put(at_orphan(0, 3), port::Record{});
  const std::uint64_t first = client_.state().pending;
  EXPECT_NE(first, 0U);
  EXPECT_TRUE(client_.holds({.kind = Is::kPending, .number = first}));
  EXPECT_FALSE(client_.holds({.kind = Is::kPending, .number = 0}));
  client_.put(at_orphan(0, 4), port::Record{});
  const std::uint64_t second = client_.state().pending;
  EXPECT_GT(second, first);
  EXPECT_FALSE(decides({.kind = Is::kPending, .number = first}));
  client_.put(at_orphan(0, 4), std::nullopt);
  EXPECT_NE(client_.state().pending, 0U);
  EXPECT_NE(client_.state().pending, first);
  client_.operate({.kind = Do::kErase, .key = at_orphan(0, 3)});
  EXPECT_EQ(client_.state().pending, 0U);
}

TEST_P(PortCommits, AConflictTellsWhatIsThere) {
  const CommitResult result =
      client_.commit({.predicates = {{.kind = Is::kVersion, .key = at_node(1), .number = 1},
                                     {.kind = Is::kVersion, .key = at_node(2), .number = 12},
                                     {.kind = Is::kVersion, .key = at_node(8), .number = 1},
                                     {.kind = Is::kCount, .number = 0, .range = edges_of(2)}},
                      .changes = {{at_node(9), a_node(1, 1)}}});
  ASSERT_EQ(result.outcome, Outcome::kConflict);
  ASSERT_EQ(result.fresh.size(), 2U);
  EXPECT_EQ(result.fresh[0].key, at_node(1));
  EXPECT_EQ(result.fresh[0].record, a_node(11, 1, "root"));
  EXPECT_EQ(result.fresh[1].key, at_node(8));
  EXPECT_FALSE(result.fresh[1].record);
  ASSERT_EQ(result.states.size(), 1U);
  EXPECT_EQ(result.states.front(), client_.state());
}

TEST_P(PortCommits, PredicatesAloneChangeNoState) {
  const port::StateVersion before = client_.state();
  const CommitResult result =
      client_.commit({.predicates = {{.kind = Is::kVersion, .key = at_node(1), .number = 11}}});
  EXPECT_EQ(result.outcome, Outcome::kDone);
  ASSERT_EQ(result.states.size(), 1U);
  EXPECT_EQ(result.states.front(), before);
  EXPECT_EQ(client_.state(), before);
}

TEST_P(PortCommits, Add) {
  const auto add = [&](const char* name, std::int64_t number) {
    return client_.operate({.kind = Do::kAdd, .key = at_counter(name), .number = number});
  };
  EXPECT_EQ(add("c", 3).given, (std::vector<std::int64_t>{8}));
  EXPECT_EQ(add("c", -10).given, (std::vector<std::int64_t>{-2}));
  EXPECT_EQ(add("new", 4).given, (std::vector<std::int64_t>{4}));
  EXPECT_EQ(add("new", -4).given, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(client_.load(at_counter("new")), a_number(0));
  EXPECT_EQ(add("high", kMost).outcome, Outcome::kDone);
  EXPECT_EQ(add("low", kLeast).outcome, Outcome::kDone);
  EXPECT_EQ(add("high", -1).given, (std::vector<std::int64_t>{kMost - 1}));
  EXPECT_EQ(add("high", 1).given, (std::vector<std::int64_t>{kMost}));
  for (const auto& [name, number] : {std::pair("high", 1), std::pair("low", -1)}) {
    const port::StateVersion before = client_.state();
    const CommitResult result = client_.commit(
        {.operations = {{.kind = Do::kAdd, .key = at_counter("c"), .number = 1},
                        {.kind = Do::kErase, .key = at_edge(2, 5)},
                        {.kind = Do::kAdd, .key = at_counter(name), .number = number}},
         .changes = {{at_node(9), a_node(1, 1)}}});
    EXPECT_EQ(result.outcome, Outcome::kNotDone);
    EXPECT_EQ(result.reason, Reason::kOverflow);
    EXPECT_EQ(client_.state(), before);
  }
  EXPECT_EQ(client_.number(at_counter("c")), -2);
  EXPECT_EQ(client_.number(at_edge(2, 5)), 1);
  EXPECT_FALSE(client_.load(at_node(9)));
}

TEST_P(PortCommits, Links) {
  const auto link = [&](std::int64_t child, std::int64_t parent, std::int64_t number) {
    return client_.operate({.kind = Do::kLinks, .key = at_edge(child, parent), .number = number});
  };
  EXPECT_EQ(link(2, 5, 1).given, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(link(2, 8, 1).given, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(link(2, 8, -1).given, (std::vector<std::int64_t>{0}));
  EXPECT_FALSE(client_.load(at_edge(2, 8)));
  EXPECT_EQ(link(2, 8, -1).outcome, Outcome::kConflict);
  EXPECT_EQ(link(2, 7, -4).outcome, Outcome::kConflict);
  EXPECT_EQ(client_.number(at_edge(2, 7)), 3);
  EXPECT_EQ(link(2, 1, 1).outcome, Outcome::kConflict);  // its anchor
  EXPECT_FALSE(client_.load(at_edge(2, 1)));
  EXPECT_EQ(link(1, 1, 1).outcome, Outcome::kDone);  // a root's link to itself
  EXPECT_EQ(client_.load(at_edge(1, 1)), a_number(1));
}

TEST_P(PortCommits, Erase) {
  EXPECT_EQ(client_.operate({.kind = Do::kErase, .key = at_node(1)}).given,
            (std::vector<std::int64_t>{1}));
  EXPECT_EQ(client_.operate({.kind = Do::kErase, .key = at_node(1)}).given,
            (std::vector<std::int64_t>{0}));
  EXPECT_FALSE(client_.load(at_node(1)));
  EXPECT_EQ(client_.operate({.kind = Do::kEraseRange, .number = 2, .range = edges_of(2)}).given,
            (std::vector<std::int64_t>{2}));
  EXPECT_EQ(client_.scan(edges_of(2)).size(), 1U);
  EXPECT_EQ(client_.operate({.kind = Do::kEraseRange, .number = 9, .range = edges_of(2)}).given,
            (std::vector<std::int64_t>{1}));
  EXPECT_EQ(client_.operate({.kind = Do::kEraseRange, .number = 9, .range = edges_of(2)}).given,
            (std::vector<std::int64_t>{0}));
}

TEST_P(PortCommits, OperationsComeInOrderAndBeforeChanges) {
  const CommitResult result =
      client_.commit({.operations = {{.kind = Do::kAdd, .key = at_counter("c"), .number = 1},
                                     {.kind = Do::kAdd, .key = at_counter("c"), .number = 1},
                                     {.kind = Do::kErase, .key = at_edge(2, 5)},
                                     {.kind = Do::kEraseRange, .number = 1, .range = edges_of(2)},
                                     {.kind = Do::kLinks, .key = at_edge(2, 5), .number = 1}},
                      .changes = {{at_edge(2, 7), a_number(9)}, {at_node(3), std::nullopt}}});
  EXPECT_EQ(result.given, (std::vector<std::int64_t>{6, 7, 1, 1, 1}));
  EXPECT_EQ(client_.number(at_edge(2, 5)), 1);
  EXPECT_FALSE(client_.load(at_edge(2, 6)));  // the first one that was left
  EXPECT_EQ(client_.number(at_edge(2, 7)), 9);
  EXPECT_FALSE(client_.load(at_node(3)));
}

TEST_P(PortCommits, VersionsAreThoseOfTheBatch) {
  const port::CommitId id = client_.next();
  const std::uint64_t version = version_of(id);
  client_.commit(id, {.changes = {{at_node(1), a_node(version, 1, "x")},
                                  {at_edge(1, 3), {{.version = version, .integers = {1}}}}}});
  EXPECT_EQ(client_.load(at_node(1))->version, version);
  EXPECT_EQ(client_.load(at_edge(1, 3))->version, 0U);  // a space without versions
  EXPECT_TRUE(client_.holds({.kind = Is::kVersion, .key = at_node(1), .number = version}));
}

TEST_P(PortCommits, SeveralPartitions) {
  const port::Partition one{.number = 1};
  const port::Partition two{.number = 2};
  Client first(*store_, one);
  Client second(*store_, two);
  const auto batches = [&](std::uint64_t version) {
    return std::vector<Batch>{
        {.partition = one,
         .operations = {{.kind = Do::kAdd, .key = at_counter("one"), .number = 1}},
         .changes = {{at_node(21), a_node(5, 1)}}},
        {.partition = two,
         .predicates = {{.kind = Is::kVersion, .key = at_node(22), .number = version}},
         .operations = {{.kind = Do::kAdd, .key = at_counter("two"), .number = 2}}}};
  };
  second.put(at_node(22), a_node(6, 1));
  const port::CommitId id = first.next();
  const auto commit = [&](const port::CommitId& as, std::uint64_t version) {
    return store_->commit(as, batches(version), {}, patiently());
  };
  if (!GetParam().several) {
    EXPECT_THROW(commit(id, 6), UsageError);
    return;
  }
  EXPECT_EQ(commit(first.next(), 7).outcome, Outcome::kConflict);
  EXPECT_FALSE(first.load(at_node(21)));
  EXPECT_EQ(first.number(at_counter("one")), -1);
  const port::CommitId done = first.next();
  CommitResult result = commit(done, 6);
  ASSERT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(result.given, (std::vector<std::int64_t>{1, 2}));
  ASSERT_EQ(result.states.size(), 2U);
  EXPECT_EQ(result.states[0], first.state());
  EXPECT_EQ(result.states[1], second.state());
  EXPECT_EQ(commit(done, 6).given, result.given);
  EXPECT_EQ(first.number(at_counter("one")), 1);
  const std::vector<port::Partition> both{one, two};
  EXPECT_EQ(store_->resolve(done, both, patiently()).outcome, Outcome::kDone);
}

TEST_P(PortCommits, NothingButDurability) {
  const port::StateVersion before = client_.state();
  EXPECT_EQ(store_->commit(client_.next(), {}, {.durable = true}, patiently()).outcome,
            Outcome::kDone);
  EXPECT_EQ(client_.state(), before);
  Batch batch{.changes = {{at_node(9), a_node(1, 1)}}};
  EXPECT_EQ(store_->commit(client_.next(), {&batch, 1}, {.durable = true}, patiently()).outcome,
            Outcome::kDone);
  EXPECT_TRUE(client_.load(at_node(9)));
}

}  // namespace
}  // namespace graven::test
