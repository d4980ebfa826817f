// SPDX-License-Identifier: MIT
//
// A private server whose users, server, watchdog, or all of them, are killed. The number of random
// kills is GRAVEN_KILLS (20); GRAVEN_SEED repeats a run.
#include <gtest/gtest.h>

#include <graven/error.hpp>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/redis/embedded/private_server.hpp"
#include "backends/redis/embedded/saved_state.hpp"
#include "backends/redis/private_servers.hpp"
#include "backends/sqlite/child.hpp"

namespace graven {
namespace {

namespace fs = std::filesystem;
using test::all_gone;
using test::Child;
using test::eventually;
using test::get;
using test::in_seconds;
using test::join;
using test::Reporter;
using test::Server;
using test::set;

class PrivateServerKill : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(all_gone(path_ + ".d")) << "an orphan is left"; }

  test::TemporaryFolder folder_;
  const std::string path_ = folder_ / "x.rdb";
};

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : otherwise;
}

TEST_F(PrivateServerKill, AUser) {
  Child child([&](const Reporter& reporter) {
    const Server server = join(path_);
    const bool good = set(*server, "a", "1");
    reporter.say("set");
    ::pause();
    return good;
  });
  ASSERT_EQ(child.line(), "set");
  child.kill();
  ASSERT_TRUE(all_gone(path_ + ".d"));
  EXPECT_FALSE(fs::exists(path_ + ".d/state")) << "it was ended in order";
  EXPECT_EQ(get(*join(path_), "a"), "1");
}

TEST_F(PrivateServerKill, TheServerIsStartedAgain) {
  const Server server = join(path_);
  for (int round = 0; round < 3; ++round) {
    const pid_t watchdog = test::watchdog_of(*server);
    ASSERT_TRUE(set(*server, "a" + std::to_string(round), "1"));
    ::kill(test::server_of(*server), SIGKILL);
    ASSERT_TRUE(eventually([&] { return test::ask(*server, "PING") == "+PONG\r\n"; }));
    EXPECT_EQ(test::watchdog_of(*server), watchdog);
    for (int i = 0; i <= round; ++i) EXPECT_EQ(get(*server, "a" + std::to_string(i)), "1");
  }
}

TEST_F(PrivateServerKill, TheServerDiesWithItsWatchdogAndAUserRevivesIt) {
  const Server server = join(path_);
  const Server other = join(path_);
  ASSERT_TRUE(set(*server, "a", "1"));
  const pid_t first = test::server_of(*server);
  ::kill(test::watchdog_of(*server), SIGKILL);
  ASSERT_TRUE(all_gone(path_ + ".d"));
  EXPECT_EQ(test::ask(*server, "PING"), "");
  server->revive(in_seconds(60));
  other->revive(in_seconds(60));
  EXPECT_EQ(get(*other, "a"), "1");
  EXPECT_NE(test::server_of(*server), first);
  EXPECT_EQ(test::server_of(*server), test::server_of(*other));
}

TEST_F(PrivateServerKill, AllAtOnce) {
  Child child([&](const Reporter& reporter) {
    const Server server = join(path_);
    const bool good = set(*server, "a", "1");
    reporter.say(std::to_string(test::server_of(*server)));
    ::pause();
    return good;
  });
  const pid_t server = std::atoi(child.line().c_str());
  ASSERT_GT(server, 0);
  const pid_t watchdog = test::parent_of(server);
  for (const pid_t one : {watchdog, server}) ::kill(one, SIGKILL);
  child.kill();
  ASSERT_TRUE(all_gone(path_ + ".d"));
  EXPECT_TRUE(fs::exists(path_ + ".d/state"));
  EXPECT_EQ(get(*join(path_), "a"), "1");
}

/// Leaves a store whose server was killed: `.rdb` has a=1, the AOF a=2.
void leave_killed(const std::string& path) {
  ASSERT_TRUE(set(*join(path), "a", "1"));
  ASSERT_TRUE(all_gone(path + ".d"));
  const Server server = join(path);
  ASSERT_TRUE(set(*server, "a", "2"));
  ::kill(test::watchdog_of(*server), SIGKILL);
  ASSERT_TRUE(all_gone(path + ".d"));
}

