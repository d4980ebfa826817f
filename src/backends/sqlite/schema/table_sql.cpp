// SPDX-License-Identifier: MIT
//
// Generates the SQL from port::schema(). See table_sql.hpp. Pure functions; any thread.
#include "backends/sqlite/schema/table_sql.hpp"

#include <vector>

#include "backends/sqlite/schema/tables.hpp"

namespace graven::sqlite {
namespace {

using port::KeyShape;
using port::Schema;
using port::Space;

std::vector<std::string> key_columns(const Schema& schema) {
  std::vector<std::string> columns;
  if (!schema.a.empty()) columns.emplace_back(schema.a);
  if (!schema.b.empty()) columns.emplace_back(schema.b);
  return columns;
}

std::vector<std::string> value_columns(const Schema& schema) {
  std::vector<std::string> columns;
  if (schema.has_version) columns.emplace_back("version");
  for (const auto name : schema.integers) columns.emplace_back(name);
  if (schema.has_body) columns.emplace_back(schema.has_value ? "value" : "body");
  return columns;
}

std::string join(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += between;
    text += part;
  }
  return text;
}

/// With "main.", so that a TEMP table or view of the same name does not hide the table.
std::string table_of(const Schema& schema) { return "main." + std::string(schema.table); }
std::string table_beside(const Schema& schema) { return table_of(schema) + "_large"; }

/// The value columns in a SELECT: a value that is NULL may be in the overflow table.
std::vector<std::string> columns_read(const Schema& schema) {
  std::vector<std::string> columns = value_columns(schema);
  if (schema.has_value) {
    const std::string table(schema.table);
    const std::string a(schema.a);
    const std::string b(schema.b);
    columns.back() = "coalesce(value, (SELECT l.value FROM " + table_beside(schema) +
                     " AS l WHERE l." + a + " = " + table + "." + a + " AND l." + b + " = " +
                     table + "." + b + "))";
  }
  return columns;
}

/// "child = ?1 AND parent = ?2"
std::string key_condition(const Schema& schema) {
  std::vector<std::string> parts;
  for (const std::string& column : key_columns(schema)) {
    parts.push_back(column + " = ?" + std::to_string(parts.size() + 1));
  }
  return join(parts, " AND ");
}

std::string columns_or_one(const std::vector<std::string>& columns) {
  return columns.empty() ? "1" : join(columns, ", ");
}

/// Rows of a range. Parameters: kId from, to; kPair a, from, to; kName (a,) after; then limit.
/// `name_test` compares a name with `after`.
std::string stretch_sql(Space space, const char* name_test, bool reverse, bool limited) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns = key_columns(schema);
  const std::string last = columns.back();
  for (std::string& column : columns_read(schema)) columns.push_back(std::move(column));
  std::string sql = "SELECT " + join(columns, ", ") + " FROM " + table_of(schema) + " WHERE ";
  int marks = 0;
  const auto add_mark = [&](std::string_view before) {
    sql += before;
    sql += "?" + std::to_string(++marks);
  };
  if (schema.shape != KeyShape::kId && !schema.a.empty()) {
    add_mark(std::string(schema.a) + " = ");
    sql += " AND ";
  }
  if (schema.shape == KeyShape::kName) {
    add_mark(last + name_test);
  } else {
    add_mark(last + " >= ");
    add_mark(" AND " + last + " <= ");
  }
  sql += " ORDER BY " + last + (reverse ? " DESC" : "");
  if (limited) add_mark(" LIMIT ");
  return sql;
}

/// Rows of a range of `a`. Parameters: a, from or after, a_to; then limit.
std::string span_sql(Space space, const char* test) {
  const Schema& schema = port::schema(space);
  const std::string keys = join(key_columns(schema), ", ");
  std::vector<std::string> columns = key_columns(schema);
  for (std::string& column : columns_read(schema)) columns.push_back(std::move(column));
  return "SELECT " + join(columns, ", ") + " FROM " + table_of(schema) + " WHERE (" + keys + ")" +
         test + "(?1, ?2) AND " + std::string(schema.a) + " <= ?3 ORDER BY " + keys + " LIMIT ?4";
}

}  // namespace

