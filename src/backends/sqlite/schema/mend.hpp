// SPDX-License-Identifier: MIT
//
// Repairs what SQLite knows of a store: its schema, its indexes, and rows that are not valid
// records. Call with the writer lock (Lane) held, from one thread at a time, with no transaction
// open on the connection.
#pragma once

#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "base/function_ref.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// Repairs in one transaction and calls `before_commit` first in it. Returns what could not be
/// kept.
std::vector<port::Files::Loss> mend(Connection& connection, base::Deadline deadline,
                                    base::FunctionRef<void()> before_commit);

}  // namespace graven::sqlite
