// SPDX-License-Identifier: MIT
//
// Compares the schema of a store with graven's: tables and indexes that are missing or different,
// and triggers, indexes and views that another program has created on graven's tables or with
// graven's names. Ignores everything that belongs to the program's own tables (write_connection()).
//
// Graven's own statements never run a trigger or read a view (RawStatements::authorize), so such
// additions do no harm before they are removed.
//
// One thread at a time, as the connection.
#pragma once

#include <string>
#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// One line for each problem.
std::vector<std::string> schema_problems(Connection& connection);

/// Restores graven's schema, inside a transaction. Rows of a table with a different definition are
/// kept if they fit. Reports what could not be kept.
void mend_schema(Connection& connection, std::vector<port::Files::Loss>& lost);

}  // namespace graven::sqlite
