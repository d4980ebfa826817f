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

#include "port/backend.hpp"

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

class PassingBackend : public port::Backend {
 public:
  explicit PassingBackend(std::shared_ptr<port::Backend> inner) : inner_(std::move(inner)) {}

  std::optional<port::Record> load(const port::Key& key) override { return inner_->load(key); }
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) override {
    return inner_->load_node(id, reclaiming);
  }
  const port::MarkWords* live_mark() override { return inner_->live_mark(); }
  [[nodiscard]] bool distinctive(const port::Mark& mark) const override {
    return inner_->distinctive(mark);
  }
  [[nodiscard]] bool commit_between(const port::Mark& before,
                                    const port::Mark& after) const override {
    return inner_->commit_between(before, after);
  }
  port::ChangeFeed* changes() override { return inner_->changes(); }
  std::unique_ptr<port::View> view() override { return inner_->view(); }
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) override {
    return inner_->begin(deadline);
  }
  void hold_owner(std::int64_t owner) override { inner_->hold_owner(owner); }
  bool owner_alive(std::int64_t owner) override { return inner_->owner_alive(owner); }
  [[nodiscard]] bool read_only() const override { return inner_->read_only(); }
  [[nodiscard]] const std::string& name() const override { return inner_->name(); }
  [[nodiscard]] const std::string& identity() const override { return inner_->identity(); }
  [[nodiscard]] std::uint64_t store_constant() const override { return inner_->store_constant(); }
  std::string maintain() override { return inner_->maintain(); }
  std::vector<std::string> check() override { return inner_->check(); }
  [[nodiscard]] std::uint64_t size_on_disk() const override { return inner_->size_on_disk(); }

 private:
  std::shared_ptr<port::Backend> inner_;
};

}  // namespace graven::test
