// SPDX-License-Identifier: MIT
//
// Connections to a real redis-server: signing in, replies, pushes, and what happens when the server
// or the network does not.
#include "backends/redis/connection.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <graven/error.hpp>
#include <graven/interrupt.hpp>

#include "backends/redis/scripted_server.hpp"
#include "servers/link.hpp"
#include "servers/redis_server.hpp"

namespace {

using namespace graven;
using namespace std::chrono_literals;
using graven::test::Link;
using graven::test::RedisServer;
using graven::test::ScriptedServer;
using graven::test::shared_redis;
using redis::Command;
using redis::Connection;
using redis::Lost;
using redis::Reply;
using redis::ReplyPart;
using redis::Settings;
using redis::Unreached;

redis::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
/// Long enough for anything that is to happen.
redis::Deadline ample() { return in(60s); }

Settings over(const Link& link) {
  Settings settings;
  settings.host = "127.0.0.1";
  settings.port = link.port();
  return settings;
}

template <class Thrown, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Thrown& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class RedisConnection : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::available()) GTEST_SKIP() << RedisServer::missing();
  }
};

TEST_F(RedisConnection, SignsIn) {
  Settings settings = shared_redis().settings();
  settings.database = 5;
  Connection connection(settings, ample());
  EXPECT_TRUE(connection.server().name == "redis" || connection.server().name == "valkey");
  EXPECT_NE(connection.server().version, "");
  EXPECT_EQ(connection.server().role, "master");
  EXPECT_EQ(connection.server().mode, "standalone");
  const Reply me = connection.ask(Command("CLIENT").add("INFO"), ample());
  EXPECT_TRUE(has(std::string(me.part().text()), " name=graven ")) << me.part().text();
  EXPECT_TRUE(has(std::string(me.part().text()), " db=5 ")) << me.part().text();
  EXPECT_TRUE(connection.usable());
}

TEST_F(RedisConnection, SignsInWithAPasswordAndSaysWhatIsWrongWithIt) {
  const RedisServer server(
      {.lines = {"requirepass hunter2", "user ada on >open@sesame +@all ~*", "databases 2"}});
  Settings settings = server.settings();
  EXPECT_TRUE(has(message_of<UsageError>([&] { Connection(settings, ample()); }), "password"));
  settings.password = "wrong-one";
  const std::string wrong = message_of<UsageError>([&] { Connection(settings, ample()); });
  EXPECT_TRUE(has(wrong, "WRONGPASS")) << wrong;
  EXPECT_FALSE(has(wrong, "wrong-one")) << wrong;
  settings.password = "hunter2";
  const auto who = [&] {
    Connection connection(settings, ample());
    return std::string(connection.ask(Command("ACL").add("WHOAMI"), ample()).part().text());
  };
  EXPECT_EQ(who(), "default");
  settings.user = "ada";
  EXPECT_TRUE(has(message_of<UsageError>([&] { Connection(settings, ample()); }), "WRONGPASS"));
  settings.password = "open@sesame";
  EXPECT_EQ(who(), "ada");
  settings.database = 2;
  EXPECT_TRUE(has(message_of<UsageError>([&] { Connection(settings, ample()); }), "databases"));
}

TEST_F(RedisConnection, ReachesNobody) {
  Settings settings;
  settings.host = "127.0.0.1";
  settings.port = test::free_port();
  EXPECT_TRUE(has(message_of<Unreached>([&] { Connection(settings, ample()); }), "refused"));
  settings.host = "no-such-host.invalid";
  EXPECT_TRUE(has(message_of<Unreached>([&] { Connection(settings, in(5s)); }), settings.host));
  settings.socket = "/no/such.sock";
  EXPECT_TRUE(has(message_of<Unreached>([&] { Connection(settings, ample()); }), "/no/such.sock"));
  settings.socket = std::string(200, 'x');
  EXPECT_THROW(Connection(settings, ample()), UsageError);
}

TEST_F(RedisConnection, AnswersInOrder) {
  Connection connection(shared_redis().settings(), ample());
  std::vector<Command> commands;
  for (int i = 0; i < 20'000; ++i) {
    commands.push_back(i % 7 == 3 ? Command("NONSENSE") : Command("ECHO").add(std::to_string(i)));
  }
  const std::vector<Reply> replies = connection.ask(commands, ample());
  ASSERT_EQ(replies.size(), commands.size());
  for (int i = 0; i < 20'000; ++i) {
    const ReplyPart part = replies[static_cast<std::size_t>(i)].part();
    if (i % 7 == 3) {
      EXPECT_TRUE(part.error());
      EXPECT_TRUE(part.text().starts_with("ERR"));
    } else {
      EXPECT_EQ(part.number(), i);
    }
  }
}

