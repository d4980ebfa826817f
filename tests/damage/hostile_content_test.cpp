// SPDX-License-Identifier: MIT
//
// What something else may have put into a store's file, one kind after the other: that it does no
// harm, that it is told by its name, that a repair takes it away.
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"
#include "damage/random_sql.hpp"

namespace graven::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

class HostileContent : public ::testing::Test {
 protected:
  void SetUp() override {
    const Database db(path_);
    db.root().set("d", {{"k", 1}});
    db.root().set("l", {1, 2, 3});
    db.incr("counter", 3);
    const Map map(path_);
    map.set("j", {{"a", 1}});
    map.set("n", 1);
    map.set("large", std::string(900, 'z'));
  }

  void run(const std::string& sql) const { ASSERT_EQ(run_sql(path_, sql), ""); }

  [[nodiscard]] std::string problems() const {
    const Database db(path_, {.read_only = true});
    std::string text;
    for (const Problem& problem : db.check().problems) text += problem.what + "\n";
    return text;
  }
  void expect_problem(const std::string& part) const {
    const std::string all = problems();
    EXPECT_NE(all.find(part), std::string::npos) << part << "\nis not among\n" << all;
  }
  /// After which there is nothing to find, and writing works.
  void expect_mended() const {
    const Database db(path_);
    const RepairReport report = db.repair({.backup = false});
    EXPECT_TRUE(report.left.empty()) << report.left.front().what;
    EXPECT_FALSE(report.sound());
    const CheckReport again = db.check();
    EXPECT_TRUE(again.ok()) << again.problems.front().what;
    db.root().set("after", 1);
    Map(path_).set("after", 1);
  }

  /// Has the chain of pages of a value that is nothing but this letter lead nowhere.
  void break_a_page_of(char letter) const {
    constexpr std::size_t kPage = 2048;
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    const std::string full(kPage - 4, letter);
    std::size_t at = 0;
    while (at < bytes.size() && bytes.compare(at + 4, full.size(), full) != 0) at += kPage;
    ASSERT_LT(at, bytes.size());
    file.seekp(static_cast<std::streamoff>(at));
    file.write("\xff\xff\xff\xff", 4);
  }

