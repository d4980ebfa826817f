// SPDX-License-Identifier: MIT
//
// Generates the SQL statements of the spaces' tables from port::schema(). The order of columns and
// parameters is always: columns of the key, version, integers, body; each only if the schema has
// it. If a value is NULL it may be in the overflow table (here called "beside"), and the SELECT
// statements read it from there.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "port/record.hpp"

namespace graven::sqlite {

/// The CREATE statements of a space.
std::string create_table(port::Space space);

std::string load_sql(port::Space space);
/// First column: whether anything is to be reclaimed; then the node.
std::string load_node_sql();
std::string put_sql(port::Space space);
/// Puts Tables::kRowsTogether rows of one `a`. Parameter 1 is `a`, then the other columns of each
/// row.
std::string put_rows_sql(port::Space space);
/// Inserts Tables::kRowsTogether rows; all columns of each row in turn.
std::string insert_rows_sql(port::Space space);
std::string erase_sql(port::Space space);
/// Deletes the first rows of one `a`. Parameters: a, limit.
std::string erase_first_sql(port::Space space);
/// Changes nothing if the present row has its value in the overflow table.
std::string put_unless_beside_sql(port::Space space);
/// Deletes a row and returns whether its value is in the overflow table.
std::string erase_telling_sql(port::Space space);
/// Statements on the overflow table.
std::string put_beside_sql(port::Space space);
std::string erase_beside_sql(port::Space space);
std::string any_beside_sql(port::Space space);

/// Rows of a range. Parameters: kId from, to; kPair a, from, to; kName (a,) after; then limit,
/// except for run_sql(). Backwards without `after`: a blob, which is greater than every text.
std::string scan_sql(port::Space space);
std::string scan_reverse_sql(port::Space space);
std::string scan_named_sql(port::Space space);  // includes `after` itself
std::string run_sql(port::Space space);
/// Rows of a range of `a`. Parameters: a, from or after, a_to; then limit.
std::string scan_all_sql(port::Space space);
std::string scan_all_named_sql(port::Space space);

/// The schema of kExpiry in a store of format 1.
inline constexpr std::string_view kOldExpiry =
    "CREATE TABLE expiry (time INTEGER NOT NULL, item TEXT NOT NULL, PRIMARY KEY (time, item)) "
    "WITHOUT ROWID";
/// The rows of kExpiry from a format 1 table, unordered.
std::string old_expiry_sql(const std::string& table);
/// scan_sql() and scan_reverse_sql() for a format 1 table.
std::string scan_old_expiry_sql(port::Space space);
std::string scan_old_expiry_reverse_sql(port::Space space);

}  // namespace graven::sqlite
