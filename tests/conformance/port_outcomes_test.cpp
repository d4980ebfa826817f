// SPDX-License-Identifier: MIT
//
// What the port promises about replies that are lost and requests that are late: a commit is
// applied once, and what was answered as not done is never done. docs/design/port.md says why.
#include <atomic>
#include <thread>

#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

using port::Batch;
using port::CommitId;
using port::CommitResult;
using port::Outcome;
using port::Reason;

class PortOutcomes : public PortConformance {
 protected:
  static Batch add_one() {
    return {.operations = {{.kind = Do::kAdd, .key = at_counter("n"), .number = 1}}};
  }
  /// A commit that fails until node 1 exists.
  static Batch needs_node() {
    Batch batch = add_one();
    batch.predicates = {{.kind = Is::kVersion, .key = at_node(1), .number = 3}};
    return batch;
  }
  std::int64_t count() { return std::max<std::int64_t>(client_.number(at_counter("n")), 0); }
  void make_node() { Client(*store_).put(at_node(1), a_node(3, 1)); }
};
INSTANTIATE_TEST_SUITE_P(Stores, PortOutcomes, ::testing::ValuesIn(every_port()), port_name);

void expect_same(const CommitResult& one, const CommitResult& other) {
  EXPECT_EQ(one.outcome, other.outcome);
  EXPECT_EQ(one.reason, other.reason);
  EXPECT_EQ(one.states, other.states);
  EXPECT_EQ(one.given, other.given);
}

TEST_P(PortOutcomes, ACommitSentAgainIsAppliedOnce) {
  const CommitId id = client_.next();
  const CommitResult first = client_.commit(id, add_one());
  ASSERT_EQ(first.outcome, Outcome::kDone);
  Client(*store_).commit(add_one());  // others come in between
  expect_same(client_.commit(id, add_one(), true), first);
  expect_same(client_.commit(id, add_one(), true), first);
  expect_same(client_.commit(id, add_one()), first);
  expect_same(client_.resolve(id), first);
  EXPECT_EQ(count(), 2);
}

TEST_P(PortOutcomes, TheFirstCopyMayArriveAfterTheSecond) {
  const CommitId id = client_.next();
  const CommitResult second = client_.commit(id, add_one(), true);
  ASSERT_EQ(second.outcome, Outcome::kDone);
  expect_same(client_.commit(id, add_one()), second);
  EXPECT_EQ(count(), 1);
}

TEST_P(PortOutcomes, ARequestAfterResolveIsRefused) {
  const CommitId id = client_.next();
  const CommitResult resolved = client_.resolve(id);
  EXPECT_EQ(resolved.outcome, Outcome::kNotDone);
  for (const bool resent : {false, true}) {
    const CommitResult late = client_.commit(id, add_one(), resent);
    EXPECT_EQ(late.outcome, Outcome::kNotDone);
    EXPECT_EQ(late.reason, Reason::kBurnt);
  }
  EXPECT_EQ(client_.resolve(id).outcome, Outcome::kNotDone);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(client_.commit(add_one()).outcome, Outcome::kDone);  // the session goes on
}

TEST_P(PortOutcomes, AnOlderRequestIsRefused) {
  const CommitId old = client_.next();
  EXPECT_EQ(client_.commit(add_one()).outcome, Outcome::kDone);
  const CommitResult late = client_.commit(old, add_one());
  EXPECT_EQ(late.outcome, Outcome::kNotDone);
  EXPECT_EQ(late.reason, Reason::kBurnt);
  EXPECT_EQ(count(), 1);
}

TEST_P(PortOutcomes, AConflictAtTheSecondAttemptIsForGood) {
  const CommitId id = client_.next();
  EXPECT_EQ(client_.commit(id, needs_node(), true).outcome, Outcome::kConflict);
  make_node();
  for (const bool resent : {false, true, false}) {
    EXPECT_NE(client_.commit(id, needs_node(), resent).outcome, Outcome::kDone);
  }
  EXPECT_NE(client_.resolve(id).outcome, Outcome::kDone);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(client_.commit(needs_node()).outcome, Outcome::kDone);
}

TEST_P(PortOutcomes, AConflictIsNotDoneForThoseWhoAsk) {
  const CommitId id = client_.next();
  EXPECT_EQ(client_.commit(id, needs_node()).outcome, Outcome::kConflict);
  EXPECT_NE(client_.resolve(id).outcome, Outcome::kDone);
  make_node();
  EXPECT_NE(client_.commit(id, needs_node(), true).outcome, Outcome::kDone);
  EXPECT_EQ(count(), 0);
}

TEST_P(PortOutcomes, AnOverflowAtTheSecondAttemptIsForGood) {
  client_.put(at_counter("full"), a_number(INT64_MAX));
  const CommitId id = client_.next();
  const Batch batch{.operations = {{.kind = Do::kAdd, .key = at_counter("full"), .number = 1}}};
  const CommitResult result = client_.commit(id, batch, true);
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kOverflow);
  Client(*store_).put(at_counter("full"), a_number(0));
  EXPECT_EQ(client_.commit(id, batch).outcome, Outcome::kNotDone);
  EXPECT_EQ(client_.number(at_counter("full")), 0);
}

TEST_P(PortOutcomes, AfterTheDeadlineNothingIsDone) {
  const CommitId id = client_.next();
  const Batch batch = add_one();
  const auto past = after(std::chrono::milliseconds(-1));
  CommitResult result = store_->commit(id, {&batch, 1}, {.resent = true}, past);
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kLate);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(client_.commit(id, batch).outcome, Outcome::kNotDone);  // burnt
  EXPECT_EQ(count(), 0);
  const CommitId done = client_.next();
  ASSERT_EQ(client_.commit(done, batch).outcome, Outcome::kDone);
  result = store_->commit(done, {&batch, 1}, {.resent = true}, past);  // was in time
  EXPECT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(count(), 1);
}

TEST_P(PortOutcomes, SessionsAndHandlesAreApart) {
  const auto second = open_();
  Client other(*second);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client_.commit(add_one()).outcome, Outcome::kDone);
  EXPECT_EQ(other.commit(add_one()).outcome, Outcome::kDone);
  EXPECT_EQ(other.resolve(other.next()).outcome, Outcome::kNotDone);
  EXPECT_EQ(count(), 4);
}

TEST_P(PortOutcomes, CopiesThatRaceAreAppliedOnce) {
  constexpr int kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    const CommitId id = client_.next();
    std::atomic<int> done{0};
    const auto send = [&](bool resent) {
      const Batch batch = add_one();
      const CommitResult result = store_->commit(id, {&batch, 1}, {.resent = resent}, patiently());
      if (result.outcome == Outcome::kDone) ++done;
    };
    std::thread first(send, false);
    std::thread second(send, true);
    std::thread burn([&] { client_.resolve(id); });
    first.join();
    second.join();
    burn.join();
    const bool is_done = client_.resolve(id).outcome == Outcome::kDone;
    EXPECT_EQ(done, is_done ? 2 : 0);
    EXPECT_EQ(count(), is_done ? 1 : 0);
    client_.put(at_counter("n"), a_number(0));
  }
}

}  // namespace
}  // namespace graven::test