/// Four values of 10 MB there, and at the same time back.
void exchange_big_values(Connection& connection) {
  const char* given = std::getenv("GRAVEN_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  SCOPED_TRACE("GRAVEN_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  std::string value(std::size_t{10} << 20U, '\0');
  for (char& c : value) c = static_cast<char>(random());
  const std::vector<Command> commands(4, Command("ECHO").add(value));
  for (const Reply& reply : connection.ask(commands, ample()))
    EXPECT_TRUE(reply.part().text() == value);
  EXPECT_EQ(connection.ask(Command("PING"), ample()).part().text(), "PONG");
}

TEST_F(RedisConnection, CarriesBigValues) {
  Connection connection(shared_redis().settings(), ample());
  exchange_big_values(connection);
}

TEST_F(RedisConnection, GivesPushesBeforeTheReplyThatTheyCameBefore) {
  Connection connection(shared_redis().settings(), ample());
  std::vector<std::string> seen;
  connection.on_push([&](ReplyPart push) { seen.emplace_back(push[2].text()); });
  const Reply confirmed =
      connection.ask(Command("subscribe").add("order:a").add("order:b"), ample());
  EXPECT_EQ(confirmed[1].text(), "order:b");
  EXPECT_EQ(confirmed[2].number(), 2);
  for (int i = 0; i < 100; ++i) {
    const std::vector<Command> commands{Command("PUBLISH").add("order:a").add(std::to_string(i)),
                                        Command("PING")};
    EXPECT_EQ(connection.ask(commands, ample())[1].part().text(), "PONG");
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(i) + 1);
    EXPECT_EQ(seen.back(), std::to_string(i));
  }
  EXPECT_EQ(connection.ask(Command("UNSUBSCRIBE"), ample())[2].number(), 0);
  connection.ask(Command("PUBLISH").add("order:a").add("unheard"), ample());
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_TRUE(connection.ask(Command("SUBSCRIBE"), ample()).part().error());  // no channel
}

TEST_F(RedisConnection, WaitsForPushes) {
  Connection listener(shared_redis().settings(), ample());
  Connection speaker(shared_redis().settings(), ample());
  std::size_t seen = 0;
  listener.on_push([&](ReplyPart) { ++seen; });
  listener.ask(Command("SUBSCRIBE").add("wait:a"), ample());
  EXPECT_FALSE(listener.wait_for_push(in(5ms)));
  const int wake = ::eventfd(1, EFD_CLOEXEC);
  EXPECT_FALSE(listener.wait_for_push(ample(), wake));
  ::close(wake);
  speaker.ask(Command("PUBLISH").add("wait:a").add("1"), ample());
  EXPECT_TRUE(listener.wait_for_push(ample()));
  EXPECT_EQ(seen, 1U);
  Cancellation cancellation;
  cancellation.cancel();
  EXPECT_THROW(cancellation.run([&] { listener.wait_for_push(ample()); }), AbortedError);
  EXPECT_TRUE(listener.usable());
  speaker.ask(Command("CLIENT").add("KILL").add("TYPE").add("PUBSUB"), ample());
  EXPECT_THROW(listener.wait_for_push(ample()), Lost);
  EXPECT_FALSE(listener.usable());
  EXPECT_THROW(listener.wait_for_push(ample()), Lost);
}

TEST_F(RedisConnection, IsLostAtTheDeadline) {
  RedisServer server;
  Connection connection(server.settings(), ample());
  server.pause();
  EXPECT_THROW(connection.ask(Command("PING"), in(20ms)), Lost);
  EXPECT_FALSE(connection.usable());
  EXPECT_THROW(Connection(server.settings(), in(20ms)), Unreached);
  Settings settings = server.settings();
  settings.connect_timeout = 20ms;
  EXPECT_THROW(Connection(settings, ample()), Unreached);
  server.resume();
  EXPECT_THROW(connection.ask(Command("PING"), ample()), Unreached);  // its reply may still come
}

TEST_F(RedisConnection, AWaitCanBeInterrupted) {
  RedisServer server;
  Connection connection(server.settings(), ample());
  server.pause();
  for (const bool connecting : {false, true}) {
    Cancellation cancellation;
    std::thread canceller([&] {
      std::this_thread::sleep_for(5ms);
      cancellation.cancel();
    });
    EXPECT_THROW(cancellation.run([&] {
      if (connecting) Connection(server.settings(), ample());
      connection.ask(Command("PING"), ample());
    }),
                 AbortedError);
    canceller.join();
  }
  EXPECT_FALSE(connection.usable());
}

