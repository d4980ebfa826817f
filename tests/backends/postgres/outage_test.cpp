// SPDX-License-Identifier: MIT
//
// Servers that do not answer, refuse or fail over, as a PostgreSQL store sees them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/postgres/backend.hpp"
#include "backends/postgres/connection.hpp"
#include "backends/postgres/settings.hpp"
#include "conformance/port_under_test.hpp"
#include "servers/postgres_server.hpp"

namespace graven::test {
namespace {

using port::Outcome;
using std::chrono::milliseconds;

class PostgresOutage : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::missing()) GTEST_SKIP() << *why;
  }
  /// The folder of a server's socket.
  static std::string host_of(const PostgresServer& server) {
    const std::string url = server.url();
    return url.substr(url.find("host=") + 5);
  }
};

/// Takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
        ::listen(socket_, 50) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
      ADD_FAILURE() << "no socket";
    }
    port_ = ntohs(at.sin_port);
  }
  ~SilentServer() { ::close(socket_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  [[nodiscard]] std::string port() const { return std::to_string(port_); }

 private:
  int socket_;
  int port_ = 0;
};

TEST_F(PostgresOutage, AHostThatDoesNotAnswerDoesNotHideTheNext) {
  PostgresServer& server = shared_postgres();
  const SilentServer silent;
  const postgres::Settings settings{.url = "postgresql://graven@/postgres?host=127.0.0.1," +
                                           host_of(server) + "&port=" + silent.port() + ",5432",
                                    .schema = "two hosts"};
  const auto store = postgres::open(settings);
  Client client(*store);
  EXPECT_EQ(client.put(at_node(1), a_node(1, 1, "x")).outcome, Outcome::kDone);
  EXPECT_EQ(client.load(at_node(1))->body, "x");
  server.sql("DROP SCHEMA \"two hosts\" CASCADE");
}

TEST_F(PostgresOutage, CommitsAreDurableWhateverTheServersDefault) {
  PostgresServer server;
  server.sql("ALTER ROLE graven SET synchronous_commit = off");
  postgres::Settings settings{.url = server.url(), .schema = "s"};
  const auto is = [&] {
    const auto connection = postgres::Connection::open(
        postgres::options_of(settings),
        [&](int version) { return postgres::session_of(settings, version); }, patiently());
    return std::string(connection->script("SHOW synchronous_commit", patiently()).bytes(0, 0));
  };
  EXPECT_EQ(is(), "on");
  server.sql("ALTER ROLE graven SET synchronous_commit = remote_apply");
  EXPECT_EQ(is(), "remote_apply");
  settings.durable = false;
  EXPECT_EQ(is(), "off");
}

TEST_F(PostgresOutage, RefusalsAreKnownByTheirNumber) {
  PostgresServer& server = shared_postgres();
  const auto state_of = [&](const std::string& user, const std::string& database) {
    try {
      postgres::Connection::open({{"host", host_of(server)}, {"user", user}, {"dbname", database}},
                                 nullptr, patiently());
    } catch (const postgres::Failure& failure) {
      EXPECT_EQ(failure.text.find("LOCATION"), std::string::npos) << failure.text;
      EXPECT_EQ(failure.text.find(failure.state), std::string::npos) << failure.text;
      return failure.state;
    }
    return std::string("none");
  };
  EXPECT_EQ(state_of("nobody else", "postgres"), "28000");
  EXPECT_EQ(state_of("graven", "nowhere"), "3D000");
}

TEST_F(PostgresOutage, PasswordsThatAreMissingOrWrongAreFinal) {
  PostgresServer server;
  server.sql("CREATE ROLE careful LOGIN PASSWORD 'secret'; CREATE SCHEMA s AUTHORIZATION careful");
  std::ofstream(host_of(server) + "/pg_hba.conf")
      << "local all graven trust\nlocal all all scram-sha-256\n";
  server.sql("SELECT pg_reload_conf()");
  const auto state_with = [&](const char* password) {
    try {
      postgres::Connection::open({{"host", host_of(server)},
                                  {"user", "careful"},
                                  {"dbname", "postgres"},
                                  {"password", password}},
                                 nullptr, patiently());
    } catch (const postgres::Failure& failure) {
      return failure.state;
    }
    return std::string("none");
  };
  const auto end = patiently();
  while (state_with("wrong") == "none" && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(10));  // until the server has read it
  }
  EXPECT_EQ(state_with("wrong"), "28P01");
  EXPECT_EQ(state_with(""), "28P01");
  EXPECT_EQ(state_with("secret"), "none");
  EXPECT_THROW(postgres::open({.url = server.url("careful"), .schema = "s"}), UsageError);
}

