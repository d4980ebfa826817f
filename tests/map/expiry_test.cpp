// SPDX-License-Identifier: MIT
//
// The records that name items which expire: a map reads its own only, and those of stores of format
// 1, which were in another order, are moved by whoever may write.
#include <graven/graven.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "map/layout.hpp"
#include "map_fixture.hpp"

namespace graven::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using namespace std::string_literals;

/// Counts the rows that a view is asked for.
class Counted final : public port::View {
 public:
  explicit Counted(port::View& below) : below_(below) {}
  std::optional<port::Record> load(const port::Key& key) override { return below_.load(key); }
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override {
    below_.load_many(keys, each);
  }
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
    std::vector<port::Row> found = below_.scan(range, limit);
    rows += found.size();
    return found;
  }
  std::size_t rows = 0;

 private:
  port::View& below_;
};

class ExpiryTest : public MapTest {
 protected:
  void sql(const std::string& text) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << (message != nullptr ? message : "");
    sqlite3_close(database);
  }
  [[nodiscard]] std::int64_t number(const std::string& text) const {
    sqlite3* database = nullptr;
    sqlite3_open(path_.c_str(), &database);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, text.c_str(), -1, &statement, nullptr);
    const std::int64_t found =
        sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return found;
  }
  /// As a graven that knew format 1 only would have left the store.
  void make_old() const {
    sql("BEGIN; CREATE TABLE old AS SELECT CAST(substr(item, 1, 16) AS INTEGER) AS time, "
        "CAST(CAST(map || ':' AS BLOB) || substr(CAST(item AS BLOB), 18) AS TEXT) AS item "
        "FROM expiry; DROP TABLE expiry; CREATE TABLE expiry (time INTEGER NOT NULL, item TEXT NOT "
        "NULL, PRIMARY KEY (time, item)) WITHOUT ROWID; INSERT INTO expiry SELECT * FROM old; "
        "DROP TABLE old; UPDATE meta SET value = 1 WHERE key IN ('format', 'oldest_reader'); "
        "PRAGMA user_version = 1; COMMIT");
  }
};

TEST_F(ExpiryTest, AMapReadsNoOtherMapsRows) {
  {
    const Map many = open(named("many"));
    std::vector<std::pair<std::string, Data>> items;
    for (int i = 0; i < 2000; ++i) many.set(std::to_string(i), i, hours(1));
    const Map few = open(named("few"));
    few.set("a", 1, hours(1));
    few.set("b", 1, hours(2));
  }
  const Opened backend = sqlite::open(path_, {.read_only = true});
  const auto id = [&](const char* name) { return backend->load(map::map_key(name))->integers[0]; };
  const auto below = backend->view();
  const auto rows = [&](auto ask) {
    Counted view(*below);
    ask(view);
    return view.rows;
  };
  EXPECT_LE(rows([&](port::View& view) { EXPECT_TRUE(map::any_timed(view, id("few"))); }), 1U);
  EXPECT_LE(rows([&](port::View& view) { EXPECT_FALSE(map::any_timed(view, 999)); }), 0U);
  EXPECT_LE(rows([&](port::View& view) {
              EXPECT_EQ(map::due(view, id("few"), INT64_MAX, SIZE_MAX).size(), 2U);
            }),
            2U);
  // Of one's own, not many that are not due yet.
  EXPECT_LE(rows([&](port::View& view) {
              EXPECT_TRUE(map::due(view, id("many"), map::now(), SIZE_MAX).empty());
            }),
            64U);
  EXPECT_EQ(map::due(*below, id("many"), INT64_MAX, SIZE_MAX).size(), 2000U);
  EXPECT_EQ(map::due(*below, id("many"), INT64_MAX, 100).size(), 100U);
}

TEST_F(ExpiryTest, TheEarliestComeFirst) {
  port::Key first = map::expiry_key(1, 999, "z");
  port::Key second = map::expiry_key(1, 1000, "a");
  port::Key third = map::expiry_key(1, (map::Expiry{1} << 52U) + 1'800'000'000'000, "a");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
}

TEST_F(ExpiryTest, ARowThatIsNoneIsSweptAway) {
  {
    const Map map = open();
    map.set("stays", 1, hours(1));
  }
  sql("INSERT INTO expiry SELECT id, '' FROM map;"
      "INSERT INTO expiry SELECT id, '0000000000000001' FROM map;"
      "INSERT INTO expiry SELECT id, '000000000000x001:stays' FROM map");
  const Map map = open();
  EXPECT_EQ(map.size(), 1U);
  EXPECT_EQ(number("SELECT count(*) FROM expiry"), 1);
  EXPECT_EQ(map.at("stays"), Data(1));
}

