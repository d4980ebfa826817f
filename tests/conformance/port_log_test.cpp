// SPDX-License-Identifier: MIT
//
// What the port promises about the log and its pushes: every commit, once, in order.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

using port::Batch;
using port::CommitResult;
using port::LogEntry;
using port::Outcome;
using port::StateVersion;

/// Keeps what it is told.
class Listener final : public port::LogListener {
 public:
  void committed(const LogEntry& entry) noexcept override {
    const std::scoped_lock lock(mutex_);
    entries_.push_back(entry);
    changed_.notify_all();
  }
  void heartbeat(const StateVersion& state) noexcept override {
    const std::scoped_lock lock(mutex_);
    beats_.push_back(state);
    // Everything up to this state has been told.
    if (!entries_.empty() && entries_.back().state.clock < state.clock) ahead_ = true;
    changed_.notify_all();
  }
  void interrupted() noexcept override {
    const std::scoped_lock lock(mutex_);
    interrupted_ = true;
    changed_.notify_all();
  }

  bool wait(std::size_t entries, std::size_t beats = 0) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, patiently(), [&] {
      return (entries_.size() >= entries && beats_.size() >= beats) || interrupted_;
    });
  }
  std::vector<LogEntry> entries() {
    const std::scoped_lock lock(mutex_);
    return entries_;
  }
  std::vector<StateVersion> beats() {
    const std::scoped_lock lock(mutex_);
    return beats_;
  }
  bool ahead() {
    const std::scoped_lock lock(mutex_);
    return ahead_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LogEntry> entries_;
  std::vector<StateVersion> beats_;
  bool interrupted_ = false;
  bool ahead_ = false;
};

class PortLog : public PortConformance {
 protected:
  static Batch told_change(std::uint64_t hash, const port::Key& key = at_node(1)) {
    return {.changes = {{key, a_node(hash, 1)}}, .told = {.hashes = {hash}, .doomed = hash == 9}};
  }
  /// The entries after a state; nothing where it is not in the log.
  std::optional<std::vector<LogEntry>> log(const StateVersion& from) {
    std::vector<LogEntry> entries;
    const bool there = store_->log(
        {}, from, [&](const LogEntry& entry) { entries.push_back(entry); }, patiently());
    if (there) return entries;
    EXPECT_TRUE(entries.empty());
    return std::nullopt;
  }
  static void expect_chain(const std::vector<LogEntry>& entries) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      ASSERT_EQ(entries[i].state.history, history_after(entries[i].previous, entries[i].id));
      if (i == 0) continue;
      ASSERT_EQ(entries[i].previous, entries[i - 1].state.history) << "entry " << i;
      ASSERT_GT(entries[i].state.clock, entries[i - 1].state.clock);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, PortLog, ::testing::ValuesIn(every_port()), port_name);

TEST_P(PortLog, TellsWhatCommitsToldInOrder) {
  const StateVersion empty = client_.state();
  client_.commit(told_change(5));
  const StateVersion first = client_.state();
  if (!GetParam().log) {
    EXPECT_FALSE(log(empty));
    return;
  }
  const port::CommitId id = client_.next();
  client_.commit(id, told_change(9));
  client_.commit({.predicates = {{.kind = Is::kAbsent, .key = at_node(1)}}});  // a conflict
  client_.commit({.predicates = {{.kind = Is::kAbsent, .key = at_node(2)}}});  // changes nothing
  const auto all = log(empty);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  expect_chain(*all);
  EXPECT_EQ(all->front().state, first);
  EXPECT_EQ(all->front().previous, empty.history);
  const auto later = log(first);
  ASSERT_TRUE(later);
  ASSERT_EQ(later->size(), 1U);
  EXPECT_EQ(later->front().id, id);
  EXPECT_EQ(later->front().state, client_.state());
  EXPECT_EQ(later->front().hashes, (std::vector<std::uint64_t>{9}));
  EXPECT_TRUE(port::Told::doomed_of(later->front().flags));
  EXPECT_TRUE(log(client_.state())->empty());
}

TEST_P(PortLog, AStateThatItDoesNotKnowIsAGap) {
  if (!GetParam().log) GTEST_SKIP() << "no log";
  client_.commit(told_change(1));
  client_.commit(told_change(2));
  const StateVersion now = client_.state();
  StateVersion lost = now;  // of a server that failed
  ++lost.history;
  EXPECT_FALSE(log(lost));
  StateVersion ahead = now;
  ++ahead.clock;
  ++ahead.history;
  EXPECT_FALSE(log(ahead));
  // Whoever has lost the thread begins again with the newest state.
  client_.commit(told_change(3));
  const auto later = log(now);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->size(), 1U);
}

TEST_P(PortLog, KeepsManyCommits) {
  if (!GetParam().log) GTEST_SKIP() << "no log";
  const StateVersion before = client_.state();
  for (std::uint64_t i = 1; i <= 500; ++i) client_.commit(told_change(i));
  const auto all = log(before);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 500U);
  expect_chain(*all);
}

TEST_P(PortLog, PushesComeInOrderAndNoneIsMissed) {
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  ASSERT_EQ(subscription != nullptr, GetParam().push);
  if (!subscription) return;
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kCommits = 100;
  const StateVersion before = client_.state();
  const auto second = open_();
  std::vector<std::thread> writers;
  for (std::size_t t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      Client client(t % 2 == 0 ? *store_ : *second);
      for (std::size_t i = 0; i < kCommits; ++i) {
        const auto node = static_cast<std::int64_t>(t + 1);
        client.commit(told_change(t * kCommits + i, at_node(node)));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(listener.wait(kThreads * kCommits));
  const std::vector<LogEntry> told = listener.entries();
  ASSERT_EQ(told.size(), kThreads * kCommits);
  expect_chain(told);
  EXPECT_EQ(told.front().previous, before.history);
  EXPECT_EQ(told.back().state, client_.state());
  const auto kept = log(before);
  ASSERT_TRUE(kept);
  ASSERT_EQ(kept->size(), told.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ((*kept)[i].state, told[i].state);
    EXPECT_EQ((*kept)[i].hashes, told[i].hashes);
  }
}

TEST_P(PortLog, PushesEndWithTheSubscription) {
  if (!GetParam().push) GTEST_SKIP() << "no pushes";
  Listener listener;
  Listener stays;
  auto subscription = store_->subscribe({}, listener);
  const auto other = store_->subscribe({}, stays);
  client_.commit(told_change(1));
  ASSERT_TRUE(listener.wait(1));
  subscription.reset();
  client_.commit(told_change(2));
  ASSERT_TRUE(stays.wait(2));
  EXPECT_EQ(listener.entries().size(), 1U);
}

TEST_P(PortLog, HeartbeatsTellTheNewestState) {
  if (!GetParam().push) GTEST_SKIP() << "no pushes";
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  client_.commit(told_change(1));
  ASSERT_TRUE(listener.wait(1, 1));
  std::thread writer([&] {
    Client client(*store_);
    for (std::uint64_t i = 0; i < 200; ++i) client.commit(told_change(i));
  });
  ASSERT_TRUE(listener.wait(201));
  writer.join();
  ASSERT_TRUE(listener.wait(201, listener.beats().size() + 2));
  EXPECT_FALSE(listener.ahead());
  EXPECT_EQ(listener.beats().back().clock, client_.state().clock);
}

}  // namespace
}  // namespace graven::test
