// SPDX-License-Identifier: MIT
//
// What the files take: maintenance gives back what is free at once or says who is in the way, and a
// WAL is cut off once nobody writes.
#include <graven/graven.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

class SpaceTest : public ::testing::Test {
 protected:
  static constexpr std::uintmax_t kMiB = std::uintmax_t{1} << 20U;

  [[nodiscard]] std::uintmax_t size(const char* suffix = "") const {
    std::error_code ignored;
    const auto bytes = std::filesystem::file_size(path_ + suffix, ignored);
    return ignored ? 0 : bytes;
  }
  /// Some 16 MiB that are gone again, and something that stays.
  static void fill_and_delete(const Database& db) {
    db["stays"] = "here";
    db["rows"] = Data::list();
    const List rows = db["rows"].as_list();
    for (int i = 0; i < 16; ++i) {
      db.transaction([&] {
        for (int j = 0; j < 1000; ++j) rows.push_back(std::string(900, 'x'));
      });
    }
    db.root().erase("rows");
  }

  /// Appends so many items in one transaction.
  static void append(const Database& db, int items) {
    db.transaction([&] {
      const List rows = db["rows"].as_list();
      for (int i = 0; i < items; ++i) rows.push_back(std::string(900, 'x'));
    });
  }
  void wait_until_cut_off() const {
    for (int i = 0; i < 30'000 && size("-wal") > 8 * kMiB; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_LE(size("-wal"), 8 * kMiB);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "s.db";
};

TEST_F(SpaceTest, MaintenanceOnceGivesBackAllThatIsFree) {
  const Database db(path_);
  fill_and_delete(db);
  EXPECT_EQ(db.maintenance(), "");
  EXPECT_LT(size() + size("-wal"), 3 * kMiB);
  EXPECT_LT(db.size_on_disk(), 3 * kMiB);
  EXPECT_TRUE(db.check().ok());
  EXPECT_EQ(db["stays"].get<std::string>(), "here");
}

TEST_F(SpaceTest, OrItNamesAReaderOfThisProcess) {
  const Database db(path_);
  db["stays"] = "here";
  std::optional<Snapshot> snapshot(db.snapshot());
  EXPECT_EQ((*snapshot)["stays"].get<std::string>(), "here");
  fill_and_delete(db);
  const std::string obstacle = db.maintenance();
  EXPECT_NE(obstacle.find("this process"), std::string::npos) << obstacle;
  EXPECT_NE(obstacle.find("snapshot"), std::string::npos) << obstacle;
  EXPECT_NE(obstacle.find(" ms"), std::string::npos) << obstacle;
  snapshot.reset();
  EXPECT_EQ(db.maintenance(), "");
  EXPECT_LT(db.size_on_disk(), 3 * kMiB);
}

TEST_F(SpaceTest, OrOneOfAnother) {
  int end[2] = {-1, -1};
  ASSERT_EQ(::pipe(end), 0);
  {
    const Database db(path_);
    db["stays"] = "here";
  }
  Child reader([&](const Reporter& reporter) {
    ::close(end[1]);
    const Database db(path_);
    {
      const Snapshot snapshot = db.snapshot();
      EXPECT_EQ(snapshot["stays"].get<std::string>(), "here");
      reporter.say("reads");
      char byte = 0;
      if (::read(end[0], &byte, 1) != 1) return false;
    }
    reporter.say("read");
    return true;
  });
  ::close(end[0]);
  EXPECT_EQ(reader.line(), "reads");
  const Database db(path_);
  fill_and_delete(db);
  const std::string obstacle = db.maintenance();
  EXPECT_NE(obstacle.find("process " + std::to_string(reader.pid())), std::string::npos)
      << obstacle;
  EXPECT_EQ(::write(end[1], "e", 1), 1);
  EXPECT_EQ(reader.line(), "read");
  EXPECT_EQ(db.maintenance(), "");
  EXPECT_LT(db.size_on_disk(), 3 * kMiB);
  ::close(end[1]);
  EXPECT_TRUE(reader.succeeded());
}

TEST_F(SpaceTest, OthersWriteWhileItGoesOn) {
  const Database db(path_);
  fill_and_delete(db);
  std::atomic<bool> done{false};
  std::atomic<int> before{0};
  std::thread writer([&] {
    const Database other(path_);
    for (int i = 0; !done.load(); ++i) {
      other["n"] = i;
      ++before;
    }
  });
  while (before.load() == 0) std::this_thread::yield();
  EXPECT_EQ(db.maintenance(), "");
  done = true;
  writer.join();
  EXPECT_TRUE(db.check().ok());
}

TEST_F(SpaceTest, TheWalOfAWriterThatPausesIsCutOff) {
  const Database db(path_);
  db["rows"] = Data::list();
  const List rows = db["rows"].as_list();
  std::uintmax_t largest = 0;
  for (int i = 0; i < 600; ++i) {
    db.transaction([&] {
      for (int j = 0; j < 100; ++j) rows.push_back(std::string(900, 'x'));
    });
    largest = std::max(largest, size("-wal"));
  }
  EXPECT_LE(largest, 36 * kMiB);  // docs/limits.md: 32, and what the last commit had
  wait_until_cut_off();
  EXPECT_EQ(rows.size(), 60'000U);
}

TEST_F(SpaceTest, SoIsThatOfOneLargeCommit) {
  const Database db(path_);
  db["rows"] = Data::list();
  append(db, 40'000);
  EXPECT_GT(size("-wal"), 32 * kMiB);
  wait_until_cut_off();
}

TEST_F(SpaceTest, AndThatOfCommitsThatWaitForTheDisk) {
  const Database db(path_, {.synchronous = Synchronous::kFull});
  db["rows"] = Data::list();
  for (int i = 0; i < 12 && size("-wal") <= 8 * kMiB; ++i) append(db, 1500);
  EXPECT_GT(size("-wal"), 8 * kMiB);
  wait_until_cut_off();
}

TEST_F(SpaceTest, AnIdleStoreWithAReaderIsNotWritten) {
  const Database db(path_);
  db["rows"] = Data::list();
  for (int i = 0; i < 5; ++i) append(db, 1000);
  const Snapshot snapshot = db.snapshot();
  EXPECT_EQ(snapshot["rows"].as_list().size(), 5000U);
  for (int i = 0; i < 6; ++i) append(db, 1000);
  // It is tried once a second.
  std::this_thread::sleep_for(std::chrono::milliseconds(3500));
  const std::uint64_t commits = db.stats().file.commits;
  EXPECT_GT(size("-wal"), 8 * kMiB);
  std::this_thread::sleep_for(std::chrono::milliseconds(4500));
  EXPECT_LE(db.stats().file.commits, commits + 1);
}

TEST_F(SpaceTest, MaintenanceRightAfterWritingWaitsForTheHousekeeper) {
  const Database db(path_);
  for (int round = 0; round < 5; ++round) {
    db["rows"] = Data::list();
    for (int i = 0; i < 140; ++i) append(db, 100);
    EXPECT_EQ(db.maintenance(), "");
    EXPECT_LE(size("-wal"), 16 * kMiB);
  }
}

TEST_F(SpaceTest, NobodyIsNamedWhereNobodyReads) {
  for (const Checkpoint how : {Checkpoint::kPassive, Checkpoint::kFull, Checkpoint::kRestart}) {
    const Database db(path_, {.checkpoint = how});
    db["rows"] = Data::list();
    append(db, 20'000);
    EXPECT_GT(size("-wal"), 16 * kMiB);
    EXPECT_EQ(db.maintenance(), "");
  }
}

TEST_F(SpaceTest, AFewFreePagesAreGivenBackToo) {
  const Database db(path_);
  db["rows"] = Data::list();
  append(db, 15'000);
  db["stays"] = Data::list();
  db["stays"].as_list().push_back(db["rows"]);
  db["rows"] = Data::list();
  append(db, 1200);
  db.root().erase("rows");
  EXPECT_EQ(db.maintenance(), "");
  EXPECT_EQ(db.stats().file.free_pages, 0U);
}

}  // namespace
}  // namespace graven::test
