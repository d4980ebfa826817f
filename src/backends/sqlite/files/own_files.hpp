// SPDX-License-Identifier: MIT
//
// Checks that the files beside a database belong to it, before anything is read through them.
// SQLite would play a -wal or -journal of another file, or of another state of this file, into the
// database and mix the two. docs/design/files.md says how the check works.
//
// Always holds: nothing is changed, and no descriptor is opened on a file that some process has
// locked. If files only seem wrong because other processes open, close or write at this moment, the
// check is repeated.
//
// Any thread.
#pragma once

#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

/// Returns check_header() if all is well. UnavailableError, with what to do, if a file beside the
/// database does not belong to it, or if the database is missing but a WAL with commits is there.
Header require_own_files(const Target& target);

/// Call before the connection's first read. UnavailableError if the WAL is not the one that the
/// processes use that have the store open.
void require_own_index(const Target& target, Connection& connection);

}  // namespace graven::sqlite
