// SPDX-License-Identifier: MIT
//
// A backend that counts how often the calling thread goes to the store, as a store behind a network
// would be gone to: a call that waits for an answer is a trip.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "port/passing_backend.hpp"
#include "port/trips.hpp"

namespace graven::test {

/// Over what passes calls on.
template <class View>
class CountingReads : public View {
 public:
  using View::View;

  std::optional<port::Record> load(const port::Key& key) override {
    ++trips_of_thread().reads;
    return View::load(key);
  }
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override {
    ++trips_of_thread().reads;
    View::load_many(keys, each);
  }
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
    ++trips_of_thread().reads;
    return View::scan(range, limit);
  }
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<port::Row>)> each) override {
    ++trips_of_thread().reads;
    View::read(ops, each);
  }
  bool any_orphans() override {
    ++trips_of_thread().reads;
    return View::any_orphans();
  }
  std::uint64_t count_items(std::int64_t map) override {
    ++trips_of_thread().reads;
    return View::count_items(map);
  }
};

using CountingView = CountingReads<PassingView>;

class CountingTransaction final : public CountingReads<PassingTransaction> {
 public:
  explicit CountingTransaction(std::unique_ptr<port::WriteTransaction> inner)
      : CountingReads(std::move(inner)) {
    ++trips_of_thread().begins;
  }

  void apply(std::span<const port::Change> changes) override {
    ++trips_of_thread().writes;
    PassingTransaction::apply(changes);
  }
  void insert(const port::NewRows& rows) override {
    ++trips_of_thread().writes;
    PassingTransaction::insert(rows);
  }
  std::size_t erase_first(port::Space space, std::int64_t a, std::size_t limit) override {
    ++trips_of_thread().writes;
    return PassingTransaction::erase_first(space, a, limit);
  }
  void savepoint(int depth) override {
    ++trips_of_thread().writes;
    PassingTransaction::savepoint(depth);
  }
  void rollback_to(int depth) override {
    ++trips_of_thread().writes;
    PassingTransaction::rollback_to(depth);
  }
  void release(int depth) override {
    ++trips_of_thread().writes;
    PassingTransaction::release(depth);
  }
  void commit(std::uint64_t id) override {
    ++trips_of_thread().commits;
    PassingTransaction::commit(id);
  }
};

class CountingBackend final : public PassingBackend {
 public:
  using PassingBackend::PassingBackend;

  std::optional<port::Record> load(const port::Key& key) override {
    ++trips_of_thread().reads;
    return PassingBackend::load(key);
  }
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) override {
    ++trips_of_thread().reads;
    return PassingBackend::load_node(id, reclaiming);
  }
  std::unique_ptr<port::View> view() override {
    return std::make_unique<CountingView>(PassingBackend::view());
  }
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) override {
    return std::make_unique<CountingTransaction>(PassingBackend::begin(deadline));
  }

 protected:
  void announce(std::int64_t process) override {
    ++trips_of_thread().writes;
    PassingBackend::announce(process);
  }
  bool alive(std::int64_t process) override {
    ++trips_of_thread().reads;
    return PassingBackend::alive(process);
  }
};

}  // namespace graven::test
