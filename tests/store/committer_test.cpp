// SPDX-License-Identifier: MIT
//
// Lost and late requests and replies: a commit is applied once or not at all, and its caller learns
// which; only where the store cannot be asked it is told that nobody knows.
#include "store/committer.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include <graven/error.hpp>
#include <graven/interrupt.hpp>

#include "base/interrupt.hpp"
#include "base/random.hpp"
#include "port/counting_store.hpp"
#include "port/small_store.hpp"

namespace graven::test {
namespace {

using namespace std::chrono_literals;
using port::Batch;
using port::CommitId;
using port::CommitResult;
using port::Outcome;
using port::Predicate;
using port::Reason;
using store::Committer;
using Clock = std::chrono::steady_clock;
using Kind = Fault::Kind;

const port::Key kCounter{.space = port::Space::kCounter, .name = "n"};
const port::Key kNode{.space = port::Space::kNode, .a = 1};
constexpr auto kLong = 60s;

Batch increment(std::int64_t by = 1) {
  return {.operations = {{.kind = port::Operation::Kind::kAdd, .key = kCounter, .number = by}}};
}

/// Faults of the first calls, in order; then none.
Script in_order(std::vector<Fault> faults) {
  return [faults = std::move(faults), next = std::size_t{0}](const Call&) mutable {
    return next < faults.size() ? faults[next++] : Fault{};
  };
}

struct CommitterTest : testing::Test {
  CommitResult commit(std::vector<Fault> faults, std::vector<Batch> batches = {increment()},
                      std::chrono::milliseconds time = kLong) {
    counting.script(in_order(std::move(faults)));
    return committer.commit(committer.next(), batches, {}, Clock::now() + time);
  }
  std::int64_t sum() {
    port::StateVersion state;
    const auto record = small->find({}, kCounter, state, Clock::now() + kLong);
    return record ? record->integers[0] : 0;
  }

