// SPDX-License-Identifier: MIT
//
// The program's own SQL on a connection. Statements are prepared once and kept. They may read
// everything and write everything except graven's tables.
//
// Always holds: every statement prepared here passed SQLite's authorizer. The program's SQL cannot
// change, drop or index graven's tables or put triggers on them. It cannot begin or end
// transactions, attach files or change settings by pragma.
//
// Belongs to its connection; one thread at a time.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>

#include "backends/sqlite/pool/statement.hpp"
#include "port/sql.hpp"

namespace graven::sqlite {

class RawStatements {
 public:
  struct Entry {
    std::string sql;
    Statement statement;
    bool busy = true;
  };

  explicit RawStatements(Connection& connection) noexcept : connection_(connection) {}

  /// A statement that only the caller uses, until release(). BadValueError if the SQL cannot be
  /// prepared or is more than one statement, UsageError if it is not allowed.
  Entry& acquire(std::string_view sql);
  void release(Entry& entry) noexcept;
  /// Releases all statements, whoever has them; those users must not use them again.
  void release_all() noexcept;
  void clear() noexcept { entries_.clear(); }

  /// SQLite's authorizer callback. For graven's own statements it refuses what a trigger or a view
  /// would do, since graven's tables have none. `inner` is the name of the trigger or view.
  int authorize(int action, const char* first, const char* second, const char* inner) noexcept;
  /// Runs one of the program's statements; SQLite may prepare it again, through authorize().
  int step(sqlite3_stmt* statement) noexcept;
  /// The last trigger or view that graven's own statements met, or empty.
  [[nodiscard]] const std::string& intruder() const noexcept { return intruder_; }
  /// Why the program's last statement was not allowed.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

 private:
  void trim() noexcept;

  Connection& connection_;
  std::list<Entry> entries_;  // most recently used first
  bool preparing_ = false;
  std::string refusal_;
  std::string intruder_;
};

/// One run of a program's statement.
class RawRun {
 public:
  /// Binds the parameters; BadValueError if the statement has other ones.
  RawRun(Connection& connection, std::string_view sql, const port::SqlParameters& parameters);
  RawRun(const RawRun&) = delete;
  RawRun& operator=(const RawRun&) = delete;
  /// Does not release the statement: call release() first, or RawStatements::release_all().
  ~RawRun() = default;

  [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }
  bool fetch(std::vector<port::SqlRow>& rows, std::size_t most);
  [[nodiscard]] bool writes() const noexcept { return writes_; }
  [[nodiscard]] std::int64_t changes() const noexcept { return changes_; }
  [[nodiscard]] std::int64_t last_rowid() const noexcept { return last_rowid_; }
  void release() noexcept;

 private:
  void bind(const port::SqlParameters& parameters);
  void bind(int index, const port::SqlValue& value);

  Connection& connection_;
  RawStatements::Entry* entry_;
  port::SqlParameters parameters_;  // kept, because texts and blobs are bound by reference
  std::vector<std::string> columns_;
  bool writes_ = false;
  bool done_ = false;
  std::int64_t changes_ = 0;
  std::int64_t last_rowid_ = 0;
};

}  // namespace graven::sqlite
