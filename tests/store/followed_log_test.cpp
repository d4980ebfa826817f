// SPDX-License-Identifier: MIT
//
// Following a log whose entries come late, twice, in another order or not at all: no commit is left
// out, nothing goes backwards, and a store that is silent counts as unknown after a while.
#include "store/followed_log.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "port/counting_store.hpp"
#include "port/small_store.hpp"

namespace graven::test {
namespace {

using namespace std::chrono_literals;
using port::LogEntry;
using port::Mark;
using port::StateVersion;
using store::FollowedLog;
using Clock = std::chrono::steady_clock;

constexpr auto kLong = 60s;
constexpr auto kForever = std::chrono::milliseconds(1h);

port::Key node(std::int64_t id) { return {.space = port::Space::kNode, .a = id}; }

/// Waits for what another thread does.
template <class Holds>
bool soon(const Holds& holds) {
  const auto until = Clock::now() + kLong;
  while (!holds()) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

EntryScript in_order(std::vector<EntryFault> faults) {
  return [faults = std::move(faults), next = std::size_t{0}](const LogEntry&) mutable {
    return next < faults.size() ? faults[next++] : EntryFault{};
  };
}

struct FollowedLogTest : testing::Test {
  explicit FollowedLogTest() {
    counting.script([this](const Call& call) -> Fault {
      if (call.asked == Asked::kLog) ++logs;
      if (call.asked != Asked::kCommit && unreachable) return {.kind = Fault::Kind::kLoseRequest};
      return {};
    });
  }

  /// Commits a change of the node; by another process, for the log that is followed.
  LogEntry write(std::int64_t id, std::uint64_t session = 1) {
    const StateVersion before = small->state();
    const port::CommitId commit{session, ++sequence};
    port::Batch batch{.changes = {{node(id), port::Record{.version = version_of(commit)}}}};
    batch.told.hashes = {port::record_hash(node(id))};
    const auto result = small->commit(commit, {&batch, 1}, {}, Clock::now() + kLong);
    EXPECT_EQ(result.outcome, port::Outcome::kDone);
    return {result.states.at(0), before.history, commit, batch.told.hashes, 0};
  }

  /// The nodes that were changed between two states; nothing if it cannot be told.
  std::optional<std::vector<std::int64_t>> changed(const Mark& from, const Mark& to) {
    std::vector<std::int64_t> ids;
    const bool told =
        followed->changes()->follow(from, to, [&](port::ChangeFeed::Hashes hashes, std::uint64_t) {
          for (const std::uint64_t hash : hashes) {
            std::int64_t id = 0;
            while (port::record_hash(node(id)) != hash) ++id;
            ids.push_back(id);
          }
        });
    return told ? std::optional(ids) : std::nullopt;
  }
  Mark live() { return port::read_mark(*followed->live_mark()); }
  void follow(std::chrono::milliseconds freshness = kForever) {
    followed.emplace(counting, port::Partition{}, freshness);
  }

  std::shared_ptr<SmallStore> small = std::make_shared<SmallStore>();
  CountingStore counting{small};
  std::atomic<bool> unreachable{false};
  std::atomic<int> logs{0};
  std::uint64_t sequence = 0;
  std::optional<FollowedLog> followed;
};

using Ids = std::vector<std::int64_t>;

TEST_F(FollowedLogTest, TheMarkMovesWithEachCommit) {
  write(1);
  follow();
  const Mark first = live();
  EXPECT_TRUE(followed->distinctive(first));
  EXPECT_EQ(first, followed->mark_of(small->state()));
  EXPECT_TRUE(followed->fresh());
  EXPECT_FALSE(followed->pending());
  const int before = logs;
  write(2);
  const Mark second = live();
  write(3);
  const Mark third = live();
  EXPECT_EQ(third, followed->mark_of(small->state()));
  EXPECT_EQ(followed->state(), small->state());
  EXPECT_TRUE(followed->commit_between(first, second));
  EXPECT_EQ(changed(first, third), (Ids{2, 3}));
  EXPECT_EQ(changed(first, second), (Ids{2}));
  EXPECT_EQ(changed(second, third), (Ids{3}));
  EXPECT_EQ(changed(second, second), Ids{});
  EXPECT_EQ(changed(third, second), std::nullopt);
  EXPECT_EQ(changed({}, third), std::nullopt);
  EXPECT_EQ(logs, before);
}

TEST_F(FollowedLogTest, AMixtureOfTwoMarksIsNone) {
  follow();
  const Mark before = live();
  write(1);
  const Mark after = live();
  for (unsigned of_after = 1; of_after < 62; ++of_after) {
    Mark mixed = before;
    for (std::size_t i = 0; i < mixed.words.size(); ++i) {
      if ((of_after >> i & 1U) != 0) mixed.words[i] = after.words[i];
    }
    EXPECT_TRUE(mixed == before || mixed == after || !followed->distinctive(mixed)) << of_after;
  }
}

TEST_F(FollowedLogTest, ItRemembersTheLastCommits) {
  follow();
  const Mark first = live();
  write(1);
  const Mark second = live();
  for (std::size_t i = 0; i < FollowedLog::kRemembered - 1; ++i) write(2);
  EXPECT_EQ(changed(first, live())->size(), FollowedLog::kRemembered);
  write(3);
  EXPECT_EQ(changed(first, live()), std::nullopt);
  EXPECT_EQ(changed(second, live())->size(), FollowedLog::kRemembered);
}

TEST_F(FollowedLogTest, PendingDeletionIsInTheState) {
  follow();
  live();
  port::Batch batch{.changes = {{node(1), port::Record{}}}};
  batch.told.doomed = true;
  small->commit({7, 1}, {&batch, 1}, {}, Clock::now() + kLong);
  EXPECT_TRUE(followed->pending());
  EXPECT_EQ(live().words[2], 1U);
}

TEST_F(FollowedLogTest, AnOwnCommitMayBeToldTwice) {
  follow();
  const Mark before = live();
  followed->own(write(1));  // after the listener
  counting.script_entries(in_order({{EntryFault::Kind::kLate, 1}}));
  followed->own(write(2));  // before it
  EXPECT_EQ(followed->state(), small->state());
  write(3);
  counting.deliver();
  EXPECT_EQ(followed->state(), small->state());
  EXPECT_EQ(changed(before, live()), (Ids{1, 2, 3}));
}

TEST_F(FollowedLogTest, EntriesInAnotherOrderAreSorted) {
  follow();
  const Mark before = live();
  counting.script_entries(
      in_order({{EntryFault::Kind::kLate, 2}, {EntryFault::Kind::kLate, 1}, {}, {}}));
  write(1);
  write(2);
  EXPECT_EQ(live(), before);
  write(3);
  EXPECT_EQ(followed->state(), small->state());
  EXPECT_EQ(changed(before, live()), (Ids{1, 2, 3}));
}

TEST_F(FollowedLogTest, DoubleEntriesCountOnce) {
  follow();
  const Mark before = live();
  counting.script_entries([](const LogEntry&) { return EntryFault{EntryFault::Kind::kDouble}; });
  write(1);
  write(2);
  EXPECT_EQ(changed(before, live()), (Ids{1, 2}));
}

TEST_F(FollowedLogTest, AGapIsFilledFromTheLog) {
  follow();
  const Mark before = live();
  counting.script_entries(in_order({{EntryFault::Kind::kLose}}));
  write(1);
  write(2);
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
  EXPECT_EQ(changed(before, live()), (Ids{1, 2}));
  EXPECT_GE(logs, 1);
}

TEST_F(FollowedLogTest, ReachAsksForWhatHasNotCome) {
  follow();
  const Mark before = live();
  counting.script_entries([](const LogEntry&) { return EntryFault{EntryFault::Kind::kLose}; });
  for (int i = 1; i < 5; ++i) {
    followed->reach(write(i).state);
    EXPECT_EQ(live(), followed->mark_of(small->state()));
  }
  EXPECT_EQ(changed(before, live()), (Ids{1, 2, 3, 4}));
  const int asked = logs;
  followed->reach(small->state());
  EXPECT_EQ(logs, asked);
}

TEST_F(FollowedLogTest, AnInterruptionMakesItAsk) {
  follow();
  const Mark before = live();
  counting.script_entries([](const LogEntry&) { return EntryFault{EntryFault::Kind::kLose}; });
  write(1);
  counting.interrupt();
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
  EXPECT_EQ(changed(before, live()), (Ids{1}));
}

TEST_F(FollowedLogTest, AHeartbeatTellsOfALostEntry) {
  follow();
  const Mark before = live();
  counting.script_entries([](const LogEntry&) { return EntryFault{EntryFault::Kind::kLose}; });
  const StateVersion old = small->state();
  write(1);
  counting.heartbeat();
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
  EXPECT_EQ(changed(before, live()), (Ids{1}));
  const int asked = logs;
  counting.heartbeat(old);  // was on its way for long
  EXPECT_EQ(followed->state(), small->state());
  EXPECT_TRUE(followed->fresh());
  EXPECT_EQ(logs, asked);
}

TEST_F(FollowedLogTest, AForgottenLogIsAJump) {
  follow();
  const Mark before = live();
  write(9);
  counting.script_entries([](const LogEntry&) { return EntryFault{EntryFault::Kind::kLose}; });
  const Mark seen = live();
  write(1);
  small->forget_log();
  write(2);
  followed->reach(small->state());
  EXPECT_EQ(live(), followed->mark_of(small->state()));
  EXPECT_EQ(changed(before, live()), std::nullopt);
  counting.script_entries({});
  const Mark after = live();
  write(3);
  EXPECT_EQ(changed(after, live()), (Ids{3}));
  EXPECT_EQ(changed(before, live()), std::nullopt);
  EXPECT_EQ(changed(seen, live()), std::nullopt);
}

TEST_F(FollowedLogTest, LostCommitsAreSeenByTheSecondHeartbeat) {
  follow();
  live();
  for (int i = 1; i < 5; ++i) write(i);
  const Mark before = live();
  small->lose(2);
  EXPECT_EQ(live(), before);
  counting.heartbeat();  // perhaps an old one
  EXPECT_EQ(live(), before);
  counting.heartbeat();
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
  EXPECT_EQ(changed(before, live()), std::nullopt);
}

TEST_F(FollowedLogTest, LostCommitsAreSeenByTheNextCommit) {
  follow();
  live();
  for (int i = 1; i < 5; ++i) write(i);
  const Mark before = live();
  small->lose(2);
  write(8, 2);
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
  EXPECT_EQ(changed(before, live()), std::nullopt);
  // The same clock again, another history.
  const Mark again = live();
  small->lose(1);
  followed->reach(write(9, 3).state);
  EXPECT_EQ(live().words[0], again.words[0]);
  EXPECT_EQ(live(), followed->mark_of(small->state()));
  EXPECT_EQ(changed(again, live()), std::nullopt);
}

TEST_F(FollowedLogTest, ASilentStoreIsUnknownAfterAWhile) {
  follow(20ms);
  write(1);
  const Mark before = live();
  EXPECT_TRUE(soon([&] { return !followed->fresh(); }));
  EXPECT_NE(live(), before);
  EXPECT_FALSE(followed->distinctive(live()));
  EXPECT_FALSE(followed->commit_between(before, live()));
  // With the next heartbeat all that was cached counts again.
  counting.heartbeat();
  EXPECT_EQ(live(), before);
  EXPECT_TRUE(soon([&] { return !followed->fresh(); }));
  // One that is ahead shows that something was missed.
  counting.deafen(true);
  write(2);
  counting.deafen(false);
  counting.heartbeat();
  EXPECT_TRUE(soon([&] {
    counting.heartbeat();
    return followed->fresh() && live() == followed->mark_of(small->state());
  }));
  EXPECT_EQ(changed(before, followed->mark_of(small->state())), (Ids{2}));
}

TEST_F(FollowedLogTest, EntriesDoNotHideSilence) {
  follow(20ms);
  live();
  EXPECT_TRUE(soon([&] {
    write(1);  // it may have been on its way for long
    return !followed->fresh();
  }));
  write(2);
  EXPECT_FALSE(followed->fresh());
  EXPECT_FALSE(followed->distinctive(live()));
  counting.heartbeat();
  EXPECT_EQ(live(), followed->mark_of(small->state()));
}

TEST_F(FollowedLogTest, HeartbeatsDoNotHideAGap) {
  follow(20ms);
  live();
  counting.script_entries(in_order({{EntryFault::Kind::kLose}}));
  unreachable = true;
  const StateVersion before = small->state();
  write(1);
  write(2);
  EXPECT_TRUE(soon([&] {
    counting.heartbeat(before);
    return !followed->fresh();
  }));
  EXPECT_FALSE(followed->distinctive(live()));
  unreachable = false;
  EXPECT_TRUE(soon([&] {
    counting.heartbeat();
    return followed->fresh() && live() == followed->mark_of(small->state());
  }));
}

TEST_F(FollowedLogTest, WhatCannotBeReachedIsNotReadFromTheCache) {
  follow();
  const Mark before = live();
  counting.script_entries([](const LogEntry&) { return EntryFault{EntryFault::Kind::kLose}; });
  unreachable = true;
  followed->reach(write(1).state);
  EXPECT_NE(live(), before);
  EXPECT_FALSE(followed->distinctive(live()));
  EXPECT_FALSE(followed->fresh());
  unreachable = false;
  EXPECT_TRUE(soon([&] { return followed->fresh(); }));
  EXPECT_EQ(live(), followed->mark_of(small->state()));
  EXPECT_EQ(changed(before, live()), (Ids{1}));
}

TEST_F(FollowedLogTest, AStoreThatTellsNobodyIsAsked) {
  small->tell_nobody();
  follow(40ms);
  const Mark before = live();
  write(1);
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
  EXPECT_EQ(changed(before, live()), (Ids{1}));
  followed->reach(write(2).state);
  EXPECT_EQ(changed(before, live()), (Ids{1, 2}));
  const int asked = logs;
  EXPECT_TRUE(soon([&] { return logs > asked + 2; }));
}

TEST_F(FollowedLogTest, AStoreThatIsDownAtFirstIsFollowedLater) {
  unreachable = true;
  follow();
  EXPECT_FALSE(followed->distinctive(live()));
  EXPECT_FALSE(followed->fresh());
  unreachable = false;
  EXPECT_TRUE(soon([&] { return live() == followed->mark_of(small->state()); }));
}

TEST_F(FollowedLogTest, CommitsAndWakeEndAWait) {
  follow();
  live();
  port::ChangeFeed& feed = *followed->changes();
  std::uint32_t ticket = feed.ticket();
  EXPECT_FALSE(feed.wait(ticket, Clock::now() + 1ms));
  write(1);
  EXPECT_TRUE(feed.wait(ticket, Clock::now() + kLong));
  for (const bool by_commit : {true, false}) {
    ticket = feed.ticket();
    std::thread other([&] {
      std::this_thread::sleep_for(5ms);
      if (by_commit) {
        write(2);
      } else {
        feed.wake();
      }
    });
    EXPECT_TRUE(feed.wait(ticket, Clock::now() + kLong));
    other.join();
  }
}

TEST_F(FollowedLogTest, NothingIsFollowedAfterTheEnd) {
  follow();
  const Mark before = live();
  followed->stop();
  write(1);
  EXPECT_NE(live(), before);
  EXPECT_FALSE(followed->distinctive(live()));
  EXPECT_FALSE(followed->fresh());
  counting.heartbeat();
  counting.interrupt();
  followed.reset();
}

TEST_F(FollowedLogTest, AForkedChildFollowsForItself) {
  follow();
  const Mark before = live();
  const ::pid_t child = ::fork();
  if (child == 0) {
    bool right = !followed->fresh() && port::read_mark(*followed->live_mark()) == before;
    write(1, 9);
    right = right && live() == followed->mark_of(small->state());
    right = right && changed(before, live()) == (Ids{1});
    followed.reset();
    write(2, 9);  // nobody listens any more
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  write(1);
  EXPECT_EQ(changed(before, live()), (Ids{1}));
}

}  // namespace
}  // namespace graven::test
