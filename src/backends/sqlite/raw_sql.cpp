// SPDX-License-Identifier: MIT
//
// The authorizer, the cache of statements, and running one. See raw_sql.hpp.
//
// One thread at a time.
#include "backends/sqlite/raw_sql.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "backends/sqlite/pool/connection.hpp"
#include "port/record.hpp"

namespace graven::sqlite {
namespace {

using port::SqlValue;

constexpr std::size_t kKept = 32;

/// Whether a table belongs to graven or to SQLite.
bool protected_table(std::string_view table) {
  if (table.starts_with("sqlite_") || table == "meta") return true;
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    const std::string_view own = port::schema(static_cast<port::Space>(i)).table;
    if (table == own) return true;
    if (table.starts_with(own) && table.substr(own.size()) == "_large") return true;
  }
  return false;
}

/// Pragmas that only report and, without an argument, change nothing.
bool harmless_pragma(std::string_view name) {
  static constexpr std::array kHarmless{"table_info",       "table_xinfo",     "table_list",
                                        "index_list",       "index_info",      "index_xinfo",
                                        "foreign_key_list", "database_list",   "function_list",
                                        "pragma_list",      "compile_options", "collation_list"};
  return std::find(kHarmless.begin(), kHarmless.end(), name) != kHarmless.end();
}

}  // namespace

int RawStatements::step(sqlite3_stmt* statement) noexcept {
  refusal_.clear();
  preparing_ = true;
  const int code = sqlite3_step(statement);
  preparing_ = false;
  return code;
}

int RawStatements::authorize(int action, const char* first, const char* second,
                             const char* inner) noexcept {
  if (!preparing_) {
    if (inner == nullptr || *inner == '\0') return SQLITE_OK;
    intruder_ = inner;
    return SQLITE_DENY;
  }
  const std::string_view table = first != nullptr ? first : "";
  const std::string_view other = second != nullptr ? second : "";
  const auto refuse = [&](const char* why) {
    if (refusal_.empty()) refusal_ = why;
    return SQLITE_DENY;
  };
  switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
      // Every CREATE writes the schema table; SQLite itself refuses any other write to it.
      if (table == "sqlite_master" || table == "sqlite_temp_master") return SQLITE_OK;
      if (table == "sqlite_sequence") return SQLITE_OK;
      [[fallthrough]];
    case SQLITE_DROP_TABLE:
    case SQLITE_CREATE_TABLE:
      if (protected_table(table)) return refuse("graven's own tables can be read only");
      return SQLITE_OK;
    case SQLITE_CREATE_INDEX:
    case SQLITE_DROP_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_ALTER_TABLE:
      if (protected_table(other)) {
        return refuse("graven's own tables cannot have indexes or triggers of other programs");
      }
      return SQLITE_OK;
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
      return refuse("graven controls the transactions: use write_connection() or transaction()");
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
      return refuse("other files cannot be attached");
    case SQLITE_PRAGMA:
      if (harmless_pragma(table)) return SQLITE_OK;
      return refuse("graven controls the settings: give them when the database is opened");
    default:
      return SQLITE_OK;
  }
}

RawStatements::Entry& RawStatements::acquire(std::string_view sql) {
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->busy || at->sql != sql) continue;
    at->busy = true;
    entries_.splice(entries_.begin(), entries_, at);
    return entries_.front();
  }
  if (sql.find('\0') != std::string_view::npos) {
    throw BadValueError("the SQL has a zero byte in it");
  }
  refusal_.clear();
  preparing_ = true;
  sqlite3_stmt* handle = nullptr;
  const char* tail = nullptr;
  const int code =
      sqlite3_prepare_v3(connection_.handle(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &handle, &tail);
  preparing_ = false;
  Statement statement(connection_, handle);
  if (code == SQLITE_AUTH) {
    throw UsageError(fmt::format("'{}' is not allowed on {}: {}", sql, connection_.name(),
                                 refusal_.empty() ? "graven owns this file" : refusal_));
  }
  if ((code & 0xff) == SQLITE_ERROR) {
    throw BadValueError(fmt::format("'{}': {}", sql, sqlite3_errmsg(connection_.handle())));
  }
  if (code != SQLITE_OK) connection_.fail(code);
  if (handle == nullptr) throw BadValueError("the SQL is empty");
  const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
  if (rest.find_first_not_of("; \t\r\n") != std::string_view::npos) {
    throw BadValueError(fmt::format("more than one statement: '{}' comes after the first", rest));
  }
  entries_.push_front({std::string(sql), std::move(statement), true});
  return entries_.front();
}

void RawStatements::release(Entry& entry) noexcept {
  sqlite3_reset(entry.statement.handle());
  sqlite3_clear_bindings(entry.statement.handle());
  entry.busy = false;
  trim();
}

void RawStatements::release_all() noexcept {
  for (Entry& entry : entries_) {
    if (!entry.busy) continue;
    sqlite3_reset(entry.statement.handle());
    sqlite3_clear_bindings(entry.statement.handle());
    entry.busy = false;
  }
  trim();
}

