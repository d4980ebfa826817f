// SPDX-License-Identifier: MIT
//
// SQL beside the graph: what the three kinds of connections see and when they commit, what graven
// keeps to itself, values in and out.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

class Sql : public testing::Test {
 protected:
  Sql() { db.connection().execute("CREATE TABLE audit (at INTEGER PRIMARY KEY, what TEXT)"); }
  std::int64_t count() const {
    return db.connection().execute("SELECT count(*) FROM audit").next()->at(0).get<std::int64_t>();
  }
  template <class Call>
  static std::string refusal(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      return std::string(name(error.code())) + ": " + error.what();
    }
    return "nothing was thrown";
  }

  const TemporaryFolder folder;
  const Database db{folder / "s.db"};
};

TEST_F(Sql, EachStatementForItself) {
  const SqlConnection sql = db.connection();
  EXPECT_EQ(sql.execute("INSERT INTO audit VALUES (?, ?)", {1, "one"}).changes(), 1);
  const SqlCursor two = sql.execute("INSERT INTO audit (what) VALUES ('two')");
  EXPECT_EQ(two.last_rowid(), 2);
  EXPECT_EQ(Database(folder / "s.db").connection().execute("SELECT * FROM audit").all().size(), 2U);
  SqlCursor rows =
      sql.execute_named("SELECT what, at FROM audit WHERE at >= :from ORDER BY at", {{"from", 2}});
  EXPECT_EQ(rows.columns(), (std::vector<std::string>{"what", "at"}));
  EXPECT_EQ(rows.next()->at(0).get<std::string>(), "two");
  EXPECT_FALSE(rows.next());
  EXPECT_FALSE(rows.next());
  EXPECT_TRUE(db.check().ok());
}

TEST_F(Sql, OneTransactionWithTheGraph) {
  {
    const SqlConnection sql = db.write_connection();
    sql.execute("INSERT INTO audit VALUES (1, 'x')");
    db["state"] = "begun";
    EXPECT_EQ(sql.execute("SELECT count(*) FROM counter").next()->at(0).get<int>(), 0);
    db.incr("n");
    EXPECT_EQ(sql.execute("SELECT count(*) FROM counter").next()->at(0).get<int>(), 1)
        << "what the transaction has written to the graph is seen";
    EXPECT_TRUE(db.in_transaction());
  }  // not committed
  EXPECT_EQ(count(), 0);
  EXPECT_FALSE(db["state"].exists());
  EXPECT_EQ(db.count("n"), 0);
  const SqlConnection sql = db.write_connection();
  sql.execute("INSERT INTO audit VALUES (1, 'x')");
  db["state"] = "begun";
  sql.commit();
  EXPECT_FALSE(db.in_transaction());
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(db["state"].get<std::string>(), "begun");
  EXPECT_THROW(sql.execute("SELECT 1"), ClosedError);
}

TEST_F(Sql, ASavepointInsideATransaction) {
  db.transaction([&] {
    db["kept"] = 1;
    {
      const SqlConnection sql = db.write_connection();
      sql.execute("INSERT INTO audit VALUES (1, 'x')");
      db["dropped"] = 1;
    }
    const SqlConnection sql = db.write_connection();
    sql.execute("INSERT INTO audit VALUES (2, 'y')");
    sql.commit();
  });
  EXPECT_TRUE(db["kept"].exists());
  EXPECT_FALSE(db["dropped"].exists());
  EXPECT_EQ(db.connection().execute("SELECT at FROM audit").all().size(), 1U);
}

TEST_F(Sql, ACommitOfSqlAloneIsSeenByOtherHandles) {
  const Database other(folder / "s.db", {.synchronous = Synchronous::kFull});
  for (int i = 0; i < 50; ++i) {
    const SqlConnection sql = db.write_connection();
    sql.execute("INSERT INTO audit VALUES (?, 'x')", {i});
    sql.commit();
    ASSERT_EQ(other.connection().execute("SELECT count(*) FROM audit").next()->at(0).get<int>(),
              i + 1);
  }
}

