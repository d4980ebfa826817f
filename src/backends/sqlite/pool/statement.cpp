// SPDX-License-Identifier: MIT
//
// Preparing, binding, and the error cases of statement.hpp. One thread at a time.
#include "backends/sqlite/pool/statement.hpp"

#include <utility>

#include <graven/error.hpp>

#include "backends/sqlite/pool/connection.hpp"
#include "base/text.hpp"

namespace graven::sqlite {

Statement::Statement(Connection& connection, std::string_view sql) : owner_(&connection) {
  const int code = sqlite3_prepare_v3(connection.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (code != SQLITE_OK) connection.fail(code);
}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(owner_, other.owner_);
  return *this;
}

void Statement::bind_text(int index, std::string_view text) {
  // An empty view may have a null pointer, which would bind NULL.
  const int code = sqlite3_bind_text64(handle_, index, text.empty() ? "" : text.data(), text.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) owner_->fail(code);
}

void Statement::bind_blob(int index, std::string_view bytes) {
  const int code = sqlite3_bind_blob64(handle_, index, bytes.empty() ? "" : bytes.data(),
                                       bytes.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) owner_->fail(code);
}

void Statement::bind_body(int index, std::string_view body) {
  if (!body.empty()) return bind_blob(index, body);
  const int code = sqlite3_bind_null(handle_, index);
  if (code != SQLITE_OK) owner_->fail(code);
}

int Statement::try_execute() noexcept {
  int code = sqlite3_step(handle_);
  while (code == SQLITE_ROW) code = sqlite3_step(handle_);
  sqlite3_reset(handle_);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

void Statement::execute() {
  const int code = try_execute();
  if (code != SQLITE_OK) owner_->fail(code);
}

const char* type_name(int type) noexcept {
  switch (type) {
    case SQLITE_INTEGER:
      return "an integer";
    case SQLITE_FLOAT:
      return "a float";
    case SQLITE_TEXT:
      return "a text";
    case SQLITE_BLOB:
      return "bytes";
    default:
      return "NULL";
  }
}

void Cursor::own_text(int column, std::string& out) const {
  if (type(column) != SQLITE_TEXT) refuse(column, "a text");
  bytes(column, out);
  if (base::invalid_utf8(out)) refuse(column, "valid UTF-8");
}

void Cursor::refuse(int column, const char* wanted) const {
  const int found = type(column);
  std::string message = statement_.connection().name();
  message += " is damaged: the column '";
  message += sqlite3_column_name(statement_.handle(), column);
  message += "' of a row holds ";
  message += type_name(found);
  message += " where ";
  message += wanted;
  message += " belongs; `graven check` shows which, `graven repair` repairs it";
  throw CorruptionError(message);
}

void Cursor::fail(int code) const { statement_.connection().fail(code); }

}  // namespace graven::sqlite
