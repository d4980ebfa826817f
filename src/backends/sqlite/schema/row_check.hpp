// SPDX-License-Identifier: MIT
//
// Finds and repairs rows of graven's tables that SQLite allows but no record can have: a text or
// NULL instead of an integer, a key that is not UTF-8, a value of another kind than its row says, a
// large value without its item, an item without its large value or expiry row, an expiry row
// without a map.
//
// One thread at a time, as the connection.
#pragma once

#include <string>
#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// Adds a line for each such row, about the first hundred of each table.
void check_rows(Connection& connection, std::vector<std::string>& problems);

/// Makes valid records of them, inside a transaction. A row without a key is deleted; in other rows
/// invalid values are replaced. Reports what could not be kept.
void mend_rows(Connection& connection, std::vector<port::Files::Loss>& lost);

}  // namespace graven::sqlite
