// SPDX-License-Identifier: MIT
//
// Rows of graven's tables that hold what no record can: a text or NULL where an integer belongs,
// a key that is no UTF-8, a value of another kind than its row says, a large value that belongs to
// no item, an item whose large value or whose row of expiry is missing, a row of expiry that is of
// no map. SQLite itself allows all of it.
//
// One thread at a time, as the connection.
#pragma once

#include <string>
#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// A line for each such row, the first some hundred of each table.
void check_rows(Connection& connection, std::vector<std::string>& problems);

/// Makes records of them, inside a transaction: a row without a key goes, in others what fits
/// least is put instead. Tells what could not be kept.
void mend_rows(Connection& connection, std::vector<store::Backend::Loss>& lost);

}  // namespace graven::sqlite
