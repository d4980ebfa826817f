// SPDX-License-Identifier: MIT
//
// What the port promises about reads: all of one state, which the answer tells; snapshots stay.
#include <atomic>
#include <thread>

#include <graven/error.hpp>

#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

using port::Outcome;
using port::Range;
using port::ReadOp;
using port::Row;
using port::Space;

class PortReads : public PortConformance {};
INSTANTIATE_TEST_SUITE_P(Stores, PortReads, ::testing::ValuesIn(every_port()), port_name);

TEST_P(PortReads, AreByPlace) {
  client_.commit({.changes = {{at_node(1), a_node(7, 1, "one")},
                              {at_edge(2, 10), a_number(1)},
                              {at_edge(2, 20), a_number(2)},
                              {at_edge(2, 30), a_number(3)},
                              {at_edge(3, 10), a_number(4)}}});
  Range backwards = edges_of(2);
  backwards.reverse = true;
  const std::vector<ReadOp> ops{{.key = at_node(1)},
                                {.key = at_node(2)},
                                {.range = edges_of(2), .limit = 2},
                                {.range = backwards, .limit = 2},
                                {.range = edges_of(2), .count = true},
                                {.range = edges_of(9), .limit = 5},
                                {.range = edges_of(9), .count = true}};
  std::vector<std::string> seen(ops.size());
  const port::StateVersion state = store_->read(
      {}, ops,
      [&](std::size_t op, std::span<Row> rows, std::uint64_t count) {
        EXPECT_EQ(seen[op], "") << "told twice";
        seen[op] = ops[op].count ? std::to_string(count) : "rows";
        for (const Row& row : rows) seen[op] += " " + std::to_string(row.key.b) + row.record.body;
      },
      patiently());
  EXPECT_EQ(seen, (std::vector<std::string>{"rows 0one", "rows", "rows 10 20", "rows 30 20", "3",
                                            "rows", "0"}));
  EXPECT_EQ(state, client_.state());
  EXPECT_EQ(client_.load(at_node(1)), a_node(7, 1, "one"));
}

TEST_P(PortReads, OfNamesInEitherDirection) {
  client_.commit({.changes = {{at_counter(""), a_number(0)},
                              {at_counter("a"), a_number(1)},
                              {at_counter("b"), a_number(2)},
                              {at_counter("c"), a_number(3)},
                              {{.space = Space::kCounter, .a = 2, .name = "d"}, a_number(4)}}});
  const auto names = [](std::string after, bool empty, bool reverse) {
    return Range{.space = Space::kCounter,
                 .a = 1,
                 .after = std::move(after),
                 .include_empty_name = empty,
                 .reverse = reverse};
  };
  const std::vector<ReadOp> ops{{.range = names("", true, false), .limit = 9},
                                {.range = names("a", true, false), .limit = 1},
                                {.range = names("", true, true), .limit = 9},
                                {.range = names("", false, true), .limit = 9},
                                {.range = names("bb", false, true), .limit = 1},
                                {.range = names("b", true, true), .limit = 9},
                                {.range = names("b", false, true), .count = true},
                                {.range = names("b", true, true), .count = true}};
  std::vector<std::string> seen(ops.size());
  store_->read(
      {}, ops,
      [&](std::size_t op, std::span<Row> rows, std::uint64_t count) {
        if (ops[op].count) seen[op] = std::to_string(count);
        for (const Row& row : rows) seen[op] += "'" + row.key.name + "'";
      },
      patiently());
  EXPECT_EQ(seen, (std::vector<std::string>{"'''a''b''c'", "'b'", "'c''b''a'''", "'c''b''a'", "'b'",
                                            "'a'''", "1", "2"}));
}

TEST_P(PortReads, TellTheStateAndItGrows) {
  const port::StateVersion empty = client_.state();
  EXPECT_EQ(empty, client_.state());
  const port::CommitResult done = client_.put(at_node(1), a_node(1, 1));
  ASSERT_EQ(done.outcome, Outcome::kDone);
  ASSERT_EQ(done.states.size(), 1U);
  EXPECT_EQ(done.states.front(), client_.state());
  EXPECT_GT(done.states.front().clock, empty.clock);
  EXPECT_FALSE(done.states.front() == empty);
  EXPECT_EQ(done.states.front().pending, 0U);
}

