// SPDX-License-Identifier: MIT
//
// Copying a store page by page while others write it (https://sqlite.org/backup.html).
//
// Always holds: the copy is one state of the store: all of it is read in one read transaction,
// so that no commit makes it begin anew, as a copy without one does. VACUUM INTO would be one
// statement: nothing could be told of its progress, and it could not make room for others. What
// it is paid with: as long as it takes, no checkpoint gets past that state, and the WAL grows.
//
// One thread at a time.
#pragma once

#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

/// Copies into an empty file that nobody else has open.
void copy_store(Connection& source, const Target& copy, const store::Copying& how);

}  // namespace graven::sqlite
