// SPDX-License-Identifier: MIT
//
// Copies a store page by page while others write it (https://sqlite.org/backup.html).
//
// Always holds: the copy is one state of the store. One read transaction covers the whole copy, so
// a commit does not make it start again, as it would without one. The price: until the copy ends no
// checkpoint goes beyond that state, and the WAL grows. VACUUM INTO is not used: as one statement,
// it can neither report progress nor pause for others.
//
// One thread at a time.
#pragma once

#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

/// Copies into an empty file that no one else has open.
void copy_store(Connection& source, const Target& copy, const port::Copying& how);

}  // namespace graven::sqlite
