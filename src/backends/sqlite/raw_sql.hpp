// SPDX-License-Identifier: MIT
//
// The program's own statements on a connection: prepared once and kept, allowed to read everything
// and to write everything but graven's tables.
//
// Always holds: what is prepared here went through the authorizer, and nothing else did. Graven's
// tables cannot be changed, dropped, indexed or given triggers; transactions, attached files and
// pragmas that set something are graven's.
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

  /// A statement of the caller's own until release(). BadValueError for SQL that cannot be prepared
  /// or is more than one statement, UsageError for what is not allowed.
  Entry& acquire(std::string_view sql);
  void release(Entry& entry) noexcept;
  /// Of whoever had them, who must not use them again.
  void release_all() noexcept;
  void clear() noexcept { entries_.clear(); }

  /// SQLite's authorizer. Of what is not prepared here it refuses what a trigger or a view would
  /// do: graven's tables have none. `inner` names it.
  int authorize(int action, const char* first, const char* second, const char* inner) noexcept;
  /// Runs a statement of here, which SQLite may have to prepare once more.
  int step(sqlite3_stmt* statement) noexcept;
  /// The trigger or view that graven's own statements met last, or empty.
  [[nodiscard]] const std::string& intruder() const noexcept { return intruder_; }
  /// Why the last of the program's statements was not allowed.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

 private:
  void trim() noexcept;

  Connection& connection_;
  std::list<Entry> entries_;  // used last first
  bool preparing_ = false;
  std::string refusal_;
  std::string intruder_;
};

/// One run of such a statement.
class RawRun {
 public:
  /// Binds the parameters: BadValueError where they are not those the statement has.
  RawRun(Connection& connection, std::string_view sql, const store::SqlParameters& parameters);
  RawRun(const RawRun&) = delete;
  RawRun& operator=(const RawRun&) = delete;
  /// The statement stays with the connection: release() it there.
  ~RawRun() = default;

  [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }
  bool fetch(std::vector<store::SqlRow>& rows, std::size_t most);
  [[nodiscard]] bool writes() const noexcept { return writes_; }
  [[nodiscard]] std::int64_t changes() const noexcept { return changes_; }
  [[nodiscard]] std::int64_t last_rowid() const noexcept { return last_rowid_; }
  void release() noexcept;

 private:
  void bind(const store::SqlParameters& parameters);
  void bind(int index, const store::SqlValue& value);

  Connection& connection_;
  RawStatements::Entry* entry_;
  store::SqlParameters parameters_;  // texts and blobs are bound by reference
  std::vector<std::string> columns_;
  bool writes_ = false;
  bool done_ = false;
  std::int64_t changes_ = 0;
  std::int64_t last_rowid_ = 0;
};

}  // namespace graven::sqlite
