// SPDX-License-Identifier: MIT
//
// Several clients of one store, each with a committer, a followed log and a cache, over a network
// that loses, delays, doubles and reorders. What a cache gives is right for the state that it says
// it is of, no client sees an older state after a newer one, and each write counts once.
//
// GRAVEN_SEED repeats a run, but for what the threads do.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <graven/error.hpp>

#include "base/random.hpp"
#include "port/counting_store.hpp"
#include "port/oracle.hpp"
#include "store/committer.hpp"
#include "store/followed_log.hpp"

namespace graven::test {
namespace {

using namespace std::chrono_literals;
using port::Mark;
using port::Outcome;
using port::Predicate;
using port::Record;
using port::StateVersion;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kNodes = 8;
constexpr std::size_t kClients = 3;
constexpr int kWrites = 600;  // of each client
constexpr auto kLong = 60s;

port::Key node(std::int64_t id) { return {.space = port::Space::kNode, .a = id}; }

using State = std::optional<Record>;

/// What every node was after each commit.
class Truth final : public port::LogListener {
 public:
  void committed(const port::LogEntry& entry) noexcept override {
    const std::scoped_lock lock(mutex_);
    for (std::int64_t id = 1; id <= kNodes; ++id) {
      const bool changed = std::find(entry.hashes.begin(), entry.hashes.end(),
                                     port::record_hash(node(id))) != entry.hashes.end();
      if (changed) versions_[id][entry.state.clock] = version_of(entry.id);
    }
  }
  void heartbeat(const StateVersion&) noexcept override {}
  void interrupted() noexcept override { ADD_FAILURE() << "the oracle interrupts nobody"; }

  std::uint64_t version(std::int64_t id, std::uint64_t clock) {
    const std::scoped_lock lock(mutex_);
    const auto after = versions_[id].upper_bound(clock);
    return after == versions_[id].begin() ? 0 : std::prev(after)->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::int64_t, std::map<std::uint64_t, std::uint64_t>> versions_;
};

struct Hit {
  std::uint64_t clock;
  std::int64_t id;
  std::uint64_t version;
};

class Client {
 public:
  Client(const std::shared_ptr<oracle::OracleStore>& store, std::uint64_t seed, const Rates& rates)
      : random_(seed), counting_(oracle::Oracle::open(store)), committer_(counting_) {
    counting_.script(random_script(random_.bits(), rates));
    counting_.script_entries(random_entries(random_.bits(), rates));
    followed_.emplace(counting_, port::Partition{}, 100ms);
  }

  void run() {
    while (written_ < kWrites) {
      const std::int64_t id = 1 + static_cast<std::int64_t>(random_.below(kNodes));
      const State record = read(id);
      if (random_.one_in(4)) write(id, record);
      if (random_.one_in(300)) counting_.interrupt();
      if (random_.one_in(20)) std::this_thread::sleep_for(100us);
    }
  }

  CountingStore& counting() { return counting_; }
  store::FollowedLog& followed() { return *followed_; }
  [[nodiscard]] const std::vector<Hit>& hits() const { return hits_; }
  [[nodiscard]] std::size_t from_cache() const { return from_cache_; }

 private:
  void see(std::uint64_t clock) {
    ASSERT_GE(clock, seen_) << "an older state after a newer one";
    seen_ = clock;
  }

  /// As the real cache does it.
  bool current() {
    if (!followed_->fresh()) return false;
    const Mark mark = port::read_mark(*followed_->live_mark());
    if (mark == tag_) return true;
    if (!followed_->distinctive(mark)) return false;
    const bool told = followed_->changes()->follow(
        tag_, mark, [&](port::ChangeFeed::Hashes hashes, std::uint64_t) {
          std::erase_if(cache_, [&](const auto& one) {
            return std::find(hashes.begin(), hashes.end(), port::record_hash(node(one.first))) !=
                   hashes.end();
          });
        });
    if (!told) cache_.clear();
    tag_ = mark;
    return true;
  }

  State read(std::int64_t id) {
    if (current()) {
      see(tag_.words[0]);
      if (const auto it = cache_.find(id); it != cache_.end()) {
        ++from_cache_;
        note(id, it->second);
        return it->second;
      }
    }
    StateVersion state;
    State record = counting_.find({}, node(id), state, Clock::now() + kLong);
    followed_->reach(state);
    see(state.clock);
    note(id, record);
    if (current() && tag_ == followed_->mark_of(state)) cache_[id] = record;
    return record;
  }
  void note(std::int64_t id, const State& record) {
    hits_.push_back({seen_, id, record ? record->version : 0});
  }

  void write(std::int64_t id, const State& record) {
    const port::CommitId commit = committer_.next();
    port::Batch batch;
    batch.predicates = {{.kind = Predicate::Kind::kAbsent, .key = node(id)}};
    if (record) batch.predicates[0].kind = Predicate::Kind::kVersion;
    if (record) batch.predicates[0].number = record->version;
    batch.changes = {{node(id), Record{.version = version_of(commit),
                                       .integers = {record ? record->integers[0] + 1 : 1}}}};
    batch.told.hashes = {port::record_hash(node(id))};
    const port::CommitResult result = committer_.commit(commit, {batch}, {}, Clock::now() + kLong);
    if (result.outcome == Outcome::kConflict) {
      if (!result.states.empty()) followed_->reach(result.states[0]);
      return;
    }
    ++written_;
    const StateVersion before = followed_->state();
    const StateVersion after = result.states.at(0);
    if (history_after(before.history, commit) == after.history) {
      followed_->own({after, before.history, commit, batch.told.hashes, 0});
    } else {
      followed_->reach(after);
    }
    see(std::max(seen_, after.clock));
    EXPECT_TRUE(followed_->state().clock >= after.clock);
  }

  Random random_;
  CountingStore counting_;
  store::Committer committer_;
  std::optional<store::FollowedLog> followed_;
  Mark tag_{};
  std::map<std::int64_t, State> cache_;
  std::uint64_t seen_ = 0;
  std::vector<Hit> hits_;
  std::size_t from_cache_ = 0;
  int written_ = 0;
};

TEST(Clients, SeeNothingOldAndLoseNothing) {
  Random random;
  const auto store = oracle::Oracle::create({.log_entries = 100, .heartbeat = 10ms});
  const auto clean = oracle::Oracle::open(store);
  Truth truth;
  const auto listening = clean->subscribe({}, truth);
  const Rates rates{.lost_request = 20,
                    .lost_reply = 15,
                    .late = 15,
                    .unreached = 30,
                    .lost_entry = 40,
                    .late_entry = 9,
                    .double_entry = 9};
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(store, random.bits(), rates));
  }
  std::vector<std::thread> threads;
  for (const auto& client : clients) threads.emplace_back([&client] { client->run(); });
  for (std::thread& thread : threads) thread.join();

  for (const auto& client : clients) client->counting().deliver();
  std::int64_t sum = 0;
  StateVersion newest;
  for (std::int64_t id = 1; id <= kNodes; ++id) {
    if (const State record = clean->find({}, node(id), newest, Clock::now() + kLong)) {
      sum += record->integers[0];
    }
  }
  EXPECT_EQ(sum, static_cast<std::int64_t>(kClients) * kWrites);
  for (const auto& client : clients) {
    for (const Hit& hit : client->hits()) {
      ASSERT_EQ(hit.version, truth.version(hit.id, hit.clock))
          << "node " << hit.id << " at " << hit.clock;
    }
    EXPECT_GT(client->from_cache(), 0U);
    client->followed().reach(newest);
    EXPECT_EQ(client->followed().state(), newest);
  }
}

}  // namespace
}  // namespace graven::test
