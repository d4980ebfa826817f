// SPDX-License-Identifier: MIT
//
// Making handles, and the rules about who may be inside a store at the same time.
//
// Always holds: the list of task transactions has one entry for each transaction() that was
// entered inside an asyncio task and not left yet; it is empty in programs without asyncio, so
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

struct TaskTransaction {
  const Home* home;
  unsigned long thread;
  PyObject* task;  // borrowed: only compared, and the task lives as long as its `with` block
};

std::vector<TaskTransaction>& task_transactions() {
  static auto* open = new std::vector<TaskTransaction>;  // outlives every static destructor
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
  for (const TaskTransaction& open : task_transactions()) {
    if (open.home == &home_ && open.thread == self && open.task != current_task()) refuse_task();
  }
}

void Entry::check_map_task(const Map& map) {
  if (!map.in_transaction()) return;
  const auto self = PyThread_get_thread_ident();
  PyObject* const task = current_task();
  bool others = false;
  for (const TaskTransaction& open : task_transactions()) {
    if (open.thread != self) continue;
    if (open.task == task) return;
    others = true;
  }
  if (others) refuse_task();
}

void Entry::task_transaction_began(Home& home) {
  PyObject* task = current_task();
  if (task == nullptr) return;
  task_transactions().push_back({&home, PyThread_get_thread_ident(), task});
  ++task_transactions_;
}

void Entry::task_transaction_ended(Home& home) {
  auto& open = task_transactions();
  const auto self = PyThread_get_thread_ident();
  const auto last = std::find_if(open.rbegin(), open.rend(), [&](const TaskTransaction& each) {
    return each.home == &home && each.thread == self;
  });
  if (last == open.rend()) return;
  open.erase(std::next(last).base());
  --task_transactions_;
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

Atomic::Atomic(HomePtr home) : home_(std::move(home)), open_(home_->database.has_value()) {
  if (open_) off_gil(*home_, [&] { home_->database->begin(); });
}

Atomic::~Atomic() {
  if (!open_) return;
  const GilReleased release;
  try {
    home_->database->rollback();
  } catch (const std::exception&) {
    // What made us roll back is on its way up; a transaction that cannot be rolled back any
    // more (the database was closed, the time limit passed) has been already.
  }
}

void Atomic::commit() {
  if (!open_) return;
  open_ = false;
  off_gil(*home_, [&] { home_->database->commit(); });
}

}  // namespace graven::python
