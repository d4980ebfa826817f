// SPDX-License-Identifier: MIT
//
// The store that counts trips and makes faults: what it counts, and what a fault leaves behind.
#include "port/counting_store.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <graven/error.hpp>

#include "port/small_store.hpp"

namespace graven::test {
namespace {

using namespace std::chrono_literals;
using port::CommitId;
using port::CommitResult;
using port::Deadline;
using port::LogEntry;
using port::Outcome;
using port::StateVersion;
using Clock = std::chrono::steady_clock;
using Kind = Fault::Kind;

const port::Key kNode{.space = port::Space::kNode, .a = 1};

Deadline later() { return Clock::now() + 60s; }

/// Writes down what it hears.
struct Heard final : port::LogListener {
  void committed(const LogEntry& entry) noexcept override {
    text += std::to_string(entry.state.clock) + " ";
  }
  void heartbeat(const StateVersion& state) noexcept override {
    text += "beat " + std::to_string(state.clock) + " ";
  }
  void interrupted() noexcept override { text += "interrupted "; }

  std::string text;
};

struct CountingStoreTest : testing::Test {
  CommitResult write(bool resent = false) { return write({1, ++sequence}, resent); }
  CommitResult write(CommitId id, bool resent = false) {
    const port::Batch batch{.changes = {{kNode, port::Record{.version = version_of(id)}}}};
    return store.commit(id, {&batch, 1}, {.resent = resent}, later());
  }
  std::optional<port::Record> find() {
    StateVersion state;
    return store.find({}, kNode, state, later());
  }
  void next(Fault fault) {
    store.script([fault, done = false](const Call&) mutable {
      return std::exchange(done, true) ? Fault{} : fault;
    });
  }
  template <class Do>
  static Trips trips(const Do& call) {
    const Trips before = trips_of_thread();
    call();
    return trips_of_thread() - before;
  }

