// SPDX-License-Identifier: MIT
//
// What happens when replies are lost, the server ends, is demoted or has replicas, and when the
// process forks.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <sys/wait.h>
#include <thread>

#include <graven/error.hpp>

#include "backends/redis/redis_store.hpp"
#include "base/forks.hpp"
#include "servers/link.hpp"

namespace graven::test {
namespace {

using port::CommitId;
using port::CommitResult;
using port::Outcome;
using port::Reason;

/// Sends a commit until its outcome is known.
CommitResult persist(port::Backend& store, const CommitId& id, const port::Batch& batch) {
  for (bool resent = false;; resent = true) {
    const CommitResult result = store.commit(id, {&batch, 1}, {.resent = resent}, patiently());
    if (result.outcome != Outcome::kUnknown && result.reason != Reason::kUnreached) return result;
  }
}

class Listener final : public port::LogListener {
 public:
  void committed(const port::LogEntry&) noexcept override { count(entries_); }
  void heartbeat(const port::StateVersion&) noexcept override { count(beats_); }
  void interrupted() noexcept override { count(interruptions_); }
  enum Of { kEntries, kBeats, kInterruptions };
  int number(Of of) {
    const std::scoped_lock lock(mutex_);
    return of == kEntries ? entries_ : of == kBeats ? beats_ : interruptions_;
  }
  bool wait(Of of, int number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, patiently(), [&] {
      return (of == kEntries ? entries_ : of == kBeats ? beats_ : interruptions_) >= number;
    });
  }

 private:
  void count(int& what) {
    const std::scoped_lock lock(mutex_);
    ++what;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int entries_ = 0;
  int beats_ = 0;
  int interruptions_ = 0;
};

class RedisOutage : public RedisStore {};

TEST_F(RedisOutage, LostRepliesAndRequestsAreAppliedOnce) {
  Link link(settings_.socket);
  redis::Settings through = settings_;
  through.socket.clear();
  through.host = "127.0.0.1";
  through.port = link.port();
  const auto store = redis::open(through);
  std::atomic<bool> ended{false};
  std::thread breaker([&] {
    for (int round = 0; !ended; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(7));
      if (round % 3 == 0) link.drop_replies();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      link.cut();
      link.mend();
    }
  });
  Client client(*store);
  int commits = 0;
  int done = 0;
  for (; commits < 300 || link.connections() < 20; ++commits) {
    done += persist(*store, client.next(), add_one()).outcome == Outcome::kDone ? 1 : 0;
  }
  ended = true;
  breaker.join();
  EXPECT_EQ(done, commits);
  EXPECT_EQ(client_->number(at_counter("n")), commits);
}

TEST_F(RedisOutage, ALateRequestAfterResolveIsNotDone) {
  Link link(settings_.socket);
  redis::Settings through = settings_;
  through.socket.clear();
  through.host = "127.0.0.1";
  through.port = link.port();
  const auto store = redis::open(through);
  Client client(*store);
  const CommitId id = client.next();
  link.hold_requests();
  const port::Batch batch = add_one();
  const CommitResult result =
      store->commit(id, {&batch, 1}, {}, after(std::chrono::milliseconds(10)));
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_EQ(client_->resolve(id).reason, Reason::kBurnt);  // by the other handle
  link.mend();
  EXPECT_EQ(client.commit(id, batch, true).reason, Reason::kBurnt);
  EXPECT_EQ(client_->number(at_counter("n")), -1);
}

TEST_F(RedisOutage, NobodyToReachIsToldBeforeAnythingWasSent) {
  server_->kill();
  const port::Batch batch = add_one();
  const CommitResult result =
      store_->commit(client_->next(), {&batch, 1}, {}, after(std::chrono::milliseconds(50)));
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kUnreached);
  port::StateVersion state;
  EXPECT_THROW(store_->find({}, at_node(1), state, after(std::chrono::milliseconds(50))),
               UnavailableError);
}