std::string load_sql(Space space) {
  const Schema& schema = port::schema(space);
  return "SELECT " + columns_or_one(columns_read(schema)) + " FROM " + table_of(schema) +
         " WHERE " + key_condition(schema);
}

std::string put_sql(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns = key_columns(schema);
  for (std::string& column : value_columns(schema)) columns.push_back(std::move(column));
  std::vector<std::string> marks;
  for (std::size_t i = 1; i <= columns.size(); ++i) marks.push_back("?" + std::to_string(i));
  const std::string row =
      table_of(schema) + " (" + join(columns, ", ") + ") VALUES (" + join(marks, ", ") + ")";
  return "INSERT OR REPLACE INTO " + row;
}

/// Parameter 1 is the rows' `a`, then come the other columns of each row in turn.
std::string put_rows_sql(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns = key_columns(schema);
  for (std::string& column : value_columns(schema)) columns.push_back(std::move(column));
  std::vector<std::string> rows;
  std::size_t next = 2;
  for (std::size_t row = 0; row < Tables::kRowsTogether; ++row) {
    std::vector<std::string> marks{"?1"};
    while (marks.size() < columns.size()) marks.push_back("?" + std::to_string(next++));
    rows.push_back(join(marks, ", "));
  }
  return "INSERT OR REPLACE INTO " + table_of(schema) + " (" + join(columns, ", ") + ") VALUES (" +
         join(rows, "), (") + ")";
}

/// OR FAIL keeps the rows before a failing one, so SQLite needs no savepoint for several rows,
/// except in a rowid table, whose key may turn out not to be an integer.
std::string insert_rows_sql(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns = key_columns(schema);
  for (std::string& column : value_columns(schema)) columns.push_back(std::move(column));
  const std::string row = join(std::vector<std::string>(columns.size(), "?"), ", ");
  return "INSERT OR FAIL INTO " + table_of(schema) + " (" + join(columns, ", ") + ") VALUES (" +
         join(std::vector<std::string>(Tables::kRowsTogether, row), "), (") + ")";
}

std::string erase_sql(Space space) {
  const Schema& schema = port::schema(space);
  return "DELETE FROM " + table_of(schema) + " WHERE " + key_condition(schema);
}

std::string erase_first_sql(Space space) {
  const Schema& schema = port::schema(space);
  const std::string table = table_of(schema);
  const std::string a(schema.a);
  const std::string b(schema.b);
  return "DELETE FROM " + table + " WHERE " + a + " = ?1 AND " + b + " <= ifnull((SELECT " + b +
         " FROM " + table + " WHERE " + a + " = ?1 ORDER BY " + b +
         " LIMIT 1 OFFSET ?2 - 1), 9223372036854775807)";
}

std::string put_unless_beside_sql(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns = key_columns(schema);
  const std::string keys = join(columns, ", ");
  std::vector<std::string> values;
  for (std::string& column : value_columns(schema)) {
    values.push_back(column + " = excluded." + column);
    columns.push_back(std::move(column));
  }
  std::vector<std::string> marks;
  for (std::size_t i = 1; i <= columns.size(); ++i) marks.push_back("?" + std::to_string(i));
  return "INSERT INTO " + table_of(schema) + " (" + join(columns, ", ") + ") VALUES (" +
         join(marks, ", ") + ") ON CONFLICT (" + keys + ") DO UPDATE SET " + join(values, ", ") +
         " WHERE value IS NOT NULL OR kind = 0";
}

std::string erase_telling_sql(Space space) {
  return erase_sql(space) + " RETURNING value IS NULL AND kind <> 0";
}