void RawStatements::trim() noexcept {
  for (auto at = entries_.end(); entries_.size() > kKept && at != entries_.begin();) {
    --at;
    if (!at->busy) at = entries_.erase(at);
  }
}

// --- One run

RawRun::RawRun(Connection& connection, std::string_view sql, const port::SqlParameters& parameters)
    : connection_(connection), entry_(&connection.raw().acquire(sql)), parameters_(parameters) {
  sqlite3_stmt* handle = entry_->statement.handle();
  try {
    bind(parameters_);
    const int count = sqlite3_column_count(handle);
    for (int i = 0; i < count; ++i) columns_.emplace_back(sqlite3_column_name(handle, i));
    writes_ = sqlite3_stmt_readonly(handle) == 0;
  } catch (...) {
    release();
    throw;
  }
}

void RawRun::release() noexcept {
  if (entry_ != nullptr) connection_.raw().release(*std::exchange(entry_, nullptr));
}

void RawRun::bind(const port::SqlParameters& parameters) {
  sqlite3_stmt* handle = entry_->statement.handle();
  const int wanted = sqlite3_bind_parameter_count(handle);
  if (parameters.named.empty()) {
    if (static_cast<std::size_t>(wanted) != parameters.positional.size()) {
      throw BadValueError(fmt::format("'{}' has {} parameters, and {} values were given",
                                      entry_->sql, wanted, parameters.positional.size()));
    }
    for (int i = 0; i < wanted; ++i)
      bind(i + 1, parameters.positional[static_cast<std::size_t>(i)]);
    return;
  }
  for (int i = 1; i <= wanted; ++i) {
    const char* name = sqlite3_bind_parameter_name(handle, i);
    const auto found =
        std::find_if(parameters.named.begin(), parameters.named.end(), [&](const auto& one) {
          return name != nullptr && one.first == std::string_view(name).substr(1);
        });
    if (found == parameters.named.end()) {
      throw BadValueError(fmt::format("'{}': there is no value for the parameter {}", entry_->sql,
                                      name != nullptr ? name : "?" + std::to_string(i)));
    }
    bind(i, found->second);
  }
}

void RawRun::bind(int index, const SqlValue& value) {
  Statement& statement = entry_->statement;
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    statement.bind(index, *number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    statement.bind_real(index, *real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    statement.bind_text(index, *text);
  } else if (const auto* bytes = std::get_if<Bytes>(&value)) {
    statement.bind_blob(index, bytes->data);
  } else {
    sqlite3_bind_null(statement.handle(), index);
  }
}

bool RawRun::fetch(std::vector<port::SqlRow>& rows, std::size_t most) {
  if (done_ || entry_ == nullptr) return false;
  sqlite3_stmt* handle = entry_->statement.handle();
  const Connection::LongWork long_work(connection_);
  for (std::size_t i = 0; i < most; ++i) {
    const int code = connection_.raw().step(handle);
    if (code == SQLITE_DONE) {
      done_ = true;
      if (writes_) changes_ = sqlite3_changes64(connection_.handle());
      last_rowid_ = sqlite3_last_insert_rowid(connection_.handle());
      release();
      return false;
    }
    if (code != SQLITE_ROW) {
      const Fault why = connection_.fault(code);
      done_ = true;
      release();
      if (why.message == "cannot VACUUM from within a transaction") {
        throw UsageError(fmt::format("not allowed on {}: maintenance() makes the file smaller",
                                     connection_.name()));
      }
      switch (why.primary()) {
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_ERROR:
        case SQLITE_RANGE:
          throw BadValueError(fmt::format("{}: {}", connection_.name(), describe(why)));
        case SQLITE_AUTH:
          throw UsageError(fmt::format("not allowed on {}: {}", connection_.name(),
                                       connection_.raw().refusal()));
        case SQLITE_READONLY:
          throw UsageError(fmt::format("{} is open for reading only here: use write_connection()",
                                       connection_.name()));
        default:
          connection_.fail(code);
      }
    }
    port::SqlRow& row = rows.emplace_back();
    row.reserve(columns_.size());
    for (int column = 0; column < static_cast<int>(columns_.size()); ++column) {
      switch (sqlite3_column_type(handle, column)) {
        case SQLITE_INTEGER:
          row.emplace_back(std::int64_t{sqlite3_column_int64(handle, column)});
          break;
        case SQLITE_FLOAT:
          row.emplace_back(sqlite3_column_double(handle, column));
          break;
        case SQLITE_NULL:
          row.emplace_back(nullptr);
          break;
        default: {
          const bool text = sqlite3_column_type(handle, column) == SQLITE_TEXT;
          const auto* data = static_cast<const char*>(sqlite3_column_blob(handle, column));
          const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle, column));
          std::string bytes = size != 0 ? std::string(data, size) : std::string();
          if (text) {
            row.emplace_back(std::move(bytes));
          } else {
            row.emplace_back(Bytes{std::move(bytes)});
          }
        }
      }
    }
  }
  return true;
}

}  // namespace graven::sqlite
