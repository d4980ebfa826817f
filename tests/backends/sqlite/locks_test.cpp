// SPDX-License-Identifier: MIT
//
// The locks of a database among other users of its files: a second SQLite in this process (the
// system's, which locks the POSIX way), plain reads of the files, other processes with either
// library, threads that open and close, forks, crashes, and too few descriptors. Whatever those
// do, an acknowledged write is there for all, and nobody gets in where somebody writes.
//
// The program runs itself for another process: `locks_test helper ours|theirs <path> <sql>`.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/libraries.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "backends/sqlite/vfs/fork.hpp"
#include "backends/sqlite/vfs/spared.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

/// The answer of another process; "ours" or "theirs".
std::string elsewhere(const std::string& library, const std::string& path, const std::string& sql) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command = program + " helper " + library + " '" + path + "' \"" + sql + "\"";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), &::pclose);
  std::string answer(std::istreambuf_iterator<char>(), {});
  std::array<char, 256> part{};
  while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr) answer += part.data();
  while (!answer.empty() && answer.back() == '\n') answer.pop_back();
  return answer;
}

const std::vector<std::string> kLibraries{"ours", "theirs"};
constexpr uid_t kNobody = 65534;
constexpr const char* kAdd = "BEGIN IMMEDIATE; UPDATE c SET n = n + 1; COMMIT";

class Locks : public ::testing::Test {
 protected:
  Locks() { sqlite::guard_sqlite_against_fork(); }
  ~Locks() override { EXPECT_EQ(sqlite::spared_descriptors(), 0); }

  /// A database in WAL mode: a counter, and rows.
  void make() const {
    Connection made(path_);
    made.run(
        "PRAGMA journal_mode = WAL; CREATE TABLE t (k INTEGER PRIMARY KEY);"
        "CREATE TABLE c (n); INSERT INTO c VALUES (0)");
    ASSERT_EQ(made.code, SQLITE_OK);
  }
  [[nodiscard]] bool wal_is_there() const { return std::filesystem::exists(path_ + "-wal"); }
  /// By a plain open, read and close, as a copy of it does.
  void read_files() const {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      const int file = ::open((path_ + suffix).c_str(), O_RDONLY | O_CLOEXEC);
      std::array<char, 64> bytes{};
      EXPECT_GE(::read(file, bytes.data(), bytes.size()), 0) << suffix;
      ::close(file);
    }
  }
  static std::size_t descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "state.db";
};

/// What is written after `meddle` is there for other processes of both kinds, which write too.
class Meddling : public Locks {
 protected:
  template <typename Meddle>
  void after(const Meddle& meddle) {
    make();
    Connection a(path_);
    Connection b(path_);
    a.run("INSERT INTO t VALUES (1)");
    b.ask("SELECT count(*) FROM t");
    meddle();
    // If they take themselves for the last user they take the WAL away.
    EXPECT_EQ(elsewhere("theirs", path_, "INSERT INTO t VALUES (50)"), "");
    EXPECT_EQ(elsewhere("ours", path_, "INSERT INTO t VALUES (51)"), "");
    EXPECT_TRUE(wal_is_there());
    for (int i = 100; i < 140; ++i) {
      EXPECT_EQ(a.run("INSERT INTO t VALUES (" + std::to_string(i) + ")"), SQLITE_OK);
    }
    for (const std::string& library : kLibraries) {
      EXPECT_EQ(elsewhere(library, path_, "SELECT count(*) FROM t WHERE k >= 50"), "42") << library;
    }
    a.close();
    b.close();
    EXPECT_FALSE(wal_is_there());
    EXPECT_EQ(elsewhere("theirs", path_, "PRAGMA integrity_check"), "ok");
  }
};

TEST_F(Meddling, AForeignSqliteOfThisProcessReadsAndCloses) {
  after([&] {
    Connection foreign(path_, theirs());
    EXPECT_EQ(foreign.ask("SELECT count(*) FROM t"), "1");
  });
}

TEST_F(Meddling, AForeignSqliteOfThisProcessWritesAndCloses) {
  after([&] {
    Connection foreign(path_, theirs());
    EXPECT_EQ(foreign.run("INSERT INTO t VALUES (2)"), SQLITE_OK);
  });
}

