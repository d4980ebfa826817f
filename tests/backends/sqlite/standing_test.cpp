// SPDX-License-Identifier: MIT
//
// A commit into files that are no longer the store's is refused by itself, not by a later one; so
// is a sync; and nothing that was acknowledged is missing once the files are back.
#include <graven/error.hpp>

#include <array>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/files/main_record.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

namespace fs = std::filesystem;

/// What another program does to the files, and how it is undone.
struct Meddling {
  const char* what;
  std::function<void(const std::string& path)> act;
  std::function<void(const std::string& path)> undo;
};

void away(const std::string& path) { fs::rename(path, path + ".away"); }
void back(const std::string& path) { fs::rename(path + ".away", path); }
void replace(const std::string& path) {
  fs::copy_file(path, path + ".copy");
  away(path);
  fs::rename(path + ".copy", path);
}

/// Told by the folder, so by the very next commit.
const std::vector<Meddling>& by_name() {
  static const std::vector<Meddling> all{
      {"database moved", away, back},
      {"WAL moved", [](const std::string& p) { away(p + "-wal"); },
       [](const std::string& p) { back(p + "-wal"); }},
      {"index moved", [](const std::string& p) { away(p + "-shm"); },
       [](const std::string& p) { back(p + "-shm"); }},
      {"database replaced", replace, back},
      {"WAL replaced", [](const std::string& p) { replace(p + "-wal"); },
       [](const std::string& p) { back(p + "-wal"); }},
      {"index replaced", [](const std::string& p) { replace(p + "-shm"); },
       [](const std::string& p) { back(p + "-shm"); }},
      {"hard link beside it", [](const std::string& p) { fs::create_hard_link(p, p + ".twin"); },
       [](const std::string& p) { fs::remove(p + ".twin"); }},
  };
  return all;
}

class Standing : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder_ / "home");
    store_ = sqlite::open(path_);
    for (int i = 0; i < 3; ++i) increment(*store_, "n");
  }

  void open_again() {
    store_.reset();
    store_ = sqlite::open(path_);
  }

  /// Over a transaction that was open when it happened.
  void expect_unknown(const Meddling& meddling) {
    SCOPED_TRACE(meddling.what);
    const std::int64_t before = count(*store_, "n");
    auto transaction = store_->begin(soon());
    meddling.act(path_);
    try {
      write(*transaction, {{counter_key("n"), counter_record(0, before + 1)}});
      ADD_FAILURE() << "acknowledged";
    } catch (const CommitUnknownError& error) {
      EXPECT_NE(std::string(error.what()).find("put the right files back"), std::string::npos)
          << error.what();
    }
    transaction.reset();
    EXPECT_THROW(increment(*store_, "n"), UnavailableError);
    EXPECT_THROW(store_->sync(), UnavailableError);
    meddling.undo(path_);
    EXPECT_THROW(increment(*store_, "n"), UnavailableError);  // until it is opened again
    EXPECT_THROW(store_->sync(), UnavailableError);
    EXPECT_THROW(store_->mend(), UnavailableError);
    open_again();
    EXPECT_GE(count(*store_, "n"), before);
    EXPECT_TRUE(store_->check().empty());
    increment(*store_, "n");
  }

  /// Another process is the only writer until it is killed.
  std::unique_ptr<Child> claimer() {
    auto child = std::make_unique<Child>([&](const Reporter& reporter) {
      const Opened other = sqlite::open(path_);
      other->leases().acquire({}, soon());
      reporter.say("claimed");
      ::pause();
      return true;
    });
    EXPECT_EQ(child->line(), "claimed");
    return child;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "home/state.db";
  Opened store_;
};

TEST_F(Standing, ACommitIntoFilesThatLostTheirNamesIsUnknown) {
  for (const Meddling& meddling : by_name()) expect_unknown(meddling);
}

TEST_F(Standing, SoItIsAtOnceWhereTheFolderWasQuiet) {
  for (const Meddling& meddling : by_name()) {
    // Past the tick of the folder's time: then the look is the short one.
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    for (int i = 0; i < 5; ++i) increment(*store_, "n");
    expect_unknown(meddling);
  }
}