  template <class Body>
  static std::string error_of(Body&& body) {
    try {
      body();
    } catch (const CorruptionError& error) {
      return error.what();
    }
    ADD_FAILURE() << "no CorruptionError";
    return {};
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "h.db";
};

TEST_F(HostileContent, AnOrphanThatIsNotThereIsForgotten) {
  run("INSERT INTO orphan (owner, node) VALUES (0, 12345)");
  expect_problem("listed as an orphan");
  const Database db(path_);
  db.root().set("x", 1);
  db.collect();
  db.maintenance();
  EXPECT_TRUE(db.check().ok());
}

TEST_F(HostileContent, AnOrphanThatHangsOnSomethingIsForgotten) {
  run("INSERT INTO orphan (owner, node) SELECT 0, id FROM node WHERE anchor <> id AND anchor > 0");
  const Database db(path_);
  db.collect();
  EXPECT_EQ(db.root()["d"]["k"].value().get<int>(), 1);
  EXPECT_TRUE(db.check().ok());
}

TEST_F(HostileContent, RepairForgetsAnOrphanThatIsNotThere) {
  run("INSERT INTO orphan (owner, node) VALUES (0, 12345), (9223372036854775807, 5), (-4, 6)");
  expect_mended();
}

TEST_F(HostileContent, ATriggerNeverRuns) {
  run("CREATE TRIGGER spy AFTER INSERT ON node BEGIN DELETE FROM counter; END");
  run("CREATE TRIGGER spy2 BEFORE UPDATE ON item BEGIN DELETE FROM counter; END");
  expect_problem("the trigger 'spy' on 'node' is not graven's");
  {
    const Database db(path_);
    EXPECT_EQ(db.root()["d"]["k"].value().get<int>(), 1);
    const std::string error = error_of([&] { db.root().set("x", {{"y", 1}}); });
    EXPECT_NE(error.find("'spy'"), std::string::npos) << error;
    EXPECT_NE(error.find("graven repair"), std::string::npos) << error;
    EXPECT_EQ(db.count("counter"), 3);
  }
  EXPECT_NE(error_of([&] { Map(path_).set("n", 2); }).find("spy2"), std::string::npos);
  expect_mended();
  EXPECT_EQ(Database(path_).count("counter"), 3);
}

TEST_F(HostileContent, ATriggerThatComesWhileTheStoreIsOpenNeverRuns) {
  const Database db(path_);
  db.root().set("x", {{"y", 1}});
  run("CREATE TRIGGER spy AFTER INSERT ON node BEGIN DELETE FROM counter; END");
  EXPECT_NE(error_of([&] { db.root().set("z", {{"y", 1}}); }).find("spy"), std::string::npos);
  EXPECT_EQ(db.count("counter"), 3);
  db.repair({.backup = false});
  db.root().set("z", {{"y", 1}});
  EXPECT_TRUE(db.check().ok());
}

TEST_F(HostileContent, TriggersOfTheProgramsOwnTablesRun) {
  const Database db(path_);
  {
    const SqlConnection sql = db.write_connection();
    sql.execute("CREATE TABLE mine (a)");
    sql.execute("CREATE TABLE seen (a)");
    sql.execute("CREATE TRIGGER note AFTER INSERT ON mine BEGIN INSERT INTO seen VALUES (1); END");
    sql.execute("INSERT INTO mine VALUES (1)");
    sql.commit();
  }
  run("CREATE TABLE other (a)");  // SQLite prepares all anew
  {
    const SqlConnection sql = db.write_connection();
    sql.execute("INSERT INTO mine VALUES (2)");
    sql.execute("CREATE VIEW nodes AS SELECT id FROM node");
    sql.commit();
  }
  EXPECT_TRUE(db.check().ok()) << db.check().problems.front().what;
}

TEST_F(HostileContent, TemporaryTablesOfThoseNamesAreNothingToGraven) {
  const Database db(path_);
  {
    const SqlConnection sql = db.write_connection();
    for (const char* name : {"node", "prefix", "entry", "item", "meta", "orphan", "edge"}) {
      sql.execute(std::string("CREATE TEMP TABLE ") + name + " (a)");
    }
    sql.execute("CREATE TEMP VIEW counter AS SELECT 1");
  }
  db.root().set("x", {{"y", 1}});
  db.incr("counter");
  EXPECT_EQ(db.root()["x"]["y"].value().get<int>(), 1);
  Map(path_).set("x", 1);
  db.root().erase("x");
  db.collect();
  EXPECT_TRUE(db.check().ok());
}

TEST_F(HostileContent, AViewInATablesPlaceIsTold) {
  run("ALTER TABLE counter RENAME TO elsewhere; CREATE VIEW counter AS SELECT * FROM elsewhere");
  expect_problem("the view 'counter' is not graven's");
  expect_mended();
}

TEST_F(HostileContent, AViewWithATriggerInATablesPlaceIsMended) {
  for (const std::string table : {"counter", "item_large", "blob", "slot", "map", "expiry", "edge",
                                  "entry", "page", "orphan"}) {
    SCOPED_TRACE(table);
    run("DROP TABLE " + table + "; CREATE VIEW " + table +
        " AS SELECT 1 AS a; CREATE TRIGGER spy INSTEAD OF INSERT ON " + table +
        " BEGIN SELECT 1; END");
    expect_problem("the view '" + table + "' is not graven's");
    expect_mended();
  }
}

TEST_F(HostileContent, ATableInAnIndexsPlaceIsMended) {
  run("DROP INDEX item_large_key; CREATE TABLE item_large_key (a); "
      "CREATE INDEX spy ON item_large_key (a)");
  expect_problem("the table 'item_large_key' is not graven's");
  expect_mended();
  EXPECT_EQ(Map(path_).at("large"), Data(std::string(900, 'z')));
}

TEST_F(HostileContent, ATriggerThatIsCalledAsItsTableIsTold) {
  run("CREATE TRIGGER node AFTER INSERT ON node BEGIN DELETE FROM counter; END");
  expect_problem("the trigger 'node' on 'node' is not graven's");
  expect_mended();
  EXPECT_EQ(Database(path_).count("counter"), 3);
}

TEST_F(HostileContent, ATypeInCapitalLettersIsNoOtherType) {
  run("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'TABLE' WHERE name = "
      "'counter'");
  const Database db(path_);
  static_cast<void>(db.repair({.backup = false}));
  EXPECT_EQ(db.count("counter"), 3);
}

TEST_F(HostileContent, ARenamedColumnAndItsIndexAreMended) {
  run("ALTER TABLE item_large RENAME COLUMN map TO other; "
      "INSERT OR REPLACE INTO prefix (name, version, id, root) VALUES (0, X'c0', 0, 12345)");
  expect_mended();
}

TEST_F(HostileContent, ADroppedIndexIsToldAndMadeAnew) {
  run("DROP INDEX item_large_key");
  expect_problem("the index 'item_large_key' on 'item_large' is missing");
  error_of([&] { Map(path_).set("large", std::string(901, 'z')); });
  expect_mended();
}

TEST_F(HostileContent, ADroppedOrChangedTableIsToldAndMadeAnew) {
  run("DROP TABLE edge; ALTER TABLE counter ADD COLUMN more");
  expect_problem("the table 'edge' is missing");
  expect_problem("the table 'counter' differs from the one that graven makes");
  expect_mended();
  EXPECT_EQ(Database(path_).count("counter"), 3);
}

TEST_F(HostileContent, AForeignIndexIsTold) {
  run("CREATE UNIQUE INDEX one ON node (prefix, id)");
  expect_problem("the index 'one' on 'node' is not graven's");
  expect_mended();
}

TEST_F(HostileContent, AMapValueThatIsNoJsonIsTold) {
  run("UPDATE item SET value = X'cc99' WHERE key = 'j'");
  error_of([&] { (void)Map(path_).get("j"); });
  expect_problem("the item 'j' of map number 1 is damaged");
  expect_mended();
  EXPECT_EQ(Map(path_).get("j"), Data(Bytes{"\xcc\x99"}));
}

TEST_F(HostileContent, ATextWhereANumberBelongsIsTold) {
  run("UPDATE counter SET value = 'many'");
  run("UPDATE node SET links = 'some' WHERE anchor <> id");
  error_of([&] { (void)Database(path_).count("counter"); });
  expect_problem("of the table 'counter' has a value in 'value' that graven does not write there");
  expect_mended();
  EXPECT_EQ(Database(path_).root()["d"]["k"].value().get<int>(), 1);
}

TEST_F(HostileContent, AValueOfAnotherKindThanItsRowSaysIsTold) {
  run("UPDATE item SET value = 'abcdefgh' WHERE key = 'n'");
  run("UPDATE item SET kind = 3 WHERE key = 'large'");
  error_of([&] { (void)Map(path_).get("n"); });
  error_of([&] { (void)Map(path_).get("large"); });
  expect_problem("map 1, key 'n': the value is of another kind");
  expect_problem("map 1, key 'large': the large value is of another kind");
  expect_mended();
}

TEST_F(HostileContent, AKeyThatIsNoTextEndsAScan) {
  run("INSERT INTO item (map, key, kind, expires, value) VALUES (1, X'00', 3, 0, 1)");
  error_of([&] { Map(path_).clear(); });
  error_of([&] {
    const auto cursor = Map(path_).cursor();
    for (std::string key; cursor->next(key, nullptr);) {
    }
  });
  expect_problem("of the table 'item' has a value in 'key' that graven does not write there");
  expect_mended();
  Map(path_).clear();
}

TEST_F(HostileContent, APrefixThatIsNoUtf8IsTold) {
  run("INSERT INTO prefix SELECT CAST(X'41ff' AS TEXT), version, 99, root FROM prefix WHERE name = "
      "'main'");
  error_of([&] { (void)Database(path_).prefixes(); });
  expect_problem("of the table 'prefix' has a value in 'name' that graven does not write there");
  expect_mended();
}

TEST_F(HostileContent, ADeletedPrefixIsTold) {
  run("DELETE FROM prefix WHERE name = 'main'");
  Options other;
  other.prefix = "other";
  const Database db(path_, other);
  const CheckReport report = db.check();
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.problems.front().what.find("root of no prefix"), std::string::npos)
      << report.problems.front().what;
  db.repair({.backup = false});
  EXPECT_TRUE(db.check().ok());
}

