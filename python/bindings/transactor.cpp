// SPDX-License-Identifier: MIT
//
// Transactor, Snapshot and the context manager of transaction().
//
// Always holds: a Transactor and a Snapshot are the root dicts of their view of the database,
// and every handle read through them stays in that view. A function given to transact() runs
// with the GIL, the loop around it without.
//
// Called with the GIL held.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "sessions.hpp"

namespace graven::python {
namespace {

struct TransactorHandle : DictHandle {
  using DictHandle::DictHandle;
};
struct SnapshotHandle : DictHandle {
  using DictHandle::DictHandle;
};
/// The context manager of transaction(); it may be entered again inside its own block.
struct TransactionHandle {
  struct Entered {
    Transaction transaction;
    TaskTransaction task;
  };

  TransactionHandle(nb::object of, HomePtr in, Durable how)
      : database(std::move(of)), home(std::move(in)), durable(how) {}
  TransactionHandle(TransactionHandle&&) noexcept = default;
  TransactionHandle& operator=(TransactionHandle&&) = delete;
  ~TransactionHandle() {
    if (entered.empty()) return;
    // Its block is never left, or by another way: rolled back, the innermost first.
    const GilReleased release;
    for (auto each = entered.rbegin(); each != entered.rend(); ++each) each->transaction.rollback();
  }

