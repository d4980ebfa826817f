// SPDX-License-Identifier: MIT
//
// Files beside a store that are not its own: refused, with the remedy and nothing changed, or the
// store is exactly what its file says; never a blend. And that what only looks like it opens.
#include <graven/error.hpp>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <utime.h>
#include <vector>

#include <gtest/gtest.h>

#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

sqlite::Stamp stamp_of(const std::string& path) {
  sqlite::Stamp stamp;
  const std::string bytes = bytes_of(path);
  if (bytes.size() > 100) std::copy_n(bytes.begin() + 72, 20, stamp.bytes.begin());
  return stamp;
}

/// Over the file, which stays the same inode, or in its place.
enum class How { kCopied, kRenamed };
void put(const std::string& from, const std::string& to, How how) {
  const std::string bytes = bytes_of(from);
  const std::string target = how == How::kCopied ? to : to + ".new";
  std::ofstream(target, std::ios::binary | std::ios::trunc) << bytes;
  if (how == How::kRenamed) fs::rename(target, to);
}

class Opening : public ::testing::Test {
 protected:
  void SetUp() override { make(path_, 1); }

  /// A store whose counter has that value, closed.
  static void make(const std::string& path, int value) {
    const Opened store = sqlite::open(path);
    for (int i = 0; i < value; ++i) increment(*store, "n");
  }

  /// A process that has added to the counter and is there still.
  static std::unique_ptr<Child> user(const std::string& path, int times) {
    auto child = std::make_unique<Child>([=](const Reporter& reporter) {
      const Opened store = sqlite::open(path);
      for (int i = 0; i < times; ++i) increment(*store, "n");
      reporter.say("there");
      ::pause();
      return true;
    });
    EXPECT_EQ(child->line(), "there");
    return child;
  }
  /// What a process that was killed leaves.
  static void crash(const std::string& path, int times) { user(path, times)->kill(); }

  static std::int64_t value(const std::string& path) { return count(*sqlite::open(path), "n"); }

  /// Refused, and every file is as it was.
  void refused(const std::string& words) const {
    const auto all = [&] {
      std::string text;
      for (const char* suffix : {"", "-wal", "-journal"}) text += bytes_of(path_ + suffix) + "|";
      return text;
    };
    const std::string before = all();
    for (const bool read_only : {false, true}) {
      try {
        sqlite::open(path_, {.read_only = read_only});
        ADD_FAILURE() << "opened; " << words;
      } catch (const UnavailableError& error) {
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
      }
    }
    EXPECT_TRUE(all() == before);
  }

  void move_wal_away() const {
    for (const char* suffix : {"-wal", "-shm"}) {
      fs::rename(path_ + suffix, path_ + ".away" + suffix);
    }
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "state.db";
  std::string other_ = folder_ / "other.db";
};

TEST_F(Opening, ASecondNameIsRefusedAndBothAreNamed) {
  fs::create_hard_link(path_, folder_ / "twin.db");
  refused("2 names");
  refused((folder_ / "twin.db"));
  fs::create_directory(folder_ / "elsewhere");
  fs::rename(folder_ / "twin.db", folder_ / "elsewhere/twin.db");
  refused("2 names");
  fs::remove(folder_ / "elsewhere/twin.db");
  EXPECT_EQ(value(path_), 1);
}

TEST_F(Opening, WhereNoMoreFilesCanBeOpenThatIsSaid) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's own look at an object takes descriptors";
#endif
  for (const rlim_t most : {40, 41, 42, 43}) {
    SCOPED_TRACE(most);
    Child child([&](const Reporter& reporter) {
      sqlite::Options options;
      options.max_readers = 100;
      const Opened store = sqlite::open(path_, options);
      increment(*store, "n");
      const struct rlimit files { most, most };
      ::setrlimit(RLIMIT_NOFILE, &files);
      std::vector<std::unique_ptr<port::View>> views;
      try {
        for (;;) static_cast<void>(clock_of(*views.emplace_back(store->view())));
      } catch (const UnavailableError& error) {
        reporter.say(error.what());
      }
      try {
        sqlite::open(path_);
      } catch (const UnavailableError& error) {
        reporter.say(error.what());
      }
      views.clear();
      increment(*store, "n");
      return true;
    });
    for (const char* what : {"a snapshot", "an opening"}) {
      const std::string said = child.line();
      EXPECT_NE(said.find("as many open files as it is allowed (4"), std::string::npos)
          << what << ": " << said;
    }
    EXPECT_TRUE(child.succeeded());
  }
}