TEST_F(Sql, AReadConnectionIsOneState) {
  const SqlConnection reading = db.read_connection();
  const auto seen = [&] {
    return reading.execute("SELECT count(*) FROM audit").next()->at(0).get<int>();
  };
  EXPECT_EQ(seen(), 0);
  db.connection().execute("INSERT INTO audit VALUES (1, 'x')");
  EXPECT_EQ(seen(), 0);
  EXPECT_EQ(count(), 1);
  EXPECT_NE(refusal([&] { reading.execute("DELETE FROM audit"); }).find("usage: "),
            std::string::npos);
  EXPECT_NE(refusal([&] { reading.commit(); }).find("write_connection"), std::string::npos);
  reading.close();
  EXPECT_THROW(reading.execute("SELECT 1"), ClosedError);
}

TEST_F(Sql, ManyRowsAreFetchedAsTheyAreAskedFor) {
  const SqlConnection sql = db.write_connection();
  for (int i = 0; i < 3000; ++i) sql.execute("INSERT INTO audit VALUES (?, ?)", {i, "row"});
  sql.commit();
  const SqlConnection reading = db.read_connection();
  SqlCursor left = reading.execute("SELECT at FROM audit ORDER BY at");
  SqlCursor right = reading.execute("SELECT at FROM audit ORDER BY at");  // the same text
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(left.next()->at(0).get<int>(), i);
    if (i % 2 == 0) {
      ASSERT_EQ(right.next()->at(0).get<int>(), i / 2);
    }
  }
  EXPECT_FALSE(left.next());
}

TEST_F(Sql, AClosedReadConnectionGivesItsReaderBack) {
  std::vector<SqlConnection> closed;
  for (int i = 0; i < 40; ++i) {  // more than there are readers
    closed.push_back(db.read_connection());
    EXPECT_EQ(closed.back().execute("SELECT 1").all().size(), 1U);
    closed.back().close();
  }
  const SqlConnection last = db.read_connection();
  SqlCursor rows = last.execute("SELECT 1 UNION SELECT 2");
  last.close();
  EXPECT_EQ(rows.all().size(), 2U);
}

TEST_F(Sql, GravensTablesCanOnlyBeRead) {
  db["a"] = {{"name", "Ada"}};
  const SqlConnection sql = db.connection();
  EXPECT_EQ(sql.execute("SELECT body ->> 'name' FROM node WHERE body ->> 'name' IS NOT NULL")
                .next()
                ->at(0)
                .get<std::string>(),
            "Ada");
  for (const char* text :
       {"DELETE FROM node", "UPDATE edge SET links = 2", "INSERT INTO meta VALUES ('x', 1)",
        "DROP TABLE item", "DROP TABLE item_large", "ALTER TABLE node ADD COLUMN x",
        "CREATE INDEX mine ON node (prefix)",
        "CREATE TRIGGER t AFTER INSERT ON node BEGIN SELECT 1; END", "BEGIN", "COMMIT",
        "SAVEPOINT s", "ATTACH 'x' AS y", "PRAGMA synchronous = OFF",
        "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = ON", "DELETE FROM sqlite_master",
        "VACUUM"}) {
    const std::string why = refusal([&] { sql.execute(text); });
    EXPECT_TRUE(why.starts_with("usage: ") || why.starts_with("bad_value: "))
        << text << ": " << why;
  }
  EXPECT_NE(refusal([&] { sql.execute("vacuum"); }).find("maintenance()"), std::string::npos);
  EXPECT_EQ(db["a"]["name"].get<std::string>(), "Ada");
  EXPECT_TRUE(db.check().ok());
  sql.execute("CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM node; END");
  EXPECT_TRUE(
      refusal([&] { sql.execute("INSERT INTO audit VALUES (1, 'x')"); }).starts_with("usage: "));
  EXPECT_TRUE(db["a"].exists());
  EXPECT_GT(sql.execute("PRAGMA table_info(audit)").all().size(), 1U);
  sql.execute("CREATE INDEX mine ON audit (what)");
  sql.execute("DROP TABLE audit");
}

