// SPDX-License-Identifier: MIT
//
// Reads what the schema should be from a store that it creates in memory. See schema_check.hpp. One
// thread at a time, as the connection.
#include "backends/sqlite/schema/schema_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "backends/sqlite/schema/format.hpp"
#include "backends/sqlite/schema/table_sql.hpp"

namespace graven::sqlite {
namespace {

struct Object {
  std::string type{};
  std::string name{};
  std::string table{};
  std::string sql{};
};

/// SQLite's names are not case-sensitive.
std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// A trigger may have the same name as a table, so a name includes whether it is a trigger's.
using Name = std::pair<bool, std::string>;
Name name_of(const Object& one) { return {one.type == "trigger", lower(one.name)}; }

/// Without SQLite's internal objects.
std::map<Name, Object> objects_of(Connection& connection) {
  std::map<Name, Object> objects;
  Statement statement(connection, "SELECT type, name, tbl_name, sql FROM main.sqlite_schema");
  Cursor cursor(statement);
  while (cursor.next()) {
    Object one;
    cursor.bytes(0, one.type);
    one.type = lower(one.type);
    cursor.bytes(1, one.name);
    cursor.bytes(2, one.table);
    cursor.bytes(3, one.sql);
    Name name = name_of(one);
    if (!name.second.starts_with("sqlite_")) objects.emplace(std::move(name), std::move(one));
  }
  return objects;
}

const std::map<Name, Object>& expected() {
  // Never destroyed: threads may run longer than static objects live.
  static const auto* objects = new const std::map<Name, Object>([] {
    Connection memory({.name = "memory", .path = ":memory:", .vfs = {}},
                      ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY);
    create_tables(memory);
    return objects_of(memory);
  }());
  return *objects;
}

struct Differences {
  std::vector<Object> intruders{};  // on graven's tables, or with their names
  std::vector<Object> missing{};
  std::vector<Object> others{};  // as they should be; the present ones differ
};

Differences differences(Connection& connection) {
  Differences found;
  std::map<Name, Object> there = objects_of(connection);
  for (const auto& [name, wanted] : expected()) {
    const auto at = there.find(name);
    if (at == there.end()) {
      found.missing.push_back(wanted);
    } else if (at->second.type != wanted.type || lower(at->second.table) != lower(wanted.table)) {
      found.intruders.push_back(at->second);
      found.missing.push_back(wanted);
    } else {
      const bool old = connection.tables().old_format() && wanted.name == "expiry";
      if (at->second.sql != (old ? kOldExpiry : wanted.sql)) found.others.push_back(wanted);
    }
  }
  for (auto& [name, one] : there) {
    const bool own = expected().contains(name);
    if (!own && expected().contains({false, lower(one.table)}))
      found.intruders.push_back(std::move(one));
  }
  // Tables first, because their indexes need them.
  const auto tables_first = [](const Object& one, const Object& other) {
    return one.type > other.type;
  };
  std::stable_sort(found.missing.begin(), found.missing.end(), tables_first);
  std::stable_sort(found.others.begin(), found.others.end(), tables_first);
  return found;
}

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

std::string describe(const Object& one) {
  const std::string what = fmt::format("the {} '{}'", one.type, one.name);
  return one.type == "table" || one.type == "view" ? what
                                                   : what + fmt::format(" on '{}'", one.table);
}

std::set<std::string> columns_of(Connection& connection, const std::string& table) {
  std::set<std::string> columns;
  Statement statement(connection, "PRAGMA main.table_info(" + quoted(table) + ")");
  Cursor cursor(statement);
  std::string name;
  while (cursor.next()) {
    cursor.bytes(1, name);
    columns.insert(lower(name));
  }
  return columns;
}

struct Column {
  std::string name{};
  std::string type{};
  bool required = false;
  bool row_id = false;  // INTEGER PRIMARY KEY
};

std::vector<Column> columns_in_order(Connection& connection, const std::string& table) {
  std::vector<Column> columns;
  int keys = 0;
  Statement statement(connection, "PRAGMA main.table_info(" + quoted(table) + ")");
  Cursor cursor(statement);
  while (cursor.next()) {
    Column& one = columns.emplace_back();
    cursor.bytes(1, one.name);
    cursor.bytes(2, one.type);
    one.required = cursor.integer(3) != 0;
    one.row_id = cursor.integer(5) != 0 && one.type == "INTEGER";
    keys += cursor.integer(5) != 0 ? 1 : 0;
  }
  if (keys > 1) {
    for (Column& one : columns) one.row_id = false;
  }
  return columns;
}

/// Creates the table again and fills it from the present one, using the columns that both have.
void make_anew(Connection& connection, const Object& wanted, std::vector<port::Files::Loss>& lost) {
  const std::string old = "graven_old_" + wanted.name;
  connection.execute(("DROP TABLE IF EXISTS main." + quoted(old)).c_str());
  connection.execute(
      ("ALTER TABLE main." + quoted(wanted.name) + " RENAME TO " + quoted(old)).c_str());
  connection.execute(wanted.sql.c_str());
  const std::set<std::string> there = columns_of(connection, old);
  std::string into;
  std::string from;
  std::string rows;
  for (const Column& column : columns_in_order(connection, wanted.name)) {
    const bool text = column.type == "TEXT";
    // A rowid table accepts only integers as its key; for others even INSERT OR IGNORE fails.
    if (column.row_id && there.contains(column.name)) {
      rows = " WHERE typeof(" + quoted(column.name) + ") = 'integer'";
    }
    std::string value = !column.required ? "NULL" : text ? "''" : "0";
    if (there.contains(column.name)) {
      value = column.required ? "coalesce(" + quoted(column.name) + ", " + value + ")"
                              : quoted(column.name);
    }
    into += (into.empty() ? "" : ", ") + quoted(column.name);
    from += (from.empty() ? "" : ", ") + value;
  }
  const auto count = [&](const std::string& table) {
    return connection.integer(("SELECT count(*) FROM main." + quoted(table)).c_str());
  };
  connection.execute(("INSERT OR IGNORE INTO main." + quoted(wanted.name) + " (" + into +
                      ") SELECT " + from + " FROM main." + quoted(old) + rows)
                         .c_str());
  if (const std::int64_t gone = count(old) - count(wanted.name); gone != 0) {
    lost.push_back(
        {fmt::format("{} rows of the table '{}', which did not fit into it", gone, wanted.name),
         {}});
  }
  connection.execute(("DROP TABLE main." + quoted(old)).c_str());
}

}  // namespace

std::vector<std::string> schema_problems(Connection& connection) {
  std::vector<std::string> problems;
  const Differences found = differences(connection);
  for (const Object& one : found.intruders) {
    problems.push_back(describe(one) + " is not graven's");
  }
  for (const Object& one : found.missing) problems.push_back(describe(one) + " is missing");
  for (const Object& one : found.others) {
    problems.push_back(describe(one) + " differs from the one that graven makes");
  }
  return problems;
}

void mend_schema(Connection& connection, std::vector<port::Files::Loss>& lost) {
  for (const Object& one : differences(connection).intruders) {
    // SQLite rejects a schema with any other type than "table", "index", "view" or "trigger", so
    // `type` is safe here. The object may be gone already, with its table or view.
    connection.execute(("DROP " + one.type + " IF EXISTS main." + quoted(one.name)).c_str());
    lost.push_back({describe(one) + ", which was not graven's", one.sql});
  }
  Differences found = differences(connection);
  for (const Object& one : found.others) {
    if (one.type == "table") {
      make_anew(connection, one, lost);
    } else {
      // It may be gone with its table.
      connection.execute(("DROP INDEX IF EXISTS main." + quoted(one.name)).c_str());
    }
  }
  // Compare again: indexes may be gone with their tables.
  found = differences(connection);
  for (const Object& one : found.missing) {
    if (one.type == "index") {
      // Duplicates cannot be in a unique index; the last row counts.
      connection.execute(("DELETE FROM main." + one.table +
                          " WHERE rowid NOT IN (SELECT max(rowid) FROM main." + one.table +
                          " GROUP BY map, key)")
                             .c_str());
    } else {
      lost.push_back({describe(one) + ", which was missing: it is empty now", {}});
    }
    connection.execute(one.sql.c_str());
  }
}

}  // namespace graven::sqlite