TEST_F(Meddling, TheFilesAreRead) {
  after([&] { read_files(); });
}

TEST_F(Meddling, TheFilesAreReadWhileAForeignSqliteHasThemOpen) {
  after([&] {
    Connection foreign(path_, theirs());
    foreign.ask("SELECT count(*) FROM t");
    read_files();
  });
}

TEST_F(Locks, AWriterKeepsAForeignSqliteOfThisProcessOut) {
  make();
  Connection here(path_, ours(), milliseconds(0));
  Connection foreign(path_, theirs(), milliseconds(0));
  EXPECT_EQ(here.run("BEGIN IMMEDIATE; UPDATE c SET n = n + 1"), SQLITE_OK);
  EXPECT_EQ(foreign.run("BEGIN IMMEDIATE"), SQLITE_BUSY);
  EXPECT_EQ(here.run("COMMIT"), SQLITE_OK);
  EXPECT_EQ(foreign.run("BEGIN IMMEDIATE; UPDATE c SET n = n + 1"), SQLITE_OK);
  EXPECT_EQ(here.run("BEGIN IMMEDIATE"), SQLITE_BUSY);
  EXPECT_EQ(foreign.run("COMMIT"), SQLITE_OK);
  EXPECT_EQ(here.ask("SELECT n FROM c"), "2");
}

TEST_F(Locks, ClosingDropsNoLocksOfAForeignSqliteOfThisProcess) {
  make();
  Connection foreign(path_, theirs());
  foreign.run("BEGIN IMMEDIATE; UPDATE c SET n = n + 1");
  { Connection unused(path_); }  // it has not locked anything
  {
    Connection read(path_);
    EXPECT_EQ(read.ask("SELECT n FROM c"), "0");
  }
  EXPECT_GT(sqlite::spared_descriptors(), 0);
  const std::string busy = elsewhere("theirs", path_, "PRAGMA busy_timeout = 50; BEGIN IMMEDIATE");
  EXPECT_NE(busy.find("locked"), std::string::npos) << busy;
  EXPECT_EQ(foreign.run("COMMIT"), SQLITE_OK);
  EXPECT_EQ(elsewhere("theirs", path_, std::string(kAdd) + "; SELECT n FROM c"), "2");
  foreign.close();
  { Connection last(path_); }
  EXPECT_EQ(sqlite::spared_descriptors(), 0);
}

TEST_F(Locks, DescriptorsSparedForAForeignSqliteAreUsedAgain) {
  make();
  Connection foreign(path_, theirs());
  foreign.ask("SELECT n FROM c");
  const std::size_t before = descriptors();
  for (int i = 0; i < 50; ++i) {
    Connection first(path_);
    Connection second(path_, ours(), milliseconds(1000), SQLITE_OPEN_READONLY);
    EXPECT_EQ(second.ask("SELECT n FROM c"), std::to_string(i));
    EXPECT_EQ(first.run(kAdd), SQLITE_OK);
  }
  EXPECT_LE(descriptors(), before + 8);
  foreign.close();
  { Connection last(path_); }
  EXPECT_EQ(descriptors(), before - 3);  // the foreign one had three
}

TEST_F(Locks, AReaderThatCameSecondWritesAlone) {
  make();
  Connection a(path_, ours(), milliseconds(0));
  Connection b(path_, ours(), milliseconds(0));
  EXPECT_EQ(a.ask("PRAGMA journal_mode = DELETE"), "delete");
  a.run("BEGIN; SELECT * FROM t");
  b.run("BEGIN; SELECT * FROM t");
  a.run("COMMIT");  // the shared lock was taken over its descriptor
  EXPECT_EQ(b.run("INSERT INTO t VALUES (9); COMMIT"), SQLITE_OK);
  for (const std::string& library : kLibraries) {
    EXPECT_EQ(elsewhere(library, path_, kAdd), "") << library;
  }
}