TEST_F(RedisConnection, ALostReplyIsLostAndWhatWasNotSentIsNot) {
  Connection direct(shared_redis().settings(), ample());
  Link link(shared_redis().settings().socket);
  std::int64_t counted = 0;
  for (int round = 0; round < 20; ++round) {
    const bool replied_to = round % 2 == 0;
    Connection connection(over(link), ample());
    replied_to ? link.drop_replies() : link.hold_requests();
    std::thread cutter([&] {
      const auto count = [&] {
        return direct.ask(Command("GET").add("cut"), ample()).part().number();
      };
      while (replied_to && count() == counted) std::this_thread::sleep_for(1ms);
      link.cut();
    });
    EXPECT_THROW(connection.ask(Command("INCR").add("cut"), ample()), Lost);
    cutter.join();
    if (replied_to) ++counted;
    link.mend();
    EXPECT_EQ(direct.ask(Command("GET").add("cut"), ample()).part().number(), counted);
  }
  direct.ask(Command("DEL").add("cut"), ample());
}

TEST_F(RedisConnection, SeesThatTheServerHasClosedIt) {
  Connection direct(shared_redis().settings(), ample());
  Link link(shared_redis().settings().socket);
  for (int round = 0; round < 20; ++round) {
    Connection connection(over(link), ample());
    link.cut();
    if (round % 2 == 0) {
      while (connection.usable()) std::this_thread::sleep_for(1ms);
    }
    // A SIGPIPE would end this program.
    try {
      connection.ask(Command("INCR").add("closed"), ample());
      ADD_FAILURE() << "answered over a cut link";
    } catch (const UnavailableError&) {
    }
    EXPECT_TRUE(direct.ask(Command("GET").add("closed"), ample()).part().nil());
    link.mend();
  }
}

TEST(RedisSignIn, WaitsForAServerThatIsNotReady) {
  for (const char* error :
       {"-LOADING Redis is loading the dataset in memory\r\n",
        "-ERR max number of clients reached\r\n", "-MASTERDOWN Link with MASTER is down\r\n", ""}) {
    const ScriptedServer server({{error}, {test::kHello}});
    const std::string said = message_of<Unreached>([&] { Connection(server.settings(), ample()); });
    EXPECT_TRUE(has(said, *error == '\0' ? "closed" : std::string(error).substr(1, 8))) << said;
    EXPECT_EQ(Connection(server.settings(), ample()).server().version, "7.0.15");
  }
}

TEST(RedisSignIn, RefusesWhatIsNoRedisServer) {
  for (const char* reply :
       {"-NOPROTO unsupported protocol version\r\n", "-ERR unknown command `HELLO`\r\n", "+OK\r\n",
        "*0\r\n", "-DENIED Redis is running in protected mode\r\n"}) {
    const ScriptedServer server({{reply}});
    EXPECT_THROW(Connection(server.settings(), ample()), UsageError) << reply;
  }
  const ScriptedServer old(
      {{"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `a`, "
        "`hunter2`\r\n"}});
  redis::Settings settings = old.settings();
  settings.user = "ada";
  settings.password = "hunter2";
  const std::string said = message_of<UsageError>([&] { Connection(settings, ample()); });
  EXPECT_TRUE(has(said, "HELLO") && has(said, "RESP3") && !has(said, "hunter2")) << said;
  const ScriptedServer web({{"HTTP/1.1 400 Bad Request\r\n\r\n"}});
  EXPECT_TRUE(has(message_of<Unreached>([&] { Connection(web.settings(), ample()); }),
                  "no reply of a Redis"));
}

