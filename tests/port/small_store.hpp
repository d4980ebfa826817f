// SPDX-License-Identifier: MIT
//
// A store of one partition in memory, as small as the tests of what stands in front of a store can
// do with: points, some predicates, counters, outcomes, the log, a lease. It can lose its last
// commits, as a failed-over server does, and forget its log.
//
// Any thread. Listeners are called under its mutex.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "port/backend.hpp"

namespace graven::test {

class SmallStore final : public port::Backend, private port::Leases {
 public:
  using Records = std::map<port::Key, port::Record>;

  SmallStore() {
    facts_.name = "small";
    facts_.identity = "small";
    facts_.constant = 0x736d616c6cULL;
  }

  /// The last commits are lost, and their outcomes.
  void lose(std::size_t commits) {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < commits; ++i) {
      now_ = std::move(past_.back());
      past_.pop_back();
      log_.pop_back();
    }
  }
  void forget_log() {
    const std::scoped_lock lock(mutex_);
    log_.clear();
  }
  /// From now on nobody can subscribe.
  void tell_nobody() {
    const std::scoped_lock lock(mutex_);
    tells_ = false;
  }
  /// Another process has the lease.
  void lease_to_other(bool leased) {
    const std::scoped_lock lock(mutex_);
    lease_ = leased ? 1 : 0;
  }
  /// How often a commit was applied.
  [[nodiscard]] std::size_t applied() const {
    const std::scoped_lock lock(mutex_);
    return applied_;
  }
  [[nodiscard]] port::StateVersion state() const {
    const std::scoped_lock lock(mutex_);
    return now_.state;
  }

  // port::Backend
  [[nodiscard]] const port::Facts& facts() const noexcept override { return facts_; }

