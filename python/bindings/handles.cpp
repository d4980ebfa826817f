// SPDX-License-Identifier: MIT
//
// Making handles, and the rules about who may be inside a store at the same time.
//
// Always holds: the list of task transactions has one entry for each transaction() that was
// entered inside an asyncio task and has not ended; it is empty in programs without asyncio, so
// that a call costs one comparison.
//
// Called with the GIL held; it guards everything here.
#include "handles.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace graven::python {

PyTypeObject* dict_type = nullptr;
PyTypeObject* list_type = nullptr;

std::size_t Entry::task_transactions_ = 0;

namespace {

struct InTask {
  std::uint64_t number;
  const Home* home;
  unsigned long thread;
  PyObject* task;  // borrowed: only compared, and the task lives as long as its `with` block
};

std::vector<InTask>& task_transactions() {
  static auto* open = new std::vector<InTask>;  // outlives every static destructor
  return *open;
}

/// The asyncio task this thread is in, or null. Only the address counts.
PyObject* current_task() {
  // A program that never imported asyncio has no task.
  PyObject* modules = PyImport_GetModuleDict();
  PyObject* asyncio = PyDict_GetItemString(modules, "asyncio");
  if (asyncio == nullptr) return nullptr;
  try {
    const nb::object task = nb::borrow(asyncio).attr("current_task")();
    return task.is_none() ? nullptr : task.ptr();
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_RuntimeError)) throw;  // RuntimeError: no event loop is running
    return nullptr;
  }
}

[[noreturn]] void refuse_task() {
  throw UsageError(
      "a transaction() of another asyncio task is open on this thread; leave it before the next "
      "await, run it with asyncio.to_thread(), or use graven.aio");
}

template <class Handle>
Handle& checked(PyObject* object) {
  if (!nb::inst_ready(object)) {
    throw UsageError("this object was never initialised: __init__ of its class did not run");
  }
  return *nb::inst_ptr<Handle>(object);
}

}  // namespace

Home::~Home() {
  // Closing a store may wait for other threads, and they for the GIL.
  const GilReleased release;
  database.reset();
  transactor.reset();
  snapshot.reset();
}

void Entry::enter_transactor() {
  const std::uint64_t self = PyThread_get_thread_ident();
  if (home_.depth != 0 && home_.owner != self) {
    throw UsageError("this transactor is in use by another thread; give each thread its own");
  }
  home_.owner = self;
  ++home_.depth;
}

void Entry::check_task() const {
  const auto self = PyThread_get_thread_ident();
  for (const InTask& open : task_transactions()) {
    if (open.home == &home_ && open.thread == self && open.task != current_task()) refuse_task();
  }
}

void Entry::check_map_task(const Map& map) {
  if (!map.in_transaction()) return;
  const auto self = PyThread_get_thread_ident();
  PyObject* const task = current_task();
  bool others = false;
  for (const InTask& open : task_transactions()) {
    if (open.thread != self) continue;
    if (open.task == task) return;
    others = true;
  }
  if (others) refuse_task();
}

TaskTransaction::TaskTransaction(const Home& home) {
  static std::uint64_t numbers = 0;
  PyObject* task = current_task();
  if (task == nullptr) return;
  number_ = ++numbers;
  task_transactions().push_back({number_, &home, PyThread_get_thread_ident(), task});
  ++Entry::task_transactions_;
}

TaskTransaction::~TaskTransaction() {
  if (number_ == 0) return;
  Entry::task_transactions_ -= std::erase_if(
      task_transactions(), [&](const InTask& open) { return open.number == number_; });
}

DictHandle& dict_handle(PyObject* object) { return checked<DictHandle>(object); }

ListHandle& list_handle(PyObject* object) { return checked<ListHandle>(object); }

nb::object make_dict(const HomePtr& home, Dict node) {
  nb::object object = nb::inst_alloc(reinterpret_cast<PyObject*>(dict_type));
  new (nb::inst_ptr<DictHandle>(object)) DictHandle(home, std::move(node));
  nb::inst_mark_ready(object);
  return object;
}

nb::object make_list(const HomePtr& home, List node) {
  nb::object object = nb::inst_alloc(reinterpret_cast<PyObject*>(list_type));
  new (nb::inst_ptr<ListHandle>(object)) ListHandle(home, std::move(node));
  nb::inst_mark_ready(object);
  return object;
}

Database database_of(const Home& home) {
  if (home.database) return *home.database;
  if (home.transactor) return Database(home.transactor->scope());
  throw UsageError("a snapshot cannot be changed, and nothing can be made in it");
}

Atomic::Atomic(HomePtr home) : home_(std::move(home)) {
  if (home_->database) off_gil(*home_, [&] { step_.emplace(home_->database->begin()); });
}

Atomic::~Atomic() {
  if (!step_) return;
  const GilReleased release;
  step_.reset();
}

void Atomic::commit() {
  if (!step_) return;
  off_gil(*home_, [&] { step_->commit(); });
  step_.reset();
}

}  // namespace graven::python
