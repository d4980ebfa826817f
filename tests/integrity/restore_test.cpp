// SPDX-License-Identifier: MIT
//
// restore(): a backup comes back as it was; one that is not whole, or a store that somebody has
// open, is refused and nothing changes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <sys/stat.h>
#include <thread>

#include <sqlite3.h>

#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "integrity/backup_under_test.hpp"

namespace graven::test {
namespace {

class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    const Database db(path);
    fill(db);
    db.backup(copy);
    then = std::make_unique<Data>(all_of(db));
    db["later"] = "than the backup";
    db["people"].get<Dict>().erase("p7");
  }

  /// The store is as it was before the attempt, byte for byte, and so is its folder.
  void expect_refused(const std::function<void()>& attempt) {
    const std::string before = bytes_of(path);
    const auto files = files_in(folder);
    EXPECT_THROW(attempt(), Error);
    EXPECT_TRUE(bytes_of(path) == before);
    EXPECT_EQ(files_in(folder), files);
  }

  TemporaryFolder folder;
  const std::string path = folder / "state.db";
  const std::string copy = folder / "copy.db";
  std::unique_ptr<Data> then;
};

TEST_F(RestoreTest, PutsABackupInAStoresPlaceAndKeepsThat) {
  const BackupReport report = restore(copy, path);
  EXPECT_EQ(report.path, path);
  EXPECT_EQ(report.replaced, path + ".before-restore");
  EXPECT_EQ(all_of(Database{path}), *then);
  EXPECT_EQ(Database{report.replaced}["later"].get<std::string>(), "than the backup");
  expect_sound(path);
  expect_sound(report.replaced);
  EXPECT_FALSE(std::filesystem::exists(path + "-changes"));
}

TEST_F(RestoreTest, WhereThereIsNoStoreOrNoneIsKept) {
  const BackupReport fresh = restore(copy, folder / "fresh.db");
  EXPECT_TRUE(fresh.replaced.empty());
  EXPECT_EQ(all_of(Database{folder / "fresh.db"}), *then);
  const BackupReport replaced = restore(copy, path, {.keep_replaced = false});
  EXPECT_TRUE(replaced.replaced.empty());
  EXPECT_FALSE(std::filesystem::exists(path + ".before-restore"));
  EXPECT_EQ(all_of(Database{path}), *then);
}

TEST_F(RestoreTest, NeverOverwritesWhatAnEarlierOneKept) {
  restore(copy, path);
  Database{path}["mine"] = 1;
  expect_refused([&] { restore(copy, path); });
  EXPECT_EQ(Database{path}["mine"].get<int>(), 1);
}

TEST_F(RestoreTest, GoesOnFromThere) {
  restore(copy, path);
  const Database db(path);
  fill(db, 50);
  db.root().erase("people");
  db.collect();
  EXPECT_TRUE(db.check().ok());
}

TEST_F(RestoreTest, RefusesAStoreThatIsOpen) {
  {
    const Database db(path);
    // Reading the file's bytes here would drop the locks of this process on it.
    EXPECT_THROW(restore(copy, path), BusyError);
    db["goes on"] = 1;
  }
  {
    const Database db(path, {.read_only = true});
    EXPECT_THROW(restore(copy, path), BusyError);
  }
  Child child([&](const Reporter& reporter) {
    const Database db(path);
    reporter.say("open");
    ::sleep(60);
    return true;
  });
  ASSERT_EQ(child.line(), "open");
  try {
    restore(copy, path);
    ADD_FAILURE() << "restored";
  } catch (const BusyError& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(child.pid())), std::string::npos)
        << error.what();
  }
  child.kill();
  restore(copy, path);
  EXPECT_EQ(all_of(Database{path}), *then);
  // What the killed process had committed is in what was kept, though it was in the WAL.
  EXPECT_EQ(Database{path + ".before-restore"}["goes on"].get<int>(), 1);
}

TEST_F(RestoreTest, WhatTheReplacedOneHadInItsWalIsNotPlayedIntoTheNew) {
  Child child([&](const Reporter& reporter) {
    const Database db(path);
    db["later"] = "than the backuq";  // in its place: page 1 does not change, nor is it in the WAL
    reporter.say("written");
    ::sleep(60);
    return true;
  });
  ASSERT_EQ(child.line(), "written");
  child.kill();
  ASSERT_GT(std::filesystem::file_size(path + "-wal"), 0U);
  // The store itself is damaged, so its WAL cannot be brought into it.
  std::string bytes = bytes_of(path);
  std::fill(bytes.begin(), bytes.begin() + 200, 'x');
  write_bytes(path, bytes);
  restore(copy, path);
  EXPECT_EQ(all_of(Database{path}), *then);
  expect_sound(path);
  EXPECT_TRUE(bytes_of(path + ".before-restore") == bytes);
  EXPECT_TRUE(std::filesystem::exists(path + ".before-restore-wal"));
}

