// SPDX-License-Identifier: MIT
//
// A handle's first use: it takes what another process has put in its node's place since, so that
// an expression over several steps is the old or the new value. A handle used once stands for its
// node for good. And which handles may be linked where.
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

/// Two Databases of one file that know as little of each other's handles as two processes do:
/// `synchronous` differs, so each has a heap of its own.
class FirstUse : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "state.db";
  const Database db{path_};
  const Database other{path_, {.synchronous = Synchronous::kFull}};
};

TEST_F(FirstUse, TakesWhatIsThereNow) {
  db["t"] = {{"l", {1, 2, {{"deep", {{"er", 3}}}}}}};
  const auto replaced = [&] { other["t"] = {{"l", {10, 20, {{"deep", {{"er", 30}}}}}}}; };
  const Dict t = db.root().at("t").as_dict();
  replaced();
  const List l = t.at("l").as_list();
  EXPECT_EQ(l.at(1).get<int>(), 20);
  const Dict deep = db["t"].as_dict().at("l").as_list().at(-1).as_dict().at("deep").as_dict();
  replaced();
  EXPECT_EQ(deep.at("er").get<int>(), 30);
  const Dict whole = db.root().at("t").as_dict();
  replaced();
  EXPECT_EQ(whole.materialize().at("l").size(), 3U);
  const Dict sized = db.root().at("t").as_dict();
  replaced();
  EXPECT_EQ(sized.size(), 1U);
  const List listed = db["t"]["l"].as_list();
  replaced();
  EXPECT_EQ(listed.size(), 3U);
  const Dict there = db.root().at("t").as_dict();
  replaced();
  EXPECT_TRUE(there.exists());
  EXPECT_TRUE(db.check().ok());
}

TEST_F(FirstUse, WritesToWhatIsThereNow) {
  db["t"] = {{"n", 1}};
  const Dict t = db.root().at("t").as_dict();
  other["t"] = {{"n", 2}};
  t.set("m", 3);
  EXPECT_EQ(other["t"]["m"].get<int>(), 3);
  EXPECT_EQ(other["t"]["n"].get<int>(), 2);
  const Dict linked = db.root().at("t").as_dict();
  other["t"] = {{"n", 4}};
  db["also"] = linked;
  other["t"]["n"] = 5;
  EXPECT_EQ(db["also"]["n"].get<int>(), 5);
  EXPECT_TRUE(db.check().ok());
}

TEST_F(FirstUse, IsTheOnlyOneThatDoes) {
  db["t"] = {{"n", 1}};
  const Dict t = db.root().at("t").as_dict();
  EXPECT_EQ(t.at("n").get<int>(), 1);
  const std::string uid = t.uid();
  other["t"] = {{"n", 2}};
  EXPECT_FALSE(t.exists());
  try {
    static_cast<void>(t.at("n"));
    FAIL();
  } catch (const CollectedError& error) {
    EXPECT_NE(std::string(error.what()).find(uid), std::string::npos) << error.what();
  }
  EXPECT_THROW(t.set("n", 3), CollectedError);
  const Dict named = db.root().at("t").as_dict();
  static_cast<void>(named.uid());
  other["t"] = {{"n", 3}};
  EXPECT_THROW(static_cast<void>(named.at("n")), CollectedError);
}

TEST_F(FirstUse, OfWhatIsNoLongerThereIsAnError) {
  db["t"] = {{"l", {1}}};
  const Dict deleted = db.root().at("t").as_dict();
  other.root().erase("t");
  EXPECT_THROW(static_cast<void>(deleted.size()), CollectedError);
  db["t"] = {{"l", {1}}};
  const Dict other_kind = db.root().at("t").as_dict();
  other["t"] = {1, 2};
  EXPECT_THROW(static_cast<void>(other_kind.size()), CollectedError);
  db["t"] = {{"l", {{{"x", 1}}}}};
  const Dict item = db["t"]["l"][0].as_dict();
  other["t"]["l"] = Data::list();
  EXPECT_THROW(static_cast<void>(item.at("x")), CollectedError);
  EXPECT_TRUE(db.check().ok());
}

