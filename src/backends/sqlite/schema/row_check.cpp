// SPDX-License-Identifier: MIT
//
// One query per table, which reads types and keys but no bodies. See row_check.hpp. One thread at a
// time, as the connection.
#include "backends/sqlite/schema/row_check.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "port/record.hpp"

namespace graven::sqlite {
namespace {

using port::KeyShape;
using port::Schema;
using port::Space;
using Losses = std::vector<port::Files::Loss>;

constexpr int kMostOfATable = 200;

/// A column, and an SQL condition for a valid value.
struct Column {
  std::string name{};
  std::string good{};
  std::string instead{};  // SQL that replaces an invalid value; of a key: empty, the row goes
};

struct Table {
  std::string name{};
  std::string key{};  // SQL that shows the row's key
  std::vector<Column> columns{};
};

std::string is_integer(std::string_view column) {
  return fmt::format("typeof({}) = 'integer'", column);
}
/// An id that graven may have assigned.
std::string is_id(std::string_view column, int least) {
  return fmt::format("({} AND {} BETWEEN {} AND {})", is_integer(column), column, least,
                     port::kMostId);
}
/// A time that fits the digits of an expiry row.
std::string is_time(std::string_view column) {
  return fmt::format("({} AND {} BETWEEN 0 AND 9999999999999999)", is_integer(column), column);
}
std::string is_text(std::string_view column) { return fmt::format("graven_text({})", column); }

Table table_of(const Schema& schema) {
  Table table{.name = std::string(schema.table)};
  std::vector<std::string> keys;
  for (const std::string_view key : {schema.a, schema.b}) {
    if (key.empty()) continue;
    const bool name = key == schema.b && schema.shape == KeyShape::kName;
    keys.emplace_back(key);
    const bool id = schema.shape == KeyShape::kId;
    table.columns.push_back({keys.back(),
                             name ? is_text(key)
                             : id ? is_id(key, 1)
                                  : is_integer(key),
                             {}});
  }
  table.key = fmt::format("quote({})", keys.front());
  if (keys.size() > 1) table.key += fmt::format(" || ', ' || quote({})", keys.back());
  const auto add_integer = [&](std::string_view name) {
    table.columns.push_back({std::string(name), is_integer(name),
                             fmt::format("coalesce(CAST({} AS INTEGER), 0)", name)});
  };
  if (schema.has_version) table.columns.push_back({"version", is_id("version", 0), "0"});
  for (const std::string_view name : schema.integers) {
    // The clock record is in this table too.
    if (schema.table == "prefix" && name == "id") {
      table.columns.push_back({"id", is_id("id", 0), "0"});
    } else if (name == "expires") {
      table.columns.push_back({"expires", is_time("expires"), "0"});
    } else {
      add_integer(name);
    }
  }
  if (schema.has_body && !schema.has_value) {
    table.columns.push_back({"body", "typeof(body) IN ('blob', 'null')", "CAST(body AS BLOB)"});
  }
  return table;
}

/// All of graven's tables, except the values of items.
std::vector<Table> tables() {
  std::vector<Table> all;
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    all.push_back(table_of(port::schema(static_cast<Space>(i))));
  }
  all.push_back({.name = "item_large",
                 .key = "quote(map) || ', ' || quote(key)",
                 .columns = {{"map", is_integer("map"), {}}, {"key", is_text("key"), {}}}});
  return all;
}

// Values of items. A NULL value may be in the overflow table; mend_values() handles that.
constexpr const char* kUnfit = " WHERE NOT (value IS NULL OR graven_holds(kind, value))";
constexpr const char* kUnfitBeside =
    " FROM main.item_large AS l JOIN main.item AS i ON i.map = l.map AND i.key = l.key "
    "WHERE NOT graven_holds(i.kind, l.value)";
// A value that is NULL in its row is in the overflow table, unless its kind is 0, which is null
// itself.
constexpr const char* kNoItem =
    " FROM main.item_large AS l WHERE NOT EXISTS (SELECT 1 FROM main.item AS i "
    "WHERE i.map = l.map AND i.key = l.key AND i.value IS NULL AND i.kind <> 0)";
constexpr const char* kNoValue =
    " WHERE value IS NULL AND kind <> 0 AND NOT EXISTS "
    "(SELECT 1 FROM main.item_large AS l WHERE i.map = l.map AND i.key = l.key)";

// Expiry of items; the rows of format 1 are read in another way. A key may contain U+0000, which
// ends a text for GLOB, but not for ||.
constexpr const char* kNoTime =
    " FROM main.item AS i WHERE i.expires <> 0 AND NOT EXISTS (SELECT 1 FROM main.expiry AS e "
    "WHERE e.map = i.map AND e.item = printf('%016d:', i.expires) || i.key)";
constexpr const char* kStrayTime =
    " FROM main.expiry WHERE map NOT IN (SELECT id FROM main.map) OR item NOT GLOB "
    "'[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]:*'";

void text_function(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  bool good = sqlite3_value_type(values[0]) == SQLITE_TEXT;
  if (good) {
    const auto* data = static_cast<const char*>(sqlite3_value_blob(values[0]));
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(values[0]));
    good = size == 0 || !base::invalid_utf8({data, size});
  }
  sqlite3_result_int(context, static_cast<int>(good));
}