TEST_F(Standing, BeforeAnythingIsWrittenItIsOnlyRefused) {
  for (const Meddling& meddling : by_name()) {
    SCOPED_TRACE(meddling.what);
    const std::int64_t before = count(*store_, "n");
    meddling.act(path_);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_THROW(increment(*store_, "n"), UnavailableError);
    meddling.undo(path_);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    increment(*store_, "n");
    EXPECT_EQ(count(*store_, "n"), before + 1);
  }
}

TEST_F(Standing, AFolderThatIsMoved) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  fs::rename(folder_ / "home", folder_ / "elsewhere");
  EXPECT_THROW(increment(*store_, "n"), UnavailableError);
  fs::rename(folder_ / "elsewhere", folder_ / "home");
  open_again();
  EXPECT_EQ(count(*store_, "n"), 3);
}

TEST_F(Standing, AFolderThatIsDeleted) {
  const auto transaction = store_->begin(soon());
  fs::remove_all(folder_ / "home");
  EXPECT_THROW(write(*transaction, {{counter_key("n"), counter_record(0, 9)}}), CommitUnknownError);
}

TEST_F(Standing, ADatabaseThatIsOverwrittenStaysAsItWasPutThere) {
  const std::string other = folder_ / "other.db";
  {
    const Opened another = sqlite::open(other);
    for (int i = 0; i < 100; ++i) increment(*another, "n");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::ifstream from(other, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(from), {}};
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  EXPECT_THROW(increment(*store_, "n"), UnavailableError);
  EXPECT_THROW(store_->sync(), CommitUnknownError);
  store_.reset();  // the last to close: nothing is moved into it
  std::ifstream now(path_, std::ios::binary);
  EXPECT_TRUE((std::string{std::istreambuf_iterator<char>(now), {}}) == bytes);
  EXPECT_THROW(sqlite::open(path_), UnavailableError);
  fs::remove(path_ + "-wal");
  open_again();
  EXPECT_EQ(count(*store_, "n"), 100);
}

TEST_F(Standing, AWalThatIsEmptied) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  fs::resize_file(path_ + "-wal", 0);
  EXPECT_THROW(increment(*store_, "n"), Error);
  EXPECT_THROW(store_->sync(), Error);
}

/// The last connection of a file that has lost its name takes nothing away from the new one.
TEST_F(Standing, ClosingLeavesTheFilesOfAnother) {
  away(path_);
  away(path_ + "-wal");
  away(path_ + "-shm");
  Child another([&](const Reporter& reporter) {
    const Opened fresh = sqlite::open(path_);
    for (int i = 0; i < 7; ++i) increment(*fresh, "n");
    reporter.say("there");
    ::pause();
    return true;
  });
  ASSERT_EQ(another.line(), "there");
  store_.reset();
  EXPECT_TRUE(fs::exists(path_ + "-wal"));
  EXPECT_TRUE(fs::exists(path_ + "-shm"));
  another.kill();
  open_again();
  EXPECT_EQ(count(*store_, "n"), 7);
  store_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) back(path_ + suffix);
  open_again();
  EXPECT_EQ(count(*store_, "n"), 3);
}

TEST_F(Standing, AnIndexThatIsCutOffIsARefusal) {
  Child child([&] {
    const Opened store = sqlite::open(path_);
    increment(*store, "n");
    if (store->live_mark() == nullptr) return false;
    const auto transaction = store->begin(soon());
    if (::truncate((path_ + "-shm").c_str(), 0) != 0) return false;
    bool told = false;
    try {
      write(*transaction, {{counter_key("n"), counter_record(0, 99)}});
    } catch (const Error&) {
      told = true;
    }
    for (int i = 0; i < 3; ++i) {
      try {
        increment(*store, "n");
        return false;
      } catch (const UnavailableError&) {
      }
      try {
        static_cast<void>(store->load(counter_key("n")));
      } catch (const UnavailableError& error) {
        told = told && std::string(error.what()).find("-shm was cut off") != std::string::npos;
      }
    }
    return told;
  });
  EXPECT_TRUE(child.succeeded());
  store_.reset();
  open_again();
  EXPECT_GE(count(*store_, "n"), 4);
  EXPECT_TRUE(store_->check().empty());
}