  port::StateVersion read(const port::Partition&, std::span<const port::ReadOp> ops,
                          port::ReadSink each, port::Deadline) override {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < ops.size(); ++i) {
      std::vector<port::Row> rows;
      if (ops[i].key) {
        if (const auto it = now_.records.find(*ops[i].key); it != now_.records.end()) {
          rows.push_back({it->first, it->second});
        }
      }
      each(i, rows, rows.size());
    }
    return now_.state;
  }

  port::CommitResult commit(const port::CommitId& id, std::span<const port::Batch> batches,
                            const port::CommitOptions& options, port::Deadline deadline) override {
    const std::scoped_lock lock(mutex_);
    if (batches.empty()) return {.outcome = port::Outcome::kDone};
    const auto known = now_.outcomes.find(id.session);
    if (known != now_.outcomes.end() && known->second.first >= id.sequence) {
      if (known->second.first == id.sequence) return known->second.second;
      return {.outcome = port::Outcome::kNotDone, .reason = port::Reason::kBurnt};
    }
    port::CommitResult result = attempt(id, batches.front(), deadline);
    if (result.outcome == port::Outcome::kDone || options.resent) {
      now_.outcomes[id.session] = {id.sequence, result};
    }
    return result;
  }

  port::CommitResult resolve(const port::CommitId& id, std::span<const port::Partition>,
                             port::Deadline) override {
    const std::scoped_lock lock(mutex_);
    auto& [sequence, result] = now_.outcomes[id.session];
    if (sequence < id.sequence) {
      sequence = id.sequence;
      result = {.outcome = port::Outcome::kNotDone, .reason = port::Reason::kBurnt};
    }
    return result;
  }

  std::unique_ptr<port::View> snapshot(const port::Partition&, port::Deadline) override {
    const std::scoped_lock lock(mutex_);
    return std::make_unique<Snapshot>(now_.records, now_.state);
  }

  bool log(const port::Partition&, const port::StateVersion& from, port::LogSink each,
           port::Deadline) override {
    const std::scoped_lock lock(mutex_);
    if (from == now_.state) return true;
    const auto first = std::find_if(log_.begin(), log_.end(), [&](const port::LogEntry& one) {
      return one.previous == from.history && one.state.clock == from.clock + 1;
    });
    std::for_each(first, log_.end(), each);
    return first != log_.end();
  }

  std::unique_ptr<port::Subscription> subscribe(const port::Partition&,
                                                port::LogListener& listener) override {
    struct Subscribed final : port::Subscription {
      Subscribed(SmallStore& store, port::LogListener& listener)
          : store_(store), listener_(listener) {}
      ~Subscribed() override {
        const std::scoped_lock lock(store_.mutex_);
        std::erase(store_.listeners_, &listener_);
      }
      SmallStore& store_;
      port::LogListener& listener_;
    };
    const std::scoped_lock lock(mutex_);
    if (!tells_) return nullptr;
    listeners_.push_back(&listener);
    return std::make_unique<Subscribed>(*this, listener);
  }

  port::Leases& leases() override { return *this; }
  void close() noexcept override {}

 private:
  static constexpr std::size_t kPast = 64;

  class Snapshot final : public port::View {
   public:
    Snapshot(Records records, port::StateVersion state)
        : records_(std::move(records)), state_(state) {}
    std::optional<port::Record> load(const port::Key& key) override {
      const auto it = records_.find(key);
      return it != records_.end() ? std::optional(it->second) : std::nullopt;
    }
    void load_many(std::span<const port::Key> keys,
                   const std::function<void(std::size_t, port::Record*)>& each) override {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        std::optional<port::Record> record = load(keys[i]);
        each(i, record ? &*record : nullptr);
      }
    }
    std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
      std::vector<port::Row> rows;
      for (const auto& [key, record] : records_) {
        if (rows.size() < limit && port::in_range(range, key)) rows.push_back({key, record});
      }
      return rows;
    }
    [[nodiscard]] std::optional<port::StateVersion> state() const override { return state_; }

   private:
    Records records_;
    port::StateVersion state_;
  };

  struct State {
    Records records;
    port::StateVersion state;
    std::map<std::uint64_t, std::pair<std::uint64_t, port::CommitResult>> outcomes;
  };

  [[nodiscard]] bool holds(const port::Predicate& one) const {
    const auto it = now_.records.find(one.key);
    switch (one.kind) {
      case port::Predicate::Kind::kVersion:
        return it != now_.records.end() && it->second.version == one.number;
      case port::Predicate::Kind::kAbsent:
        return it == now_.records.end();
      case port::Predicate::Kind::kSame:
        return it != now_.records.end() && it->second == one.record;
      case port::Predicate::Kind::kUnmoved:
        return now_.state == one.state;
      default:
        throw UsageError("the small store does not know this predicate");
    }
  }

  port::CommitResult attempt(const port::CommitId& id, const port::Batch& batch,
                             port::Deadline deadline) {
    using port::Outcome;
    using port::Reason;
    if (std::chrono::steady_clock::now() > deadline) {
      return {.outcome = Outcome::kNotDone, .reason = Reason::kLate};
    }
    if (batch.fence != lease_ && batch.fence != 0) {
      return {.outcome = Outcome::kNotDone, .reason = Reason::kFenced};
    }
    if (batch.fence != lease_) {
      return {.outcome = Outcome::kNotDone, .reason = Reason::kLeased};
    }
    for (const port::Predicate& one : batch.predicates) {
      if (holds(one)) continue;
      port::CommitResult result{.outcome = Outcome::kConflict, .states = {now_.state}};
      const auto it = now_.records.find(one.key);
      result.fresh.push_back(
          {one.key, it != now_.records.end() ? std::optional(it->second) : std::nullopt});
      return result;
    }
    port::CommitResult result{.outcome = Outcome::kDone};
    if (batch.operations.empty() && batch.changes.empty()) {
      result.states = {now_.state};
      return result;
    }
    State before = now_;
    for (const port::Operation& one : batch.operations) {
      std::int64_t& sum = now_.records[one.key].integers[0];
      if (__builtin_add_overflow(sum, one.number, &sum)) {
        now_ = std::move(before);
        return {.outcome = Outcome::kNotDone, .reason = Reason::kOverflow};
      }
      result.given.push_back(sum);
    }
    for (const auto& [key, record] : batch.changes) {
      if (record) {
        now_.records[key] = *record;
      } else {
        now_.records.erase(key);
      }
    }
    ++applied_;
    const std::uint64_t previous = now_.state.history;
    ++now_.state.clock;
    now_.state.history = port::history_after(previous, id);
    if (batch.told.doomed) now_.state.pending = now_.state.clock;
    past_.push_back(std::move(before));
    if (past_.size() > kPast) past_.pop_front();
    log_.push_back({now_.state, previous, id, batch.told.hashes, batch.told.flags()});
    result.states = {now_.state};
    for (port::LogListener* listener : listeners_) listener->committed(log_.back());
    return result;
  }

  // port::Leases
  void announce(std::int64_t) override {}
  bool alive(std::int64_t) override { return false; }
  port::Lease acquire(const port::Partition&, port::Deadline) override {
    const std::scoped_lock lock(mutex_);
    lease_ = ++tokens_;
    return {.token = lease_, .state = now_.state};
  }
  bool renew(const port::Partition&, port::Lease& lease) override {
    const std::scoped_lock lock(mutex_);
    return lease_ == lease.token;
  }
  void release(const port::Partition&, const port::Lease& lease) noexcept override {
    const std::scoped_lock lock(mutex_);
    if (lease_ == lease.token) lease_ = 0;
  }

  port::Facts facts_;
  mutable std::mutex mutex_;
  State now_;
  std::deque<State> past_;
  std::vector<port::LogEntry> log_;
  std::vector<port::LogListener*> listeners_;
  std::uint64_t lease_ = 0;
  std::uint64_t tokens_ = 1;
  std::size_t applied_ = 0;
  bool tells_ = true;
};

}  // namespace graven::test