TEST_F(RedisOutage, AMasterThatWasDemotedTakesNothing) {
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  ASSERT_TRUE(listener.wait(Listener::kBeats, 1));
  const CommitId known = client_->next();
  const port::Batch batch = add_one();
  EXPECT_EQ(client_->commit(known, batch).outcome, Outcome::kDone);
  raw_->text({"REPLICAOF", "127.0.0.1", "1"});
  const auto soon = [] { return after(std::chrono::milliseconds(100)); };
  // Not even what is known there is confirmed: the new master may not have it.
  const CommitResult again = store_->commit(known, {&batch, 1}, {.resent = true}, soon());
  EXPECT_EQ(again.outcome, Outcome::kNotDone);
  EXPECT_TRUE(again.reason == Reason::kReadOnly || again.reason == Reason::kUnreached);
  EXPECT_EQ(store_->resolve(known, {{port::Partition{}}}, soon()).outcome, Outcome::kUnknown);
  // A new connection would have to be to a master.
  EXPECT_EQ(store_->commit(client_->next(), {&batch, 1}, {}, soon()).reason, Reason::kUnreached);
  port::StateVersion state;
  EXPECT_THROW(store_->find({}, at_node(1), state, soon()), UnavailableError);
  EXPECT_THROW(open(), UsageError);
  ASSERT_TRUE(listener.wait(Listener::kInterruptions, 1));
  const int beats = listener.number(Listener::kBeats);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_EQ(listener.number(Listener::kBeats), beats);
  raw_->text({"REPLICAOF", "NO", "ONE"});
  EXPECT_EQ(client_->commit(add_one()).outcome, Outcome::kDone);
  EXPECT_TRUE(listener.wait(Listener::kBeats, beats + 1));
}

TEST_F(RedisOutage, DatabasesDoNotHearOfEachOther) {
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  redis::Settings settings = settings_;
  settings.database = 1;
  const auto store = redis::open(settings);
  Client client(*store);
  EXPECT_EQ(client.commit(add_one()).outcome, Outcome::kDone);
  EXPECT_EQ(client_->commit(add_one()).outcome, Outcome::kDone);
  ASSERT_TRUE(listener.wait(Listener::kEntries, 1));
  ASSERT_TRUE(listener.wait(Listener::kBeats, listener.number(Listener::kBeats) + 1));
  EXPECT_EQ(listener.number(Listener::kEntries), 1);
}

TEST_F(RedisOutage, AServerThatCannotBeStartedAgainIsNotReached) {
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = held;
  settings_.revive = [held = std::move(held)](port::Deadline) {
    ++*held;
    throw UnavailableError("it does not start");
  };
  const auto store = open();
  settings_.revive = nullptr;
  Client client(*store);
  client.put(at_node(1), a_node(1, 1));
  const auto snapshot = store->snapshot({}, patiently());
  server_->kill();
  CommitResult result;
  while (*watched.lock() == 0) result = client.commit(add_one());
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kUnreached);
  EXPECT_EQ(result.detail, "it does not start");
  store->close();
  EXPECT_TRUE(watched.expired());  // whatever views still live
}

