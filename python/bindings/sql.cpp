// SPDX-License-Identifier: MIT
//
// graven.SqlConnection and SqlCursor: SQL on the store's file, in the manner of sqlite3's.
//
// Always holds: while a connection or a cursor is used without the GIL it is marked busy, so a
// second thread gets an error and not a race.
//
// Called with the GIL held, which is released around every use of the store.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "sessions.hpp"

namespace graven::python {
namespace {

struct CursorHandle {
  HomePtr home;
  SqlCursor cursor;
  bool busy = false;
};

struct ConnectionHandle {
  HomePtr home;
  SqlConnection connection;
  bool commits = false;  // at the end of a with block
  bool ended = false;
  bool busy = false;
};

constexpr const char* kCursor = "this SQL cursor";

template <class Call>
auto with_connection(ConnectionHandle& self, Call&& call) {
  const InUse in_use(self.busy, "this SQL connection");
  return off_gil(*self.home, [&] { return call(self.connection); });
}

/// A dict, or what else says that it is a Mapping: a Dict, a Map, a class of the program's
bool is_mapping(nb::handle parameters) {
  if (PyDict_Check(parameters.ptr())) return true;
  if (PyTuple_Check(parameters.ptr()) || PyList_Check(parameters.ptr())) return false;
  const nb::object mapping = nb::module_::import_("collections.abc").attr("Mapping");
  const int is = PyObject_IsInstance(parameters.ptr(), mapping.ptr());
  if (is < 0) throw nb::python_error();
  return is != 0;
}

CursorHandle execute(ConnectionHandle& self, const std::string& sql, nb::handle parameters) {
  if (is_mapping(parameters)) {
    std::vector<std::pair<std::string, Data>> named;
    for (const auto& [name, value] : nb::borrow<nb::dict>(dict_of_entries(parameters.ptr()))) {
      named.emplace_back(key_to_store(name.ptr()), data_from(value.ptr(), {}));
    }
    return {self.home, with_connection(self, [&](const SqlConnection& connection) {
              return connection.execute_named(sql, named);
            })};
  }
  if (nb::isinstance<nb::str>(parameters) || nb::isinstance<nb::bytes>(parameters)) {
    throw WrongTypeError("the values for the SQL are a sequence or a mapping, not one text");
  }
  std::vector<Data> values;
  for (const nb::handle value : nb::iter(parameters)) {
    values.push_back(data_from(value.ptr(), {}));
  }
  return {self.home, with_connection(self, [&](const SqlConnection& connection) {
            return connection.execute(sql, values);
          })};
}

std::int64_t execute_many(ConnectionHandle& self, const std::string& sql, nb::handle rows) {
  std::int64_t changes = 0;
  for (const nb::handle row : nb::iter(rows)) {
    changes += execute(self, sql, row).cursor.changes();
  }
  return changes;
}

/// The next row as a tuple, or a null object.
nb::object next_row(CursorHandle& self) {
  std::optional<std::vector<Value>> row = [&] {
    const InUse in_use(self.busy, kCursor);
    return off_gil(*self.home, [&] { return self.cursor.next(); });
  }();
  if (!row) return {};
  return nb::tuple(to_python_list(*row, self.home));
}

nb::list rows(CursorHandle& self, std::optional<std::size_t> most) {
  nb::list all;
  while (!most || nb::len(all) < *most) {
    nb::object row = next_row(self);
    if (!row) break;
    all.append(std::move(row));
  }
  return all;
}

void bind_cursor(nb::module_& module) {
  nb::class_<CursorHandle>(module, "SqlCursor", "The rows of one statement, as tuples.")
      .def(
          "__iter__", [](nb::handle self) { return nb::borrow(self); },
          nb::sig("def __iter__(self) -> SqlCursor"))
      .def(
          "__next__",
          [](CursorHandle& self) {
            nb::object row = next_row(self);
            if (!row) throw nb::stop_iteration();
            return row;
          },
          nb::sig("def __next__(self) -> tuple[Any, ...]"))
      .def(
          "fetchone",
          [](CursorHandle& self) -> nb::object {
            nb::object row = next_row(self);
            return row ? row : nb::none();
          },
          nb::sig("def fetchone(self) -> tuple[Any, ...] | None"), "The next row, or None.")
      .def(
          "fetchmany", [](CursorHandle& self, std::size_t size) { return rows(self, size); },
          nb::arg("size"), nb::sig("def fetchmany(self, size: int) -> list[tuple[Any, ...]]"),
          "Up to `size` further rows.")
      .def(
          "fetchall", [](CursorHandle& self) { return rows(self, std::nullopt); },
          nb::sig("def fetchall(self) -> list[tuple[Any, ...]]"), "All further rows.")
      .def_prop_ro(
          "columns", [](const CursorHandle& self) { return self.cursor.columns(); },
          "The names of the columns.")
      .def_prop_ro(
          "rowcount",
          [](CursorHandle& self) {
            const InUse in_use(self.busy, kCursor);
            return self.cursor.changes();
          },
          "How many rows an INSERT, UPDATE or DELETE changed.")
      .def_prop_ro(
          "lastrowid",
          [](CursorHandle& self) {
            const InUse in_use(self.busy, kCursor);
            return self.cursor.last_rowid();
          },
          "The rowid of the last row inserted.");
}

}  // namespace

void bind_sql(nb::module_& module) {
  bind_cursor(module);
  nb::class_<ConnectionHandle>(
      module, "SqlConnection",
      "SQL on the store's file, for the program's own tables. graven's tables can only be read.\n"
      "A connection belongs to the thread that made it: if two threads use it at the same time,\n"
      "the second one gets UsageError.")
      .def(
          "execute", execute, nb::arg("sql"), nb::arg("parameters") = nb::tuple(),
          nb::sig("def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) "
                  "-> SqlCursor"),
          "Runs one statement. Values are given in order for `?`, or by name for `:name`: None,\n"
          "bool, int, float, str, bytes.")
      .def("executemany", execute_many, nb::arg("sql"), nb::arg("rows"),
           nb::sig(
               "def executemany(self, sql: str, rows: Iterable[Sequence[Any] | Mapping[str, Any]]) "
               "-> int"),
           "Runs a statement once for each row of values; returns the number of changed rows.")
      .def(
          "commit",
          [](ConnectionHandle& self) {
            with_connection(self, [](const SqlConnection& connection) { connection.commit(); });
            self.ended = true;
          },
          "For write_connection(): commits, and ends the connection.")
      .def(
          "close",
          [](ConnectionHandle& self) {
            with_connection(self, [](const SqlConnection& connection) { connection.close(); });
            self.ended = true;
          },
          "Ends the connection; uncommitted changes are rolled back.")
      .def(
          "__enter__", [](nb::handle self) { return nb::borrow(self); },
          nb::sig("def __enter__(self) -> SqlConnection"))
      .def(
          "__exit__",
          [](ConnectionHandle& self, nb::handle kind, nb::handle, nb::handle) {
            const bool commit = self.commits && !self.ended && kind.is_none();
            with_connection(self, [&](const SqlConnection& connection) {
              if (commit) connection.commit();
              connection.close();
            });
            self.ended = true;
          },
          nb::arg("kind").none(), nb::arg("error").none(), nb::arg("traceback").none(),
          nb::sig("def __exit__(self, kind: object, error: object, traceback: object) -> None"));
}

nb::object make_sql_connection(const DictHandle& database, SqlKind kind) {
  const HomePtr home = database.home_ptr();
  const Database& db = *home->database;
  SqlConnection connection = off_gil(*home, [&] {
    return kind == SqlKind::kRead    ? db.read_connection()
           : kind == SqlKind::kWrite ? db.write_connection()
                                     : db.connection();
  });
  return nb::cast(ConnectionHandle{home, std::move(connection), kind == SqlKind::kWrite});
}

}  // namespace graven::python
