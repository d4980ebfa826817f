// SPDX-License-Identifier: MIT
//
// The C++ halves of the Python objects: what a graven.Dict, a graven.List or a graven.DB holds,
// and how they are made.
//
// Always holds: a handle object is complete from the moment Python can see it and does not
// change, but for DB.set_prefix(), which points it to another Place and keeps the old one.
// Whatever may touch the store runs through off_gil(): without the GIL, and without touching a
// Python object; what only looks at memory, through on_gil(). Destroying a handle is cheap and
// keeps the GIL; only the last owner of a database that nobody closed lets go of it while the store
// is closed.
//
// Everything here is called with the GIL held.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nanobind/nanobind.h>

#include <graven/graven.hpp>

#include "gil.hpp"

namespace nb = nanobind;

namespace graven::python {

/// What a handle came from, shared by all handles that came from it. Exactly one is set.
struct Home {
  explicit Home(Database from) : database(std::move(from)) {}
  explicit Home(Transactor from) : transactor(std::move(from)) {}
  explicit Home(Snapshot from) : snapshot(std::move(from)) {}
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  ~Home();

  std::optional<Database> database;
  std::optional<Transactor> transactor;
  std::optional<Snapshot> snapshot;

  // Which thread is inside the transactor, and how often. Guarded by the GIL.
  std::uint64_t owner = 0;
  std::uint32_t depth = 0;
};
using HomePtr = std::shared_ptr<Home>;

/// Marks that a call is inside a home's store. UsageError where two callers would get mixed up:
/// two threads in one transactor, two asyncio tasks in one transaction.
class Entry {
 public:
  explicit Entry(Home& home) : home_(home) {
    if (home.transactor) [[unlikely]]
      enter_transactor();
    if (task_transactions_ != 0) [[unlikely]]
      check_task();
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    if (home_.transactor) [[unlikely]]
      --home_.depth;
  }

  /// For a call on a map. UsageError where a transaction it would be part of is another task's.
  static void check_map(const Map& map) {
    if (task_transactions_ != 0) [[unlikely]]
      check_map_task(map);
  }

 private:
  void enter_transactor();
  void check_task() const;
  static void check_map_task(const Map& map);

  friend class TaskTransaction;
  static std::size_t task_transactions_;
  Home& home_;
};

/// That a transaction is open which was begun inside an asyncio task, if it was. Guarded by the
/// GIL.
class TaskTransaction {
 public:
  explicit TaskTransaction(const Home& home);
  TaskTransaction(TaskTransaction&& other) noexcept : number_(std::exchange(other.number_, 0)) {}
  TaskTransaction& operator=(TaskTransaction&&) = delete;
  ~TaskTransaction();

 private:
  std::uint64_t number_ = 0;
};

/// Runs `call`, which may touch the store and must not touch Python, without the GIL.
template <class Call>
auto off_gil(Home& home, Call&& call) {
  const Entry entry(home);
  const GilReleased release;
  return call();
}

/// Runs `call`, which must not wait for anything nor touch Python, with the GIL.
template <class Call>
auto on_gil(Home& home, Call&& call) {
  const Entry entry(home);
  return call();
}

/// Marks what is for one thread at a time as in use, from construction to destruction, over an
/// off_gil(): so a second thread gets a UsageError and not a race. `busy` is guarded by the GIL.
class InUse {
 public:
  InUse(bool& busy, const char* what) : busy_(busy) {
    if (busy) throw UsageError(std::string(what) + " is in use by another thread");
    busy = true;
  }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;
  ~InUse() { busy_ = false; }

 private:
  bool& busy_;
};

template <class NodeType>
struct Place {
  HomePtr home;
  NodeType node;
};

/// The C++ half of graven.Dict, and the base of those of DB, Transactor and Snapshot, which
/// are the dicts they have as roots.
struct DictHandle {
  DictHandle(HomePtr home, Dict node) : own{std::move(home), std::move(node)}, place(&own) {}
  DictHandle(const DictHandle&) = delete;
  DictHandle& operator=(const DictHandle&) = delete;

  [[nodiscard]] Home& home() const noexcept { return *home_ptr(); }
  [[nodiscard]] const HomePtr& home_ptr() const noexcept {
    return place.load(std::memory_order_acquire)->home;
  }
  [[nodiscard]] const Dict& node() const noexcept {
    return place.load(std::memory_order_acquire)->node;
  }

  Place<Dict> own;
  std::atomic<const Place<Dict>*> place;  // read without the GIL too
};

/// The C++ half of graven.List.
struct ListHandle {
  ListHandle(HomePtr home, List node) : own{std::move(home), std::move(node)} {}
  ListHandle(const ListHandle&) = delete;
  ListHandle& operator=(const ListHandle&) = delete;

  [[nodiscard]] Home& home() const noexcept { return *own.home; }
  [[nodiscard]] const HomePtr& home_ptr() const noexcept { return own.home; }
  [[nodiscard]] const List& node() const noexcept { return own.node; }

  Place<List> own;
};

/// The Python types, set when they are bound.
extern PyTypeObject* dict_type;
extern PyTypeObject* list_type;

inline bool is_dict_handle(PyObject* object) noexcept {
  return PyObject_TypeCheck(object, dict_type) != 0;
}
inline bool is_list_handle(PyObject* object) noexcept {
  return PyObject_TypeCheck(object, list_type) != 0;
}
inline bool is_handle(PyObject* object) noexcept {
  return is_dict_handle(object) || is_list_handle(object);
}
/// The C++ half of an object that is_dict_handle(); UsageError when __init__ was never called.
DictHandle& dict_handle(PyObject* object);
ListHandle& list_handle(PyObject* object);

nb::object make_dict(const HomePtr& home, Dict node);
nb::object make_list(const HomePtr& home, List node);

/// The database to make unlinked nodes in: that of a transactor inside the transactor.
Database database_of(const Home& home);

/// One atomic step of several: a transaction or savepoint of the home's database from
/// construction to commit(), rolled back if that is not reached. In a transactor or a snapshot
/// nothing: the one is atomic as a whole, the other never changes.
class Atomic {
 public:
  explicit Atomic(HomePtr home);
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;
  ~Atomic();
  void commit();

 private:
  HomePtr home_;
  std::optional<Transaction> step_;
};

}  // namespace graven::python