TEST_F(Locks, JournalModesAndVacuum) {
  make();
  Connection a(path_, ours(), milliseconds(0));
  {
    Connection b(path_);
    b.ask("SELECT count(*) FROM t");
    EXPECT_NE(a.ask("PRAGMA journal_mode = DELETE").find("locked"), std::string::npos);
  }
  EXPECT_EQ(a.ask("PRAGMA journal_mode = DELETE"), "delete");
  EXPECT_FALSE(wal_is_there());
  EXPECT_EQ(a.run("VACUUM"), SQLITE_OK);
  EXPECT_EQ(a.ask("PRAGMA journal_mode = WAL"), "wal");
  EXPECT_EQ(a.run("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
  Connection foreign(path_, theirs());
  foreign.ask("SELECT count(*) FROM t");
  EXPECT_NE(a.ask("PRAGMA journal_mode = DELETE").find("locked"), std::string::npos);
}

TEST_F(Locks, ExclusiveModeKeepsAllOut) {
  make();
  {
    Connection alone(path_);
    alone.run("PRAGMA locking_mode = EXCLUSIVE; INSERT INTO t VALUES (77)");
    Connection foreign(path_, theirs(), milliseconds(0));
    EXPECT_NE(foreign.ask("SELECT * FROM t").find("locked"), std::string::npos);
    const std::string answer =
        elsewhere("ours", path_, "PRAGMA busy_timeout = 50; SELECT 1 FROM t");
    EXPECT_NE(answer.find("locked"), std::string::npos) << answer;
  }
  EXPECT_EQ(elsewhere("theirs", path_, "SELECT k FROM t"), "77");
}

TEST_F(Locks, ABackupThroughSqlite) {
  make();
  sqlite3* from = nullptr;
  sqlite3* to = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &from), SQLITE_OK);
  ASSERT_EQ(sqlite3_open((folder_ / "copy.db").c_str(), &to), SQLITE_OK);
  sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
  EXPECT_EQ(sqlite3_backup_step(backup, -1), SQLITE_DONE);
  sqlite3_backup_finish(backup);
  sqlite3_close(to);
  sqlite3_close(from);
  EXPECT_EQ(elsewhere("theirs", folder_ / "copy.db", "PRAGMA integrity_check"), "ok");
}

TEST_F(Locks, AHotJournalIsRolledBack) {
  {
    Connection made(path_);
    made.run(
        "CREATE TABLE t (k, v); WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s "
        "WHERE i < 500) INSERT INTO t SELECT i, zeroblob(900) FROM s");
  }
  Child killed([&](const Reporter& parent) {
    Connection writer(path_);
    writer.run("PRAGMA cache_size = 2; BEGIN; UPDATE t SET v = x'ff'; DELETE FROM t WHERE k % 2");
    parent.say("written");
    ::pause();
    return true;
  });
  ASSERT_EQ(killed.line(), "written");
  killed.kill();
  EXPECT_GT(std::filesystem::file_size(path_ + "-journal"), 0U);
  Connection a(path_);
  Connection b(path_);
  EXPECT_EQ(a.ask("SELECT sum(length(v)) FROM t"), "450000");
  EXPECT_EQ(b.ask("SELECT count(*) FROM t"), "500");
}

TEST_F(Locks, AKilledWritersLocksAreGone) {
  make();
  Connection here(path_);
  here.ask("SELECT n FROM c");
  Child writer([&](const Reporter& parent) {
    Connection there(path_);
    there.run("BEGIN IMMEDIATE; UPDATE c SET n = 5");
    parent.say("writes");
    ::pause();
    return true;
  });
  ASSERT_EQ(writer.line(), "writes");
  here.wait_for(milliseconds(0));
  EXPECT_EQ(here.run(kAdd), SQLITE_BUSY);
  here.run("ROLLBACK");
  writer.kill();
  EXPECT_EQ(here.run(kAdd), SQLITE_OK);
  EXPECT_EQ(here.ask("SELECT n FROM c"), "1");
}

