// SPDX-License-Identifier: MIT
//
// A prepared statement, and the two ways to run one: execute() for those without rows, a
// Cursor for those with.
//
// Always holds: a Cursor leaves its statement reset, so a read outside a transaction holds
// SQLite's read lock no longer than the Cursor lives. Text and blobs are bound by reference
// and must outlive the run.
//
// Belongs to its connection and goes wherever that goes; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace graven::sqlite {

class Connection;

/// Of SQLite's storage classes, in words: "an integer", "a text".
const char* type_name(int type) noexcept;

class Statement {
 public:
  Statement() = default;
  Statement(Connection& connection, std::string_view sql);
  /// Takes one that is prepared.
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
  /// An empty body is NULL.
  void bind_body(int index, std::string_view body);

  /// Runs a statement that gives no rows, or whose rows nobody wants.
  void execute();
  /// The same, but returns SQLite's extended result code instead of throwing.
  int try_execute() noexcept;

 private:
  sqlite3_stmt* handle_ = nullptr;
  Connection* owner_ = nullptr;
};

/// One run of a statement with rows.
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
  /// An integer of graven's own: CorruptionError for whatever else something has put there.
  [[nodiscard]] std::int64_t own_integer(int column) const {
    if (type(column) != SQLITE_INTEGER) refuse(column, "an integer");
    return integer(column);
  }
  /// A name or key of graven's own, which is UTF-8.
  void own_text(int column, std::string& out) const;
  /// A body of graven's own, bytes or NULL.
  void own_body(int column, std::string& out) const {
    if (type(column) != SQLITE_BLOB && type(column) != SQLITE_NULL) refuse(column, "bytes");
    bytes(column, out);
  }
  /// Throws CorruptionError: the column should be `wanted`.
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
