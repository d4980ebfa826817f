// SPDX-License-Identifier: MIT
//
// A backend for tests that passes every call on to another one; what a test is about overrides it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "port/interactive_backend.hpp"
#include "port/opened.hpp"

namespace graven::test {

/// A view, or a transaction, which is one too.
template <class View>
class Passing : public View {
 public:
  explicit Passing(std::unique_ptr<View> inner) : inner_(std::move(inner)) {}

  std::optional<port::Record> load(const port::Key& key) override { return inner_->load(key); }
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override {
    inner_->load_many(keys, each);
  }
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
    return inner_->scan(range, limit);
  }
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<port::Row>)> each) override {
    inner_->read(ops, each);
  }
  bool any_orphans() override { return inner_->any_orphans(); }
  std::uint64_t count_items(std::int64_t map) override { return inner_->count_items(map); }

 protected:
  std::unique_ptr<View> inner_;
};

using PassingView = Passing<port::View>;

class PassingTransaction : public Passing<port::WriteTransaction> {
 public:
  using Passing<port::WriteTransaction>::Passing;

  void apply(std::span<const port::Change> changes) override { inner_->apply(changes); }
  void insert(const port::NewRows& rows) override { inner_->insert(rows); }
  std::size_t erase_first(port::Space space, std::int64_t a, std::size_t limit) override {
    return inner_->erase_first(space, a, limit);
  }
  void savepoint(int depth) override { inner_->savepoint(depth); }
  void rollback_to(int depth) override { inner_->rollback_to(depth); }
  void release(int depth) override { inner_->release(depth); }
  void commit(std::uint64_t id) override { inner_->commit(id); }
  void when_released(std::function<void(const port::Mark*)> call) override {
    inner_->when_released(std::move(call));
  }
};

/// A close is not passed on: several may stand over one store.
class PassingBackend : public port::InteractiveBackend,
                       public port::SharedState,
                       public port::Files,
                       protected port::Leases {
 public:
  explicit PassingBackend(std::shared_ptr<port::Backend> inner)
      : inner_(std::move(inner)),
        records_(records(*inner_)),
        state_(port::facet<port::SharedState>(*inner_)),
        files_(port::facet<port::Files>(*inner_)) {}

  [[nodiscard]] const port::Facts& facts() const noexcept override { return inner_->facts(); }
  port::Leases& leases() override { return *this; }
  void close() noexcept override {}

  std::optional<port::Record> load(const port::Key& key) override { return records_.load(key); }
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) override {
    return records_.load_node(id, reclaiming);
  }
  std::unique_ptr<port::View> view() override { return records_.view(); }
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) override {
    return records_.begin(deadline);
  }

  const port::MarkWords* live_mark() override {
    return state_ != nullptr ? state_->live_mark() : nullptr;
  }
  [[nodiscard]] bool distinctive(const port::Mark& mark) const override {
    return state_ != nullptr && state_->distinctive(mark);
  }
  [[nodiscard]] bool commit_between(const port::Mark& before,
                                    const port::Mark& after) const override {
    return state_ != nullptr ? state_->commit_between(before, after) : before != after;
  }
  port::ChangeFeed* changes() override { return state_ != nullptr ? state_->changes() : nullptr; }

  std::vector<std::string> check() override {
    return files_ != nullptr ? files_->check() : std::vector<std::string>();
  }
  std::vector<Loss> mend() override {
    return files_ != nullptr ? files_->mend() : std::vector<Loss>();
  }
  void copy_to(const std::string& path, const port::Copying& how) override {
    must_have<port::Files>(*inner_).copy_to(path, how);
  }
  [[nodiscard]] std::uint64_t size_on_disk() const override {
    return files_ != nullptr ? files_->size_on_disk() : 0;
  }

 protected:
  port::CommitResult admit(const port::Batch&) override { return {}; }
  void make_durable(base::Deadline) override {}

  void announce(std::int64_t process) override { inner_->leases().announce(process); }
  bool alive(std::int64_t process) override { return inner_->leases().alive(process); }
  port::Lease acquire(const port::Partition& partition, base::Deadline deadline) override {
    return inner_->leases().acquire(partition, deadline);
  }
  bool renew(const port::Partition& partition, port::Lease& lease) override {
    return inner_->leases().renew(partition, lease);
  }
  void release(const port::Partition& partition, const port::Lease& lease) noexcept override {
    inner_->leases().release(partition, lease);
  }

 private:
  std::shared_ptr<port::Backend> inner_;
  port::Interactive& records_;
  port::SharedState* state_;
  port::Files* files_;
};

}  // namespace graven::test
