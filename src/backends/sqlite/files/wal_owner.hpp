// SPDX-License-Identifier: MIT
//
// Whose WAL is this? A WAL is a list of pages for one state of one file; played into another it
// makes a blend of both. Its frames of the first page have stamps (stamp.hpp): the file they are
// for has the epoch that the first of them has as the one before (nothing of the first page was
// moved there yet), or that of any of them (a checkpoint has moved it, and was perhaps broken off).
//
// Reads the WAL's committed prefix, as a recovery does, and stops where it is sure: nearly always
// at the first commit. The file itself is not opened here. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include <sqlite3.h>

#include "backends/sqlite/files/stamp.hpp"
#include "base/function_ref.hpp"

namespace graven::sqlite {

enum class WalOwner : std::uint8_t {
  kNobody,   ///< there is no commit in it
  kUnknown,  ///< another program, or an older graven, has begun it
  kThis,
  kAnother
};

/// Reads so many bytes of a WAL from there; false where it does not have them.
using ReadWal = base::FunctionRef<bool(unsigned char* into, std::size_t size, ::off_t from)>;

/// `page_size` and `epoch`: of the file beside it; a page size of 0: there is none.
WalOwner wal_owner(ReadWal read, std::uint32_t page_size, Epoch epoch);
/// The same by its name; UnavailableError where no more files can be open.
WalOwner wal_owner(const std::string& wal, std::uint32_t page_size, Epoch epoch);

/// Whether the WAL beside a database is the one that its index in use is of: by its salts and its
/// length. `database` is the file as SQLite has it, which has not mapped its index yet. True also
/// where there is no index, or it cannot be told just now; UnavailableError where no more files can
/// be open.
bool index_fits(sqlite3_file* database, const std::string& path);

}  // namespace graven::sqlite