  std::shared_ptr<SmallStore> small = std::make_shared<SmallStore>();
  CountingStore counting{small};
  Committer committer{counting};
};

TEST_F(CommitterTest, ACommitIsOneTrip) {
  const Trips before = trips_of_thread();
  const CommitResult result = commit({});
  EXPECT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(result.given, (std::vector<std::int64_t>{1}));
  EXPECT_EQ((trips_of_thread() - before).commits, 1U);
  EXPECT_EQ((trips_of_thread() - before).all(), 1U);
}

TEST_F(CommitterTest, IdsAreNewAndGrow) {
  Committer other{counting};
  const CommitId first = committer.next();
  const CommitId second = committer.next();
  EXPECT_EQ(first.sequence, 1U);
  EXPECT_EQ(second.sequence, 2U);
  EXPECT_EQ(first.session, second.session);
  EXPECT_NE(first.session, 0U);
  EXPECT_EQ(first.session >> 63U, 0U);
  EXPECT_NE(first.session, other.next().session);
}

TEST_F(CommitterTest, ALostReplyIsAskedForAgain) {
  const CommitResult result = commit({{Kind::kLoseReply}, {Kind::kLoseReply}});
  EXPECT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(result.given, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(sum(), 1);
  EXPECT_EQ(small->applied(), 1U);
}

TEST_F(CommitterTest, ALostRequestIsSentAgain) {
  EXPECT_EQ(commit({{Kind::kLoseRequest}, {Kind::kUnreached}}).outcome, Outcome::kDone);
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, ALateRequestIsNotAppliedAfterTheSecondOne) {
  EXPECT_EQ(commit({{.kind = Kind::kLate, .calls = 100}}).outcome, Outcome::kDone);
  EXPECT_EQ(counting.late(), 1U);
  counting.deliver();
  EXPECT_EQ(counting.late(), 0U);
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, ALateRequestIsNotAppliedAfterAConflict) {
  // Its predicate fails when the second copy comes, and holds when the first one does.
  Batch batch = increment();
  batch.predicates = {{.kind = Predicate::Kind::kAbsent, .key = kNode}};
  Batch node{.changes = {{kNode, port::Record{.version = 7}}}};
  ASSERT_EQ(commit({}, {node}).outcome, Outcome::kDone);
  EXPECT_EQ(commit({{.kind = Kind::kLate, .calls = 100}}, {batch}).outcome, Outcome::kConflict);
  node.changes[0].record.reset();
  Committer other{counting};
  counting.script({});
  ASSERT_EQ(other.commit(other.next(), {node}, {}, Clock::now() + kLong).outcome, Outcome::kDone);
  counting.deliver();
  EXPECT_EQ(sum(), 0);
}

TEST_F(CommitterTest, AConflictGivesWhatIsThere) {
  ASSERT_EQ(commit({}, {{.changes = {{kNode, port::Record{.version = 7}}}}}).outcome,
            Outcome::kDone);
  const CommitResult result = commit(
      {}, {{.predicates = {{.kind = Predicate::Kind::kVersion, .key = kNode, .number = 6}}}});
  EXPECT_EQ(result.outcome, Outcome::kConflict);
  ASSERT_EQ(result.fresh.size(), 1U);
  EXPECT_EQ(result.fresh[0].record->version, 7U);
}

TEST_F(CommitterTest, AtTheDeadlineTheStoreIsAskedForTheOutcome) {
  // The only request is applied, or comes late.
  counting.script([](const Call& call) {
    return call.asked == Asked::kCommit ? Fault{.kind = Kind::kLoseReply} : Fault{};
  });
  EXPECT_EQ(committer.commit(committer.next(), {increment()}, {}, Clock::now() + 20ms).outcome,
            Outcome::kDone);
  EXPECT_EQ(sum(), 1);
  counting.script([](const Call& call) {
    return call.asked == Asked::kCommit ? Fault{.kind = Kind::kLate, .calls = 1000} : Fault{};
  });
  EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + 10ms),
               BusyError);
  counting.deliver();
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, UnknownOnlyIfTheOutcomeCannotBeAskedFor) {
  counting.script([](const Call& call) {
    return Fault{.kind = call.asked == Asked::kCommit ? Kind::kLoseReply : Kind::kLoseRequest};
  });
  EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + 10ms),
               CommitUnknownError);
  EXPECT_EQ(sum(), 1);
  // One answer in time is enough.
  counting.script([failed = 0](const Call& call) mutable {
    if (call.asked == Asked::kCommit) return Fault{.kind = Kind::kLoseRequest};
    return Fault{.kind = ++failed < 4 ? Kind::kLoseReply : Kind::kNone};
  });
  EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + 10ms),
               BusyError);
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, WhatWasNeverSentIsNotUnknown) {
  counting.script([](const Call&) { return Fault{.kind = Kind::kUnreached}; });
  EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + 10ms),
               UnavailableError);
  EXPECT_EQ(sum(), 0);
}

TEST_F(CommitterTest, WhoIsClosedInBetweenDoesNotKnow) {
  counting.script([](const Call& call) -> Fault {
    if (call.number == 0) return {.kind = Kind::kLoseReply};
    throw ClosedError("closed");
  });
  EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + kLong),
               CommitUnknownError);
  EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + kLong),
               ClosedError);
}

TEST_F(CommitterTest, WaitsForALease) {
  small->lease_to_other(true);
  EXPECT_THROW(commit({}, {increment()}, 20ms), BusyError);
  std::thread other([&] {
    std::this_thread::sleep_for(10ms);
    small->lease_to_other(false);
  });
  EXPECT_EQ(commit({}).outcome, Outcome::kDone);
  other.join();
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, ALeasedCommitThatWasResentIsAConflict) {
  small->lease_to_other(true);
  EXPECT_EQ(commit({{.kind = Kind::kLate, .calls = 100}}).outcome, Outcome::kConflict);
  small->lease_to_other(false);
  counting.deliver();
  EXPECT_EQ(sum(), 0);
}

