// SPDX-License-Identifier: MIT
//
// A prepared statement. execute() runs one without rows, a Cursor one with rows.
//
// Always holds: a Cursor resets its statement at its end, so a read outside a transaction holds
// SQLite's read lock only as long as the Cursor lives. Text and blobs are bound by reference and
// must outlive the run.
//
// Belongs to its connection; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace graven::sqlite {

class Connection;

/// The name of one of SQLite's storage classes: "an integer", "a text".
const char* type_name(int type) noexcept;

class Statement {
 public:
  Statement() = default;
  Statement(Connection& connection, std::string_view sql);
  /// Takes a statement that is already prepared.
  Statement(Connection& connection, sqlite3_stmt* handle) noexcept
      : handle_(handle), owner_(&connection) {}
  Statement(Statement&& other) noexcept : handle_(other.handle_), owner_(other.owner_) {
    other.handle_ = nullptr;
  }
  Statement& operator=(Statement&& other) noexcept;
  ~Statement() { sqlite3_finalize(handle_); }

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  [[nodiscard]] sqlite3_stmt* handle() const noexcept { return handle_; }
  [[nodiscard]] Connection& connection() const noexcept { return *owner_; }

  void bind(int index, std::int64_t value) { sqlite3_bind_int64(handle_, index, value); }
  void bind_real(int index, double value) { sqlite3_bind_double(handle_, index, value); }
  void bind_text(int index, std::string_view text);
  void bind_blob(int index, std::string_view bytes);
  /// Binds NULL for an empty body.
  void bind_body(int index, std::string_view body);

  /// Runs the statement and ignores any rows.
  void execute();
  /// The same, but returns SQLite's extended result code instead of throwing.
  int try_execute() noexcept;

 private:
  sqlite3_stmt* handle_ = nullptr;
  Connection* owner_ = nullptr;
};

/// One run of a statement that has rows.
class Cursor {
 public:
  explicit Cursor(Statement& statement) noexcept : statement_(statement) {}
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor() { sqlite3_reset(statement_.handle()); }

  /// Moves to the next row; false after the last.
  bool next() {
    const int code = sqlite3_step(statement_.handle());
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) fail(code);
    return false;
  }

  [[nodiscard]] std::int64_t integer(int column) const {
    return sqlite3_column_int64(statement_.handle(), column);
  }
  /// An integer that graven wrote; CorruptionError if the column holds anything else.
  [[nodiscard]] std::int64_t own_integer(int column) const {
    if (type(column) != SQLITE_INTEGER) refuse(column, "an integer");
    return integer(column);
  }
  /// A name or key that graven wrote, in UTF-8; CorruptionError for anything else.
  void own_text(int column, std::string& out) const;
  /// A body that graven wrote, bytes or NULL; CorruptionError for anything else.
  void own_body(int column, std::string& out) const {
    if (type(column) != SQLITE_BLOB && type(column) != SQLITE_NULL) refuse(column, "bytes");
    bytes(column, out);
  }
  /// Throws CorruptionError, which says that the column should be `wanted`.
  [[noreturn]] void refuse(int column, const char* wanted) const;
  [[nodiscard]] double real(int column) const {
    return sqlite3_column_double(statement_.handle(), column);
  }
  /// SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB or SQLITE_NULL.
  [[nodiscard]] int type(int column) const {
    return sqlite3_column_type(statement_.handle(), column);
  }
  void bytes(int column, std::string& out) const {
    const void* data = sqlite3_column_blob(statement_.handle(), column);
    const int size = sqlite3_column_bytes(statement_.handle(), column);
    if (size > 0) {
      if (data == nullptr) fail(SQLITE_NOMEM);
      out.assign(static_cast<const char*>(data), static_cast<std::size_t>(size));
    } else {
      out.clear();
    }
  }

 private:
  [[noreturn]] void fail(int code) const;

  Statement& statement_;
};

}  // namespace graven::sqlite