TEST_F(RestoreTest, RefusesABackupThatWasAlteredAnywhere) {
  const std::string sealed = bytes_of(copy);
  std::mt19937_64 random(std::random_device{}());
  for (int round = 0; round < 100; ++round) {
    std::string bytes = sealed;
    // The header and the seal are the smallest and say most.
    const std::size_t at = round < 32   ? bytes.size() - 1 - static_cast<std::size_t>(round)
                           : round < 50 ? random() % 100
                                        : random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1U << (random() % 8)));
    write_bytes(copy, bytes);
    SCOPED_TRACE("byte " + std::to_string(at));
    expect_refused([&] { restore(copy, path); });
  }
}

TEST_F(RestoreTest, RefusesABackupThatWasCut) {
  const std::string sealed = bytes_of(copy);
  std::mt19937_64 random(std::random_device{}());
  std::vector<std::size_t> sizes{0, 1, 16, 99, 100, 511, 512, 2047, 2048, 2049};
  for (std::size_t off = 1; off <= 33; ++off) sizes.push_back(sealed.size() - off);  // the seal
  for (int round = 0; round < 20; ++round) sizes.push_back(random() % sealed.size());
  for (int round = 0; round < 10; ++round) {
    sizes.push_back(random() % (sealed.size() / 2048) * 2048);  // whole pages
  }
  for (const std::size_t size : sizes) {
    write_bytes(copy, sealed.substr(0, size));
    SCOPED_TRACE("cut to " + std::to_string(size) + " of " + std::to_string(sealed.size()));
    expect_refused([&] { restore(copy, path); });
  }
}

TEST_F(RestoreTest, RefusesABackupWhoseSealIsNoLongerAtItsEnd) {
  const std::string sealed = bytes_of(copy);
  const std::string store = sealed.substr(0, sealed.size() - 32);
  const std::string seal = sealed.substr(sealed.size() - 32);
  std::string altered = store;
  const std::size_t at = altered.find("p200");  // a key
  ASSERT_NE(at, std::string::npos);
  altered[at] = 'q';
  const std::string page(2048, '\0');
  for (const auto& bytes :
       {sealed + "m", sealed + "more", sealed + page, sealed + seal, store, store + page + seal,
        store + page, store + seal.substr(1), altered + seal, altered, altered + seal + "x",
        altered + seal + page, seal + store, store.substr(0, store.size() - 2048) + seal}) {
    write_bytes(copy, bytes);
    SCOPED_TRACE(bytes.size());
    expect_refused([&] { restore(copy, path); });
  }
}

TEST_F(RestoreTest, SaysWhetherASealProvedIt) {
  EXPECT_TRUE(restore(copy, path, {.keep_replaced = false}).sealed);
  // What was restored is a store, not a backup: it never had a seal.
  const BackupReport again = restore(path, folder / "again.db");
  EXPECT_FALSE(again.sealed);
  EXPECT_EQ(all_of(Database{folder / "again.db"}), *then);
  // So is a backup that was opened for writing; one that was only read is a backup.
  all_of(Database{copy, {.read_only = true}});
  EXPECT_TRUE(restore(copy, folder / "read.db").sealed);
  all_of(Database{copy});
  EXPECT_FALSE(restore(copy, folder / "written.db").sealed);
}

TEST_F(RestoreTest, RefusesWhatIsNoBackup) {
  expect_refused([&] { restore(folder / "none.db", path); });
  expect_refused([&] { restore(folder.path().string(), path); });
  expect_refused([&] { restore(path, path); });
  expect_refused([&] { restore(copy, folder.path().string()); });
  write_bytes(folder / "empty", "");
  expect_refused([&] { restore(folder / "empty", path); });
  write_bytes(folder / "text", std::string(5000, 'x'));
  expect_refused([&] { restore(folder / "text", path); });
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "other.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE t (a)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  expect_refused([&] { restore(folder / "other.db", path); });
  sqlite3* newer = nullptr;
  ASSERT_EQ(sqlite3_open(copy.c_str(), &newer), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(newer, "UPDATE meta SET value = 99 WHERE key IN ('format', 'oldest_reader')",
                   nullptr, nullptr, nullptr),
      SQLITE_OK);
  sqlite3_close(newer);
  EXPECT_THROW(restore(copy, path), ForeignFileError);
  expect_refused([&] { restore(copy, path); });
}

