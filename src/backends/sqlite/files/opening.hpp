// SPDX-License-Identifier: MIT
//
// Whether the files beside a database are its own, asked before anything is read through them. A
// -wal, -shm or -journal of another file, or of another state of this one, would be played into
// it: a blend of both. docs/design/files.md says how they are told.
//
// Always holds: nothing is changed, and no descriptor is opened on a file that somebody has locked.
// What only looks wrong because others open, close or write just now is looked at again.
//
// Any thread.
#pragma once

#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

/// What check_header() says, once all is well. UnavailableError, with what to do, where a file
/// beside the database is not its own, or the database is missing beside commits to it.
Header require_own_files(const Target& target);

/// Before the connection's first read: UnavailableError where the WAL is not the one that the
/// processes use that have the store open.
void require_own_index(const Target& target, Connection& connection);

/// UnavailableError, which names them, where a file has several names: each leads to files of its
/// own beside it.
void require_one_name(const Target& target);

}  // namespace graven::sqlite