TEST_F(PrivateServerKill, AnotherRdbBesideTheAofIsRefused) {
  const std::string other = folder_ / "other.rdb";
  ASSERT_TRUE(set(*join(other), "a", "3"));
  ASSERT_TRUE(all_gone(other + ".d"));
  leave_killed(path_);
  const std::string kept = folder_ / "kept.rdb";
  fs::rename(path_, kept);
  fs::copy_file(other, path_);
  EXPECT_THROW(join(path_), UnavailableError);
  fs::rename(kept, path_);  // the remedy: the right file
  EXPECT_EQ(get(*join(path_), "a"), "2");
}

TEST_F(PrivateServerKill, EitherSideCanBeMovedAway) {
  leave_killed(path_);
  const std::string copy = folder_ / "copy.rdb";
  fs::copy(path_, copy);  // the .rdb alone
  EXPECT_EQ(get(*join(copy), "a"), "1");
  ASSERT_TRUE(all_gone(copy + ".d"));
  fs::remove(path_);  // the folder alone
  EXPECT_EQ(get(*join(path_, false), "a"), "2");
}

TEST_F(PrivateServerKill, AnRdbThatWasReplacedUnderTheServerIsNotOverwritten) {
  const std::string other = folder_ / "other.rdb";
  ASSERT_TRUE(set(*join(other), "a", "3"));
  ASSERT_TRUE(all_gone(other + ".d"));
  {
    const Server server = join(path_);
    ASSERT_TRUE(set(*server, "a", "2"));
    fs::copy_file(other, path_);
  }
  ASSERT_TRUE(all_gone(path_ + ".d"));
  EXPECT_THROW(join(path_), UnavailableError);
  fs::remove(path_);
  EXPECT_EQ(get(*join(path_), "a"), "2");
}

TEST_F(PrivateServerKill, BetweenTheSavingAndTheEnd) {
  // As take_dump() would leave it, if it was killed before it dropped the AOF.
  leave_killed(path_);
  const std::string saved = folder_ / "saved.rdb";
  ASSERT_TRUE(set(*join(saved), "a", "2"));
  ASSERT_TRUE(all_gone(saved + ".d"));
  const int folder = ::open((path_ + ".d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_TRUE(redis::write_state(folder, redis::fingerprint(folder, "../x.rdb"),
                                 redis::fingerprint(folder, "../saved.rdb")));
  ::close(folder);
  fs::rename(saved, path_);
  EXPECT_EQ(get(*join(path_), "a"), "2");
}

TEST_F(PrivateServerKill, ADamagedStateIsNotGuessedAt) {
  leave_killed(path_);
  std::ofstream(path_ + ".d/state") << "nonsense";
  EXPECT_THROW(join(path_), CorruptionError);
}

TEST_F(PrivateServerKill, AMissingAppendOnlyFileIsNoEmptyStore) {
  leave_killed(path_);
  std::filesystem::rename(path_ + ".d/appendonlydir", path_ + ".aside");
  EXPECT_THROW(join(path_), CorruptionError);
  std::filesystem::rename(path_ + ".aside", path_ + ".d/appendonlydir");
  EXPECT_NO_THROW(join(path_));
}

TEST_F(PrivateServerKill, AStarterThatIsKilledIsNoHindrance) {
  for (int round = 0; round < 10; ++round) {
    Child child([&](const Reporter& reporter) {
      reporter.say("begins");
      const Server server = join(path_);
      ::pause();
      return true;
    });
    ASSERT_EQ(child.line(), "begins");
    ::usleep(static_cast<::useconds_t>(round * 8'000));
    child.kill();
    const Server server = join(path_);
    EXPECT_TRUE(set(*server, "a", std::to_string(round)));
  }
  EXPECT_EQ(get(*join(path_), "a"), "9");
}

TEST_F(PrivateServerKill, AnErasedFolderLeavesNoOrphan) {
  Server server = join(path_);
  const pid_t pid = test::server_of(*server);
  const pid_t watchdog = test::parent_of(pid);
  ASSERT_GT(pid, 0);
  fs::remove_all(path_ + ".d");
  server.reset();
  EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) != 0 && ::kill(watchdog, 0) != 0; }));
}

