// SPDX-License-Identifier: MIT
//
// A realistic import: records of eight fields, each with three to five links to shared tags, put
// in phases of a bulk import, in transactions of 250 rows, and, row for row what graven has
// written, in raw SQLite as fast as that can. And batch_insert() against rows one by one, and
// random updates of a large store inside and outside a bulk import.
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <sqlite3.h>

#include "contest.hpp"
#include "rivals.hpp"

namespace graven::bench {

namespace {

constexpr std::size_t kTags = 50'000;
constexpr std::size_t kRowsAtOnce = 10'000;
constexpr std::size_t kSmall = 250;
constexpr std::size_t kCache = 512;  // MiB

void start_anew(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-owners", "-changes"}) {
    std::filesystem::remove(path + suffix);
  }
}

/// The source of the records; the same in every run.
class Records {
 public:
  /// `tags` are linked; without any the records have none.
  explicit Records(const std::vector<Value>& tags) : tags_(tags) {}

  /// The next `count` records, by key, as one dict.
  Data next(std::size_t count) {
    Data all = Data::dict();
    const auto root = std::get<Data::Index>(all.root());
    for (std::size_t i = 0; i < count; ++i, ++number_) {
      const Data::Index record = all.add(NodeKind::kDict);
      fill(all, record);
      all.container(root).keys.push_back(fmt::format("comic-{}", number_));
      all.container(root).items.emplace_back(record);
    }
    return all;
  }

 private:
  void fill(Data& all, Data::Index record) {
    const auto n = static_cast<std::int64_t>(number_);
    const auto add = [&](const char* key, Data::Item value) {
      all.container(record).keys.emplace_back(key);
      all.container(record).items.push_back(std::move(value));
    };
    add("id", n);
    add("title", fmt::format("The adventures of number {}", n));
    add("series", fmt::format("Series {}", random_() % 5000));
    add("year", 1930 + n % 95);
    add("price", 0.25 * static_cast<double>(random_() % 400));
    add("pages", 32 + n % 64);
    add("read", n % 3 == 0);
    add("publisher", fmt::format("Publisher {}", n % 300));
    if (tags_.empty()) return;
    const Data::Index list = all.add(NodeKind::kList);
    for (std::size_t links = 3 + random_() % 3; links > 0; --links) {
      all.container(list).items.emplace_back(tags_[random_() % tags_.size()].as_dict());
    }
    add("tags", list);
  }

  const std::vector<Value>& tags_;
  std::size_t number_ = 0;
  std::mt19937_64 random_{7};
};

Data tags() {
  Data all = Data::dict();
  const auto root = std::get<Data::Index>(all.root());
  for (std::size_t i = 0; i < kTags; ++i) {
    const Data::Index tag = all.add(NodeKind::kDict);
    all.container(tag).keys.emplace_back("name");
    all.container(tag).items.emplace_back(fmt::format("tag {}", i));
    all.container(root).keys.push_back(fmt::format("tag-{}", i));
    all.container(root).items.emplace_back(tag);
  }
  return all;
}

/// Seconds of the store's part of an import; making the records is nobody's.
double import_records(const std::string& path, std::size_t count, bool in_phases) {
  start_anew(path);
  const Database db(path);
  db["tags"] = Data::dict();
  db["comics"] = Data::dict();
  const Dict comics = db["comics"].as_dict();
  const Data all_tags = tags();
  double seconds = 0;
  std::vector<Value> made;
  const auto timed = [&](const std::function<void()>& body) { seconds += elapsed(body); };
  const auto put = [&](std::size_t at_once) {
    Records records(made);
    for (std::size_t done = 0; done < count; done += at_once) {
      const Data rows = records.next(std::min(at_once, count - done));
      timed([&] { db.batch_insert(comics, rows); });
    }
  };
  if (!in_phases) {
    timed([&] { made = db.batch_insert(db["tags"].as_dict(), all_tags); });
    put(kSmall);
    return seconds;
  }
  const BulkImport bulk(db, {.cache_mb = kCache});
  timed([&] {
    bulk.phase("tags", [&] { made = db.batch_insert(db["tags"].as_dict(), all_tags); });
    bulk.begin_phase("comics");
  });
  put(kRowsAtOnce);
  timed([&] {
    bulk.end_phase(true);
    bulk.finish();
  });
  return seconds;
}

// --- The same rows in raw SQLite

class RawRows {
 public:
  explicit RawRows(const std::string& path) {
    sqlite3* db = opened(path);
    each_row(db,
             "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
             [&](sqlite3_stmt* row) {
               tables_.push_back({text(row, 0), text(row, 1), {}});
             });
    for (Table& table : tables_) {
      each_row(db, "SELECT * FROM " + table.name, [&](sqlite3_stmt* row) {
        std::vector<Field> fields;
        for (int i = 0; i < sqlite3_column_count(row); ++i) fields.push_back(field(row, i));
        table.rows.push_back(std::move(fields));
      });
    }
    sqlite3_close(db);
  }