  std::shared_ptr<SmallStore> small = std::make_shared<SmallStore>();
  CountingStore store{small};
  std::uint64_t sequence = 0;
};

TEST_F(CountingStoreTest, EachCallIsOneTripOfItsKind) {
  EXPECT_EQ(trips([&] { write(); }).commits, 1U);
  EXPECT_EQ(trips([&] { find(); }).reads, 1U);
  const std::vector<port::ReadOp> ops{{.key = kNode}, {.key = kNode}};
  int rows = 0;
  EXPECT_EQ(trips([&] {
              store.read(
                  {}, ops,
                  [&](std::size_t, std::span<port::Row> some, std::uint64_t) {
                    rows += static_cast<int>(some.size());
                  },
                  later());
            }).all(),
            1U);
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(trips([&] { store.resolve({1, 1}, {}, later()); }).others, 1U);
  EXPECT_EQ(trips([&] {
              store.log(
                  {}, {}, [](const LogEntry&) {}, later());
            }).others,
            1U);
  Heard heard;
  EXPECT_EQ(trips([&] { store.subscribe({}, heard); }).others, 1U);
  EXPECT_EQ(trips([&] {
              const port::Lease lease = store.leases().acquire({}, later());
              store.leases().release({}, lease);
            }).others,
            2U);
}

TEST_F(CountingStoreTest, ReadsOfAViewAreCounted) {
  write();
  std::unique_ptr<port::View> view;
  EXPECT_EQ(trips([&] { view = store.snapshot({}, later()); }).all(), 0U);
  EXPECT_EQ(trips([&] {
              EXPECT_TRUE(view->load(kNode));
              EXPECT_EQ(view->scan({.space = port::Space::kNode}, 10).size(), 1U);
              view->load_many({&kNode, 1}, [](std::size_t, port::Record* record) {
                EXPECT_NE(record, nullptr);
              });
              const port::ReadOp op{.key = kNode};
              view->read({&op, 1}, [](std::size_t, std::span<port::Row> rows) {
                EXPECT_EQ(rows.size(), 1U);
              });
              EXPECT_FALSE(view->any_orphans());
              EXPECT_EQ(view->count_items(1), 0U);
            }).reads,
            6U);
  EXPECT_EQ(view->state(), small->state());
  next({.kind = Kind::kLoseReply});
  EXPECT_THROW(view->load(kNode), UnavailableError);
  EXPECT_TRUE(view->load(kNode));
}

TEST_F(CountingStoreTest, EachThreadHasItsOwnNumbers) {
  EXPECT_EQ(trips([&] { std::thread([&] { find(); }).join(); }).all(), 0U);
}

TEST_F(CountingStoreTest, ALostRequestChangesNothing) {
  next({.kind = Kind::kLoseRequest});
  EXPECT_EQ(trips([&] { EXPECT_THROW(write(), UnavailableError); }).commits, 1U);
  EXPECT_FALSE(find());
}

TEST_F(CountingStoreTest, ALostReplyHidesACommit) {
  next({.kind = Kind::kLoseReply});
  EXPECT_THROW(write(), UnavailableError);
  EXPECT_TRUE(find());
  EXPECT_EQ(write({1, 1}, true).outcome, Outcome::kDone);
  EXPECT_EQ(small->applied(), 1U);
}

TEST_F(CountingStoreTest, ALateRequestArrivesAfterOtherCalls) {
  next({.kind = Kind::kLate, .calls = 2});
  EXPECT_THROW(write(), UnavailableError);
  EXPECT_FALSE(find());
  EXPECT_FALSE(find());
  EXPECT_TRUE(find());
  next({.kind = Kind::kLate, .calls = 100});
  EXPECT_THROW(write(), UnavailableError);
  EXPECT_EQ(store.late(), 1U);
  store.deliver();
  EXPECT_EQ(store.late(), 0U);
  EXPECT_EQ(small->applied(), 2U);
}

TEST_F(CountingStoreTest, NoConnectionIsToldToACommit) {
  next({.kind = Kind::kUnreached});
  const CommitResult result = write();
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, port::Reason::kUnreached);
  next({.kind = Kind::kUnreached});
  EXPECT_THROW(find(), UnavailableError);
}

TEST_F(CountingStoreTest, TheScriptMayAnswerAndSeesTheCall) {
  std::vector<Call> calls;
  store.script([&](const Call& call) {
    calls.push_back(call);
    Fault fault;
    if (call.resent) fault.answer = CommitResult{.outcome = Outcome::kConflict};
    return fault;
  });
  find();
  EXPECT_EQ(write().outcome, Outcome::kDone);
  EXPECT_EQ(write(true).outcome, Outcome::kConflict);
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_EQ(calls[0].asked, Asked::kRead);
  EXPECT_EQ(calls[1].asked, Asked::kCommit);
  EXPECT_EQ(calls[1].id, (CommitId{1, 1}));
  EXPECT_EQ(calls[2].number, 2U);
  EXPECT_EQ(small->applied(), 1U);
}

TEST_F(CountingStoreTest, ADelayDelays) {
  next({.delay = 20ms});
  const auto before = Clock::now();
  find();
  EXPECT_GE(Clock::now() - before, 20ms);
}

TEST_F(CountingStoreTest, EntriesAreLostLateAndDoubled) {
  Heard heard;
  const auto subscription = store.subscribe({}, heard);
  std::vector<EntryFault> faults{
      {}, {EntryFault::Kind::kLose},     {EntryFault::Kind::kLate, 2}, {EntryFault::Kind::kDouble},
      {}, {EntryFault::Kind::kLate, 100}};
  store.script_entries([&](const LogEntry& entry) { return faults.at(entry.state.clock - 1); });
  for (std::size_t i = 0; i < faults.size(); ++i) write();
  EXPECT_EQ(heard.text, "1 4 4 5 3 ");
  store.deliver();
  EXPECT_EQ(heard.text, "1 4 4 5 3 6 ");
}

TEST_F(CountingStoreTest, ListenersAreToldWhatTheTestSays) {
  Heard heard;
  auto subscription = store.subscribe({}, heard);
  write();
  store.heartbeat();
  store.heartbeat(StateVersion{.clock = 7});
  store.interrupt();
  EXPECT_EQ(heard.text, "1 beat 1 beat 7 interrupted ");
  store.deafen(true);
  write();
  store.heartbeat();
  store.deafen(false);
  write();
  EXPECT_EQ(heard.text, "1 beat 1 beat 7 interrupted 3 ");
  subscription.reset();
  write();
  store.heartbeat();
  EXPECT_EQ(heard.text, "1 beat 1 beat 7 interrupted 3 ");
}

TEST_F(CountingStoreTest, ASeedGivesTheSameFaults) {
  const Rates rates{.lost_request = 3, .lost_reply = 3, .late = 3, .lost_entry = 2};
  const auto kinds = [&](std::uint64_t seed) {
    const Script script = random_script(seed, rates);
    const EntryScript entries = random_entries(seed, rates);
    std::vector<int> all;
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(script({.asked = Asked::kRead}).kind, Kind::kNone);
      all.push_back(static_cast<int>(script({.asked = Asked::kCommit}).kind));
      all.push_back(static_cast<int>(entries({}).kind));
    }
    return all;
  };
  EXPECT_EQ(kinds(1), kinds(1));
  EXPECT_NE(kinds(1), kinds(2));
}

}  // namespace
}  // namespace graven::test