TEST(RedisReplies, OfEveryType) {
  const ScriptedServer server(
      {{test::kHello,
        ":-7\r\n,3.75\r\n,inf\r\n#t\r\n#f\r\n_\r\n$-1\r\n(12345678901234567890\r\n"
        "=7\r\ntxt:abc\r\n~2\r\n+a\r\n+b\r\n%1\r\n+k\r\n:5\r\n"
        "|1\r\n+ttl\r\n:9\r\n+attributed\r\n$2\r\n42\r\n-ERR 5\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n"}});
  Connection connection(server.settings(), ample());
  const std::vector<Command> commands(15, Command("PING"));
  const std::vector<Reply> got = connection.ask(commands, ample());
  EXPECT_TRUE(got[0].part().integer());
  EXPECT_EQ(got[0].part().number(), -7);
  EXPECT_EQ(got[1].part().number(), 3);
  EXPECT_EQ(got[1].part().text(), "3.75");
  EXPECT_EQ(got[2].part().number(), 0);
  EXPECT_EQ(got[2].part().text(), "inf");
  EXPECT_EQ(got[3].part().number(), 1);
  EXPECT_EQ(got[4].part().number(), 0);
  EXPECT_FALSE(got[4].part().nil());
  EXPECT_TRUE(got[5].part().nil());
  EXPECT_TRUE(got[6].part().nil());
  EXPECT_EQ(got[7].part().text(), "12345678901234567890");
  EXPECT_EQ(got[8].part().text(), "abc");
  EXPECT_EQ(got[9].part().size(), 2U);
  EXPECT_EQ(got[9][1].text(), "b");
  EXPECT_TRUE(got[10].part().array());
  EXPECT_EQ(got[10].part().size(), 2U);
  EXPECT_EQ(got[10][1].number(), 5);
  EXPECT_TRUE(got[10][2].nil());
  EXPECT_EQ(got[11].part().text(), "attributed");
  EXPECT_EQ(got[12].part().number(), 42);
  EXPECT_TRUE(got[13].part().error());
  EXPECT_EQ(got[13].part().number(), 0);
  EXPECT_EQ(got[14][0][0].number(), 1);
  EXPECT_EQ(got[14][1].text(), "");
  EXPECT_FALSE(got[14][1].nil());
}

TEST(RedisReplies, TooManyOrBrokenOnesEndTheConnection) {
  for (const char* reply : {"+a\r\n+b\r\n", "?\r\n", "$x\r\n", "*1\r\n!"}) {
    const ScriptedServer server({{test::kHello, reply}});
    Connection connection(server.settings(), ample());
    EXPECT_THROW(connection.ask(Command("PING"), ample()), Lost) << reply;
    EXPECT_FALSE(connection.usable());
  }
}

TEST_F(RedisConnection, SpeaksTlsWithTheRightHostOnly) {
  const test::TemporaryFolder folder;
  const auto made = [&](const std::string& arguments) {
    return std::system(
               ("cd " + folder.path().string() + " && openssl " + arguments + " 2>/dev/null")
                   .c_str()) == 0;
  };
  if (!made("req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.crt -subj /CN=ca") ||
      !made("req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=db.example") ||
      std::system(
          ("echo subjectAltName=DNS:db.example,IP:127.0.0.1 > " + (folder / "names")).c_str()) !=
          0 ||
      !made("x509 -req -in s.csr -CA ca.crt -CAkey ca.key -days 2 -CAcreateserial -extfile names "
            "-out s.crt")) {
    GTEST_SKIP() << "no openssl command to make certificates";
  }
  const RedisServer server(
      {.lines = {"tls-cert-file " + (folder / "s.crt"), "tls-key-file " + (folder / "s.key"),
                 "tls-ca-cert-file " + (folder / "ca.crt"), "tls-auth-clients optional"},
       .tls = true});
  Settings settings = server.tcp();
  settings.tls.on = true;
  settings.tls.authorities = folder / "ca.crt";
  {
    Connection connection(settings, ample());
    EXPECT_TRUE(connection.usable());
    exchange_big_values(connection);
    EXPECT_TRUE(connection.usable());
    std::size_t seen = 0;
    connection.on_push([&](ReplyPart) { ++seen; });
    connection.ask(Command("SUBSCRIBE").add("a"), ample());
    Connection(server.settings(), ample()).ask(Command("PUBLISH").add("a").add("1"), ample());
    EXPECT_TRUE(connection.wait_for_push(ample()));
    EXPECT_EQ(seen, 1U);
  }
  settings.tls.certificate = folder / "s.crt";  // as a client's
  settings.tls.key = folder / "s.key";
  EXPECT_EQ(Connection(settings, ample()).server().role, "master");
  settings.tls.host = "db.example";
  EXPECT_EQ(Connection(settings, ample()).server().role, "master");
  settings.tls.host = "other.example";
  EXPECT_TRUE(has(message_of<UsageError>([&] { Connection(settings, ample()); }), "mismatch"));
  settings.tls.verify = false;
  EXPECT_EQ(Connection(settings, ample()).server().role, "master");
  settings.tls = {.on = true};
  EXPECT_TRUE(has(message_of<UsageError>([&] { Connection(settings, ample()); }), "certificate"));
  settings.tls.authorities = folder / "missing.crt";
  EXPECT_TRUE(has(message_of<UsageError>([&] { Connection(settings, ample()); }), "missing.crt"));
  settings.tls = {};
  EXPECT_THROW(Connection(settings, ample()), Unreached);  // without TLS to a port with it
  const ScriptedServer plain({{"-ERR Protocol error\r\n"}});
  settings.port = plain.settings().port;
  settings.tls.on = true;
  EXPECT_THROW(Connection(settings, ample()), UsageError);
}

}  // namespace
