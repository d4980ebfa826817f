// SPDX-License-Identifier: MIT
//
// Lending connections: which one, what happens while the server is away, and in a forked child.
#include "backends/redis/connections.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <graven/error.hpp>
#include <graven/interrupt.hpp>

#include "backends/redis/scripted_server.hpp"
#include "base/forks.hpp"
#include "servers/link.hpp"
#include "servers/redis_server.hpp"

namespace {

using namespace graven;
using namespace std::chrono_literals;
using graven::test::RedisServer;
using graven::test::ScriptedServer;
using graven::test::shared_redis;
using redis::Command;
using redis::Connections;
using redis::Unreached;

redis::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
/// Long enough for anything that is to happen.
redis::Deadline ample() { return in(60s); }

std::int64_t id_of(redis::Connection& connection) {
  return connection.ask(Command("CLIENT").add("ID"), ample()).part().number();
}

/// Whether a child of this process finds all well.
bool child_finds(const std::function<bool()>& well) {
  const pid_t child = ::fork();
  if (child == 0) {
    bool all = false;
    try {
      all = well();
    } catch (...) {
    }
    ::_exit(all ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class RedisConnections : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::available()) GTEST_SKIP() << RedisServer::missing();
  }
};

TEST_F(RedisConnections, TheLastOneReturnedIsLentFirst) {
  Connections connections(shared_redis().settings());
  std::int64_t first = 0;
  std::int64_t second = 0;
  {
    auto a = connections.lend(ample());
    auto b = connections.lend(ample());
    first = id_of(*a);
    second = id_of(*b);
  }
  EXPECT_NE(first, second);
  auto again = connections.lend(ample());
  EXPECT_EQ(id_of(*again), first);
  const auto kept = connections.fresh(ample());
  EXPECT_NE(id_of(*kept), second);
  EXPECT_EQ(id_of(*connections.lend(ample())), second);
}

TEST_F(RedisConnections, OneThatFailedDoesNotComeBack) {
  RedisServer server;
  Connections connections(server.settings());
  std::int64_t first = 0;
  {
    auto lent = connections.lend(ample());
    first = id_of(*lent);
    server.pause();
    EXPECT_THROW(lent->ask(Command("PING"), in(10ms)), redis::Lost);
    server.resume();
  }
  EXPECT_NE(id_of(*connections.lend(ample())), first);
}

TEST_F(RedisConnections, IdleOnesThatTheServerClosedAreNotLent) {
  Connections connections(shared_redis().settings());
  std::vector<std::int64_t> before;
  {
    auto a = connections.lend(ample());
    auto b = connections.lend(ample());
    before = {id_of(*a), id_of(*b)};
  }
  {
    redis::Connection direct(shared_redis().settings(), ample());
    for (const std::int64_t id : before) {
      direct.ask(Command("CLIENT").add("KILL").add("ID").add(id), ample());
    }
  }
  auto lent = connections.lend(ample());
  for (const std::int64_t id : before) EXPECT_NE(id_of(*lent), id);
}

TEST_F(RedisConnections, ServeAgainAfterTheServerWasRestarted) {
  RedisServer server;
  Connections connections(server.settings());
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(connections.lend(ample())->ask(Command("PING"), ample()).part().text(), "PONG");
    round % 2 == 0 ? server.kill() : server.stop();
    std::optional<std::string> said;
    std::thread waiting([&] {
      auto lent = connections.lend(ample());
      said = lent->ask(Command("PING"), ample()).part().text();
    });
    std::this_thread::sleep_for(20ms);
    server.start();
    waiting.join();
    EXPECT_EQ(said, "PONG");
  }
}

TEST_F(RedisConnections, TryUntilTheDeadlineAndAPasswordOnce) {
  redis::Settings nowhere;
  nowhere.socket = "/no/such.sock";
  Connections none(nowhere);
  const auto deadline = in(30ms);
  EXPECT_THROW(none.lend(deadline), Unreached);
  Cancellation cancellation;
  cancellation.cancel();
  EXPECT_THROW(cancellation.run([&] { none.lend(ample()); }), AbortedError);

  redis::Settings wrong = shared_redis().settings();
  wrong.user = "nobody";
  EXPECT_THROW(Connections(wrong).lend(ample()), UsageError);
}

TEST(RedisLoading, IsWaitedFor) {
  const ScriptedServer server({{"-LOADING Redis is loading the dataset in memory\r\n"},
                               {"-ERR max number of clients reached\r\n"},
                               {},
                               {test::kHello, "+PONG\r\n"}});
  Connections connections(server.settings());
  EXPECT_EQ(connections.lend(ample())->ask(Command("PING"), ample()).part().text(), "PONG");
}

TEST_F(RedisConnections, AreClosedForGood) {
  Connections connections(shared_redis().settings());
  auto lent = connections.lend(ample());
  { auto other = connections.lend(ample()); }
  connections.close();
  EXPECT_EQ(lent->ask(Command("PING"), ample()).part().text(), "PONG");
  EXPECT_THROW(connections.lend(ample()), ClosedError);
  EXPECT_THROW(connections.fresh(ample()), ClosedError);
}

TEST_F(RedisConnections, AForkedChildHasConnectionsOfItsOwn) {
  Connections connections(shared_redis().settings());
  std::int64_t idle = 0;
  {
    auto a = connections.lend(ample());
    auto b = connections.lend(ample());
    idle = id_of(*b);
  }
  std::optional<Connections::Lent> lent(connections.lend(ample()));
  const std::int64_t ours = id_of(**lent);
  EXPECT_TRUE(child_finds([&] {
    try {
      (*lent)->ask(Command("PING"), ample());
      return false;
    } catch (const Unreached&) {
    }
    lent.reset();
    std::vector<Connections::Lent> all;
    for (int i = 0; i < 3; ++i) {
      all.push_back(connections.lend(ample()));
      const std::int64_t id = id_of(*all.back());
      if (id == ours || id == idle) return false;
    }
    return true;
  }));
  EXPECT_EQ(id_of(**lent), ours);
  EXPECT_EQ(id_of(*connections.lend(ample())), idle);
}

TEST_F(RedisConnections, ForksWhileThreadsAsk) {
  GRAVEN_FORKS_AMID_THREADS();
  Connections connections(shared_redis().settings());
  std::atomic<bool> end{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, mine = std::to_string(i)] {
      while (!end) {
        auto lent = connections.lend(ample());
        if (lent->ask(Command("ECHO").add(mine), ample()).part().text() != mine) ++wrong;
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    EXPECT_TRUE(child_finds([&] {
      auto lent = connections.lend(ample());
      return lent->ask(Command("ECHO").add("child"), ample()).part().text() == "child";
    }));
  }
  end = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
