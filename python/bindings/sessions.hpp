// SPDX-License-Identifier: MIT
//
// What DB, Transactor and Snapshot have in common, and how a DB makes the other two.
//
// Called with the GIL held.
#pragma once

#include <cstdint>

#include <nanobind/nanobind.h>

#include "handles.hpp"

namespace nb = nanobind;

namespace graven::python {

/// The context manager of db.transaction().
nb::object make_transaction(nb::object database, HomePtr home, bool durable);
nb::object make_transactor(Transactor transactor);
nb::object make_snapshot(Snapshot snapshot);

/// Database::batch_insert() of a Dict or a List.
nb::object batch_insert(const DictHandle& database, nb::handle container, nb::handle rows);

enum class SqlKind : std::uint8_t { kApart, kRead, kWrite };
nb::object make_sql_connection(const DictHandle& database, SqlKind kind);

/// Through whichever of database, transactor and snapshot the handle comes from.
nb::object node_of_uid(const DictHandle& handle, nb::handle uid);
std::int64_t change_counter(const DictHandle& handle, nb::handle counter, nb::handle by,
                            bool negative);
std::int64_t read_counter(const DictHandle& handle, nb::handle counter);

/// get_via_uid() and count().
template <class Handle>
void bind_lookups(nb::class_<Handle, DictHandle>& type) {
  type.def(
      "get_via_uid", [](const Handle& self, nb::handle uid) { return node_of_uid(self, uid); },
      nb::arg("uid"), nb::sig("def get_via_uid(self, uid: str) -> Any"),
      "The Dict or List with this uid in this prefix; KeyNotFound if there is none.");
  type.def(
      "count", [](const Handle& self, nb::handle counter) { return read_counter(self, counter); },
      nb::arg("counter"), nb::sig("def count(self, counter: str) -> int"),
      "The value of a counter; 0 if it is missing.");
}

/// incr() and decr().
template <class Handle>
void bind_counters(nb::class_<Handle, DictHandle>& type, const char* about_incr) {
  type.def(
      "incr",
      [](const Handle& self, nb::handle counter, nb::handle by) {
        return change_counter(self, counter, by, false);
      },
      nb::arg("counter"), nb::arg("by") = 1,
      nb::sig("def incr(self, counter: str, by: int = 1) -> int"), about_incr);
  type.def(
      "decr",
      [](const Handle& self, nb::handle counter, nb::handle by) {
        return change_counter(self, counter, by, true);
      },
      nb::arg("counter"), nb::arg("by") = 1,
      nb::sig("def decr(self, counter: str, by: int = 1) -> int"),
      "Subtracts from a counter and returns its new value.");
}

}  // namespace graven::python
