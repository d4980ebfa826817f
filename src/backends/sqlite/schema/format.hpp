// SPDX-License-Identifier: MIT
//
// The file format: its version numbers, creating a new store, and deciding whether this build can
// use a file. docs/format/sqlite.md describes the format itself.
//
// Always holds: one transaction creates the tables, the application id and the meta rows of a
// store, so no process ever sees only a part of them. The first opening that may write converts a
// store of format 1 to the current format; a read-only opening reads it as it is.
//
// Any thread, with a connection of its own.
#pragma once

#include <cstdint>

#include "backends/sqlite/pool/connection.hpp"
#include "base/function_ref.hpp"

namespace graven::sqlite {

inline constexpr std::uint32_t kApplicationId = 0x6772766e;  // "grvn"
inline constexpr std::int64_t kFormatVersion = 2;
inline constexpr std::int64_t kOldestReader = 2;  // the oldest format whose readers can read ours

/// The row of `meta` that a backup has. It distinguishes a file that lost its seal from one that
/// never had a seal. Opening the file for writing removes the row.
inline constexpr const char* kSealed = "sealed";

struct Format {
  std::int64_t version = 0;
  std::uint64_t constant = 0;
  bool sealed = false;
};

/// Creates the tables of a store, empty.
void create_tables(Connection& connection);

/// Turns an empty file or blank database into a store and switches it to WAL mode, unless it is a
/// store already or another process has just created it.
void create_store(Connection& connection);

/// Writes or removes the row that says that the file has a seal.
void mark_sealed(Connection& connection, bool sealed);

/// Changes the store's constant, in a transaction, if all tables of records are empty; whether it
/// has. Calls `before_commit` with the write lock held.
bool write_constant(Connection& connection, std::uint64_t constant,
                    base::FunctionRef<void()> before_commit);

/// Reads the meta table. The file must be a store (check_header(), create_store()).
/// ForeignFileError for a format that this build cannot read or write.
Format read_format(Connection& connection, bool read_only);

/// Converts a store of an older format to this one in one transaction, unless another process has.
/// Calls `before_commit` with the write lock held.
void upgrade(Connection& connection, base::FunctionRef<void()> before_commit);

}  // namespace graven::sqlite
