// SPDX-License-Identifier: MIT
//
// Raw SQLite, of the release and the build options graven itself has: WAL mode, statements
// prepared once, a page cache and a threshold for checkpoints of as many bytes as graven's
// (src/backends/sqlite/backend.cpp), which are above SQLite's defaults.
#include <stdexcept>

#include <fmt/format.h>
#include <sqlite3.h>

#include "rivals.hpp"

namespace graven::bench {

namespace {

void check(sqlite3* db, int code) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
    throw std::runtime_error(fmt::format("raw SQLite: {}", sqlite3_errmsg(db)));
}

void execute(sqlite3* db, const std::string& sql) {
  check(db, sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr));
}

sqlite3* opened(const std::string& path, Synchronous synchronous) {
  sqlite3* db = nullptr;
  check(db,
        sqlite3_open_v2(path.c_str(), &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr));
  sqlite3_busy_timeout(db, 30'000);
  execute(db, "PRAGMA journal_mode = WAL; PRAGMA cache_size = -32768");
  execute(db, "PRAGMA wal_autocheckpoint = 2000");  // of 4,096 bytes; graven: 4,000 of 2,048
  static constexpr const char* kNames[] = {"OFF", "NORMAL", "FULL"};
  execute(db,
          fmt::format("PRAGMA synchronous = {}", kNames[static_cast<std::size_t>(synchronous)]));
  return db;
}

sqlite3_stmt* prepared(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  check(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
  return statement;
}

void run(sqlite3* db, sqlite3_stmt* statement) {
  check(db, sqlite3_step(statement));
  sqlite3_reset(statement);
}

class RawSqlite final : public Rival {
 public:
  RawSqlite(const std::string& path, Synchronous synchronous, bool without_rowid)
      : db_(opened(path, synchronous)) {
    execute(db_, fmt::format("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value){}",
                             without_rowid ? " WITHOUT ROWID" : ""));
    put_ = prepared(db_,
                    "INSERT INTO kv VALUES (?1, ?2)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    get_ = prepared(db_, "SELECT value FROM kv WHERE key = ?1");
  }
  ~RawSqlite() override {
    sqlite3_finalize(put_);
    sqlite3_finalize(get_);
    sqlite3_close(db_);
  }

  void fill(std::size_t entries, std::size_t value_size) override {
    put_all(Keys(0, entries, Order::kRising), std::string(value_size, 'v'));
  }
  void put(std::string_view key, std::string_view value) override {
    bind(put_, 1, key);
    bind(put_, 2, value);
    run(db_, put_);
  }
  void put_all(const Keys& keys, std::string_view value) override {
    execute(db_, "BEGIN IMMEDIATE");
    for (std::size_t i = 0; i < keys.size(); ++i) put(keys[i], value);
    execute(db_, "COMMIT");
  }
  std::size_t read(std::string_view key) override {
    bind(get_, 1, key);
    std::size_t result = 0;
    if (sqlite3_step(get_) == SQLITE_ROW) {
      const unsigned char* text = sqlite3_column_text(get_, 0);
      result = static_cast<std::size_t>(sqlite3_column_bytes(get_, 0)) + text[0];
    }
    sqlite3_reset(get_);
    return result;
  }

 private:
  static void bind(sqlite3_stmt* statement, int index, std::string_view text) {
    sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }

  sqlite3* db_;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
};

}  // namespace

std::vector<RivalKind> raw_sqlite() {
  const auto kind = [](const char* name, bool without_rowid) {
    return RivalKind{name, [without_rowid](const std::string& path, Synchronous synchronous) {
                       return std::make_unique<RawSqlite>(path, synchronous, without_rowid);
                     }};
  };
  return {kind("raw SQLite, rowid table", false), kind("raw SQLite, WITHOUT ROWID", true)};
}

struct RawCounter::State {
  sqlite3* db;
  sqlite3_stmt* begin;
  sqlite3_stmt* increment;
  sqlite3_stmt* commit;
};

RawCounter::RawCounter(const std::string& path) {
  sqlite3* db = opened(path, Synchronous::kNormal);
  execute(db,
          "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;"
          "INSERT OR IGNORE INTO counter VALUES ('hits', 0)");
  state_ = std::make_unique<State>(State{
      db, prepared(db, "BEGIN IMMEDIATE"),
      prepared(db, "UPDATE counter SET n = n + 1 WHERE name = 'hits'"), prepared(db, "COMMIT")});
}

RawCounter::~RawCounter() {
  for (sqlite3_stmt* statement : {state_->begin, state_->increment, state_->commit})
    sqlite3_finalize(statement);
  sqlite3_close(state_->db);
}

void RawCounter::increment() {
  run(state_->db, state_->begin);
  run(state_->db, state_->increment);
  run(state_->db, state_->commit);
}

}  // namespace graven::bench
