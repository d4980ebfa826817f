// SPDX-License-Identifier: MIT
//
// The file format's identity: its numbers, making a new store, and telling whether a file is
// one this build can use. docs/format/sqlite.md describes the format itself.
//
// Always holds: the tables, the application id and the meta rows of a store are made in one
// transaction, so no process ever sees a part of them.
// Stores of format 1 are brought to this one by the first opening that may write; an opening that
// may not reads them as they are.
//
// Any thread, with a connection of its own.
#pragma once

#include <cstdint>

#include "backends/sqlite/pool/connection.hpp"
#include "base/function_ref.hpp"

namespace graven::sqlite {

inline constexpr std::uint32_t kApplicationId = 0x6772766e;  // "grvn"
inline constexpr std::int64_t kFormatVersion = 2;
inline constexpr std::int64_t kOldestReader = 2;  // formats a reader must know to read ours

/// The row of `meta` that a backup has, so that what has no seal although it had one is told from
/// what never had one. It goes when the file is opened for writing.
inline constexpr const char* kSealed = "sealed";

struct Format {
  std::int64_t version = 0;
  std::uint64_t constant = 0;
  bool sealed = false;
};

/// The tables of a store, nothing in them.
void create_tables(Connection& connection);

/// Makes an empty or blank file a store, unless it is one or another process has just made it
/// one, and puts it into WAL mode.
void create_store(Connection& connection);

/// Writes or erases the row that says that there is a seal.
void mark_sealed(Connection& connection, bool sealed);

/// Reads the meta table of a store, which it is known to be (check_header(), create_store());
/// ForeignFileError for a format this build cannot read, or cannot write.
Format read_format(Connection& connection, bool read_only);

/// Makes a store of an older format one of this, in one transaction, unless another process has.
/// `before_commit` is called with the write lock held.
void upgrade(Connection& connection, base::FunctionRef<void()> before_commit);

}  // namespace graven::sqlite
