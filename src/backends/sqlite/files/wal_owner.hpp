// SPDX-License-Identifier: MIT
//
// Whose WAL is this? A WAL is a list of pages for one state of one file; applied to another file it
// mixes the two. The WAL's frames of the first page contain stamps (stamp.hpp). The WAL belongs to
// a file with one of these epochs: the epoch before that of the first stamp (no first page has been
// moved to the file yet), or the epoch of any of the stamps (a checkpoint has moved that page, and
// perhaps did not finish).
//
// Reads the committed part of the WAL, as recovery does, and stops as soon as the answer is
// certain: nearly always at the first commit. Does not open the database file. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include <sqlite3.h>

#include "backends/sqlite/files/stamp.hpp"
#include "base/function_ref.hpp"

namespace graven::sqlite {

enum class WalOwner : std::uint8_t {
  kNobody,   ///< it has no commit
  kUnknown,  ///< another program or an older graven has begun it
  kThis,
  kAnother
};

/// Reads `size` bytes of a WAL at offset `from`; false if the WAL does not have them.
using ReadWal = base::FunctionRef<bool(unsigned char* into, std::size_t size, ::off_t from)>;

/// `page_size` and `epoch`: of the database file; page size 0: there is no file.
WalOwner wal_owner(ReadWal read, std::uint32_t page_size, Epoch epoch);
/// The same for a path; UnavailableError if no more files can be opened.
WalOwner wal_owner(const std::string& wal, std::uint32_t page_size, Epoch epoch);

/// Whether the WAL beside a database belongs to the index that is in use, by its salts and length.
/// `database` is SQLite's file object, which has not mapped its index yet. Also true if there is no
/// index, or if it cannot be determined now. UnavailableError if no more files can be opened.
bool index_fits(sqlite3_file* database, const std::string& path);

}  // namespace graven::sqlite