TEST_F(HostileContent, AnItemWhoseTimeIsMissingIsToldAndExpiresAfterAll) {
  Map(path_).set("nul\0l"s, 1, 20ms);
  EXPECT_EQ(problems(), "");
  run("DELETE FROM expiry");
  expect_problem("no row of expiry says when");
  expect_mended();
  std::this_thread::sleep_for(21ms);
  EXPECT_EQ(Map(path_).size(), 4U);  // which sweeps
  run("CREATE TABLE none (n CHECK (n = 0));"
      "INSERT INTO none SELECT count(*) FROM item WHERE expires <> 0");
}

TEST_F(HostileContent, ATimeThatIsNoneIsToldAndForgotten) {
  Map(path_).set("stays", 1, std::chrono::hours(1));
  for (const char* time : {"-5", "99999999999999999"}) {
    run(std::string("UPDATE item SET expires = ") + time + " WHERE key = 'stays'");
    expect_problem("in 'expires'");
    expect_mended();
    EXPECT_EQ(Map(path_).at("stays"), Data(1));
  }
}

TEST_F(HostileContent, ARowOfExpiryOfNoMapIsTold) {
  run("INSERT INTO expiry VALUES (77, '0000000000000001:k')");
  expect_problem("map 77, key '0000000000000001:k'");
  expect_mended();
  run("INSERT INTO expiry SELECT id, 'tomorrow:k' FROM map");
  expect_problem("tomorrow");
  expect_mended();
}

