// SPDX-License-Identifier: MIT
//
// One SQLite connection, with its prepared statements and its busy handler.
//
// Always holds: no statement outlives its connection. A failed call throws one of graven's errors.
// If the error may have left the connection broken, suspect() is true and the pool closes the
// connection when it comes back.
//
// One thread at a time. A connection made before a fork is never used or closed in the child.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <sqlite3.h>

#include "backends/sqlite/pool/statement.hpp"
#include "backends/sqlite/raw_sql.hpp"
#include "backends/sqlite/schema/tables.hpp"
#include "backends/sqlite/traffic.hpp"
#include "backends/sqlite/vfs/fault.hpp"
#include "base/interrupt.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// How to open a connection.
struct Target {
  std::string name;  ///< the file name that the user gave, for messages
  std::string path;  ///< absolute path
  std::string vfs;   ///< empty: SQLite's default
  std::chrono::milliseconds busy_timeout{5000};
  Traffic* traffic = nullptr;  ///< counts the waits
};

class Connection {
 public:
  /// `location` is what SQLite opens: the target's path, or a URI if `flags` allow one.
  Connection(const Target& target, const std::string& location, int flags);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  [[nodiscard]] sqlite3* handle() const noexcept { return handle_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Tables& tables() noexcept { return tables_; }
  /// The statements of the program's own SQL.
  [[nodiscard]] RawStatements& raw() noexcept { return raw_; }

  /// Runs SQL and ignores any rows.
  void execute(const char* sql);
  int try_execute(const char* sql) noexcept;
  /// The first column of the first row; 0 if there is no row.
  std::int64_t integer(const char* sql);
  std::string text(const char* sql);

  Statement& begin() { return prepared(begin_, "BEGIN"); }
  Statement& begin_immediate() { return prepared(begin_immediate_, "BEGIN IMMEDIATE"); }
  Statement& commit() { return prepared(commit_, "COMMIT"); }
  Statement& rollback() { return prepared(rollback_, "ROLLBACK"); }

  [[nodiscard]] bool in_transaction() const noexcept {
    return sqlite3_get_autocommit(handle_) == 0;
  }

  /// Lets a file whose end is missing be read as far as it goes; pages beyond the end count as
  /// damaged. For connections that only read; call before the first read.
  void read_without_end() noexcept;
  /// Keeps a quarter of the page cache across commits of other connections. Call before
  /// set_cache().
  void outlive_commits() noexcept { outlives_commits_ = true; }
  /// Sets the approximate size of the page cache and drops what is too much at once. Call while no
  /// statement runs.
  void set_cache(std::size_t bytes) noexcept;
  /// Drops all cached pages, so that the next reads go to the files. Call outside transactions.
  void drop_pages() noexcept;

  /// Until when to wait for locks; without a deadline, for the target's busy_timeout.
  void set_deadline(std::optional<base::Deadline> deadline) noexcept { deadline_ = deadline; }
  [[nodiscard]] std::optional<base::Deadline> deadline() const noexcept { return deadline_; }
  [[nodiscard]] Traffic* traffic() const noexcept { return traffic_; }

  /// Changes with this connection's commits, and when it notices commits of other connections.
  [[nodiscard]] unsigned data_version() const noexcept;

  [[nodiscard]] Fault fault(int code) const;
  /// Throws the error for the result code of the last call.
  [[noreturn]] void fail(int code);
  [[nodiscard]] bool suspect() const noexcept { return suspect_; }
  /// If an interrupt ended the last wait, throws the exception of that interrupt.
  void rethrow_interrupt();
  /// Call before another user gets the connection.
  void forget_interrupt() noexcept { interrupt_ = nullptr; }

  /// While one exists, an interrupt can end this connection's statements (SQLITE_INTERRUPT).
  class LongWork {
   public:
    explicit LongWork(Connection& connection);
    ~LongWork();
    LongWork(const LongWork&) = delete;
    LongWork& operator=(const LongWork&) = delete;

   private:
    Connection& connection_;
    base::InterruptPoll poll_;
  };

  /// While one exists, renaming a table does not change the program's views and triggers that name
  /// it, and does not fail because of broken ones.
  class RenamesAlone {
   public:
    explicit RenamesAlone(Connection& connection) : connection_(connection) {
      connection.execute("PRAGMA legacy_alter_table = ON");
    }
    ~RenamesAlone() { connection_.try_execute("PRAGMA legacy_alter_table = OFF"); }
    RenamesAlone(const RenamesAlone&) = delete;
    RenamesAlone& operator=(const RenamesAlone&) = delete;

   private:
    Connection& connection_;
  };

 private:
  static int on_busy(void* self, int count) noexcept;
  template <class Check>
  bool interrupted(Check&& check) noexcept;
  Statement& prepared(Statement& slot, const char* sql) {
    if (!slot) slot = Statement(*this, sql);
    return slot;
  }

  /// The part of the page cache that is kept across commits.
  [[nodiscard]] std::size_t inner_bytes() const noexcept {
    return outlives_commits_ ? cache_kib_ / 4 * 1024 : 0;
  }

  std::string name_;
  std::chrono::milliseconds busy_timeout_;
  Traffic* traffic_;
  std::optional<base::Deadline> deadline_;
  base::Deadline waiting_until_{};
  base::InterruptPoll poll_;
  std::exception_ptr interrupt_;  // what ended a wait or a statement; not thrown yet
  std::size_t cache_kib_ = 0;     // as set; 0: not set yet
  bool outlives_commits_ = false;
  bool suspect_ = false;
  sqlite3* handle_ = nullptr;
  Statement begin_;
  Statement begin_immediate_;
  Statement commit_;
  Statement rollback_;
  Tables tables_;
  RawStatements raw_{*this};
};

}  // namespace graven::sqlite
