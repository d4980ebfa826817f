// SPDX-License-Identifier: MIT
//
// The statements of random_sql.hpp. One thread at a time.
#include "damage/random_sql.hpp"

#include <array>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>
#include <sqlite3.h>

namespace graven::test {
namespace {

struct Table {
  std::string_view name;
  std::vector<std::string_view> keys;
  std::vector<std::string_view> others;
};

const std::vector<Table>& tables() {
  static const std::vector<Table> all{
      {"prefix", {"name"}, {"version", "id", "root"}},
      {"node", {"id"}, {"version", "prefix", "kind", "anchor", "links", "body"}},
      {"edge", {"child", "parent"}, {"links"}},
      {"entry", {"node", "position"}, {"version", "body"}},
      {"slot", {"node", "hash"}, {"position", "body"}},
      {"page", {"id"}, {"version", "node", "body"}},
      {"blob", {"id"}, {"node", "body"}},
      {"orphan", {"owner", "node"}, {}},
      {"counter", {"prefix", "name"}, {"value"}},
      {"map", {"name"}, {"version", "id", "owner", "process"}},
      {"item", {"map", "key"}, {"kind", "expires", "value"}},
      {"item_large", {"map", "key"}, {"value"}},
      {"expiry", {"map", "item"}, {}},
      {"meta", {"key"}, {"value"}},
  };
  return all;
}

class Statements {
 public:
  explicit Statements(Random& random) : random_(random) {}

  std::string next() {
    const Table& table = pick(tables());
    switch (random_.below(20)) {
      case 0:
        return fmt::format("DELETE FROM {}{}", table.name, random_.one_in(4) ? "" : where(table));
      case 1:
      case 2:
        return fmt::format("DELETE FROM {}{}", table.name, where(table));
      case 3:
      case 4:
      case 5:
        return copy_of_a_row(table);
      case 6:
        return new_row(table);
      case 7:
        return schema(table);
      case 8:
      case 9:
      case 10:
      case 11:
        // Nodes have most to say.
        return update(random_.one_in(2) ? tables()[1] : table);
      default:
        return update(table);
    }
  }

 private:
  template <class List>
  auto pick(const List& list) -> decltype(list[0]) {
    return list[random_.below(list.size())];
  }
  std::string_view column_of(const Table& table) {
    const std::size_t at = random_.below(table.keys.size() + table.others.size());
    return at < table.keys.size() ? table.keys[at] : table.others[at - table.keys.size()];
  }
  static std::string list_of(const std::vector<std::string_view>& columns) {
    std::string text;
    for (const std::string_view column : columns) {
      text += (text.empty() ? "" : ", ") + std::string(column);
    }
    return text;
  }
  std::size_t place() { return random_.below(random_.one_in(2) ? 8 : 120); }

  std::string where(const Table& table) {
    const std::string keys = list_of(table.keys);
    return fmt::format(" WHERE ({0}) IN (SELECT {0} FROM {1} LIMIT 1 OFFSET {2})", keys, table.name,
                       place());
  }

  /// Something that may be put into `column`.
  std::string value(const Table& table, std::string_view column) {
    const bool bytes = column == "body" || column == "value";
    switch (random_.below(bytes ? 17 : 14)) {
      case 0:
        return "NULL";
      case 1:
        return random_.one_in(2) ? "'text'" : "'12x'";
      case 2:
        return "X'00ff80'";
      case 3:
        return random_.one_in(2) ? "1.5" : "9e999";
      case 4:
        return "CAST(X'41ff42' AS TEXT)";
      case 5:
        return random_.one_in(2) ? "9223372036854775807" : "-9223372036854775808";
      case 6:
        return fmt::format("{}", static_cast<std::int64_t>(random_.below(6)) - 2);
      case 7:
        return fmt::format("{} + 1", column);
      case 8:
        return fmt::format("{} - 1", column);
      case 9:
        return fmt::format("-{}", column);
      case 10: {
        const Table& other = pick(tables());
        return fmt::format("(SELECT {} FROM {} LIMIT 1 OFFSET {})", column_of(other), other.name,
                           place());
      }
      case 11:
        return fmt::format("(SELECT id FROM node LIMIT 1 OFFSET {})", place());
      case 12:
        return fmt::format("(SELECT {} FROM {} LIMIT 1 OFFSET {})", column, table.name, place());
      case 13:
        return fmt::format("zeroblob({})", random_.below(3000));
      case 14:
      case 15: {  // a byte that was another
        const std::size_t at = random_.below(40);
        return fmt::format("CAST(substr({0}, 1, {1}) || X'{2:02x}' || substr({0}, {3}) AS BLOB)",
                           column, at, random_.below(256), at + 2);
      }
      default:  // cut
        return fmt::format("substr({}, 1, {})", column, random_.below(60));
    }
  }