TEST_F(PrivateServerKill, AFullDiskLosesNothing) {
  // A namespace of the child's own: what it mounts ends with it and its server.
  Child child([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return true;  // needs rights
    }
    const std::string disk = folder_ / "disk";
    fs::create_directory(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=3m") != 0) return true;
    const std::string path = disk + "/x.rdb";
    long written = 0;
    {
      const Server server = join(path);
      std::ofstream filler(disk + "/filler");
      while (filler << std::string(1024, 'x') && filler.flush()) {
      }
      const std::string value(100, 'v');
      while (written < 1000 && set(*server, "k" + std::to_string(written), value)) ++written;
    }
    // The server cannot save; it lives on, and can be joined.
    const auto size = [&] { return test::ask(*join(path), "DBSIZE"); };
    const std::string expected = ":" + std::to_string(written) + "\r\n";
    ::usleep(100'000);
    const bool joined = size() == expected;
    fs::remove(disk + "/filler");
    const bool ended = all_gone(path + ".d") && !fs::exists(path + ".d/state");
    return written > 0 && written < 1000 && joined && ended && size() == expected &&
           all_gone(path + ".d");
  });
  EXPECT_TRUE(child.succeeded());
}

/// Increments, and says each number that was acknowledged, until it is killed; revives the server
/// where that was killed.
bool count_until_killed(const std::string& path, const std::string& key, const Reporter& reporter) {
  const Server server = join(path);
  for (;;) {
    const std::string reply = test::ask(*server, "INCR " + key);
    if (reply.empty()) {
      server->revive(in_seconds(60));
    } else if (reply.front() == ':') {
      reporter.say(reply.substr(1, reply.size() - 3));
    }
  }
}

TEST_F(PrivateServerKill, RandomKills) {
  const unsigned seed = from_environment("GRAVEN_SEED", std::random_device{}());
  SCOPED_TRACE("repeat with GRAVEN_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const unsigned kills = from_environment("GRAVEN_KILLS", 20);
  std::vector<long> least(2, 0);
  for (unsigned kill = 0; kill < kills; ++kill) {
    std::vector<std::unique_ptr<Child>> users;
    for (const char* key : {"n0", "n1"}) {
      users.push_back(std::make_unique<Child>([&, key](const Reporter& reporter) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        return count_until_killed(path_, key, reporter);
      }));
    }
    ::usleep(std::uniform_int_distribution<::useconds_t>(0, 150'000)(random));
    // Any of the watchdog, the server and a child of it; then perhaps the users, at any time.
    const unsigned how = std::uniform_int_distribution<unsigned>(0, 3)(random);
    const std::vector<pid_t> others = test::processes_in(path_ + ".d");
    if (how > 0 && !others.empty()) {
      if (how == 3) {
        for (const pid_t one : others) ::kill(one, SIGKILL);
      } else {
        ::kill(others[random() % others.size()], SIGKILL);
      }
      if (how != 3) ::usleep(std::uniform_int_distribution<::useconds_t>(0, 150'000)(random));
    }
    for (std::size_t i = 0; i < users.size(); ++i) {
      ::kill(users[i]->pid(), SIGKILL);
      for (std::string line; !(line = users[i]->line()).empty();) {
        const long number = std::atol(line.c_str());
        ASSERT_GT(number, least[i]) << "an acknowledged increment was lost, kill " << kill;
        least[i] = number;
      }
    }
    users.clear();
    if (random() % 2 == 0) continue;  // others come while the server is being ended
    const Server server = join(path_);
    for (std::size_t i = 0; i < least.size(); ++i) {
      const long now = std::atol(get(*server, "n" + std::to_string(i)).c_str());
      ASSERT_GE(now, least[i]) << "an acknowledged increment was lost, kill " << kill;
    }
  }
}

}  // namespace
}  // namespace graven