TEST_F(Locks, TheLocksOfAKilledParentDoNotLiveInItsChild) {
  make();
  Child parent([&](const Reporter& test) {
    Connection writer(path_);
    writer.run("BEGIN IMMEDIATE; UPDATE c SET n = 5");
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
  const std::string busy = elsewhere("theirs", path_, "PRAGMA busy_timeout = 50; BEGIN IMMEDIATE");
  EXPECT_NE(busy.find("locked"), std::string::npos) << busy;
  parent.kill();
  for (const std::string& library : kLibraries) {
    EXPECT_EQ(elsewhere(library, path_, kAdd), "") << library;
  }
  ::kill(child, SIGKILL);
}

TEST_F(Locks, ParentAndChildCount) {
  make();
  Connection here(path_);
  here.ask("SELECT n FROM c");
  constexpr int kTimes = 300;
  Child child([&] {
    for (int i = 0; i < kTimes; ++i) {
      Connection there(path_);
      if (there.run(kAdd) != SQLITE_OK) return false;
    }
    return true;
  });
  for (int i = 0; i < kTimes; ++i) {
    Connection again(path_);
    EXPECT_EQ(again.run(kAdd), SQLITE_OK);
    if (i == kTimes / 2) here.close();
  }
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(elsewhere("theirs", path_, "SELECT n FROM c"), std::to_string(2 * kTimes));
}

TEST_F(Locks, AProgramThatIsStartedInheritsNoDescriptor) {
  make();
  Connection here(path_);
  here.run("BEGIN IMMEDIATE");
  int on_it = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    if (!target.starts_with(path_)) continue;
    ++on_it;
    const int descriptor = std::atoi(entry.path().filename().c_str());
    EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0) << target;
  }
  EXPECT_GE(on_it, 5);  // three files, and what two of them are locked over
}

TEST_F(Locks, TooFewDescriptorsAreAnError) {
  make();
  struct rlimit before {};
  ::getrlimit(RLIMIT_NOFILE, &before);
  struct rlimit low = before;
  low.rlim_cur = descriptors() + 24;
  ::setrlimit(RLIMIT_NOFILE, &low);
  int open = 0;
  int refused = 0;
  {
    std::vector<std::unique_ptr<Connection>> all;
    for (int i = 0; i < 40; ++i) {
      all.push_back(std::make_unique<Connection>(path_, ours(), milliseconds(0)));
      const std::string answer = all.back()->ask("SELECT n FROM c");
      ++(answer == "0" ? open : refused);
      EXPECT_TRUE(answer == "0" || answer.starts_with("error: ")) << answer;
    }
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_GT(open, 0);
  EXPECT_GT(refused, 0);
  EXPECT_FALSE(wal_is_there());
  EXPECT_EQ(elsewhere("theirs", path_, "PRAGMA integrity_check"), "ok");
}

TEST_F(Locks, AFileThatCouldOnlyBeReadIsWrittenLater) {
  make();
  { Connection(path_).run("PRAGMA journal_mode = DELETE"); }
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path_.c_str(), kNobody, kNobody), 0);
  }
  Child user([&] {
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) return false;
    ::chmod(path_.c_str(), 0400);
    Connection reader(path_, ours(), milliseconds(0), SQLITE_OPEN_READONLY);
    reader.run("BEGIN; SELECT n FROM c");
    ::chmod(path_.c_str(), 0600);
    Connection writer(path_, ours(), milliseconds(0));
    const bool begun = writer.run("BEGIN IMMEDIATE; UPDATE c SET n = n + 1") == SQLITE_OK;
    const bool kept_out = writer.run("COMMIT") == SQLITE_BUSY;  // the reader's lock is still there
    reader.run("COMMIT");
    return begun && kept_out && writer.run("COMMIT") == SQLITE_OK;
  });
  EXPECT_TRUE(user.succeeded());
  EXPECT_EQ(elsewhere("theirs", path_, "SELECT n FROM c"), "1");
}