  /// Seconds: one transaction, statements prepared once, each table in the order of its keys, no
  /// checkpoint but one at the end, which empties the WAL.
  double write(const std::string& path) const {
    start_anew(path);
    return elapsed([&] {
      sqlite3* db = opened(path);
      execute(db,
              "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
              "PRAGMA wal_autocheckpoint = 0");
      execute(db, fmt::format("PRAGMA cache_size = -{}; BEGIN IMMEDIATE", kCache << 10U));
      for (const Table& table : tables_) {
        execute(db, table.sql);
        if (table.rows.empty()) continue;
        std::string marks = "?";
        for (std::size_t i = 1; i < table.rows.front().size(); ++i) marks += ", ?";
        sqlite3_stmt* put = nullptr;
        const std::string sql = fmt::format("INSERT INTO {} VALUES ({})", table.name, marks);
        check(db,
              sqlite3_prepare_v3(db, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &put, nullptr));
        for (const std::vector<Field>& row : table.rows) {
          for (std::size_t i = 0; i < row.size(); ++i) bind(put, static_cast<int>(i) + 1, row[i]);
          check(db, sqlite3_step(put));
          sqlite3_reset(put);
        }
        sqlite3_finalize(put);
      }
      execute(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
      sqlite3_close(db);
    });
  }

 private:
  struct Blob {
    std::string bytes;
  };
  using Field = std::variant<std::monostate, std::int64_t, std::string, Blob>;
  struct Table {
    std::string name;
    std::string sql;
    std::vector<std::vector<Field>> rows;
  };

  static void check(sqlite3* db, int code) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
      throw std::runtime_error(fmt::format("raw SQLite: {}", sqlite3_errmsg(db)));
  }
  static sqlite3* opened(const std::string& path) {
    sqlite3* db = nullptr;
    check(db, sqlite3_open_v2(path.c_str(), &db,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                              nullptr));
    return db;
  }
  static void execute(sqlite3* db, const std::string& sql) {
    check(db, sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr));
  }
  static void each_row(sqlite3* db, const std::string& sql,
                       const std::function<void(sqlite3_stmt*)>& each) {
    sqlite3_stmt* statement = nullptr;
    check(db, sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr));
    while (sqlite3_step(statement) == SQLITE_ROW) each(statement);
    sqlite3_finalize(statement);
  }
  static std::string text(sqlite3_stmt* row, int column) {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(row, column));
    return {data != nullptr ? data : "",
            static_cast<std::size_t>(sqlite3_column_bytes(row, column))};
  }
  static Field field(sqlite3_stmt* row, int column) {
    switch (sqlite3_column_type(row, column)) {
      case SQLITE_INTEGER:
        return std::int64_t{sqlite3_column_int64(row, column)};
      case SQLITE_TEXT:
        return text(row, column);
      case SQLITE_NULL:
        return std::monostate{};
      default:
        return Blob{text(row, column)};
    }
  }
  static void bind(sqlite3_stmt* put, int index, const Field& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      sqlite3_bind_int64(put, index, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      sqlite3_bind_text64(put, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      sqlite3_bind_blob64(put, index, blob->bytes.data(), blob->bytes.size(), SQLITE_STATIC);
    } else {
      sqlite3_bind_null(put, index);
    }
  }

  std::vector<Table> tables_;
};

Turn per_record(double seconds, std::size_t count) {
  return {seconds / static_cast<double>(count)};
}

}  // namespace