  nb::object database;
  HomePtr home;
  Durable durable;
  std::vector<Entered> entered;
};

Durable durable_if(bool durable) { return durable ? Durable::kYes : Durable::kAsOpened; }

template <class Call>
auto with_transactor(const TransactorHandle& self, Call&& call) {
  return off_gil(self.home(), [&] { return call(*self.home().transactor); });
}

std::string_view text_argument(nb::handle text, const char* what) {
  if (!PyUnicode_Check(text.ptr())) {
    throw WrongTypeError(std::string(what) + " must be str, not " + Py_TYPE(text.ptr())->tp_name);
  }
  if (const auto view = utf8(text.ptr())) return *view;
  throw BadValueError(std::string(what) + " has a lone surrogate, which no encoding can hold");
}

template <class Handle, class From>
nb::object make_root(From from) {
  Dict root = [&] {
    const GilReleased release;
    return from.root();
  }();
  nb::object object = nb::inst_alloc(nb::type<Handle>());
  new (nb::inst_ptr<Handle>(object))
      Handle(std::make_shared<Home>(std::move(from)), std::move(root));
  nb::inst_mark_ready(object);
  return object;
}

nb::object enter(nb::handle self) {
  TransactionHandle& handle = *nb::inst_ptr<TransactionHandle>(self);
  Home& home = *handle.home;
  Transaction begun = off_gil(home, [&] { return home.database->begin(); });
  handle.entered.push_back({std::move(begun), TaskTransaction(home)});
  return handle.database;
}

bool leave(TransactionHandle& handle, nb::handle type, nb::handle, nb::handle) {
  if (handle.entered.empty()) throw UsageError("this transaction was not entered");
  Transaction transaction = std::move(handle.entered.back().transaction);
  handle.entered.pop_back();
  const bool failed = !type.is_none();
  const GilReleased release;
  if (failed) {
    transaction.rollback();  // the exception of the block says why
  } else {
    transaction.commit(handle.durable);
  }
  return false;
}

void watch(const TransactorHandle& self, const nb::args& nodes) {
  if (nodes.size() == 0) {
    with_transactor(self, [](const Transactor& transactor) { transactor.watch(); });
  }
  for (const nb::handle node : nodes) {
    const Node* watched = nullptr;
    if (is_dict_handle(node.ptr())) {
      watched = &dict_handle(node.ptr()).node();
    } else if (is_list_handle(node.ptr())) {
      watched = &list_handle(node.ptr()).node();
    } else {
      throw WrongTypeError("watch() takes Dicts and Lists");
    }
    with_transactor(self, [&](const Transactor& transactor) { transactor.watch(*watched); });
  }
}

nb::object transact(const TransactorHandle& self, const nb::object& function, bool durable) {
  nb::object result = nb::none();
  with_transactor(self, [&](const Transactor& transactor) {
    transactor.transact(
        [&] {
          const GilHeld gil;
          result = or_stay([&] { return function(); });
        },
        durable_if(durable));
  });
  return result;
}

void bind_transaction(nb::module_& module) {
  nb::class_<TransactionHandle>(module, "Transaction", nb::is_final(),
                                "The context manager of DB.transaction().")
      .def("__enter__", enter, nb::sig("def __enter__(self) -> Database"),
           "Begins the transaction; returns the DB.")
      .def("__exit__", leave, nb::arg("type").none(), nb::arg("value").none(),
           nb::arg("traceback").none(),
           nb::sig("def __exit__(self, type: type[BaseException] | None, value: BaseException | "
                   "None, traceback: TracebackType | None, /) -> None"),
           "Commits, or rolls back if the block raised an exception.");
}

}  // namespace

nb::object make_transaction(nb::object database, HomePtr home, bool durable) {
  return nb::cast(TransactionHandle(std::move(database), std::move(home), durable_if(durable)));
}

nb::object make_transactor(Transactor transactor) {
  return make_root<TransactorHandle>(std::move(transactor));
}

nb::object make_snapshot(Snapshot snapshot) {
  return make_root<SnapshotHandle>(std::move(snapshot));
}

nb::object node_of_uid(const DictHandle& handle, nb::handle uid) {
  const std::string_view text = text_argument(uid, "a uid");
  const HomePtr home = handle.home_ptr();
  const auto value = off_gil(*home, [&] {
    if (home->database) return home->database->get_via_uid(text);
    if (home->transactor) return home->transactor->get_via_uid(text);
    return home->snapshot->get_via_uid(text);
  });
  if (!value) throw_key_not_found(uid.ptr());
  return to_python(*value, home);
}

std::int64_t change_counter(const DictHandle& handle, nb::handle counter, nb::handle by,
                            bool negative) {
  const std::string_view name = text_argument(counter, "a counter's name");
  if (!PyLong_Check(by.ptr())) {
    throw WrongTypeError(std::string("a counter changes by an int, not ") +
                         Py_TYPE(by.ptr())->tp_name);
  }
  int overflow = 0;
  const long long step = PyLong_AsLongLongAndOverflow(by.ptr(), &overflow);
  if (overflow != 0 || (negative && step == std::numeric_limits<std::int64_t>::min())) {
    throw LimitError("a counter changes by an int of 64 bits at most");
  }
  const HomePtr home = handle.home_ptr();
  const std::int64_t change = negative ? -step : step;
  return off_gil(*home, [&] {
    if (home->database) return home->database->incr(name, change);
    if (home->transactor) return home->transactor->incr(name, change);
    throw UsageError("a snapshot cannot be changed");
  });
}

std::int64_t read_counter(const DictHandle& handle, nb::handle counter) {
  const std::string_view name = text_argument(counter, "a counter's name");
  const HomePtr home = handle.home_ptr();
  return off_gil(*home, [&] {
    if (home->database) return home->database->count(name);
    if (home->transactor) return home->transactor->count(name);
    return home->snapshot->count(name);
  });
}

void bind_transactor(nb::module_& module) {
  bind_transaction(module);

  auto transactor = nb::class_<TransactorHandle, DictHandle>(
      module, "Transactor", nb::is_final(),
      "An optimistic transaction, and the root dict as it sees it.\n"
      "\n"
      "Reads see one state and the transaction's own writes. execute() commits the writes if\n"
      "nobody changed what was read. For one thread at a time.");
  transactor.def(
      "watch", watch, nb::sig("def watch(self, *nodes: Dict | List) -> None"),
      "Starts again. Without arguments any change in the prefix is a conflict, not only a\n"
      "change of what was read; with nodes, a change of these nodes is a conflict too.");
  transactor.def(
      "multi",
      [](const TransactorHandle& self) {
        with_transactor(self, [](const Transactor& each) { each.multi(); });
      },
      "Says that the writes begin here, for programs that have such a point.");
  transactor.def(
      "execute",
      [](const TransactorHandle& self, bool durable) {
        if (!with_transactor(
                self, [&](const Transactor& each) { return each.execute(durable_if(durable)); })) {
          throw_watch_error();
        }
      },
      nb::kw_only(), nb::arg("durable") = false,
      "Commits all writes atomically; raises WatchError on a conflict, and then nothing is\n"
      "changed. durable: returns when the changes survive a power failure.");
  transactor.def(
      "discard",
      [](const TransactorHandle& self) {
        with_transactor(self, [](const Transactor& each) { each.discard(); });
      },
      "Drops all writes and starts again.");
  transactor.def(
      "transact", transact, nb::arg("function"), nb::kw_only(), nb::arg("durable") = false,
      nb::sig("def transact(self, function: Callable[[], T], /, *, durable: bool = "
              "False) -> T"),
      "Calls function() and execute(), and repeats both on a conflict. After three conflicts it\n"
      "holds the writer lock, so that no further conflict is possible. Returns the result of\n"
      "the last call of the function. durable: as for execute().");
  bind_lookups(transactor);
  bind_counters(transactor, "Adds to a counter and returns its new value.");

  auto snapshot = nb::class_<SnapshotHandle, DictHandle>(
      module, "Snapshot", nb::is_final(),
      "The root dict as it was when the snapshot was made. While it is open, that state cannot\n"
      "be cleaned up: close it, or use it in a with statement.");
  bind_lookups(snapshot);
  snapshot.def(
      "close",
      [](const SnapshotHandle& self) {
        off_gil(self.home(), [&] { self.home().snapshot->close(); });
      },
      "Releases the state; its handles raise ClosedError afterwards.");
  snapshot.def(
      "__enter__", [](nb::handle self) { return nb::borrow(self); },
      nb::sig("def __enter__(self) -> Snapshot"));
  snapshot.def(
      "__exit__",
      [](const SnapshotHandle& self, const nb::args&) {
        off_gil(self.home(), [&] { self.home().snapshot->close(); });
      },
      nb::sig("def __exit__(self, *exception: object) -> None"));
}

}  // namespace graven::python
