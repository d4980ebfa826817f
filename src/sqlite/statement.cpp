// SPDX-License-Identifier: MIT
//
// Preparing, binding and the failing ends of statement.hpp.
// One thread at a time, as the connection.
#include "sqlite/statement.hpp"

#include <utility>

#include "sqlite/connection.hpp"

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
  // An empty view may have no address, and a null pointer would bind NULL.
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

void Cursor::fail(int code) const { statement_.connection().fail(code); }

}  // namespace graven::sqlite