TEST_F(Standing, AChangeRingThatIsCutOffTellsNothing) {
  Child child([&] {
    const Opened store = sqlite::open(path_);
    const port::MarkWords* live = store->live_mark();
    port::ChangeFeed* changes = store->changes();
    if (live == nullptr || changes == nullptr) return false;
    const port::Mark before = port::read_mark(*live);
    increment(*store, "n");
    if (::truncate((path_ + "-changes").c_str(), 0) != 0) return false;
    changes->publish(before, port::read_mark(*live), {}, 0);
    increment(*store, "n");
    return !changes->follow(before, port::read_mark(*live), [](auto, auto) {});
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(count(*store_, "n"), 5);
}

TEST_F(Standing, LocksOfADeletedOwnersFileAreTakenAnew) {
  store_->leases().announce(7);
  increment(*store_, "n");
  fs::remove(path_ + "-owners");
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  increment(*store_, "n");
  Child other([&] {
    const Opened store = sqlite::open(path_);
    return store->leases().alive(7);
  });
  EXPECT_TRUE(other.succeeded());
}

TEST_F(Standing, WhereAnotherHasTakenThemMeanwhileNothingIsWritten) {
  store_->leases().announce(7);
  fs::remove(path_ + "-owners");
  const auto other = claimer();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  for (int i = 0; i < 5; ++i) EXPECT_THROW(increment(*store_, "n"), BusyError);
  Child third([&] { return sqlite::open(path_)->leases().alive(7); });
  EXPECT_TRUE(third.succeeded());
  other->kill();
  increment(*store_, "n");
  EXPECT_EQ(count(*store_, "n"), 4);
}

TEST_F(Standing, NorAfterItCouldNotBeMadeAnew) {
  fs::remove(path_ + "-owners");
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit none { 0, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_THROW(increment(*store_, "n"), UnavailableError);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  const auto other = claimer();
  for (int i = 0; i < 5; ++i) EXPECT_THROW(increment(*store_, "n"), BusyError);
  other->kill();
  increment(*store_, "n");
  EXPECT_EQ(count(*store_, "n"), 4);
}

TEST_F(Standing, ARepairKeepsOffAnothersOnlyWriter) {
  open_again();  // it has not written
  const auto other = claimer();
  EXPECT_THROW(store_->mend(), BusyError);
  other->kill();
  EXPECT_TRUE(store_->mend().empty());
}

TEST_F(Standing, WhoWaitedMeanwhileIsTold) {
  std::string answer;
  auto transaction = store_->begin(soon());
  std::thread waits([&] {
    try {
      store_->sync();
    } catch (const CommitUnknownError&) {
      answer = "unknown";
    } catch (const UnavailableError&) {
      answer = "unavailable";
    }
  });
  const auto waiting = [&] { return store_->stats().pools.back().waiting; };
  while (waiting() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  away(path_ + "-wal");
  EXPECT_THROW(write(*transaction, {{counter_key("n"), counter_record(0, 9)}}), CommitUnknownError);
  transaction.reset();
  waits.join();
  EXPECT_EQ(answer, "unavailable");
}

// Between a commit's look and the note another file can come under the name.
TEST(MainRecord, OnlyTheFileThatIsOpenIsNoted) {
  TemporaryFolder folder;
  const std::string path = folder / "n.db";
  std::ofstream(path) << "content";
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  const int owners = ::open((path + "-owners").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::array<volatile std::uint32_t, 64> index{};
  sqlite::note_main_file(owners, path, {info.st_dev, info.st_ino + 1}, index.data());
  EXPECT_EQ(fs::file_size(path + "-owners"), 0U);
  sqlite::note_main_file(owners, path, {info.st_dev, info.st_ino}, index.data());
  EXPECT_GT(fs::file_size(path + "-owners"), 0U);
  ::close(owners);
}

}  // namespace
}  // namespace graven::test