TEST_F(HostileContent, ItemsOfAMapThatIsGoneKeepTheirTimes) {
  Map(path_).set("brief", 1, std::chrono::hours(1));
  run("DELETE FROM map");
  expect_problem("which does not exist");
  expect_mended();
}

TEST_F(HostileContent, WhatIsTakenAwayIsToldThoughTheGraphCannotBeRead) {
  const std::string trigger = "CREATE TRIGGER spy AFTER INSERT ON node BEGIN SELECT 1; END";
  Database(path_).root().set("long", std::string(30'000, 'q'));
  run(trigger);
  break_a_page_of('q');
  const RepairReport report = Database(path_).repair({.backup = false});
  EXPECT_FALSE(report.left.empty());
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_NE(report.lost[0].what.find("'spy'"), std::string::npos) << report.lost[0].what;
  EXPECT_EQ(report.lost[0].bytes, trigger);
}

TEST_F(HostileContent, WhatIsTakenAwayIsLoggedWhereARepairIsStopped) {
  Data many = Data::dict();
  for (int i = 0; i < 20'000; ++i) {
    auto& container = many.container(std::get<Data::Index>(many.root()));
    container.keys.push_back(std::to_string(i));
    container.items.emplace_back(std::int64_t{i});
  }
  Database(path_).root().set("many", many);
  run("CREATE TRIGGER spy AFTER INSERT ON node BEGIN SELECT 1; END");
  const Database db(path_);
  int calls = 0;
  static_cast<void>(db.check([&](auto, auto) { ++calls; }));
  ASSERT_GT(calls, 0);
  std::vector<std::string> lines;
  set_log_sink([&](const LogRecord& record) { lines.push_back(to_string(record)); });
  EXPECT_THROW(static_cast<void>(db.repair({.backup = false,
                                            .progress =
                                                [&](auto, auto) {
                                                  if (--calls < 0) throw std::out_of_range("stop");
                                                }})),
               std::out_of_range);
  set_log_sink({});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("repair_unfinished"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("'spy'"), std::string::npos) << lines[0];
}

TEST_F(HostileContent, ATableWithoutItsKeyIsMadeAnewWhateverItsKeysAre) {
  run("CREATE TABLE copy AS SELECT * FROM node; DROP TABLE node; ALTER TABLE copy RENAME TO node;"
      "INSERT INTO node SELECT 'text', version, prefix, kind, anchor, links, body FROM node LIMIT "
      "1;"
      "INSERT INTO node SELECT NULL, version, prefix, kind, anchor, links, body FROM node LIMIT 1");
  expect_problem("'node' differs from the one that graven makes");
  expect_mended();
}

TEST_F(HostileContent, AnItemOfUnknownKindMovesWithItsMap) {
  run("INSERT INTO item (map, key, kind, expires, value) "
      "VALUES (9223372036854775807, '1', -1, 12345, X'c0')");
  expect_mended();
}

TEST_F(HostileContent, ARootOfAPrefixThatCannotBeGetsOneThatCan) {
  run("INSERT INTO node (id, version, prefix, kind, anchor, links, body) "
      "SELECT id + 1000000, version, -1, kind, anchor + 1000000, links, body FROM node "
      "WHERE anchor = id LIMIT 1");
  expect_mended();
  run("INSERT INTO prefix (name, version, id, root) VALUES ('odd', 1, -7, 4000000000)");
  expect_mended();
}

TEST_F(HostileContent, ANodeOfAnotherKindIsAnError) {
  run("UPDATE node SET kind = 1 WHERE kind = 0 AND anchor <> id");
  const Database db(path_);
  const Value d = db.root().at("d");
  error_of([&] { (void)d.as_dict().get("k"); });
  error_of([&] { (void)d.as_dict().size(); });
  error_of([&] { (void)d.as_dict().materialize(); });
  error_of([&] { (void)db.root().materialize(); });
  error_of([&] { (void)db.root()["d"]["k"].value(); });
  error_of([&] { d.as_dict().set("k", 2); });
  expect_problem("its body is not an array");
  std::vector<Repaired> left_out;
  const Data saved = salvage(db.root(), left_out);
  ASSERT_EQ(left_out.size(), 1U);
  EXPECT_EQ(left_out.front().node, d.as_dict().uid());
  EXPECT_EQ(saved, Data::dict({{"d", Data::dict()}, {"l", {1, 2, 3}}}));
}

TEST_F(HostileContent, AChainThatComesBackIsAnError) {
  run("UPDATE node SET anchor = (SELECT max(id) FROM node) WHERE id = (SELECT max(id) FROM node)");
  run("UPDATE node SET anchor = (SELECT max(id) FROM node), links = 1 WHERE kind = 0 AND anchor <> "
      "id");
  run("UPDATE node SET anchor = (SELECT id FROM node WHERE kind = 0 AND body = "
      "jsonb('{\"k\":1}')), "
      "links = 1 WHERE id = (SELECT max(id) FROM node)");
  const Database db(path_);
  error_of([&] { (void)db.why_alive(db.root().at("d").as_dict()); });
  EXPECT_FALSE(db.check().ok());
  expect_mended();
}

}  // namespace
}  // namespace graven::test
