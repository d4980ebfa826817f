// SPDX-License-Identifier: MIT
//
// Creates and recognises stores. Tables are created in rollback mode; the switch to WAL comes
// after. So the application id is in the file from the first commit on, and reading its first bytes
// finds it. After a crash between the two steps the next open completes them. Any thread, with a
// connection of its own.
#include "backends/sqlite/schema/format.hpp"

#include <graven/error.hpp>

#include <random>
#include <thread>

#include "backends/sqlite/schema/table_sql.hpp"
#include "base/interrupt.hpp"

namespace graven::sqlite {
namespace {

std::uint64_t random_constant() {
  std::random_device random;
  std::uint64_t constant = 0;
  while (constant == 0) constant = (std::uint64_t{random()} << 32) | random();
  return constant;
}

void fill_new(Connection& connection) {
  create_tables(connection);
  Statement put(connection, "INSERT INTO main.meta (key, value) VALUES (?1, ?2)");
  const auto add = [&put](std::string_view key, std::int64_t value) {
    put.bind_text(1, key);
    put.bind(2, value);
    put.execute();
  };
  add("format", kFormatVersion);
  add("oldest_reader", kOldestReader);
  add("constant", static_cast<std::int64_t>(random_constant()));
  connection.execute(("PRAGMA application_id = " + std::to_string(kApplicationId)).c_str());
  connection.execute(("PRAGMA user_version = " + std::to_string(kFormatVersion)).c_str());
}

bool has_no_records(Connection& connection) {
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    const std::string table(port::schema(static_cast<port::Space>(i)).table);
    if (connection.integer(("SELECT EXISTS (SELECT 1 FROM main." + table + ")").c_str()) != 0) {
      return false;
    }
  }
  return true;
}

void ensure_wal(Connection& connection) {
  // The switch needs exclusive use of the file, and SQLite does not wait for that itself.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (base::InterruptPoll poll;; poll()) {
    Statement change(connection, "PRAGMA journal_mode = WAL");
    const int code = change.try_execute();
    if (code == SQLITE_OK) break;
    if ((code & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() >= deadline) {
      connection.fail(code);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  const std::string mode = connection.text("PRAGMA journal_mode");
  if (mode != "wal") {
    throw UnavailableError(connection.name() + " cannot be put into WAL mode (it stays in '" +
                           mode + "'); its file system lacks shared memory");
  }
}

}  // namespace

void create_tables(Connection& connection) {
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    connection.execute(create_table(static_cast<port::Space>(i)).c_str());
  }
  connection.execute("CREATE TABLE main.meta (key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID");
}

void create_store(Connection& connection) {
  // Small, because a commit writes whole pages: docs/design/records.md has the measurements.
  connection.execute("PRAGMA page_size = 2048");
  connection.execute("PRAGMA auto_vacuum = INCREMENTAL");
  connection.begin_immediate().execute();
  try {
    if (connection.integer("SELECT count(*) FROM main.sqlite_schema") == 0) {
      fill_new(connection);
    } else if (connection.integer("PRAGMA application_id") != kApplicationId) {
      throw ForeignFileError(connection.name() +
                             " is a SQLite database of another program; graven leaves it alone. "
                             "Give another path");
    }
    connection.commit().execute();
  } catch (...) {
    if (connection.in_transaction()) connection.rollback().try_execute();
    throw;
  }
  ensure_wal(connection);
}

void mark_sealed(Connection& connection, bool sealed) {
  const std::string key = std::string("'") + kSealed + "'";
  connection.execute((sealed
                          ? "INSERT OR REPLACE INTO main.meta (key, value) VALUES (" + key + ", 1)"
                          : "DELETE FROM main.meta WHERE key = " + key)
                         .c_str());
}

bool write_constant(Connection& connection, std::uint64_t constant,
                    base::FunctionRef<void()> before_commit) {
  connection.begin_immediate().execute();
  try {
    before_commit();
    const bool empty = has_no_records(connection);
    if (empty) {
      Statement put(connection, "UPDATE main.meta SET value = ?1 WHERE key = 'constant'");
      put.bind(1, static_cast<std::int64_t>(constant));
      put.execute();
    }
    connection.commit().execute();
    return empty;
  } catch (...) {
    if (connection.in_transaction()) connection.rollback().try_execute();
    throw;
  }
}

Format read_format(Connection& connection, bool read_only) {
  std::int64_t format = 0;
  std::int64_t oldest_reader = 0;
  Format result;
  Statement read(connection, "SELECT key, value FROM main.meta");
  Cursor cursor(read);
  std::string key;
  while (cursor.next()) {
    cursor.bytes(0, key);
    if (cursor.type(1) != SQLITE_INTEGER) continue;
    if (key == "format") format = cursor.integer(1);
    if (key == "oldest_reader") oldest_reader = cursor.integer(1);
    if (key == "constant") result.constant = static_cast<std::uint64_t>(cursor.integer(1));
    if (key == kSealed) result.sealed = true;
  }
  if (format < 1 || oldest_reader < 1 || result.constant == 0) {
    throw CorruptionError(connection.name() + " lacks its format version; restore a backup");
  }
  if (oldest_reader > kFormatVersion) {
    throw ForeignFileError(connection.name() + " has format " + std::to_string(format) +
                           ", which this graven (format " + std::to_string(kFormatVersion) +
                           ") cannot read; use a newer graven");
  }
  result.version = format;
  if (format > kFormatVersion && !read_only) {
    throw ForeignFileError(connection.name() + " has format " + std::to_string(format) +
                           ", which this graven (format " + std::to_string(kFormatVersion) +
                           ") can read but not write; open it read-only or use a newer graven");
  }
  return result;
}

void upgrade(Connection& connection, base::FunctionRef<void()> before_commit) {
  const Connection::RenamesAlone renames_alone(connection);
  connection.begin_immediate().execute();
  try {
    before_commit();
    if (connection.integer("SELECT value FROM main.meta WHERE key = 'format'") == 1) {
      // In format 1, expiry rows of all maps were together in order of time. A table with any other
      // definition stays: check() reports it, and repair() rebuilds it.
      if (connection.text("SELECT sql FROM main.sqlite_schema WHERE name = 'expiry'") ==
          kOldExpiry) {
        connection.execute("ALTER TABLE main.expiry RENAME TO expiry_1");
        connection.execute(create_table(port::Space::kExpiry).c_str());
        connection.execute(("INSERT OR IGNORE INTO main.expiry SELECT map, item FROM (" +
                            old_expiry_sql("expiry_1") + ")")
                               .c_str());
        connection.execute("DROP TABLE main.expiry_1");
      }
      connection.execute(("UPDATE main.meta SET value = " + std::to_string(kFormatVersion) +
                          " WHERE key = 'format'")
                             .c_str());
      connection.execute(("UPDATE main.meta SET value = " + std::to_string(kOldestReader) +
                          " WHERE key = 'oldest_reader'")
                             .c_str());
      connection.execute(("PRAGMA main.user_version = " + std::to_string(kFormatVersion)).c_str());
    }
    connection.commit().execute();
  } catch (...) {
    if (connection.in_transaction()) connection.rollback().try_execute();
    throw;
  }
}

}  // namespace graven::sqlite