/// After a fail-over nobody holds a lock at the new server, until all have connected to it.
TEST_F(PostgresOutage, AfterAFailOverTheLivingAreAlive) {
  PostgresServer server;
  const postgres::Settings settings{.url = server.url(), .schema = "s"};
  const auto store = postgres::open(settings);
  store->leases().announce(1);
  server.sql("INSERT INTO s.processes VALUES (2, 'epoch')");
  const auto end = after(std::chrono::seconds(30));
  while (store->leases().alive(2) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_FALSE(store->leases().alive(2));  // the server and the connection are old enough
  EXPECT_TRUE(store->leases().alive(1));
  server.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'graven'");
  EXPECT_TRUE(store->leases().alive(2));  // it may be about to connect
  EXPECT_FALSE(store->leases().alive(3));
}

class Quiet final : public port::LogListener {
 public:
  void committed(const port::LogEntry&) noexcept override {}
  void heartbeat(const port::StateVersion&) noexcept override { ++beats; }
  void interrupted() noexcept override { ++interruptions; }
  std::atomic<int> beats{0};
  std::atomic<int> interruptions{0};
};

bool grows(const std::atomic<int>& number, int above) {
  const auto end = patiently();
  while (number <= above && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  return number > above;
}

/// The server's process that a follower asks.
pid_t follower_of(const PostgresServer& server) {
  const std::string pid = server.sql(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'graven' AND query LIKE "
      "'%c.hashes FROM%'");
  return pid.empty() ? -1 : static_cast<pid_t>(std::stol(pid));
}

TEST_F(PostgresOutage, AnAnswerThatTookLongIsNotFresh) {
  PostgresServer server;
  const auto store = postgres::open({.url = server.url(), .schema = "s"});
  Quiet listener;
  const auto subscription = store->subscribe({}, listener);
  ASSERT_TRUE(grows(listener.beats, 0));
  const pid_t asked = follower_of(server);
  ASSERT_GT(asked, 0);
  ASSERT_EQ(::kill(asked, SIGSTOP), 0);
  const int interruptions = listener.interruptions;
  std::this_thread::sleep_for(milliseconds(1'300));  // it asks every 500 ms
  ::kill(asked, SIGCONT);
  EXPECT_TRUE(grows(listener.interruptions, interruptions));
  EXPECT_TRUE(grows(listener.beats, listener.beats));
}

TEST_F(PostgresOutage, CloseDoesNotWaitForAnAnswer) {
  PostgresServer server;
  const auto store = postgres::open({.url = server.url(), .schema = "s"});
  Quiet listener;
  const auto subscription = store->subscribe({}, listener);
  ASSERT_TRUE(grows(listener.beats, 0));
  const pid_t asked = follower_of(server);
  ASSERT_GT(asked, 0);
  ASSERT_EQ(::kill(asked, SIGSTOP), 0);
  std::this_thread::sleep_for(milliseconds(700));  // it has asked
  const int interruptions = listener.interruptions;
  store->close();
  EXPECT_EQ(listener.interruptions, interruptions);  // nor did it give up
  ::kill(asked, SIGCONT);
}

TEST_F(PostgresOutage, ARefusedFollowerComesBack) {
  PostgresServer server;
  server.sql("CREATE ROLE guest LOGIN; CREATE SCHEMA s AUTHORIZATION guest");
  const auto store = postgres::open({.url = server.url("guest"), .schema = "s"});
  Quiet listener;
  const auto subscription = store->subscribe({}, listener);
  EXPECT_TRUE(grows(listener.beats, 0));
  server.sql(
      "ALTER ROLE guest NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
      "usename = 'guest'");
  std::this_thread::sleep_for(milliseconds(500));
  server.sql("ALTER ROLE guest LOGIN");
  const int before = listener.beats;
  EXPECT_TRUE(grows(listener.beats, before));  // it comes back by itself
}

TEST_F(PostgresOutage, ConfirmationsAreOneRowForEachSession) {
  PostgresServer& server = shared_postgres();
  const auto store = postgres::open({.url = server.url(), .schema = "confirmed"});
  Client client(*store);
  client.put(at_node(1), a_node(7, 1));
  const port::Predicate is{.kind = Is::kVersion, .key = at_node(1), .number = 7};
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(client.holds(is));
  const port::CommitId last = client.next();
  const auto done = client.commit(last, {.predicates = {is}});
  EXPECT_EQ(server.sql("SELECT count(*) FROM confirmed.commits WHERE kind <> 0"), "1");
  EXPECT_EQ(client.commit(last, {.predicates = {is}}, true).states, done.states);
  client.put(at_node(1), a_node(8, 1));
  EXPECT_EQ(server.sql("SELECT count(*) FROM confirmed.commits WHERE kind <> 0"), "0");
  server.sql("DROP SCHEMA confirmed CASCADE");
}

TEST_F(PostgresOutage, ProcessesThatLiveShortlyPruneTheLog) {
  PostgresServer& server = shared_postgres();
  const postgres::Settings settings{.url = server.url(), .schema = "short"};
  for (int process = 0; process < 48; ++process) {
    const auto store = postgres::open(settings);
    Client client(*store);
    for (int i = 0; i < 83; ++i) client.put(at_node(1), a_node(1, 1));
    store->close();
  }
  // 3,984 commits, of which the last 2,000 stay, and up to 500 until the next pruning.
  const long rows = std::stol(server.sql("SELECT count(*) FROM short.commits"));
  EXPECT_GE(rows, 2'000);
  EXPECT_LE(rows, 2'600);
  server.sql("DROP SCHEMA short CASCADE");
}

}  // namespace
}  // namespace graven::test