std::vector<Contestant> import_in_phases(const Terms& terms, const std::string& folder) {
  const std::string path = folder + "/import.db";
  const std::size_t count = terms.count;
  return {{Role::kOurs, "graven, phases of a bulk import",
           [=] { return per_record(import_records(path, count, true), count); }},
          {Role::kRival, "graven, transactions of 250 rows",
           [=] { return per_record(import_records(path, count, false), count); }}};
}

std::vector<Contestant> import_beside_raw(const Terms& terms, const std::string& folder) {
  const std::string path = folder + "/import.db";
  const std::size_t count = terms.count;
  import_records(path, count, true);
  const auto rows = std::make_shared<const RawRows>(path);
  return {{Role::kOurs, "graven, phases of a bulk import",
           [=] { return per_record(import_records(path, count, true), count); }},
          {Role::kRival, "raw SQLite, the same rows",
           [=] { return per_record(rows->write(folder + "/raw.db"), count); }}};
}

std::vector<Contestant> batch_beside_single(const Terms& terms, const std::string& folder) {
  const std::size_t count = terms.count;
  const auto turn = [=](bool batch) {
    const std::string path = folder + "/batch.db";
    start_anew(path);
    const Database db(path, {.synchronous = terms.synchronous});
    db["comics"] = Data::dict();
    const Dict comics = db["comics"].as_dict();
    const std::vector<Value> none;
    Records records(none);
    const Data rows = records.next(count);
    if (batch) {
      return per_record(elapsed([&] { db.batch_insert(comics, rows); }), count);
    }
    std::vector<std::pair<std::string, Data>> apart;
    const auto root = std::get<Data::Index>(rows.root());
    for (const std::string& key : rows.container(root).keys) apart.emplace_back(key, rows.at(key));
    return per_record(elapsed([&] {
                        for (const auto& [key, row] : apart) comics.set(key, row);
                      }),
                      count);
  };
  return {{Role::kOurs, "batch_insert()", [=] { return turn(true); }},
          {Role::kRival, "one by one", [=] { return turn(false); }}};
}

std::vector<Contestant> updates_of_a_large_store(const Terms& terms, const std::string& folder) {
  constexpr std::size_t kRecord = 500;  // bytes a record takes, about
  // All of them to the end, where the WAL is in the database and the store is closed.
  const auto turn = [=](bool bulk) {
    const std::string path = folder + (bulk ? "/bulk.db" : "/plain.db");
    return per_record(elapsed([&] {
                        const Database db(path);
                        const Dict comics = db["comics"].as_dict();
                        std::mt19937_64 random(5);
                        const auto batch = [&] {
                          for (std::size_t i = 0; i < kSmall; ++i) {
                            comics[fmt::format("comic-{}", random() % terms.entries)]["pages"] =
                                static_cast<std::int64_t>(random() % 1000);
                          }
                        };
                        if (!bulk) {
                          for (std::size_t done = 0; done < terms.count; done += kSmall)
                            db.transaction(batch);
                          return;
                        }
                        const BulkImport session(db, {.cache_mb = kCache});
                        session.phase("pages", [&] {
                          for (std::size_t done = 0; session.advance(done) && done < terms.count;
                               done += kSmall) {
                            batch();
                          }
                        });
                        session.finish();
                      }),
                      terms.count);
  };
  for (const char* name : {"/bulk.db", "/plain.db"}) {
    import_records(folder + name, terms.entries, true);
  }
  std::vector<Contestant> all{{Role::kOurs, "inside a bulk import", [=] { return turn(true); }},
                              {Role::kRival, "default settings", [=] { return turn(false); }}};
  for (const RivalKind& kind : raw_sqlite()) {
    const std::string path = folder + "/raw" + std::to_string(all.size()) + ".db";
    kind.open(path, Synchronous::kNormal)->fill(terms.entries, kRecord);
    all.push_back({Role::kShown, kind.name, [=, letter = std::make_shared<int>(0)] {
                     return per_record(
                         elapsed([&] {
                           const auto raw = kind.open(path, Synchronous::kNormal);
                           for (std::size_t done = 0; done < terms.count; done += kSmall) {
                             const Keys keys = Keys::sample(terms.entries, kSmall, done);
                             // Another than before: the same would be no change.
                             raw->put_all(keys, std::string(kRecord, "abcdefg"[++*letter % 7]));
                           }
                         }),
                         terms.count);
                   }});
  }
  return all;
}

}  // namespace graven::bench