TEST_F(RedisOutage, DurableMeansEveryReplica) {
  RedisServer replica;
  RawRedis raw(replica.settings());
  RedisServer master(RedisServer::Setup{.lines = {"repl-diskless-sync-delay 0"}, .port = true});
  redis::Settings settings = master.settings();
  const auto store = redis::open(settings);
  Client client(*store);
  raw.text({"REPLICAOF", "127.0.0.1", std::to_string(master.port())});
  RawRedis of_master(settings);
  while (of_master({"ROLE"})[2].size() != 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const port::Batch batch = add_one();
  const auto durable = [&](const CommitId& id, std::chrono::milliseconds patience, bool resent) {
    return store->commit(id, {&batch, 1}, {.resent = resent, .durable = true}, after(patience));
  };
  EXPECT_EQ(durable(client.next(), std::chrono::seconds(20), false).outcome, Outcome::kDone);
  EXPECT_EQ(store->commit(client.next(), {}, {.durable = true}, patiently()).outcome,
            Outcome::kDone);
  replica.pause();
  const CommitId id = client.next();
  EXPECT_EQ(durable(id, std::chrono::milliseconds(100), false).outcome, Outcome::kUnknown);
  replica.resume();
  EXPECT_EQ(durable(id, std::chrono::seconds(20), true).outcome, Outcome::kDone);
  EXPECT_EQ(client.number(at_counter("n")), 2);
}

TEST_F(RedisOutage, SubscriptionsComeBack) {
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  client_->commit(add_one());
  ASSERT_TRUE(listener.wait(Listener::kEntries, 1));
  EXPECT_GT(raw_->number({"CLIENT", "KILL", "TYPE", "pubsub"}), 0);
  ASSERT_TRUE(listener.wait(Listener::kInterruptions, 1));
  const int beats = listener.number(Listener::kBeats);
  ASSERT_TRUE(listener.wait(Listener::kBeats, beats + 1));
  client_->commit(add_one());
  EXPECT_TRUE(listener.wait(Listener::kEntries, 2));
}

TEST_F(RedisOutage, CloseEndsSubscriptions) {
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  ASSERT_TRUE(listener.wait(Listener::kBeats, 1));
  store_->close();
  const int beats = listener.number(Listener::kBeats);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_EQ(listener.number(Listener::kBeats), beats);
}

TEST_F(RedisOutage, ChildrenOfForksHaveConnectionsOfTheirOwn) {
  GRAVEN_FORKS_AMID_THREADS();
  Listener listener;
  const auto subscription = store_->subscribe({}, listener);
  store_->leases().announce(5);
  client_->commit(add_one());
  const port::Lease lease = store_->leases().acquire({}, patiently());
  store_->leases().release({}, lease);
  std::vector<pid_t> children;
  for (int c = 0; c < 2; ++c) {
    const pid_t child = ::fork();
    if (child == 0) {
      Client own(*store_);
      int wrong = 0;
      for (int i = 0; i < 100; ++i) {
        if (own.commit(add_one()).outcome != Outcome::kDone) ++wrong;
      }
      Listener ears;
      const auto heard = store_->subscribe({}, ears);
      if (!ears.wait(Listener::kBeats, 2)) ++wrong;
      store_->close();
      ::_exit(wrong);
    }
    children.push_back(child);
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(client_->commit(add_one()).outcome, Outcome::kDone);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(client_->number(at_counter("n")), 301);
  EXPECT_TRUE(listener.wait(Listener::kEntries, 301));
  EXPECT_EQ(listener.number(Listener::kInterruptions), 0);
  EXPECT_TRUE(store_->leases().alive(5));
}

class RedisRestart : public RedisStore {
 protected:
  RedisRestart() : RedisStore({.lines = {"appendonly yes", "appendfsync always"}}) {}
};

TEST_F(RedisRestart, NothingIsLostOrTornWhenTheServerIsKilled) {
  constexpr int kKills = 3;
  std::atomic<int> done{0};
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    Client client(*store_);
    for (int i = 0; !ended; ++i) {
      port::Batch batch = mixed(static_cast<std::uint64_t>(i + 1));
      batch.operations.push_back(add_one().operations.front());
      if (persist(*store_, client.next(), batch).outcome == Outcome::kDone) ++done;
    }
  });
  for (int kill = 0; kill < kKills; ++kill) {
    const int before = done;
    while (done < before + 50) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    server_->kill();
    server_->start();
  }
  ended = true;
  writer.join();
  EXPECT_EQ(client_->number(at_counter("n")), done);
  EXPECT_EQ(client_->number(at_counter("mixed")), done);
  EXPECT_EQ(client_->number(at_edge(9, 2)), done);
  EXPECT_EQ(client_->state().clock, static_cast<std::uint64_t>(done.load()));
}

}  // namespace
}  // namespace graven::test