TEST_F(Sql, WhatIsWrongIsSaid) {
  const SqlConnection sql = db.connection();
  sql.execute("INSERT INTO audit VALUES (1, 'x')");
  EXPECT_NE(refusal([&] { sql.execute("SELEC 1"); }).find("bad_value: 'SELEC 1'"),
            std::string::npos);
  EXPECT_NE(refusal([&] { sql.execute("SELECT 1; SELECT 2"); }).find("more than one"),
            std::string::npos);
  EXPECT_NE(refusal([&] { sql.execute(""); }).find("empty"), std::string::npos);
  EXPECT_NE(refusal([&] {
              sql.execute("SELECT ?", {1, 2});
            }).find("1 parameters"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              sql.execute_named("SELECT :a", {{"b", 1}});
            }).find(":a"),
            std::string::npos);
  EXPECT_NE(refusal([&] { sql.execute("INSERT INTO audit VALUES (1, 'y')"); }).find("UNIQUE"),
            std::string::npos);
  EXPECT_NE(refusal([&] { sql.execute("SELECT ?", {db.root()}); }).find("wrong_type"),
            std::string::npos);
  EXPECT_EQ(count(), 1);
  const Database memory("memory://");
  EXPECT_NE(refusal([&] { memory.connection().execute("SELECT 1"); }).find("SQLite file"),
            std::string::npos);
}

TEST_F(Sql, ValuesComeBackAsTheyWent) {
  const SqlConnection sql = db.connection();
  const std::vector<Data> values{nullptr, std::int64_t{-5}, 2.5, std::string("t\xC3\xA4\0x", 5),
                                 Bytes{std::string("\0\xff", 2)}};
  const auto row = sql.execute("SELECT ?, ?, ?, ?, ?", values).next();
  ASSERT_TRUE(row);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(row->at(i), values[i].scalar()) << i;
  EXPECT_EQ(sql.execute("SELECT ?", {true}).next()->at(0).get<int>(), 1);
}

/// 16 threads over two databases on one file, with pools of ten readers: no update is lost, nobody
/// is told that the store is busy. GRAVEN_SECONDS says for how long (1).
TEST_F(Sql, SixteenThreadsLoseNothing) {
  const Database two(folder / "s.db", {.synchronous = Synchronous::kOff});
  db.connection().execute("INSERT INTO audit VALUES (0, '0')");
  constexpr int kThreads = 16;
  const char* given = std::getenv("GRAVEN_SECONDS");
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(given != nullptr ? std::atoi(given) : 1);
  std::atomic<std::int64_t> steps{0};
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const Database& mine = t % 2 == 0 ? db : two;
      try {
        for (; std::chrono::steady_clock::now() < end; ++steps) {
          const SqlConnection sql = mine.write_connection();
          const int before =
              sql.execute("SELECT what + 0 FROM audit WHERE at = 0").next()->at(0).get<int>();
          sql.execute("UPDATE audit SET what = ? WHERE at = 0", {before + 1});
          mine.incr("n");
          sql.commit();
          const SqlConnection reading = mine.read_connection();
          const int seen =
              reading.execute("SELECT what + 0 FROM audit WHERE at = 0").next()->at(0).get<int>();
          const int counted = reading.execute("SELECT value FROM counter WHERE name = 'n'")
                                  .next()
                                  ->at(0)
                                  .get<int>();
          if (seen != counted || seen <= before) ++failures;
        }
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(db.count("n"), steps);
  EXPECT_GT(steps, kThreads);
}

}  // namespace
}  // namespace graven::test