  std::string update(const Table& table) {
    const std::string_view column = column_of(table);
    return fmt::format("UPDATE OR REPLACE {} SET {} = {}{}", table.name, column,
                       value(table, column), random_.one_in(12) ? "" : where(table));
  }

  std::string copy_of_a_row(const Table& table) {
    std::vector<std::string_view> columns = table.keys;
    columns.insert(columns.end(), table.others.begin(), table.others.end());
    const std::size_t changed = random_.below(table.keys.size());
    std::string values;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const bool other = i == changed || random_.one_in(6);
      values += (i == 0 ? "" : ", ") + (other ? value(table, columns[i]) : std::string(columns[i]));
    }
    return fmt::format("INSERT OR REPLACE INTO {} ({}) SELECT {} FROM {} LIMIT 1 OFFSET {}",
                       table.name, list_of(columns), values, table.name, place());
  }

  std::string new_row(const Table& table) {
    std::vector<std::string_view> columns = table.keys;
    columns.insert(columns.end(), table.others.begin(), table.others.end());
    std::string values;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      static constexpr std::array<std::string_view, 8> kValues{
          "0", "1", "12345", "'x'", "X'c0'", "-1", "9223372036854775807", "'1:a'"};
      values += (i == 0 ? "" : ", ") + std::string(pick(kValues));
    }
    return fmt::format("INSERT OR REPLACE INTO {} ({}) VALUES ({})", table.name, list_of(columns),
                       values);
  }

  std::string schema(const Table& table) {
    const std::string_view name = table.name;
    const std::string_view column = column_of(table);
    const Table& other = pick(tables());
    switch (random_.below(14)) {
      case 0:
        return "DROP INDEX item_large_key";
      case 1:
        return fmt::format("DROP TABLE {}", name);
      case 2:
        return fmt::format("ALTER TABLE {} RENAME COLUMN {} TO other", name, column);
      case 3:
        return fmt::format("ALTER TABLE {} ADD COLUMN extra DEFAULT 5", name);
      case 4:
        return fmt::format("ALTER TABLE {} DROP COLUMN {}", name, column);
      case 5:
        return fmt::format("CREATE UNIQUE INDEX spoiler ON {} ({})", name, column);
      case 6:
        return fmt::format("CREATE INDEX spoiler ON {} ({})", name, column);
      case 7:
        return fmt::format(
            "CREATE TABLE copy AS SELECT * FROM {0}; DROP TABLE {0}; "
            "ALTER TABLE copy RENAME TO {0}",
            name);
      case 8:
        return fmt::format(
            "ALTER TABLE {0} RENAME TO elsewhere; CREATE VIEW {0} AS SELECT * FROM "
            "elsewhere",
            name);
      case 9:
        return fmt::format(
            "CREATE TABLE copy AS SELECT * FROM {0}; INSERT INTO copy SELECT * FROM "
            "{0}; DROP TABLE {0}; ALTER TABLE copy RENAME TO {0}",
            name);
      case 10:
        return fmt::format("CREATE VIEW harmless AS SELECT * FROM {}", name);
      default: {
        static constexpr std::array<std::string_view, 3> kWhen{"INSERT", "UPDATE", "DELETE"};
        static constexpr std::array<std::string_view, 2> kDo{"DELETE FROM {}",
                                                             "SELECT RAISE(ABORT, 'no')"};
        return fmt::format("CREATE TRIGGER spoiler {} {} ON {} BEGIN {}; END",
                           random_.one_in(2) ? "BEFORE" : "AFTER", pick(kWhen), name,
                           fmt::format(fmt::runtime(pick(kDo)), other.name));
      }
    }
  }

  Random& random_;
};

class Handle {
 public:
  explicit Handle(const std::string& path) {
    sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE, nullptr);
    sqlite3_exec(handle_, "PRAGMA synchronous = OFF", nullptr, nullptr, nullptr);
  }
  ~Handle() { sqlite3_close(handle_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::string run(const std::string& sql) {
    return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK
               ? std::string()
               : sqlite3_errmsg(handle_);
  }

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace

std::vector<std::string> damage_by_sql(Random& random, const std::string& path, std::size_t most) {
  std::vector<std::string> done;
  Handle handle(path);
  Statements statements(random);
  for (std::size_t n = 1 + random.below(most); n > 0; --n) {
    std::string sql = statements.next();
    const std::string error = handle.run(sql);
    done.push_back(error.empty() ? std::move(sql) : sql + "  -- " + error);
  }
  return done;
}

std::string run_sql(const std::string& path, const std::string& sql) {
  return Handle(path).run(sql);
}

}  // namespace graven::test
