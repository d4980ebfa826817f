// SPDX-License-Identifier: MIT
//
// The locks beside SQLite's: owners, the one writer, the change ring, a file being made. A plain
// read of the file in the same process takes none of them, and none lives in the child of a fork.
// And whose a lock is, which the kernel does not say of an open file description's.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/change_ring.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/owners.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "backends/sqlite/vfs/wal_lock.hpp"

namespace graven::test {
namespace {

class OtherLocks : public ::testing::Test {
 protected:
  [[nodiscard]] sqlite::Target target() const { return {.name = path_, .path = path_, .vfs = {}}; }
  /// As a copy of all that is there does.
  void read_files() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      std::ifstream file(entry.path(), std::ios::binary);
      EXPECT_GE(std::string(std::istreambuf_iterator<char>(file), {}).size(), 0U);
    }
  }
  [[nodiscard]] int partial_files() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().string().find(".partial-") != std::string::npos) ++count;
    }
    return count;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "state.db";
};

TEST_F(OtherLocks, OfOwnersAreNotLostToAReader) {
  sqlite::Owners here(path_);
  here.hold(3);
  ASSERT_TRUE(here.claim());
  read_files();
  Child other([&, parent = ::getpid()] {
    sqlite::Owners there(path_);
    const auto writer = there.only_writer();
    return there.alive(3) && !there.alive(4) && !there.join_writers() && writer.process == parent &&
           !writer.this_copy;
  });
  EXPECT_TRUE(other.succeeded());
  EXPECT_TRUE(here.only_writer().this_copy);
  EXPECT_TRUE(std::filesystem::exists(path_ + "-owners"));
}

TEST_F(OtherLocks, OfTheChangeRingAreNotLostToAReader) {
  std::ofstream(path_) << "a database";
  sqlite::ChangeRing here(path_, false);
  ASSERT_TRUE(here.attach());
  read_files();
  Child other([&] {
    sqlite::ChangeRing there(path_, false);
    return there.attach();  // and would take the file away as its last user
  });
  EXPECT_TRUE(other.succeeded());
  EXPECT_TRUE(std::filesystem::exists(path_ + "-changes"));
}

TEST_F(OtherLocks, OfAFileBeingMadeAreNotLostToAReader) {
  const sqlite::PartialFile here(target());
  read_files();
  Child other([&] {
    const sqlite::PartialFile there(target());  // takes away what nobody is making
    return partial_files() == 2;
  });
  EXPECT_TRUE(other.succeeded());
  EXPECT_EQ(partial_files(), 1);
}

TEST_F(OtherLocks, OfAKilledParentDoNotLiveInItsChild) {
  Child parent([&](const Reporter& test) {
    const sqlite::PartialFile file(target());
    sqlite::Owners owners(path_);
    owners.hold(3);
    if (::fork() == 0) {
      test.say(std::to_string(::getpid()));
      ::sleep(60);
      ::_exit(0);
    }
    ::pause();
    return true;
  });
  const pid_t child = std::atoi(parent.line().c_str());
  ASSERT_GT(child, 0);
  sqlite::Owners here(path_);
  EXPECT_TRUE(here.alive(3));
  parent.kill();
  EXPECT_FALSE(here.alive(3));
  { const sqlite::PartialFile next(target()); }
  EXPECT_EQ(partial_files(), 0);
  ::kill(child, SIGKILL);
}

TEST_F(OtherLocks, WhoHasThemIsTold) {
  const Opened here = sqlite::open(path_);
  write(*here, {{counter_key("n"), counter_record(0, 1)}});
  Child other([&](const Reporter& test) {
    const auto transaction = here->begin(soon());
    test.say("writes");
    ::pause();
    return true;
  });
  ASSERT_EQ(other.line(), "writes");
  EXPECT_EQ(sqlite::write_lock_holder(path_), sqlite::process_name(other.pid()));
  EXPECT_EQ(sqlite::lock_holders(path_, 0x40000000, 0x400001ff),
            (std::set<long>{::getpid(), other.pid()}));
  other.kill();
  const auto transaction = here->begin(soon());
  EXPECT_EQ(sqlite::write_lock_holder(path_), "this process");
  EXPECT_EQ(sqlite::lock_holders(path_, 0x40000000, 0x400001ff), std::set<long>{::getpid()});
}

}  // namespace
}  // namespace graven::test