TEST_F(CommitterTest, ARefusalOfAResentCommitIsMadeFinal) {
  // The second copy is refused by a store that cannot remember that; then the first one arrives.
  const CommitResult full{.outcome = Outcome::kNotDone, .reason = Reason::kFull};
  EXPECT_THROW(commit({{.kind = Kind::kLate, .calls = 100}, {.answer = full}}), UnavailableError);
  counting.deliver();
  EXPECT_EQ(sum(), 0);
  // Or it arrives just before.
  EXPECT_EQ(commit({{.kind = Kind::kLate, .calls = 1}, {.answer = full}}).outcome, Outcome::kDone);
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, AReplicaIsNoJudgeOfTheOutcome) {
  const CommitResult replica{.outcome = Outcome::kNotDone, .reason = Reason::kReadOnly};
  EXPECT_EQ(commit({{Kind::kLoseReply}, {.answer = replica}, {.answer = replica}}).outcome,
            Outcome::kDone);
  EXPECT_EQ(sum(), 1);
  EXPECT_EQ(commit({{.answer = replica}}).outcome, Outcome::kDone);
  EXPECT_EQ(sum(), 2);
}

TEST_F(CommitterTest, RefusalsAreErrorsThatNameTheStore) {
  const auto refused = [&](Reason reason, Errc code) {
    const CommitResult result{.outcome = Outcome::kNotDone, .reason = reason, .detail = "rights"};
    counting.script([result](const Call&) { return Fault{.answer = result}; });
    try {
      committer.commit(committer.next(), {increment()}, {}, Clock::now() + 5ms);
      ADD_FAILURE() << "reason " << static_cast<int>(reason);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string_view(error.what()).find("small"), std::string_view::npos)
          << error.what();
    }
  };
  refused(Reason::kLeased, Errc::kBusy);
  refused(Reason::kFenced, Errc::kTransactionExpired);
  refused(Reason::kLate, Errc::kBusy);
  refused(Reason::kNoPartition, Errc::kUsage);
  refused(Reason::kReadOnly, Errc::kUsage);
  refused(Reason::kFull, Errc::kUnavailable);
  refused(Reason::kOverflow, Errc::kLimit);
  refused(Reason::kTooLarge, Errc::kLimit);
  refused(Reason::kRefused, Errc::kUsage);
  refused(Reason::kUnreached, Errc::kUnavailable);
}

TEST_F(CommitterTest, OverflowIsALimit) {
  ASSERT_EQ(commit({}, {increment(INT64_MAX)}).outcome, Outcome::kDone);
  EXPECT_THROW(commit({}), LimitError);
  EXPECT_EQ(sum(), INT64_MAX);
}

TEST_F(CommitterTest, AFenceThatIsNoLongerHeldIsTold) {
  Batch batch = increment();
  batch.fence = small->leases().acquire({}, Clock::now()).token;
  EXPECT_EQ(commit({}, {batch}).outcome, Outcome::kDone);
  small->leases().acquire({}, Clock::now());
  EXPECT_THROW(commit({}, {batch}), TransactionExpiredError);
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, AConfirmationChangesNothing) {
  const CommitId id = committer.next();
  const std::vector<Batch> absent{
      {.predicates = {{.kind = Predicate::Kind::kAbsent, .key = kNode}}}};
  EXPECT_EQ(committer.confirm(absent, Clock::now() + kLong).outcome, Outcome::kDone);
  counting.script(in_order({{Kind::kLoseReply}, {Kind::kLoseRequest}}));
  EXPECT_EQ(committer.confirm(absent, Clock::now() + kLong).outcome, Outcome::kDone);
  EXPECT_EQ(small->state().clock, 0U);
  EXPECT_EQ(committer.commit(id, {{.changes = {{kNode, port::Record{}}}}}, {}, Clock::now() + kLong)
                .outcome,
            Outcome::kDone);
  EXPECT_EQ(committer.confirm(absent, Clock::now() + kLong).outcome, Outcome::kConflict);
}

TEST_F(CommitterTest, ASyncIsRepeated) {
  counting.script(in_order({{Kind::kLoseReply}, {Kind::kLoseRequest}, {Kind::kUnreached}}));
  committer.sync(Clock::now() + kLong);
  counting.script([](const Call&) { return Fault{.kind = Kind::kLoseRequest}; });
  EXPECT_THROW(committer.sync(Clock::now() + 5ms), UnavailableError);
}

