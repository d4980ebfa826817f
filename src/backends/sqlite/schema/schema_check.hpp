// SPDX-License-Identifier: MIT
//
// The schema of a store as it is against the one that graven makes: tables and indexes that are
// missing or another, and triggers, indexes and views that something else has put on graven's
// names. What belongs to the program's own tables (write_connection()) is none of graven's
// business.
//
// Graven's own statements never run a trigger and never read a view (RawStatements::authorize), so
// what is found here does no harm before it is mended.
//
// One thread at a time, as the connection.
#pragma once

#include <string>
#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// A line for each thing that is not as it should be.
std::vector<std::string> schema_problems(Connection& connection);

/// Makes the schema graven's again, inside a transaction: rows of a table that was another are
/// kept as far as they fit. Tells what could not be kept.
void mend_schema(Connection& connection, std::vector<store::Backend::Loss>& lost);

}  // namespace graven::sqlite
