// SPDX-License-Identifier: MIT
//
// One SQLite connection, with its prepared statements and its way of waiting for locks.
//
// Always holds: no statement outlives its connection; a failed call throws one of graven's
// errors, and after one that puts the connection itself in doubt `suspect()` is true and
// whoever returns it to a pool closes it instead.
//
// One thread at a time. A connection made before a fork is never used or closed in the
// child: abandon() it.
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

/// How to open one.
struct Target {
  std::string name;  ///< the file as the user named it, for messages
  std::string path;  ///< absolute
  std::string vfs;   ///< empty: SQLite's default
  std::chrono::milliseconds busy_timeout{5000};
  Traffic* traffic = nullptr;  ///< where waits are counted
};

class Connection {
 public:
  /// `location` is what SQLite opens: the target's path, or a URI where `flags` allow one.
  Connection(const Target& target, const std::string& location, int flags);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  [[nodiscard]] sqlite3* handle() const noexcept { return handle_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Tables& tables() noexcept { return tables_; }
  /// The program's own statements.
  [[nodiscard]] RawStatements& raw() noexcept { return raw_; }

  /// Runs SQL whose rows nobody wants.
  void execute(const char* sql);
  int try_execute(const char* sql) noexcept;
  /// The first column of the first row, 0 without one.
  std::int64_t integer(const char* sql);
  std::string text(const char* sql);

  Statement& begin() { return prepared(begin_, "BEGIN"); }
  Statement& begin_immediate() { return prepared(begin_immediate_, "BEGIN IMMEDIATE"); }
  Statement& commit() { return prepared(commit_, "COMMIT"); }
  Statement& rollback() { return prepared(rollback_, "ROLLBACK"); }

  [[nodiscard]] bool in_transaction() const noexcept {
    return sqlite3_get_autocommit(handle_) == 0;
  }

  /// Has a file whose end is missing read as far as it goes: what lies behind it is damaged, and
  /// not all. For a connection that only reads; before it reads.
  void read_without_end() noexcept;
  /// Has a quarter of the page cache outlive the commits of other connections; before set_cache().
  void outlive_commits() noexcept { outlives_commits_ = true; }
  /// The page cache's size, about; what is too much goes at once. Outside of statements.
  void set_cache(std::size_t bytes) noexcept;
  /// Forgets what it has of the files: they are read next. Outside of transactions.
  void drop_pages() noexcept;

  /// Locks are waited for until then; without a deadline for the target's busy_timeout.
  void set_deadline(std::optional<store::Deadline> deadline) noexcept { deadline_ = deadline; }
  [[nodiscard]] std::optional<store::Deadline> deadline() const noexcept { return deadline_; }
  [[nodiscard]] Traffic* traffic() const noexcept { return traffic_; }

  /// Counts the commits of other connections this one has noticed.
  [[nodiscard]] unsigned data_version() const noexcept;

  [[nodiscard]] Fault fault(int code) const;
  /// Throws the error for SQLite's answer to the last call.
  [[noreturn]] void fail(int code);
  [[nodiscard]] bool suspect() const noexcept { return suspect_; }
  /// Throws what has ended the last wait from outside, should that be why it was busy.
  void rethrow_interrupt();
  /// For the next one to use it.
  void forget_interrupt() noexcept { interrupt_ = nullptr; }

  /// While one lives, statements of this connection can be ended from outside: SQLITE_INTERRUPT.
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

  /// While one lives, renaming a table leaves views and triggers that name it as they are, the
  /// program's own, also those that are out of date.
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

  /// Of the page cache, for what outlives commits.
  [[nodiscard]] std::size_t inner_bytes() const noexcept {
    return outlives_commits_ ? cache_kib_ / 4 * 1024 : 0;
  }

  std::string name_;
  std::chrono::milliseconds busy_timeout_;
  Traffic* traffic_;
  std::optional<store::Deadline> deadline_;
  store::Deadline waiting_until_{};
  base::InterruptPoll poll_;
  std::exception_ptr interrupt_;  // what has ended a wait or a statement, not yet thrown
  std::size_t cache_kib_ = 0;     // as set; 0: not yet
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
