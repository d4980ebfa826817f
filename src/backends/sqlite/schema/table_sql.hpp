// SPDX-License-Identifier: MIT
//
// The SQL of the spaces' tables, written from store::schema(). Column order everywhere: the key's
// columns, version, integers, body, each where the schema has it; parameters in the same order. A
// value that is NULL may be in the table beside, where it is read from.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "port/record.hpp"

namespace graven::sqlite {

/// The CREATE statements of a space.
std::string create_table(store::Space space);

std::string load_sql(store::Space space);
/// A node, after whether anything is to be reclaimed.
std::string load_node_sql();
std::string put_sql(store::Space space);
/// Tables::kRowsTogether rows of one `a`, which is parameter 1, then the columns after it of each.
std::string put_rows_sql(store::Space space);
/// Tables::kRowsTogether new rows, all columns of each in turn.
std::string insert_rows_sql(store::Space space);
std::string erase_sql(store::Space space);
/// The first rows of one `a`. Parameters: a, how many.
std::string erase_first_sql(store::Space space);
/// Changes nothing where the row that is there has its value beside.
std::string put_unless_beside_sql(store::Space space);
/// Gives a row that says whether the value of the one erased is beside.
std::string erase_telling_sql(store::Space space);
/// Of the table beside.
std::string put_beside_sql(store::Space space);
std::string erase_beside_sql(store::Space space);
std::string any_beside_sql(store::Space space);

/// Rows of a stretch. Parameters: kId from, to; kPair a, from, to; kName (a,) after; then limit,
/// but for run_sql().
std::string scan_sql(store::Space space);
std::string scan_reverse_sql(store::Space space);
std::string scan_named_sql(store::Space space);  // `after` itself too
std::string run_sql(store::Space space);
/// Rows of many `a`. Parameters: a, from or after, a_to; then limit.
std::string scan_all_sql(store::Space space);
std::string scan_all_named_sql(store::Space space);

/// What the schema of a store of format 1 has for kExpiry.
inline constexpr std::string_view kOldExpiry =
    "CREATE TABLE expiry (time INTEGER NOT NULL, item TEXT NOT NULL, PRIMARY KEY (time, item)) "
    "WITHOUT ROWID";
/// The rows of kExpiry, unordered, as the table of that name has them in a store of format 1.
std::string old_expiry_sql(const std::string& table);
/// scan_sql() of them.
std::string scan_old_expiry_sql(store::Space space);

}  // namespace graven::sqlite
