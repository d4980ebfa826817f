// SPDX-License-Identifier: MIT
//
// SQL on the store's file: for the program's own tables, and for reading graven's tables, which SQL
// cannot change (docs/format/sqlite.md describes them).
//
//     auto sql = db.write_connection();  // one transaction, with what is written to the graph
//     sql.execute("CREATE TABLE IF NOT EXISTS audit (at INTEGER, what TEXT)");
//     sql.execute("INSERT INTO audit VALUES (?, ?)", {1, "began"});
//     db["state"] = "begun";
//     sql.commit();
//
// A connection and its cursors belong to the thread that made them. Stores in memory and lazy
// stores have no SQL: UsageError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <graven/data.hpp>

namespace graven {

namespace graph {
class SqlSession;
class SqlRun;
}  // namespace graph

/// The rows of one statement: null, integers, floats, texts, Bytes.
class SqlCursor {
 public:
  /// The next row; nothing after the last.
  [[nodiscard]] std::optional<std::vector<Value>> next();
  /// All remaining rows.
  [[nodiscard]] std::vector<std::vector<Value>> all();
  [[nodiscard]] const std::vector<std::string>& columns() const&;
  [[nodiscard]] std::vector<std::string> columns() && { return columns(); }
  /// How many rows an INSERT, UPDATE or DELETE changed.
  [[nodiscard]] std::int64_t changes() const;
  /// The rowid of the last row inserted.
  [[nodiscard]] std::int64_t last_rowid() const;

  explicit SqlCursor(std::shared_ptr<graph::SqlRun> run) : run_(std::move(run)) {}

 private:
  detail::Held<graph::SqlRun> run_;
};

class SqlConnection {
 public:
  /// Runs one statement. Its parameters are null, bool, integers, floats, texts or Bytes, given in
  /// order or by name. BadValueError for wrong SQL, a broken constraint, and values that do not
  /// fit; UsageError for statements that only graven may run (writing its tables, transactions,
  /// pragmas).
  SqlCursor execute(Text sql, const std::vector<Data>& values = {}) const;
  SqlCursor execute_named(Text sql, const std::vector<std::pair<std::string, Data>>& values) const;

  /// Of write_connection(): commits, and closes the connection.
  void commit() const;
  /// Closes the connection; what a write_connection() has not committed is rolled back.
  void close() const noexcept;

  explicit SqlConnection(std::shared_ptr<graph::SqlSession> session)
      : session_(std::move(session)) {}

 private:
  detail::Held<graph::SqlSession> session_;
};

}  // namespace graven