void holds_function(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  const std::int64_t kind = sqlite3_value_int64(values[0]);
  const bool known = kind >= 0 && kind <= static_cast<int>(port::ValueKind::kJson);
  // For an unknown kind, any value counts as bytes.
  bool good =
      holds_value(known ? static_cast<int>(kind) : static_cast<int>(port::ValueKind::kBytes),
                  sqlite3_value_type(values[1]));
  if (good && sqlite3_value_type(values[1]) == SQLITE_TEXT) {
    text_function(context, 1, values + 1);
    return;
  }
  sqlite3_result_int(context, static_cast<int>(good));
}

/// Defines the SQL functions that these queries use, while it exists.
class Functions {
 public:
  explicit Functions(Connection& connection) : connection_(connection) {
    set(text_function, holds_function);
  }
  ~Functions() { set(nullptr, nullptr); }
  Functions(const Functions&) = delete;
  Functions& operator=(const Functions&) = delete;

 private:
  using Function = void (*)(sqlite3_context*, int, sqlite3_value**);
  void set(Function text, Function holds) noexcept {
    constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    sqlite3_create_function(connection_.handle(), "graven_text", 1, kFlags, nullptr, text, nullptr,
                            nullptr);
    sqlite3_create_function(connection_.handle(), "graven_holds", 2, kFlags, nullptr, holds,
                            nullptr, nullptr);
  }
  Connection& connection_;
};

/// Calls `each` with the columns of each row, as text.
template <class Each>
void each_row(Connection& connection, const std::string& sql, Each&& each) {
  Statement statement(connection, sql);
  Cursor cursor(statement);
  std::vector<std::string> columns(
      static_cast<std::size_t>(sqlite3_column_count(statement.handle())));
  while (cursor.next()) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      cursor.bytes(static_cast<int>(i), columns[i]);
    }
    each(columns);
  }
}

std::string shown(std::string text) {
  // quote() of a long value is long, and quote() of invalid UTF-8 is invalid too.
  if (base::invalid_utf8(text)) text = "a text that is not valid UTF-8";
  constexpr std::size_t kMost = 100;
  if (text.size() > kMost) text = text.substr(0, text.find_first_of("' ", kMost)).substr(0, kMost);
  return base::invalid_utf8(text) ? "a long text" : text;
}

void check_table(Connection& connection, const Table& table, std::vector<std::string>& problems) {
  std::string bad;
  std::string first = "CASE";
  for (const Column& column : table.columns) {
    bad += (bad.empty() ? "NOT (" : " AND ") + column.good;
    first += fmt::format(" WHEN NOT ({}) THEN '{}'", column.good, column.name);
  }
  int count = 0;
  each_row(
      connection,
      fmt::format("SELECT {}, {} END FROM main.{} WHERE {}) LIMIT {}", table.key, first, table.name,
                  bad, kMostOfATable + 1),
      [&](const std::vector<std::string>& row) {
        if (++count > kMostOfATable) {
          problems.push_back(fmt::format("and more rows of the table '{}' like these", table.name));
          return;
        }
        problems.push_back(fmt::format(
            "the row {} of the table '{}' has a value in '{}' that graven does not write there",
            shown(row[0]), table.name, row[1]));
      });
}

void mend_table(Connection& connection, const Table& table, Losses& lost) {
  for (const Column& column : table.columns) {
    const std::string where = fmt::format(" WHERE NOT ({})", column.good);
    const std::string from = fmt::format(" FROM main.{}{}", table.name, where);
    const bool key = column.instead.empty();
    each_row(connection, fmt::format("SELECT {}, quote({}){}", table.key, column.name, from),
             [&](std::vector<std::string>& row) {
               lost.push_back({key ? fmt::format("a row of the table '{}' without a key: {}",
                                                 table.name, shown(row[0]))
                                   : fmt::format("the {} of the row {} of the table '{}'",
                                                 column.name, shown(row[0]), table.name),
                               std::move(row[1])});
             });
    connection.execute(key ? ("DELETE" + from).c_str()
                           : fmt::format("UPDATE main.{} SET {} = {}{}", table.name, column.name,
                                         column.instead, where)
                                 .c_str());
  }
}

