// SPDX-License-Identifier: MIT
//
// Database::backup(): what it makes, what it refuses, and that nothing is left of one that failed.
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sqlite3.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "graph/scope.hpp"
#include "integrity/backup_under_test.hpp"

namespace graven::test {
namespace {

class BackupTest : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  const std::string path = folder / "state.db";
  const std::string copy = folder / "copy.db";
};

TEST_F(BackupTest, MakesAStoreInOneFile) {
  const Database db(path);
  fill(db);
  const BackupReport report = db.backup(copy);
  EXPECT_EQ(report.path, copy);
  EXPECT_EQ(report.bytes, std::filesystem::file_size(copy));
  EXPECT_EQ(report.nodes, db.check().nodes);
  EXPECT_EQ(report.links, db.check().links);
  EXPECT_TRUE(report.replaced.empty());
  struct stat info {};
  ASSERT_EQ(::stat(copy.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(copy + "-wal"));

  const Database made(copy);
  EXPECT_EQ(all_of(made), all_of(db));
  EXPECT_EQ(made.count("made"), 400);
  expect_sound(copy);
}

TEST_F(BackupTest, TellsItsProgress) {
  const Database db(path);
  fill(db);
  std::uint64_t last = 0;
  std::uint64_t pages = 0;
  int calls = 0;
  db.backup(copy, {.progress =
                       [&](std::uint64_t done, std::uint64_t total) {
                         EXPECT_GT(done, last);
                         EXPECT_LE(done, total);
                         last = done;
                         pages = total;
                         ++calls;
                       },
                   .pages_per_step = 5,
                   .pause = std::chrono::milliseconds(1)});
  EXPECT_EQ(last, pages);
  EXPECT_GT(calls, 5);
}

TEST_F(BackupTest, IsOneStateThoughOthersCommitBetweenItsSteps) {
  const Database db(path);
  fill(db);
  const Data before = all_of(db);
  db.backup(copy, {.progress =
                       [&](std::uint64_t done, std::uint64_t) {
                         db["step"] = static_cast<std::int64_t>(done);
                         db["people"]["p1"] = static_cast<std::int64_t>(done);
                       },
                   .pages_per_step = 2});
  EXPECT_EQ(all_of(Database{copy}), before);
}

TEST_F(BackupTest, OfALazyStoreHasWhatWasCommitted) {
  Options options;
  options.persist = Persist::kLazy;
  options.flush_interval = std::chrono::hours(1);
  const Database db(path, options);
  fill(db, 10);
  db.backup(copy);
  EXPECT_EQ(all_of(Database{copy}), all_of(db));
}

TEST_F(BackupTest, HasWhatLazyMapsOfThisProcessWereGiven) {
  for (const Persist persist : {Persist::kWritethrough, Persist::kLazy}) {
    const std::string store = folder / (persist == Persist::kLazy ? "lazy.db" : "through.db");
    const Database db(store, {.persist = persist, .flush_interval = std::chrono::hours(1)});
    const std::array names = {"one", "two"};
    std::vector<Map> maps;
    for (const char* name : names) {
      maps.emplace_back(store, MapOptions{.name = name,
                                          .persist = Persist::kLazy,
                                          .flush_interval = std::chrono::hours(1)});
      maps.back().set("k", name);
    }
    db.backup(copy, {.overwrite = true});
    for (const char* name : names) {
      EXPECT_EQ(Map(copy, {.name = name, .read_only = true}).get("k"), Data(name));
    }
  }
}

TEST_F(BackupTest, OfAReadOnlyStore) {
  fill(Database(path));
  const Database db(path, {.read_only = true});
  db.backup(copy);
  EXPECT_EQ(all_of(Database{copy}), all_of(db));
}

TEST_F(BackupTest, KeepsWhatIsThereUnlessTold) {
  const Database db(path);
  fill(db, 10);
  write_bytes(copy, "something else");
  EXPECT_THROW(db.backup(copy), UsageError);
  EXPECT_EQ(bytes_of(copy), "something else");
  db.backup(copy, {.overwrite = true});
  expect_sound(copy);
  db["more"] = 1;
  db.backup(copy, {.overwrite = true});
  EXPECT_EQ(all_of(Database{copy}), all_of(db));
}

TEST_F(BackupTest, RefusesWhatItCannotDo) {
  const Database db(path);
  fill(db, 10);
  const auto before = files_in(folder);
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_symlink(path, folder / "link");
  EXPECT_THROW(db.backup(path, {.overwrite = true}), UsageError);
  EXPECT_THROW(db.backup(folder / "link", {.overwrite = true}), UsageError);
  EXPECT_THROW(db.backup(folder / "folder", {.overwrite = true}), UsageError);
  EXPECT_THROW(db.backup(""), UsageError);
  EXPECT_THROW(db.backup(folder / "none/copy.db"), UnavailableError);
  EXPECT_THROW(db.backup(copy, {.pages_per_step = 0}), UsageError);
  EXPECT_THROW(db.transaction([&] { db.backup(copy); }), UsageError);
  EXPECT_THROW(Database("memory://").backup(copy), UsageError);
  Options memory;
  memory.persist = Persist::kMemory;
  EXPECT_THROW(Database("cache", memory).backup(copy), UsageError);
  {
    write_bytes(copy + "-wal", "of another store");
    EXPECT_THROW(db.backup(copy), UsageError);
    EXPECT_EQ(bytes_of(copy + "-wal"), "of another store");
    std::filesystem::remove(copy + "-wal");
  }
  std::filesystem::remove(folder / "link");
  std::filesystem::remove(folder / "folder");
  EXPECT_EQ(files_in(folder), before);
  EXPECT_EQ(db["large"].get<std::string>().size(), 30'000U);
}

TEST_F(BackupTest, NeverReplacesAStoreThatIsOpen) {
  const Database db(path);
  fill(db, 10);
  {
    const Database other(copy);
    other["mine"] = 1;
    EXPECT_THROW(db.backup(copy, {.overwrite = true}), BusyError);
    other["mine"] = 2;
    EXPECT_EQ(other["mine"].get<int>(), 2);
  }
  db.backup(copy, {.overwrite = true});
  EXPECT_EQ(all_of(Database{copy}), all_of(db));
}

TEST_F(BackupTest, OfADamagedStoreIsNone) {
  {
    const Database db(path);
    fill(db);
  }
  std::string bytes = bytes_of(path);
  bytes.replace(bytes.size() / 2, 4000, 4000, '\xff');
  write_bytes(path, bytes);
  const auto before = files_in(folder);
  EXPECT_THROW(Database(path, {.read_only = true}).backup(copy), CorruptionError);
  EXPECT_FALSE(std::filesystem::exists(copy));
  for (const std::string& name : files_in(folder)) {
    EXPECT_EQ(name.find(".partial-"), std::string::npos) << name;
  }
}

TEST_F(BackupTest, LeavesNothingWhenItIsStopped) {
  const Database db(path);
  fill(db);
  const auto before = files_in(folder);
  int calls = 0;
  EXPECT_THROW(db.backup(copy, {.progress =
                                    [&](std::uint64_t, std::uint64_t) {
                                      if (++calls == 3) throw std::runtime_error("enough");
                                    },
                                .pages_per_step = 2}),
               std::runtime_error);
  EXPECT_EQ(files_in(folder), before);
  db["goes on"] = 1;
  db.backup(copy);
  expect_sound(copy);
}

TEST_F(BackupTest, LeavesNothingWhereTheDiskIsFullOrBroken) {
  const auto store = std::make_shared<store::Store>(sqlite::open(path, {.vfs = faulty_vfs()}));
  const Database db(graph::make_live_scope(std::make_shared<graph::Session>(store, Options())));
  fill(db, 100);
  const auto before = files_in(folder);
  for (const int code : {SQLITE_FULL, SQLITE_IOERR}) {
    arm({});
    db.backup(copy);
    const int calls = disarm();
    std::filesystem::remove(copy);
    int failed = 0;
    for (int at = 1; at <= calls; at += 1 + calls / 40) {
      arm({.at = at, .for_good = true, .code = code});
      try {
        db.backup(copy);
      } catch (const UnavailableError&) {
        ++failed;
      }
      const bool happened = fault_happened();
      disarm();
      std::filesystem::remove(copy);  // where only what comes after the copying failed
      EXPECT_EQ(files_in(folder), before) << "call " << at << " of " << calls;
      EXPECT_TRUE(happened || code == SQLITE_FULL);
    }
    EXPECT_GT(failed, 10) << code;
  }
  db["goes on"] = 1;
  db.backup(copy);
  expect_sound(copy);
}

TEST_F(BackupTest, KilledItLeavesNoTargetOrAWholeOne) {
  fill(Database(path));
  int whole = 0;
  int partial = 0;
  for (int round = 0; round < 25; ++round) {
    Child child([&](const Reporter& reporter) {
      const Database db(path);
      db.backup(copy, {.progress = [&](std::uint64_t, std::uint64_t) { reporter.say("step"); },
                       .pages_per_step = 8});
      reporter.say("done");
      return true;
    });
    for (int lines = 0; lines < 1 + round * 2; ++lines) {
      if (child.line() == "done") break;
    }
    child.kill();
    for (const std::string& name : files_in(folder)) {
      partial += name.starts_with("copy.db.partial-") ? 1 : 0;
    }
    if (std::filesystem::exists(copy)) {
      ++whole;
      restore(copy, folder / "again.db", {.keep_replaced = false});
      std::filesystem::remove(copy);
    }
  }
  EXPECT_GT(partial, 0);
  EXPECT_GT(whole, 0);
  // What was left is taken away by the next.
  Database(path).backup(copy);
  for (const std::string& name : files_in(folder)) {
    EXPECT_FALSE(name.starts_with("copy.db.partial-")) << name;
  }
}

TEST_F(BackupTest, TwoAtOnceDoNotTakeEachOthersFile) {
  const Database db(path);
  fill(db);
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> made{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        try {
          db.backup(copy, {.pages_per_step = 4, .pause = std::chrono::milliseconds(1)});
          ++made;
        } catch (const UsageError&) {  // another was first
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(made, 1);
    expect_sound(copy);
    std::filesystem::remove(copy);
  }
}

}  // namespace
}  // namespace graven::test