TEST_F(ExpiryTest, AStoreOfFormat1IsMovedWhateverViewsTheProgramHas) {
  open(named("one")).set("k", 1, hours(1));
  make_old();
  sql("CREATE TABLE gone (a); CREATE VIEW stale AS SELECT a FROM gone; DROP TABLE gone;"
      "CREATE VIEW items AS SELECT item FROM expiry; CREATE VIEW old AS SELECT * FROM expiry");
  EXPECT_EQ(open(named("one")).size(), 1U);
  EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'format'"), 2);
  EXPECT_EQ(number("SELECT count(*) FROM items"), 1);
  EXPECT_EQ(number("SELECT count(*) FROM old"), 1);
  EXPECT_TRUE(Database(path_).check().ok());
}

TEST_F(ExpiryTest, AStoreThatOnlySaysThatItIsOfFormat1IsToldAndMended) {
  const auto sound = [&](bool read_only) {
    return Database(path_, {.read_only = read_only}).check().ok();
  };
  open(named("one")).set("k", 1, hours(1));
  const std::string older = "UPDATE meta SET value = 1 WHERE key IN ('format', 'oldest_reader');";
  sql(older);
  EXPECT_FALSE(sound(true));
  EXPECT_TRUE(sound(false));  // it is brought to the format that it has
  EXPECT_EQ(number("SELECT count(*) FROM expiry"), 1);
  sql(older + "DROP TABLE expiry; CREATE VIEW expiry AS SELECT 1 AS time, 2 AS item");
  EXPECT_FALSE(sound(true));
  EXPECT_TRUE(Database(path_).repair({.backup = false}).left.empty());
  EXPECT_TRUE(sound(false));
  EXPECT_EQ(number("SELECT count(*) FROM expiry"), 1);
  sql("UPDATE meta SET value = -2 WHERE key = 'format'");
  EXPECT_THROW(sound(true), CorruptionError);
  EXPECT_THROW(sound(false), CorruptionError);
}

TEST_F(ExpiryTest, AStoreOfFormat1IsReadAsItIsAndMovedByAWriter) {
  const std::vector<std::string> keys{"plain", "with:colons:", "nul\0l"s, "\xc3\xa4"s, ""};
  for (const char* name : {"one", "two"}) {
    const Map map = open(named(name));
    for (const std::string& key : keys) map.set(key, 1, hours(1));
    map.set("gone", 1, milliseconds(1));
    map.set("stays", 1);
  }
  std::this_thread::sleep_for(milliseconds(5));
  make_old();
  ASSERT_EQ(number("SELECT value FROM meta WHERE key = 'format'"), 1);
  const auto rows = [&] { return number("SELECT count(*) FROM expiry"); };
  ASSERT_EQ(rows(), 12);

  MapOptions reading = named("one");
  reading.read_only = true;
  EXPECT_EQ(open(reading).size(), keys.size() + 1);
  EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'format'"), 1);
  {
    const Opened backend = sqlite::open(path_, {.read_only = true});
    const auto view = backend->view();
    port::Range range{.space = port::Space::kExpiry,
                      .a = backend->load(map::map_key("two"))->integers[0]};
    std::vector<port::Row> rising = view->scan(range, 100);
    ASSERT_EQ(rising.size(), 6U);
    range.reverse = true;
    std::vector<port::Row> falling = view->scan(range, 2);
    range.after = falling.back().key.name;
    for (port::Row& row : view->scan(range, 100)) falling.push_back(std::move(row));
    std::reverse(falling.begin(), falling.end());
    ASSERT_EQ(falling.size(), rising.size());
    for (std::size_t i = 0; i < rising.size(); ++i) EXPECT_EQ(falling[i].key, rising[i].key);
  }

  {
    const Opened backend = sqlite::open(path_);
    EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'format'"), 2);
    EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'oldest_reader'"), 2);
    EXPECT_EQ(number("PRAGMA user_version"), 2);
    EXPECT_EQ(rows(), 12);
    const auto view = backend->view();
    const std::int64_t id = backend->load(map::map_key("two"))->integers[0];
    std::vector<std::string> found;
    for (const map::Due& due : map::due(*view, id, INT64_MAX, SIZE_MAX)) {
      EXPECT_EQ(map::expiry_key(id, due.time, due.key), due.record);
      found.push_back(due.key);
    }
    for (const std::string& key : keys) EXPECT_EQ(std::ranges::count(found, key), 1) << key;
  }
  const Map map = open(named("two"));
  EXPECT_EQ(map.size(), keys.size() + 1);  // which sweeps
  EXPECT_FALSE(map.contains("gone"));
  EXPECT_EQ(rows(), 11);
  EXPECT_TRUE(Database(path_).check().ok());
}

}  // namespace
}  // namespace graven::test