TEST_P(PortReads, AreOfOneState) {
  client_.commit({.changes = {{at_counter("a"), a_number(0)}, {at_counter("b"), a_number(0)}}});
  port::StateVersion last = client_.state();
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    Client other(*store_);
    for (std::int64_t i = 1; i <= 300; ++i) {
      other.commit({.changes = {{at_counter("a"), a_number(i)}, {at_counter("b"), a_number(i)}}});
    }
    ended = true;
  });
  const std::vector<ReadOp> ops{{.key = at_counter("a")}, {.key = at_counter("b")}};
  std::int64_t most = 0;
  while (!ended) {
    std::vector<std::int64_t> seen(2);
    const port::StateVersion state = store_->read(
        {}, ops,
        [&](std::size_t op, std::span<Row> rows, std::uint64_t) {
          seen[op] = rows.front().record.integers[0];
        },
        patiently());
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_GE(seen[0], most);  // never backwards
    EXPECT_GE(state.clock, last.clock);
    EXPECT_EQ(state.clock == last.clock, seen[0] == most);
    most = seen[0];
    last = state;
  }
  writer.join();
}

TEST_P(PortReads, SnapshotsStay) {
  client_.commit({.changes = {{at_node(1), a_node(1, 1, "old")}, {at_edge(1, 5), a_number(1)}}});
  const port::StateVersion before = client_.state();
  const auto snapshot = store_->snapshot({}, patiently());
  ASSERT_EQ(snapshot->load(at_node(1))->body, "old");
  client_.commit({.changes = {{at_node(1), a_node(2, 1, "new")},
                              {at_node(2), a_node(2, 1)},
                              {at_edge(1, 5), std::nullopt},
                              {at_edge(1, 6), a_number(1)}}});
  EXPECT_EQ(snapshot->load(at_node(1))->body, "old");
  EXPECT_FALSE(snapshot->load(at_node(2)));
  ASSERT_EQ(snapshot->scan(edges_of(1), 10).size(), 1U);
  EXPECT_EQ(snapshot->scan(edges_of(1), 10)[0].key, at_edge(1, 5));
  EXPECT_EQ(snapshot->state().value_or(before), before);
  EXPECT_EQ(store_->snapshot({}, patiently())->load(at_node(1))->body, "new");
}

TEST_P(PortReads, PartitionsAreApart) {
  if (!GetParam().partitions) GTEST_SKIP() << "one partition";
  Client other(*store_, {.number = 7});
  client_.put(at_node(1), a_node(1, 1, "here"));
  const port::StateVersion state = client_.state();
  EXPECT_FALSE(other.load(at_node(1)));
  EXPECT_EQ(other.state().clock, 0U);
  other.put(at_node(1), a_node(1, 1, "there"));
  EXPECT_EQ(client_.load(at_node(1))->body, "here");
  EXPECT_EQ(client_.state(), state);
}

TEST_P(PortReads, EveryHandleSeesTheCommit) {
  const auto second = open_();
  Client other(*second);
  client_.put(at_node(1), a_node(1, 1, "x"));
  EXPECT_EQ(other.load(at_node(1))->body, "x");
  EXPECT_EQ(other.state(), client_.state());
}

TEST_P(PortReads, NothingAfterClose) {
  client_.put(at_node(1), a_node(1, 1));
  const auto snapshot = store_->snapshot({}, patiently());
  ASSERT_TRUE(snapshot->load(at_node(1)));
  const auto second = open_();
  store_->close();
  store_->close();
  EXPECT_THROW(client_.load(at_node(1)), ClosedError);
  EXPECT_THROW(client_.put(at_node(2), a_node(1, 1)), ClosedError);
  EXPECT_THROW(snapshot->load(at_node(1)), ClosedError);
  EXPECT_TRUE(Client(*second).load(at_node(1)));
}

}  // namespace
}  // namespace graven::test
