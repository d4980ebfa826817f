// SPDX-License-Identifier: MIT
//
// Large pieces: how many records their removal writes, that close() does not wait for it, and that
// whatever is left of it, also by a process that was killed, is sound and taken up by the next.
#include <chrono>
#include <string>
#include <thread>
#include <variant>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class LargePieces : public ::testing::Test {
 protected:
  static constexpr int kNodes = 60'000;

  static void make(const Database& db, bool in_dict) {
    Data rows = in_dict ? Data::dict() : Data::list();
    for (int i = 0; i < kNodes; ++i) {
      const Data::Index made = rows.add(NodeKind::kDict);
      rows.container(made).keys = {"n"};
      rows.container(made).items = {std::int64_t{i}};
      Data::Container& all = rows.container(std::get<Data::Index>(rows.root()));
      if (in_dict) all.keys.push_back("k" + std::to_string(i));
      all.items.emplace_back(made);
    }
    db.root().set("piece", rows);
  }
  static std::uint64_t left(const Database& db) { return db.check().reclaiming; }
  static void wait_until_gone(const Database& db) {
    for (int i = 0; i < 60'000 && left(db) != 0; i += 100) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    const CheckReport report = db.check();
    EXPECT_TRUE(report.ok()) << problems_of(report);
    EXPECT_EQ(report.reclaiming, 0U);
    EXPECT_EQ(report.nodes, 1U);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "r.db";
};

TEST_F(LargePieces, TakeFewMoreWritesThanTheyHaveRecords) {
  for (const bool in_dict : {false, true}) {
    const Database db(path_);
    make(db, in_dict);
    const std::uint64_t before = db.stats().writes.records;
    db.root().erase("piece");
    static_cast<void>(db.collect());
    wait_until_gone(db);
    // Of a dict the entries and slots as well.
    const std::uint64_t records = static_cast<std::uint64_t>(kNodes) * (in_dict ? 3 : 1);
    EXPECT_LT(db.stats().writes.records - before, records + records / 10);
    EXPECT_LT(all_records(db).size(), 20U);
  }
}

TEST_F(LargePieces, CloseLeavesWhatAHandleHeldToWhoOpensNext) {
  {
    const Database db(path_);
    make(db, true);
    const Dict handle = db["piece"].as_dict();
    db.root().erase("piece");
    EXPECT_EQ(handle.size(), static_cast<std::size_t>(kNodes));
    db.close();
  }
  Options reading;
  reading.read_only = true;
  {
    const Database db(path_, reading);
    const CheckReport report = db.check();
    EXPECT_TRUE(report.ok()) << problems_of(report);
    EXPECT_GT(report.reclaiming, 0U);
  }
  wait_until_gone(Database(path_));
}

TEST_F(LargePieces, KilledAtItTheyAreSound) {
  { make(Database(path_), true); }
  for (int round = 0; round < 12; ++round) {
    Child child([&](const Reporter& reporter) {
      const Database db(path_);
      if (db.root().contains("piece")) db.root().erase("piece");
      reporter.say("erased");
      db.collect();
      reporter.say("gone");
      return true;
    });
    EXPECT_EQ(child.line(), "erased");
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + 7 * round));
    child.kill();
    Options reading;
    reading.read_only = true;
    const Database db(path_, reading);
    const CheckReport report = db.check();
    EXPECT_TRUE(report.ok()) << problems_of(report);
  }
  wait_until_gone(Database(path_));
}

}  // namespace
}  // namespace graven::test