TEST_F(Opening, ASymbolicLinkLeadsToTheSameFiles) {
  fs::create_symlink(path_, folder_ / "link.db");
  const Opened store = sqlite::open(path_);
  increment(*store, "n");
  const Opened again = sqlite::open(folder_ / "link.db");
  increment(*again, "n");
  EXPECT_EQ(count(*store, "n"), 3);
  EXPECT_FALSE(fs::exists(folder_ / "link.db-wal"));
}

TEST_F(Opening, WhatACrashLeftIsPlayed) {
  crash(path_, 5);
  EXPECT_EQ(value(path_), 6);
}

TEST_F(Opening, AnotherStoreBesideAWal) {
  make(other_, 100);
  for (const How how : {How::kCopied, How::kRenamed}) {
    crash(path_, 5);
    put(other_, path_, how);
    refused("-wal belongs to another file");
    move_wal_away();
    EXPECT_EQ(value(path_), 100);
    make(path_, 1);
  }
}

TEST_F(Opening, AnEarlierStateBesideAWal) {
  const std::string earlier = folder_ / "earlier.db";
  fs::copy_file(path_, earlier);
  make(path_, 4);
  for (const How how : {How::kCopied, How::kRenamed}) {
    crash(path_, 5);
    put(earlier, path_, how);
    refused("-wal belongs to another file");
    move_wal_away();
    EXPECT_EQ(value(path_), 1);
    make(path_, 4);
  }
}

/// Its WAL fits it: played, the file that was put back would go on as the one that crashed.
TEST_F(Opening, TheVeryStateAWalBeganWith) {
  const std::string base = folder_ / "base.db";
  fs::copy_file(path_, base);
  for (const How how : {How::kCopied, How::kRenamed}) {
    crash(path_, 5);
    put(base, path_, how);
    refused("was replaced, or written by another program");
    move_wal_away();
    EXPECT_EQ(value(path_), 1);
  }
}

TEST_F(Opening, ATimeThatWasChangedIsToldApartByHand) {
  crash(path_, 5);
  struct utimbuf times {};
  ASSERT_EQ(::utime(path_.c_str(), &times), 0);
  refused("-owners");
  fs::remove(path_ + "-owners");
  EXPECT_EQ(value(path_), 6);
}

TEST_F(Opening, FilesThatAreMovedOrCopiedTogether) {
  crash(path_, 5);
  fs::create_directory(folder_ / "copies");
  for (const char* suffix : {"", "-wal", "-shm", "-owners"}) {
    fs::copy_file(path_ + suffix, folder_ / ("copies/state.db" + std::string(suffix)));
  }
  EXPECT_EQ(value(folder_ / "copies/state.db"), 6);
  fs::rename(path_, other_);
  fs::rename(path_ + "-wal", other_ + "-wal");
  EXPECT_EQ(value(other_), 6);
}

TEST_F(Opening, AStoreThatIsMissingOrEmptyBesideItsWal) {
  crash(path_, 5);
  fs::rename(path_, other_);
  EXPECT_THROW(sqlite::open(path_), UnavailableError);
  EXPECT_FALSE(fs::exists(path_));
  std::ofstream(path_, std::ios::binary).close();
  refused("-wal has commits to it");
  fs::remove(path_);
  fs::rename(other_, path_);
  EXPECT_EQ(value(path_), 6);
}

TEST_F(Opening, AJournalOfAnotherFile) {
  std::ofstream(path_ + "-journal", std::ios::binary) << std::string(1024, '\1');
  refused("-journal belongs to another file");
  fs::remove(path_ + "-journal");
  EXPECT_EQ(value(path_), 1);
}