TEST_F(FirstUse, GoesLongWays) {
  const std::string key(300, 'k');
  db[key] = {{key, {{"short", {{"n", 1}}}}}};
  const Dict one = db.root().at(key).as_dict();
  other[key] = {{key, {{"short", {{"n", 2}}}}}};
  EXPECT_EQ(one.at(key).as_dict().at("short").as_dict().at("n").get<int>(), 2);
  Dict chain = db.new_dict();
  db["chain"] = chain;
  for (int i = 0; i < 100; ++i) {
    chain.set("next", Data::dict());
    chain = chain.at("next").as_dict();
  }
  Dict at = db.root().at("chain").as_dict();
  int steps = 0;
  while (at.contains("next")) {
    at = at.at("next").as_dict();
    ++steps;
  }
  EXPECT_EQ(steps, 100);
}

TEST_F(FirstUse, OfDeletedOnesOfThisProcessIsTheirNode) {
  db["t"] = {{"n", 1}};
  const Dict t = db.root().at("t").as_dict();
  db["t"] = {{"n", 2}};
  EXPECT_EQ(t.at("n").get<int>(), 1);
}

TEST_F(FirstUse, KeepsTheNodeThatItFound) {
  db["t"] = {{"n", 1}};
  const Dict t = db.root().at("t").as_dict();
  other["t"] = {{"n", 2}};
  EXPECT_EQ(t.at("n").get<int>(), 2);
  db.root().erase("t");
  db.collect();
  EXPECT_EQ(t.at("n").get<int>(), 2);
  db["back"] = t;
  EXPECT_EQ(db["back"]["n"].get<int>(), 2);
  EXPECT_TRUE(db.check().ok());
}

/// What a writer in another process always keeps: under "t" and "rows" the same number everywhere.
void write_rounds(const std::string& path, int rounds) {
  const Database writer(path);
  for (int i = 1; i <= rounds; ++i) {
    writer["t"] = {{"l", {i, i, {{"x", i}}}}};
    writer["rows"] = {{{"n", i}}, {{"n", i}}};
  }
}

TEST(FirstUseInProcesses, ExpressionsAreTheOldOrTheNewValue) {
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  write_rounds(path, 1);
  Child child([&] {
    write_rounds(path, 3000);
    return true;
  });
  const Database db(path);
  int last = 0;
  for (int i = 0; i < 4000; ++i) {
    const int seen = db["t"]["l"][1].get<int>();
    EXPECT_GE(seen, 1);
    const auto by_hand = db.root().at("t").as_dict().at("l").as_list().at(2).as_dict().at("x");
    last = by_hand.get<int>();
    const Data rows = db["rows"].materialize();
    EXPECT_EQ(rows.at(std::size_t{0}).at("n").get<int>(),
              rows.at(std::size_t{1}).at("n").get<int>());
    EXPECT_EQ(db["t"].as_dict().at("l").as_list().size(), 3U);
  }
  EXPECT_GE(last, 1);
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(db["t"]["l"][1].get<int>(), 3000);
  EXPECT_TRUE(db.check().ok());
}

// --- Links to what a view shows

TEST_F(FirstUse, ViewsCannotBeLinkedAsTheyAre) {
  db["m"] = {{"n", 1}, {"l", {1}}};
  Snapshot snapshot = db.snapshot();
  db["m"]["n"] = 2;
  const Dict seen = snapshot.root().at("m").as_dict();
  EXPECT_THROW(db["old"] = seen, BadValueError);
  EXPECT_THROW(db["old"] = snapshot["m"], BadValueError);
  EXPECT_THROW((db["old"] = {{"deep", {seen}}}), BadValueError);
  EXPECT_THROW(static_cast<void>(db.new_list({seen})), BadValueError);
  EXPECT_THROW(db.root().update({{"a", seen}}), BadValueError);
  EXPECT_FALSE(db["old"].exists());
  db["old"] = seen.materialize();
  EXPECT_EQ(db["old"]["n"].get<int>(), 1);
  const Transactor transactor = db.transactor();
  EXPECT_THROW(transactor["old"] = seen, BadValueError);
  const Dict mine = transactor.root().at("m").as_dict();
  EXPECT_THROW(db["mine"] = mine, BadValueError);
  EXPECT_THROW(db.transactor()["mine"] = mine, BadValueError);
  transactor["mine"] = mine;
  transactor["live"] = db["m"];
  EXPECT_TRUE(transactor.execute());
  EXPECT_EQ(db["mine"]["n"].get<int>(), 2);
  EXPECT_EQ(db["mine"].as_dict(), db["live"].as_dict());
  EXPECT_TRUE(db.check().ok());
}

}  // namespace
}  // namespace graven::test
