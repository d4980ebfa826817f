// SPDX-License-Identifier: MIT
//
// One optimistic transaction: what it has read (the predicates of its batch) and what it has
// written (its changes). See optimistic.hpp. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "store/optimistic.hpp"

namespace graven::store {

class Optimistic::Transaction final : public port::WriteTransaction, private port::Optimism {
 public:
  struct Parts {
    Optimistic& whole;
    port::Backend& backend;
    FollowedLog& followed;
    Committer& committer;
    Fresh known;      // read already, by the attempt before
    Fresh& of_retry;  // gets what a conflict tells
  };
  Transaction(Parts parts, std::optional<Alone> alone, port::Deadline deadline);
  ~Transaction() override;

  std::optional<port::Record> load(const port::Key& key) override;
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override;
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override;
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<port::Row>)> each) override;
  /// The state that it began with; from now on it relies on nobody else committing.
  [[nodiscard]] std::optional<port::StateVersion> state() const override {
    on_state_ = true;
    return begun_;
  }
  bool any_orphans() override;
  std::uint64_t count_items(std::int64_t map) override;

  void apply(std::span<const port::Change> changes) override;
  void savepoint(int depth) override;
  void rollback_to(int depth) override;
  void release(int depth) override;
  void commit(std::uint64_t id) override;
  void when_released(std::function<void(const port::Mark*)> call) override;
  port::Optimism* optimism() noexcept override { return this; }

 private:
  using State = std::optional<port::Record>;

  // port::Optimism
  void relies_on(const port::Key& key, const State& record) override;
  [[nodiscard]] bool knows(const port::Key& key) const override { return known(key) != nullptr; }
  bool pending() override;
  [[nodiscard]] bool adds() const noexcept override { return !alone_; }
  void add(const port::Key& key, std::int64_t by, std::int64_t& sum) override;
  bool holds() override;
  [[nodiscard]] std::uint64_t version() const noexcept override { return version_of(id_); }
  [[nodiscard]] std::uint64_t state_before() const noexcept override { return begun_.history; }
  [[nodiscard]] std::uint64_t state_after() const noexcept override {
    return history_after(begun_.history, id_);
  }

  const State* known(const port::Key& key) const;
  bool written(port::Space space) const;
  [[nodiscard]] bool is_new(const port::Key& key, const State& record) const;
  void saw(const port::Range& range, std::size_t limit, std::span<const port::Row> rows);
  std::vector<port::Row> scan_below(const port::Range& range, std::size_t limit);
  std::vector<port::Predicate> predicates() const;
  /// What the log tells of this commit.
  [[nodiscard]] port::Told told() const;
  port::Batch batch() const;
  /// Until when to wait for an answer. One that is alone may last longer than it waited for the
  /// lease.
  [[nodiscard]] port::Deadline deadline() const {
    return alone_ ? std::chrono::steady_clock::now() + patience_ : deadline_;
  }
  void remember(std::vector<port::Change> fresh);
  [[nodiscard]] std::vector<port::Batch> as_one(port::Batch batch) const;
  void require_room(const port::Batch& batch) const;
  [[nodiscard]] bool too_many(const std::vector<port::Predicate>& predicates) const;
  port::CommitResult rely_on_many(std::vector<port::Predicate>& predicates);
  port::CommitResult send(port::Batch batch);
  void taken(const port::StateVersion& after);

  Parts of_;
  std::optional<Alone> alone_;
  const port::Deadline deadline_;
  const std::chrono::steady_clock::duration patience_;  // until the deadline, at the beginning
  const port::CommitId id_;
  port::StateVersion begun_;
  std::map<port::Key, State> read_;
  std::vector<port::Predicate> ranges_;
  bool on_pending_ = false;        // relies on what is pending deletion
  mutable bool on_state_ = false;  // relies on the whole state
  bool sent_ = false;
  const bool all_since_begun_;  // nothing that is relied on was read before it began
  port::Overlay written_;
  std::vector<port::Operation> operations_;
  std::vector<std::int64_t*> given_;       // gets what each operation gives
  std::vector<port::Overlay> savepoints_;  // what was written at each depth
  std::function<void(const port::Mark*)> released_;
};

}  // namespace graven::store