TEST_F(Opening, NoJournalIsLeftByMakingAStore) {
  const std::string fresh = folder_ / "fresh.db";
  make(fresh, 2);
  EXPECT_EQ(value(fresh), 2);
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "state.db" || name == "fresh.db") << name;
  }
  struct stat info {};
  ASSERT_EQ(::stat(fresh.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(Opening, AStoreThatWasReplacedWhileItIsOpen) {
  make(other_, 100);
  const auto old = user(path_, 5);
  put(other_, path_, How::kRenamed);
  refused("while a process has it open");
  old->kill();
  refused("-wal belongs to another file");
  move_wal_away();
  EXPECT_EQ(value(path_), 100);
}

TEST_F(Opening, AStoreThatWasRenamedWhileItIsOpen) {
  const auto writer = user(path_, 2);
  fs::rename(path_, other_);
  try {
    sqlite::open(other_);
    ADD_FAILURE() << "opened";
  } catch (const UnavailableError& error) {
    EXPECT_NE(std::string(error.what()).find("open under a former name"), std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(fs::exists(other_ + "-wal"));
  fs::rename(other_, path_);
  EXPECT_EQ(value(path_), 3);
}

// Here too, where the lock is this process's own.
TEST_F(Opening, AStoreThatWasRenamedWhileThisProcessHasItOpen) {
  const Opened store = sqlite::open(path_);
  increment(*store, "n");
  fs::rename(path_, other_);
  EXPECT_THROW(sqlite::open(other_), UnavailableError);
}

TEST_F(Opening, WhoIsAloneIsNotTakenForARenamedStore) {
  fs::remove(path_ + "-wal");
  sqlite3* alone = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &alone), SQLITE_OK);
  sqlite3_exec(alone, "PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM node", nullptr,
               nullptr, nullptr);
  EXPECT_THROW(sqlite::open(path_, {.busy_timeout = std::chrono::milliseconds(50)}), BusyError);
  sqlite3_close(alone);
  EXPECT_EQ(value(path_), 1);
}

TEST_F(Opening, AStoreThatWasDeletedWhileItIsOpen) {
  const auto old = user(path_, 5);
  fs::remove(path_);
  EXPECT_THROW(sqlite::open(path_), UnavailableError);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(Opening, AStoreThatWasOverwrittenWhileItIsOpen) {
  make(other_, 100);
  const auto old = user(path_, 5);
  put(other_, path_, How::kCopied);
  refused("-wal belongs to another file");
  old->kill();
  move_wal_away();
  EXPECT_EQ(value(path_), 100);
}

TEST_F(Opening, AWalThatWasTakenAwayWhileItIsInUse) {
  const auto old = user(path_, 5);
  fs::rename(path_ + "-wal", other_ + "-wal");
  refused("-wal was deleted, replaced or cut off");
  fs::rename(other_ + "-wal", path_ + "-wal");
  EXPECT_EQ(value(path_), 6);
}

TEST_F(Opening, EveryWalAndEveryCheckpointHasAnEpochOfItsOwn) {
  const sqlite::Stamp made = stamp_of(path_);
  ASSERT_TRUE(made.present());
  make(path_, 1);
  const sqlite::Stamp closed = stamp_of(path_);
  EXPECT_NE(closed.epoch(), made.epoch());
  make(path_, 1);
  EXPECT_NE(stamp_of(path_).epoch(), closed.epoch());
  const sqlite::Stamp last = stamp_of(path_);
  EXPECT_EQ(value(path_), 3);
  EXPECT_EQ(stamp_of(path_).epoch(), last.epoch());  // who only reads changes nothing
}

TEST_F(Opening, ABackupIsAnotherFileThanItsStore) {
  {
    sqlite::PartialFile copy({.name = other_, .path = other_, .vfs = {}});
    Opened(sqlite::open(path_))->copy_to(copy.as_target().path, {});
    copy.seal();
    static_cast<void>(copy.put_in_place(sqlite::PartialFile::Mode::kNew));
  }
  EXPECT_NE(stamp_of(other_).epoch(), stamp_of(path_).epoch());
  crash(path_, 5);
  fs::remove(path_ + "-owners");  // what it is told by where it was written
  put(other_, path_, How::kCopied);
  refused("-wal belongs to another file");
  move_wal_away();
  EXPECT_EQ(value(path_), 1);
}

TEST_F(Opening, AStoreFromBeforeStampsGetsOne) {
  const int file = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  const std::string zeros(20, '\0');
  ASSERT_EQ(::pwrite(file, zeros.data(), zeros.size(), 72), 20);
  ::close(file);
  fs::copy_file(path_, other_);
  crash(path_, 5);
  EXPECT_TRUE(stamp_of(path_).present());
  put(other_, path_, How::kRenamed);
  refused("-wal belongs to another file");
  move_wal_away();
  EXPECT_EQ(value(path_), 1);
}

TEST_F(Opening, NoiseForASideFileIsNoStoreOfAnyone) {
  for (const char* suffix : {"-shm", "-owners", "-changes"}) {
    crash(path_, 1);
    const auto before = value(path_);
    crash(path_, 1);
    std::ofstream(path_ + suffix, std::ios::binary) << std::string(40000, '\x5a');
    EXPECT_EQ(value(path_), before + 1) << suffix;
  }
  // Of a WAL that is noise nothing can be played.
  const auto before = value(path_);
  std::ofstream(path_ + "-wal", std::ios::binary) << std::string(40000, '\x5a');
  EXPECT_EQ(value(path_), before);
}

}  // namespace
}  // namespace graven::test