TEST_F(CommitterTest, AnInterruptDoesNotLeaveTheOutcomeOpen) {
  Cancellation cancel;
  counting.script([&, lost = 0](const Call&) mutable {
    cancel.cancel();
    base::check_interrupt();  // a wait for the reply
    return Fault{.kind = ++lost < 4 ? Kind::kLoseReply : Kind::kNone};
  });
  cancel.run([&] {
    EXPECT_EQ(committer.commit(committer.next(), {increment()}, {}, Clock::now() + kLong).outcome,
              Outcome::kDone);
  });
  EXPECT_EQ(sum(), 1);
}

TEST_F(CommitterTest, AWaitForALeaseCanBeInterrupted) {
  Cancellation cancel;
  small->lease_to_other(true);
  counting.script([&](const Call& call) {
    if (call.number > 3) cancel.cancel();
    return Fault{};
  });
  cancel.run([&] {
    EXPECT_THROW(committer.commit(committer.next(), {increment()}, {}, Clock::now() + kLong),
                 AbortedError);
  });
  small->lease_to_other(false);
  counting.deliver();
  EXPECT_EQ(sum(), 0);
}

TEST_F(CommitterTest, AForkedChildIsAnotherSession) {
  const CommitId before = committer.next();
  const ::pid_t child = ::fork();
  if (child == 0) {
    bool right = false;
    try {
      committer.commit(before, {increment()}, {}, Clock::now() + kLong);
    } catch (const UsageError&) {
      const CommitId id = committer.next();
      right = id.session != before.session && id.sequence == 1;
    }
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(committer.next().sequence, 2U);
}

TEST(Committer, EveryIncrementCountsOnceWhateverIsLost) {
  Random random;
  const auto small = std::make_shared<SmallStore>();
  CountingStore counting{small};
  counting.script(random_script(random.bits(),
                                {.lost_request = 9, .lost_reply = 7, .late = 6, .unreached = 11}));
  constexpr int kClients = 4;
  constexpr int kIncrements = 500;
  std::atomic<std::int64_t> done{0};
  std::atomic<int> unknown{0};
  std::atomic<int> conflicts{0};
  const auto client = [&](std::uint64_t seed) {
    Random dice(seed);
    Committer committer{counting};
    for (int i = 0; i < kIncrements; ++i) {
      // Every other one goes by the version of a record, as the writes of a graph do.
      for (;;) {
        const CommitId id = committer.next();
        Batch batch = increment();
        if (dice.one_in(2)) {
          port::StateVersion state;
          const auto node = small->find({}, kNode, state, Clock::now() + kLong);
          batch.predicates = {node ? Predicate{.kind = Predicate::Kind::kVersion,
                                               .key = kNode,
                                               .number = node->version}
                                   : Predicate{.kind = Predicate::Kind::kAbsent, .key = kNode}};
          batch.changes = {{kNode, port::Record{.version = port::version_of(id),
                                                .integers = {node ? node->integers[0] + 1 : 1}}}};
        }
        try {
          // Some give up at once, and ask for the outcome.
          const auto time = dice.one_in(4) ? 0s : std::chrono::seconds(kLong);
          if (committer.commit(id, {batch}, {}, Clock::now() + time).outcome == Outcome::kDone) {
            ++done;
            break;
          }
          ++conflicts;
        } catch (const BusyError&) {
        } catch (const UnavailableError&) {
        } catch (const CommitUnknownError&) {
          ++unknown;
          break;
        }
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(client, random.bits());
  for (std::thread& one : clients) one.join();
  counting.deliver();
  port::StateVersion state;
  const auto sum = small->find({}, kCounter, state, Clock::now() + kLong);
  EXPECT_EQ(unknown, 0);
  EXPECT_EQ(done, kClients * kIncrements);
  EXPECT_EQ(sum->integers[0], done);
  EXPECT_EQ(small->applied(), static_cast<std::size_t>(done.load()));
  EXPECT_GT(conflicts, 0);
}

}  // namespace
}  // namespace graven::test