TEST_F(RestoreTest, RefusesAStoreInUseAsABackup) {
  const Database db(path);
  db["in the wal"] = 1;
  EXPECT_THROW(restore(path, folder / "other.db"), UnavailableError);
  EXPECT_FALSE(std::filesystem::exists(folder / "other.db"));
}

TEST_F(RestoreTest, TakesABackupThatWasUsedAsAStore) {
  {
    const Database db(copy);
    fill(db, 900);
    db["used"] = true;
    EXPECT_TRUE(db.check().ok());
  }
  expect_sound(copy);
  const Data now = all_of(Database{copy});
  restore(copy, path);
  EXPECT_EQ(all_of(Database{path}), now);
  expect_sound(path);
  // And one that was only read is a backup as before.
  Database(path).backup(folder / "second.db");
  EXPECT_EQ(all_of(Database{folder / "second.db", {.read_only = true}}), now);
  restore(folder / "second.db", folder / "third.db");
  EXPECT_EQ(all_of(Database{folder / "third.db"}), now);
}

TEST_F(RestoreTest, KilledItLeavesTheOldStoreOrTheNew) {
  const Data old = all_of(Database{path});
  const std::string before = bytes_of(path);
  std::mt19937_64 random(std::random_device{}());
  // However slow the machine is, some are killed early and some are not killed in time.
  const auto begun = std::chrono::steady_clock::now();
  restore(copy, path);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begun);
  std::filesystem::remove(path + ".before-restore");
  write_bytes(path, before);
  int restored = 0;
  for (int round = 0; round < 40; ++round) {
    Child child([&](const Reporter& reporter) {
      reporter.say("begins");
      restore(copy, path);
      return true;
    });
    ASSERT_EQ(child.line(), "begins");
    std::this_thread::sleep_for(took * static_cast<int>(random() % 400) / 100);
    child.kill();
    const Data now = all_of(Database{path});
    EXPECT_TRUE(now == old || now == *then);
    restored += now == *then ? 1 : 0;
    for (const std::string& name : files_in(folder)) {
      const std::string kept = folder / name;
      const bool named = name == "state.db.before-restore";
      if (!named && !(name.starts_with("state.db.replaced-") && sqlite::was_replaced(kept)))
        continue;
      EXPECT_TRUE(now == *then) << name;
      EXPECT_EQ(all_of(Database{kept}), old);
      std::filesystem::remove(kept);
    }
    write_bytes(path, before);
  }
  EXPECT_GT(restored, 0);
  restore(copy, path);
  for (const std::string& name : files_in(folder)) {
    EXPECT_EQ(name.find(".partial-"), std::string::npos) << name;
    EXPECT_EQ(name.find(".replaced-"), std::string::npos) << name;
  }
}

TEST_F(RestoreTest, AtEveryMomentItsNameLeadsToOneStoreThatHasNoOther) {
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<int> looks{0};
  std::thread other([&] {
    while (!done) {
      struct stat info {};
      if (::stat(path.c_str(), &info) != 0 || info.st_nlink != 1) ++wrong;
      ++looks;
    }
  });
  for (int round = 0; round < 100; ++round) {
    restore(copy, path);
    std::filesystem::remove(path + ".before-restore");
  }
  done = true;
  other.join();
  EXPECT_EQ(wrong, 0) << "of " << looks;
}

TEST_F(RestoreTest, WhatAKilledOneHadReplacedStaysAndItsCopyGoes) {
  const std::string old = folder / "state.db.replaced-1";
  std::filesystem::copy_file(path, old);
  ASSERT_TRUE(sqlite::was_replaced(old));
  const std::string new_one = folder / "state.db.new";
  std::filesystem::copy_file(path, new_one);
  const std::string between = sqlite::replaced_name(path, sqlite::file_state(new_one).inode);
  std::filesystem::rename(new_one, between);
  EXPECT_FALSE(sqlite::was_replaced(between));
  restore(copy, path);
  EXPECT_TRUE(std::filesystem::exists(old));
  EXPECT_FALSE(std::filesystem::exists(between));
  expect_sound(old);
}

TEST_F(RestoreTest, ABackupThatIsNotThereIsNotMade) {
  try {
    restore(folder / "missing.db", path);
    ADD_FAILURE() << "restored";
  } catch (const UnavailableError& error) {
    EXPECT_NE(std::string(error.what()).find("nothing to restore"), std::string::npos)
        << error.what();
  }
}

TEST_F(RestoreTest, LeavesNothingWhenItIsStopped) {
  expect_refused([&] {
    restore(copy, path,
            {.progress = [](std::uint64_t, std::uint64_t) { throw UsageError("enough"); }});
  });
}

}  // namespace
}  // namespace graven::test
