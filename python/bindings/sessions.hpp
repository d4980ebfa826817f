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

inline constexpr const char* kIncrSignature = "def incr(self, counter: str, by: int = 1) -> int";
inline constexpr const char* kDecrSignature = "def decr(self, counter: str, by: int = 1) -> int";
inline constexpr const char* kCountSignature = "def count(self, counter: str) -> int";

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

}  // namespace graven::python
