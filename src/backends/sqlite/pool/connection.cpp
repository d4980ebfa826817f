// SPDX-License-Identifier: MIT
//
// Opens and closes connections, and waits for locks. SQLite's own busy handler sleeps longer and
// longer, so a waiter often misses the moment when the lock is free. Trying again every 50-150
// microseconds shares a contended store evenly. One thread at a time.
#include "backends/sqlite/pool/connection.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <thread>
#include <utility>

#include <graven/error.hpp>

#include "backends/sqlite/files/store_files.hpp"
#include "backends/sqlite/vfs/file_layer.hpp"
#include "base/of_thread.hpp"

namespace graven::sqlite {

Connection::Connection(const Target& target, const std::string& location, int flags)
    : name_(target.name),
      busy_timeout_(target.busy_timeout),
      traffic_(target.traffic),
      tables_(*this) {
  const int code = sqlite3_open_v2(location.c_str(), &handle_,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                                       SQLITE_OPEN_NOFOLLOW,  // the path is already resolved
                                   target.vfs.empty() ? nullptr : target.vfs.c_str());
  if (code != SQLITE_OK) {
    const Fault why = fault(code);
    sqlite3_close(handle_);
    throw_fault(why, name_);
  }
  sqlite3_busy_handler(handle_, on_busy, this);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // Otherwise SQLite plans for the value of a bound LIMIT, and compiles the statement again for
  // each run.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_QPSG, 1, nullptr);
  sqlite3_set_authorizer(
      handle_,
      [](void* self, int action, const char* first, const char* second, const char*,
         const char* inner) {
        return static_cast<Connection*>(self)->raw_.authorize(action, first, second, inner);
      },
      this);
}

void Connection::read_without_end() noexcept {
  // SQLite accepts a file shorter than its header says only if the schema may be written.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, nullptr);
}

Connection::~Connection() {
  tables_.clear();
  raw_.clear();
  for (Statement* statement : {&begin_, &begin_immediate_, &commit_, &rollback_}) {
    *statement = Statement();
  }
  // An interrupt that met no statement would hit the next one, and the close is a checkpoint.
  if (sqlite3_is_interrupted(handle_) != 0) try_execute("SELECT 1");
  sqlite3_close(handle_);
}

void Connection::execute(const char* sql) {
  const int code = try_execute(sql);
  if (code != SQLITE_OK) fail(code);
}

int Connection::try_execute(const char* sql) noexcept {
  return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
}

std::int64_t Connection::integer(const char* sql) {
  Statement statement(*this, sql);
  Cursor cursor(statement);
  return cursor.next() ? cursor.integer(0) : 0;
}

std::string Connection::text(const char* sql) {
  Statement statement(*this, sql);
  Cursor cursor(statement);
  std::string result;
  if (cursor.next()) cursor.bytes(0, result);
  return result;
}

void Connection::set_cache(std::size_t bytes) noexcept {
  const std::size_t kib = std::max<std::size_t>(bytes / 1024, 16);
  if (kib == cache_kib_) return;
  cache_kib_ = kib;
  std::array<char, 64> sql{};
  std::snprintf(sql.data(), sql.size(), "PRAGMA cache_size = -%zu", kib - inner_bytes() / 1024);
  try_execute(sql.data());
  if (outlives_commits_) keep_inner_pages(handle_, inner_bytes());
}

void Connection::drop_pages() noexcept {
  sqlite3_db_release_memory(handle_);
  if (outlives_commits_) keep_inner_pages(handle_, inner_bytes());
}

unsigned Connection::data_version() const noexcept {
  unsigned version = 0;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_DATA_VERSION, &version);
  return version;
}

Fault Connection::fault(int code) const {
  Fault result;
  result.code = code;
  if (handle_ != nullptr) {
    // A statement may return only the primary code; the connection has the extended one.
    if ((sqlite3_extended_errcode(handle_) & 0xff) == (code & 0xff)) {
      result.code = sqlite3_extended_errcode(handle_);
      result.message = sqlite3_errmsg(handle_);
    }
    if (result.primary() == SQLITE_IOERR || result.primary() == SQLITE_CANTOPEN) {
      result.system = sqlite3_system_errno(handle_);
    }
  }
  return result;
}

void Connection::rethrow_interrupt() {
  if (interrupt_) std::rethrow_exception(std::exchange(interrupt_, nullptr));
}

void Connection::fail(int code) {
  if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_INTERRUPT) rethrow_interrupt();
  const Fault why = fault(code);
  if (why.primary() == SQLITE_AUTH && !raw_.intruder().empty()) {
    throw CorruptionError(name_ + " has a trigger or view, '" + raw_.intruder() +
                          "', on graven's tables, where none is allowed, so nothing was done; " +
                          "`graven repair` removes it, `graven check` lists all problems; if the "
                          "store cannot be opened at all, restore a backup");
  }
  switch (why.primary()) {
    case SQLITE_BUSY:
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
      break;
    default:
      suspect_ = true;
  }
  if (why.primary() == SQLITE_IOERR && index_is_lost(handle_)) {
    throw UnavailableError(name_ +
                           "-shm was cut off by another program while it was in use; close the "
                           "store in every process that has it open, and open it again");
  }
  if (why.code == SQLITE_IOERR_SHORT_READ) {
    throw UnavailableError(name_ + " or " + name_ +
                           "-wal was cut off by another program while it was open; " +
                           remedy_for_files(name_));
  }
  throw_fault(why, name_);
}

template <class Check>
bool Connection::interrupted(Check&& check) noexcept {
  if (interrupt_) return true;  // set by a try_ call whose error was ignored
  try {
    check();
    return false;
  } catch (...) {
    interrupt_ = std::current_exception();
    return true;
  }
}

Connection::LongWork::LongWork(Connection& connection) : connection_(connection) {
  constexpr int kSteps = 10'000;  // of SQLite's virtual machine: about 100 us
  sqlite3_progress_handler(
      connection_.handle_, kSteps,
      [](void* self) {
        auto& work = *static_cast<LongWork*>(self);
        return work.connection_.interrupted(work.poll_) ? 1 : 0;
      },
      this);
}

Connection::LongWork::~LongWork() {
  sqlite3_progress_handler(connection_.handle_, 0, nullptr, nullptr);
}

int Connection::on_busy(void* self, int count) noexcept {
  auto& connection = *static_cast<Connection*>(self);
  const auto now = std::chrono::steady_clock::now();
  if (count == 0) {
    if (connection.traffic_ != nullptr) connection.traffic_->counts.add(Traffic::Event::kBusyWait);
    connection.waiting_until_ =
        connection.deadline_ ? *connection.deadline_ : now + connection.busy_timeout_;
  }
  if (now >= connection.waiting_until_) return 0;
  if (connection.interrupted([&] { connection.poll_(now); })) return 0;
  struct Pause {
    std::minstd_rand random{
        static_cast<unsigned>(std::chrono::steady_clock::now().time_since_epoch().count())};
  };
  std::minstd_rand& random = base::of_thread<Pause>().random;
  const std::chrono::nanoseconds pause = std::chrono::microseconds(50 + random() % 100);
  std::this_thread::sleep_for(
      std::min<std::chrono::nanoseconds>(pause, connection.waiting_until_ - now));
  return 1;
}

}  // namespace graven::sqlite