std::string put_beside_sql(Space space) {
  const Schema& schema = port::schema(space);
  const std::string keys = join(key_columns(schema), ", ");
  return "INSERT INTO " + table_beside(schema) + " (" + keys + ", value) VALUES (?1, ?2, ?3) " +
         "ON CONFLICT (" + keys + ") DO UPDATE SET value = excluded.value";
}

std::string erase_beside_sql(Space space) {
  const Schema& schema = port::schema(space);
  return "DELETE FROM " + table_beside(schema) + " WHERE " + key_condition(schema);
}

std::string any_beside_sql(Space space) {
  return "SELECT 1 FROM " + table_beside(port::schema(space)) + " LIMIT 1";
}

std::string scan_all_sql(Space space) {
  return span_sql(space, port::schema(space).shape == KeyShape::kName ? " > " : " >= ");
}
std::string scan_all_named_sql(Space space) { return span_sql(space, " >= "); }

std::string scan_sql(Space space) { return stretch_sql(space, " > ", false, true); }
std::string scan_reverse_sql(Space space) { return stretch_sql(space, " < ", true, true); }
std::string scan_named_sql(Space space) { return stretch_sql(space, " >= ", false, true); }
std::string run_sql(Space space) { return stretch_sql(space, " >= ", false, false); }

/// Keys may contain U+0000, where SQLite's text functions stop; so this uses blobs.
std::string old_expiry_sql(const std::string& table) {
  return "SELECT CAST(substr(item, 1, instr(item, ':') - 1) AS INTEGER) AS map, CAST("
         "CAST(printf('%016d:', time) AS BLOB) || substr(CAST(item AS BLOB), instr(item, ':') + 1) "
         "AS TEXT) AS item FROM main." +
         table;
}

std::string scan_old_expiry_sql(Space /*space*/) {
  return "SELECT map, item FROM (" + old_expiry_sql("expiry") +
         ") WHERE map = ?1 AND item > ?2 ORDER BY item LIMIT ?3";
}

std::string scan_old_expiry_reverse_sql(Space /*space*/) {
  return "SELECT map, item FROM (" + old_expiry_sql("expiry") +
         ") WHERE map = ?1 AND item < ?2 ORDER BY item DESC LIMIT ?3";
}

std::string create_table(Space space) {
  const Schema& schema = port::schema(space);
  std::string sql = "CREATE TABLE " + table_of(schema) + " (";
  if (schema.shape == KeyShape::kId) {
    sql += std::string(schema.a) + " INTEGER PRIMARY KEY";
  } else {
    if (!schema.a.empty()) sql += std::string(schema.a) + " INTEGER NOT NULL, ";
    sql += std::string(schema.b) +
           (schema.shape == KeyShape::kName ? " TEXT NOT NULL" : " INTEGER NOT NULL");
  }
  if (schema.has_version) sql += ", version INTEGER NOT NULL";
  for (const auto name : schema.integers) sql += ", " + std::string(name) + " INTEGER NOT NULL";
  if (schema.has_value) {
    sql += ", value";
  } else if (schema.has_body) {
    sql += ", body BLOB";
  }
  const std::string keys = "(" + join(key_columns(schema), ", ") + ")";
  if (schema.shape == KeyShape::kId) return sql + ")";
  sql += ", PRIMARY KEY " + keys + ") WITHOUT ROWID";
  if (schema.has_value) {
    sql += "; CREATE TABLE " + table_beside(schema) + " (" + std::string(schema.a) +
           " INTEGER NOT NULL, " + std::string(schema.b) +
           " TEXT NOT NULL, value NOT NULL); CREATE UNIQUE INDEX " + table_beside(schema) +
           "_key ON " + std::string(schema.table) + "_large " + keys;
  }
  return sql;
}

std::string load_node_sql() {
  return "SELECT EXISTS (SELECT 1 FROM main.orphan WHERE owner = 0), " +
         join(value_columns(port::schema(Space::kNode)), ", ") + " FROM main.node WHERE id = ?1";
}

}  // namespace graven::sqlite