/// The locks it had while it could only be read are not left with a descriptor that is spared.
TEST_F(Locks, AndBesideAForeignSqliteOfThisProcess) {
  make();
  { Connection(path_).run("PRAGMA journal_mode = DELETE"); }
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path_.c_str(), kNobody, kNobody), 0);
  }
  Child user([&] {
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) return false;
    Connection foreign(path_, theirs(), milliseconds(0));
    foreign.run("BEGIN; SELECT n FROM c");
    ::chmod(path_.c_str(), 0400);
    Connection reader(path_, ours(), milliseconds(0), SQLITE_OPEN_READONLY);
    reader.run("BEGIN; SELECT n FROM c");
    ::chmod(path_.c_str(), 0600);
    Connection writer(path_, ours(), milliseconds(0));
    const bool begun = writer.run("BEGIN IMMEDIATE; UPDATE c SET n = n + 1") == SQLITE_OK;
    const bool kept_out = writer.run("COMMIT") == SQLITE_BUSY;
    reader.run("COMMIT");
    foreign.run("COMMIT");
    return begun && kept_out && writer.run("COMMIT") == SQLITE_OK;
  });
  EXPECT_TRUE(user.succeeded());
  EXPECT_EQ(elsewhere("theirs", path_, "SELECT n FROM c"), "1");
}

/// SQLite makes the -shm with the database's mode, and has a descriptor that may write all the
/// same.
TEST_F(Locks, AnIndexThatCannotBeOpenedAgainForWriting) {
  make();
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path_.c_str(), kNobody, kNobody), 0);
  }
  Child user([&](const Reporter& test) {
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) return false;
    ::chmod(path_.c_str(), 0400);
    Connection one(path_, ours(), milliseconds(0), SQLITE_OPEN_READONLY);
    Connection two(path_, ours(), milliseconds(0), SQLITE_OPEN_READONLY);
    bool read = one.ask("SELECT n FROM c") == "0" && two.ask("SELECT n FROM c") == "0";
    read_files();
    ::chmod(path_.c_str(), 0600);
    two.close();
    test.say(read ? "reads" : "does not");
    while (one.ask("SELECT n FROM c") == "0") ::usleep(1000);
    return one.ask("SELECT n FROM c") == "1";
  });
  ASSERT_EQ(user.line(), "reads");
  EXPECT_EQ(elsewhere("ours", path_, std::string(kAdd) + "; SELECT n FROM c"), "1");
  EXPECT_TRUE(user.succeeded());
}

TEST_F(Locks, ThreadsThatOpenAndCloseBesideProcesses) {
  make();
  constexpr int kThreads = 6;
  constexpr int kTimes = 60;
  std::array<std::string, 2> counted;
  std::vector<std::thread> others;
  std::string many;
  for (int i = 0; i < kTimes; ++i) many += std::string(kAdd) + ";";
  for (std::size_t i = 0; i < kLibraries.size(); ++i) {
    others.emplace_back([&, i] { counted[i] = elsewhere(kLibraries[i], path_, many); });
  }
  std::atomic<int> failed{0};
  for (int t = 0; t < kThreads; ++t) {
    others.emplace_back([&, t] {
      for (int i = 0; i < kTimes; ++i) {
        Connection one(path_, t == 0 && i % 8 == 0 ? theirs() : ours(), milliseconds(60'000));
        if ((t + i) % 3 == 0) one.ask("SELECT sum(n) FROM c");
        if (one.run(kAdd) != SQLITE_OK) ++failed;
      }
    });
  }
  for (std::thread& thread : others) thread.join();
  EXPECT_EQ(counted, (std::array<std::string, 2>{}));
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(elsewhere("theirs", path_, "SELECT n FROM c"), std::to_string((kThreads + 2) * kTimes));
  EXPECT_FALSE(wal_is_there());
  { Connection last(path_); }
  EXPECT_EQ(elsewhere("theirs", path_, "PRAGMA integrity_check"), "ok");
}

int help(const std::string& library, const std::string& path, const std::string& sql) {
  Connection connection(path, library == "ours" ? ours() : theirs(), milliseconds(60'000));
  const std::string answer = connection.ask(sql);
  if (!answer.empty()) std::cout << answer << '\n';
  return connection.code == SQLITE_OK ? 0 : 1;
}

}  // namespace
}  // namespace graven::test

int main(int count, char** arguments) {
  if (count == 5 && std::string(arguments[1]) == "helper") {
    return graven::test::help(arguments[2], arguments[3], arguments[4]);
  }
  ::testing::InitGoogleTest(&count, arguments);
  return RUN_ALL_TESTS();
}