std::string item_name(const std::vector<std::string>& row) {
  return fmt::format("map {}, key '{}'", row[0], row[1]);
}

/// Reports the map and key of each row of the query, and its third column if it has one.
void tell_items(Connection& connection, const std::string& sql, const char* what, Losses& lost) {
  each_row(connection, sql, [&](std::vector<std::string>& row) {
    row[1] = shown(row[1]);
    lost.push_back({item_name(row) + ": " + what, row.size() > 2 ? std::move(row[2]) : ""});
  });
}

void mend_values(Connection& connection, Losses& lost) {
  const auto tell = [&](const std::string& sql, const char* what) {
    tell_items(connection, sql, what, lost);
  };
  // If the value does not fit its kind, the value is kept and the kind becomes bytes.
  const std::string bytes = fmt::to_string(static_cast<int>(port::ValueKind::kBytes));
  tell(std::string("SELECT map, key, CAST(value AS BLOB) FROM main.item") + kUnfit,
       "the value is of another kind than the item said: it is bytes now");
  connection.execute(
      ("UPDATE main.item SET value = CAST(value AS BLOB), kind = " + bytes + kUnfit).c_str());
  tell(std::string("SELECT l.map, l.key, CAST(l.value AS BLOB)") + kUnfitBeside,
       "the value is of another kind than the item said: it is bytes now");
  connection.execute(("UPDATE main.item SET kind = " + bytes +
                      " WHERE value IS NULL AND (map, key) IN (SELECT l.map, l.key" + kUnfitBeside +
                      ")")
                         .c_str());
  connection.execute(
      "UPDATE main.item_large SET value = CAST(value AS BLOB) WHERE typeof(value) <> 'blob' AND "
      "NOT graven_holds((SELECT kind FROM main.item AS i WHERE i.map = item_large.map AND i.key = "
      "item_large.key), value)");
  tell(std::string("SELECT map, key, CAST(value AS BLOB)") + kNoItem,
       "a large value that belonged to no item");
  connection.execute((std::string("DELETE") + kNoItem).c_str());
  tell(std::string("SELECT map, key FROM main.item AS i") + kNoValue,
       "the value, which was missing: it is null now");
  connection.execute((std::string("UPDATE main.item AS i SET kind = 0") + kNoValue).c_str());
}

/// Items of a missing map keep their expiry rows: repair() creates a map for them.
void mend_times(Connection& connection, Losses& lost) {
  tell_items(connection, std::string("SELECT map, item") + kStrayTime,
             "a row of expiry that belonged to no map's item", lost);
  connection.execute((std::string("DELETE") + kStrayTime).c_str());
  tell_items(connection, std::string("SELECT i.map, i.key") + kNoTime,
             "it expires, but had no row of expiry: it has one again", lost);
  connection.execute((std::string("INSERT OR IGNORE INTO main.expiry (map, item) SELECT i.map, "
                                  "printf('%016d:', i.expires) || i.key") +
                      kNoTime)
                         .c_str());
}

}  // namespace

void check_rows(Connection& connection, std::vector<std::string>& problems) {
  const Functions functions(connection);
  const bool old = connection.tables().old_format();
  for (const Table& table : tables()) {
    if (!old || table.name != "expiry") check_table(connection, table, problems);
  }
  const auto list = [&](const std::string& sql, const char* what) {
    each_row(connection, sql + fmt::format(" LIMIT {}", kMostOfATable),
             [&](std::vector<std::string>& row) {
               row[1] = shown(row[1]);
               problems.push_back(item_name(row) + ": " + what);
             });
  };
  list(std::string("SELECT map, key FROM main.item") + kUnfit,
       "the value is of another kind than the item says");
  list(std::string("SELECT l.map, l.key") + kUnfitBeside,
       "the large value is of another kind than the item says");
  list(std::string("SELECT map, key") + kNoItem, "item_large has a value that belongs to no item");
  list(std::string("SELECT map, key FROM main.item AS i") + kNoValue,
       "the value is neither in item nor in item_large");
  if (old) return;
  list(std::string("SELECT i.map, i.key") + kNoTime,
       "it expires, but no row of expiry says when, so that it is never erased");
  list(std::string("SELECT map, item") + kStrayTime,
       "a row of expiry that belongs to no map's item");
}

void mend_rows(Connection& connection, Losses& lost) {
  const Functions functions(connection);
  for (const Table& table : tables()) mend_table(connection, table, lost);
  mend_values(connection, lost);
  mend_times(connection, lost);
}

}  // namespace graven::sqlite
