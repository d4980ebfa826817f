// SPDX-License-Identifier: MIT
//
// What is particular to the PostgreSQL backend: servers that crash, stop and refuse, locks, rights,
// forks. What every store must do is in tests/conformance.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/postgres/backend.hpp"
#include "backends/postgres/connection.hpp"
#include "backends/sqlite/child.hpp"
#include "conformance/port_under_test.hpp"
#include "servers/postgres_server.hpp"

namespace graven::test {
namespace {

using port::Batch;
using port::CommitId;
using port::CommitResult;
using port::Outcome;
using port::Reason;
using std::chrono::milliseconds;

std::string new_schema() {
  static int schemas = 0;
  return "Test \"" + std::to_string(++schemas);
}

class Postgres : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::missing()) GTEST_SKIP() << *why;
  }
  static postgres::Settings settings(PostgresServer& server = shared_postgres()) {
    return {.url = server.url(), .schema = new_schema()};
  }
  static std::string quoted(const postgres::Settings& of) {
    std::string name = of.schema;
    name.insert(name.find('"'), 1, '"');
    return '"' + name + '"';
  }
};

Batch add_one(const char* name = "n") {
  return {.operations = {{.kind = Do::kAdd, .key = at_counter(name), .number = 1}}};
}

template <class Error, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no such error";
  return {};
}

/// A client that sends again what is unknown, until it knows; counts what was done.
void write_through(postgres::Settings settings, const std::atomic<bool>& ended,
                   std::atomic<std::int64_t>& done, std::atomic<int>& unknown) {
  const auto store = postgres::open(settings);
  Client client(*store);
  while (!ended) {
    const CommitId id = client.next();
    for (bool resent = false;; resent = true) {
      const Batch batch = add_one();
      const CommitResult result = store->commit(id, {&batch, 1}, {.resent = resent}, patiently());
      if (result.outcome == Outcome::kDone) ++done;
      if (result.outcome == Outcome::kDone || result.outcome == Outcome::kConflict) break;
      if (result.outcome == Outcome::kUnknown) ++unknown;
      ASSERT_TRUE(result.outcome == Outcome::kUnknown || result.reason == Reason::kUnreached)
          << static_cast<int>(result.reason) << result.detail;
    }
  }
}

TEST_F(Postgres, ACrashOfTheServerLosesAndDoublesNothing) {
  PostgresServer server("-c fsync=on");
  const postgres::Settings of = settings(server);
  postgres::open(of)->close();
  std::atomic<bool> ended{false};
  std::atomic<std::int64_t> done{0};
  std::atomic<int> unknown{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] { write_through(of, ended, done, unknown); });
  }
  for (int crash = 0; crash < 3; ++crash) {
    std::this_thread::sleep_for(milliseconds(400));
    server.stop(PostgresServer::End::kCrash);
    std::this_thread::sleep_for(milliseconds(50));
    server.start();
  }
  std::this_thread::sleep_for(milliseconds(200));
  ended = true;
  for (std::thread& writer : writers) writer.join();
  const auto store = postgres::open(of);
  Client client(*store);
  EXPECT_GT(done, 0);
  EXPECT_EQ(client.number(at_counter("n")), done);
}

TEST_F(Postgres, AStoreThatWaitsForItsServerGoesOn) {
  PostgresServer server;
  const auto store = postgres::open(settings(server));
  Client client(*store);
  client.put(at_node(1), a_node(1, 1, "x"));
  server.stop(PostgresServer::End::kClean);
  port::StateVersion state;
  const std::string why = message_of<UnavailableError>(
      [&] { store->find({}, at_node(1), state, after(milliseconds(300))); });
  EXPECT_NE(why.find("cannot be reached"), std::string::npos) << why;
  const Batch batch = add_one();
  const CommitResult result =
      store->commit(client.next(), {&batch, 1}, {}, after(milliseconds(50)));
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kUnreached);
  std::thread waits([&] { EXPECT_EQ(Client(*store).load(at_node(1))->body, "x"); });
  std::this_thread::sleep_for(milliseconds(200));
  server.start();
  waits.join();
  EXPECT_EQ(client.commit(add_one()).outcome, Outcome::kDone);
}

TEST_F(Postgres, AHeldSnapshotStaysWhileMuchIsWritten) {
  const auto store = postgres::open(settings());
  Client client(*store);
  for (std::int64_t i = 0; i < 100; ++i) client.put(at_edge(1, i), a_number(1));
  const auto snapshot = store->snapshot({}, patiently());
  ASSERT_EQ(snapshot->scan(edges_of(1), 1'000).size(), 100U);
  const auto state = snapshot->state();
  for (std::int64_t i = 0; i < 100; ++i) client.put(at_edge(1, 2 * i), a_number(i + 2));
  client.operate({.kind = Do::kEraseRange, .number = 50, .range = edges_of(1)});
  const auto rows = snapshot->scan(edges_of(1), 1'000);
  ASSERT_EQ(rows.size(), 100U);
  for (const port::Row& row : rows) EXPECT_EQ(row.record, a_number(1));
  EXPECT_EQ(snapshot->state(), state);
}

TEST_F(Postgres, AnInterruptedSnapshotDoesNotBecomeANewerOne) {
  PostgresServer server;
  const auto store = postgres::open(settings(server));
  Client client(*store);
  client.put(at_node(1), a_node(1, 1, "old"));
  const auto snapshot = store->snapshot({}, patiently());
  ASSERT_EQ(snapshot->load(at_node(1))->body, "old");
  server.stop(PostgresServer::End::kCrash);
  server.start();
  client.put(at_node(1), a_node(2, 1, "new"));
  EXPECT_THROW(snapshot->load(at_node(1)), UnavailableError);
  EXPECT_THROW(snapshot->load(at_node(1)), UnavailableError);
}

TEST_F(Postgres, WhoWaitsForThePartitionTooLongIsLate) {
  const postgres::Settings of = settings();
  const auto store = postgres::open(of);
  Client client(*store);
  client.commit(add_one());
  // Somebody stops in the middle of a commit.
  auto blocker = postgres::Connection::open({{"host", of.url.substr(of.url.find("host=") + 5)},
                                             {"user", "graven"},
                                             {"dbname", "postgres"}},
                                            nullptr, patiently());
  blocker->script("BEGIN; LOCK TABLE " + quoted(of) + ".counter", patiently());
  std::thread second([&] { EXPECT_EQ(Client(*store).commit(add_one()).outcome, Outcome::kDone); });
  std::this_thread::sleep_for(milliseconds(100));  // it has the partition's lock, and waits
  const Batch batch = add_one();
  const CommitResult result =
      store->commit(client.next(), {&batch, 1}, {}, after(milliseconds(100)));
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kLate);
  blocker->script("ROLLBACK", patiently());
  second.join();
  EXPECT_EQ(client.number(at_counter("n")), 2);
}

TEST_F(Postgres, ReadOnlyServersAndStores) {
  PostgresServer server;
  postgres::Settings of = settings(server);
  const auto store = postgres::open(of);
  Client client(*store);
  client.commit(add_one());
  server.sql("ALTER SYSTEM SET default_transaction_read_only = on");
  server.sql("SELECT pg_reload_conf()");
  CommitResult result;
  for (int i = 0; i < 100; ++i) {  // until the server has read its settings
    result = client.commit(add_one());
    if (result.outcome != Outcome::kDone) break;
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(result.reason, Reason::kReadOnly);
  EXPECT_GE(client.number(at_counter("n")), 1);
  of.read_only = true;
  const auto reader = postgres::open(of);
  EXPECT_GE(Client(*reader).number(at_counter("n")), 1);
  EXPECT_EQ(Client(*reader).commit(add_one()).reason, Reason::kReadOnly);
  of.schema = "none";
  EXPECT_THROW(postgres::open(of), UnavailableError);
}

TEST_F(Postgres, MissingRights) {
  PostgresServer& server = shared_postgres();
  postgres::Settings of = settings();
  const auto store = postgres::open(of);
  Client(*store).commit(add_one());
  server.sql("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA " + quoted(of) +
             " TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA " + quoted(of) + " TO reader");
  of.url = server.url("reader");
  const auto reader = postgres::open(of);
  Client client(*reader);
  EXPECT_EQ(client.number(at_counter("n")), 1);
  const CommitResult result = client.commit(add_one());
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kRefused);
  EXPECT_NE(result.detail.find("permission denied"), std::string::npos) << result.detail;
  of.schema = "another";
  const std::string why = message_of<UsageError>([&] { postgres::open(of); });
  EXPECT_NE(why.find("permission denied"), std::string::npos) << why;
  server.sql("DROP OWNED BY reader; DROP ROLE reader");
}

TEST_F(Postgres, ADroppedSchemaIsNamed) {
  const postgres::Settings of = settings();
  const auto store = postgres::open(of);
  Client client(*store);
  client.commit(add_one());
  shared_postgres().sql("DROP SCHEMA " + quoted(of) + " CASCADE");
  const std::string why = message_of<UnavailableError>([&] { client.load(at_node(1)); });
  EXPECT_NE(why.find("dropped"), std::string::npos) << why;
  const CommitResult result = client.commit(add_one());
  EXPECT_EQ(result.reason, Reason::kRefused);
  EXPECT_NE(result.detail.find("dropped"), std::string::npos) << result.detail;
}

TEST_F(Postgres, ForeignSchemasAndLaterFormatsAreRefused) {
  postgres::Settings of = settings();
  PostgresServer& server = shared_postgres();
  postgres::open(of)->close();
  server.sql("UPDATE " + quoted(of) + ".meta SET value = '2'  WHERE key = 'oldest_reader'");
  EXPECT_THROW(postgres::open(of), ForeignFileError);
  server.sql("CREATE SCHEMA theirs; CREATE TABLE theirs.orders (id int)");
  of.schema = "theirs";
  EXPECT_THROW(postgres::open(of), ForeignFileError);
  server.sql("DROP SCHEMA theirs CASCADE");
}

TEST_F(Postgres, WhatIsMissingIsMadeByOneOfMany) {
  const postgres::Settings of = settings();
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  std::vector<std::uint64_t> constants(6);
  for (std::size_t i = 0; i < constants.size(); ++i) {
    threads.emplace_back([&, i] {
      constants[i] = postgres::open(of)->facts().constant;
      ++opened;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 6);
  for (const std::uint64_t constant : constants) EXPECT_EQ(constant, constants.front());
}

TEST_F(Postgres, LongKeysAreRefusedAndNamesAreBytes) {
  const auto store = postgres::open(settings());
  Client client(*store);
  const auto item = [](std::string name) {
    return port::Key{.space = port::Space::kItem, .a = 1, .name = std::move(name)};
  };
  std::string noise(2'600, '\0');
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * i * 31 + i / 7);
  EXPECT_EQ(client.put(item(noise), port::Record{.body = "x"}).outcome, Outcome::kDone);
  EXPECT_EQ(client.load(item(noise))->body, "x");
  EXPECT_EQ(client.put(item(noise + "y"), port::Record{}).reason, Reason::kTooLarge);
  for (const char* const name : {"", "a", "b"}) client.put(item(name), port::Record{});
  client.put(item(std::string("a\0b", 3)), port::Record{.body = std::string("\0\xff", 2)});
  const auto rows = client.scan({.space = port::Space::kItem, .a = 1, .after = "a"}, 2);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].key.name, std::string("a\0b", 3));
  EXPECT_EQ(rows[0].record.body, std::string("\0\xff", 2));
  EXPECT_EQ(rows[1].key.name, "b");
}

TEST_F(Postgres, AForkedChildHasConnectionsOfItsOwn) {
  const auto store = postgres::open(settings());
  Client client(*store);
  client.put(at_node(1), a_node(1, 1, "parent"));
  const auto snapshot = store->snapshot({}, patiently());
  ASSERT_TRUE(snapshot->load(at_node(1)));
  Child child([&] {
    Client own(*store);
    if (own.load(at_node(1))->body != "parent") return false;
    if (own.put(at_node(2), a_node(2, 1, "child")).outcome != Outcome::kDone) return false;
    try {
      snapshot->load(at_node(1));
      return false;
    } catch (const UsageError&) {
    }
    store->close();
    return true;
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(client.load(at_node(2))->body, "child");
  EXPECT_EQ(snapshot->load(at_node(1))->body, "parent");  // its connection is as it was
  EXPECT_EQ(client.commit(add_one()).outcome, Outcome::kDone);
}

TEST_F(Postgres, AProcessThatIsKilledIsNotAliveForLong) {
  PostgresServer& server = shared_postgres();
  const postgres::Settings of = settings(server);
  const auto store = postgres::open(of);
  Child child([&](const Reporter& reporter) {
    const auto own = postgres::open(of);
    own->leases().announce(77);
    reporter.say("announced");
    ::pause();
    return true;
  });
  ASSERT_EQ(child.line(), "announced");
  EXPECT_TRUE(store->leases().alive(77));
  child.kill();
  // As if its row had not been renewed for long, on a server that has run for long.
  server.sql("UPDATE " + quoted(of) + ".processes SET seen = 'epoch'");
  const auto end = after(std::chrono::seconds(20));
  while (store->leases().alive(77) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_FALSE(store->leases().alive(77));
}

TEST_F(Postgres, TheLogIsPrunedButLastOutcomesStay) {
  const postgres::Settings of = settings();
  const auto store = postgres::open(of);
  Client client(*store);
  const CommitId id = client.next();
  const Batch batch = add_one();
  const CommitResult first = client.commit(id, batch);
  Client other(*store);
  for (int i = 0; i < 4'000; ++i) other.commit(add_one("other"));
  const auto rows = [&] {
    return std::stol(shared_postgres().sql("SELECT count(*) FROM " + quoted(of) + ".commits"));
  };
  const auto end = after(std::chrono::seconds(20));
  while (rows() > 3'600 && std::chrono::steady_clock::now() < end) {
    other.commit(add_one("other"));
  }
  EXPECT_LE(rows(), 3'600);
  EXPECT_GE(rows(), 2'000);
  const CommitResult again = client.commit(id, batch, true);
  EXPECT_EQ(again.outcome, Outcome::kDone);
  EXPECT_EQ(again.states, first.states);
  EXPECT_FALSE(store->log(
      {}, first.states.front(), [](const port::LogEntry&) {}, patiently()));
}

/// Counts what it is told; the entries must follow each other.
class Counting final : public port::LogListener {
 public:
  explicit Counting(port::StateVersion from) : last_(from) {}
  void committed(const port::LogEntry& entry) noexcept override {
    if (entry.previous != last_.history) ++wrong;
    last_ = entry.state;
    ++entries;
  }
  void heartbeat(const port::StateVersion& state) noexcept override {
    if (!(state == last_)) ++wrong;
  }
  void interrupted() noexcept override { ++interruptions; }

  std::atomic<int> entries{0};
  std::atomic<int> wrong{0};
  std::atomic<int> interruptions{0};

 private:
  port::StateVersion last_;
};

bool comes_to(const std::atomic<int>& number, int is) {
  const auto end = patiently();
  while (number < is && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  return number == is;
}

TEST_F(Postgres, ListenersAreToldOfOtherProcessesAndThroughCrashes) {
  PostgresServer server("-c fsync=on");
  const postgres::Settings of = settings(server);
  const auto store = postgres::open(of);
  Client client(*store);
  client.commit(add_one());
  Counting listener(client.state());
  const auto subscription = store->subscribe({}, listener);
  const auto write = [&] {
    Child child([&] {
      const auto own = postgres::open(of);
      Client writer(*own);
      for (int i = 0; i < 50; ++i) {
        if (writer.commit(add_one()).outcome != Outcome::kDone) return false;
      }
      return true;
    });
    EXPECT_TRUE(child.succeeded());
  };
  write();
  EXPECT_TRUE(comes_to(listener.entries, 50)) << listener.entries;
  server.stop(PostgresServer::End::kCrash);
  server.start();
  write();
  EXPECT_TRUE(comes_to(listener.entries, 100)) << listener.entries;
  EXPECT_GE(listener.interruptions, 1);
  EXPECT_EQ(listener.wrong, 0);
}

TEST_F(Postgres, CloseDoesNotWaitForAServerThatIsGone) {
  PostgresServer server;
  const auto store = postgres::open(settings(server));
  Counting listener({});
  const auto subscription = store->subscribe({}, listener);
  store->leases().announce(5);
  static_cast<void>(store->leases().acquire({}, patiently()));
  const auto snapshot = store->snapshot({}, patiently());
  EXPECT_FALSE(snapshot->load(at_node(1)));
  server.stop(PostgresServer::End::kCrash);
  store->close();
  EXPECT_THROW(snapshot->load(at_node(1)), ClosedError);
  EXPECT_THROW(store->leases().alive(5), ClosedError);
}

TEST_F(Postgres, AFullServerIsFull) {
  const postgres::Settings of = settings();
  const auto store = postgres::open(of);
  Client client(*store);
  client.commit(add_one());
  // As a disk that is full tells.
  shared_postgres().sql(
      "CREATE FUNCTION " + quoted(of) +
      ".no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no "
      "space left' USING ERRCODE = 'disk_full'; END $$; CREATE TRIGGER no_room "
      "BEFORE INSERT ON " +
      quoted(of) + ".node EXECUTE FUNCTION " + quoted(of) + ".no_room()");
  const CommitResult result = client.put(at_node(1), a_node(1, 1));
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kFull);
  EXPECT_EQ(client.commit(add_one()).outcome, Outcome::kDone);
}

TEST_F(Postgres, PlansDoNotDependOnHowLargeATableSeemed) {
  const postgres::Settings of = settings();
  const auto store = postgres::open(of);
  Client client(*store);
  // Prepares every statement while the tables are empty.
  std::vector<port::ReadOp> ops;
  for (std::int64_t i = 0; i < 500; ++i) ops.push_back({.key = at_node(i * 40)});
  const auto read = [&] {
    std::size_t rows = 0;
    store->read(
        {}, ops,
        [&](std::size_t, std::span<port::Row> found, std::uint64_t) { rows += found.size(); },
        patiently());
    return rows;
  };
  EXPECT_EQ(read(), 0U);
  for (std::int64_t from = 0; from < 20'000; from += 2'000) {
    Batch batch;
    for (std::int64_t i = from; i < from + 2'000; ++i) {
      batch.predicates.push_back({.kind = Is::kAbsent, .key = at_node(i)});
      batch.changes.push_back({at_node(i), a_node(1, 1)});
    }
    ASSERT_EQ(client.commit(std::move(batch)).outcome, Outcome::kDone);
  }
  PostgresServer& server = shared_postgres();
  const auto fetched = [&] {
    server.sql("SELECT pg_stat_force_next_flush()");
    std::this_thread::sleep_for(milliseconds(1'200));  // the server counts with delay
    return std::stol(
        server.sql("SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_all_tables WHERE "
                   "schemaname = '" +
                   of.schema + "' AND relname = 'node'"));
  };
  EXPECT_EQ(read(), 500U);
  const long before = fetched();
  EXPECT_EQ(read(), 500U);
  EXPECT_LT(fetched() - before, 5'000);
}

TEST_F(Postgres, SettingsOfAUrl) {
  const postgres::Settings of = postgres::settings_of(
      "postgresql://me:secret@db.example:5433/store",
      {{"schema", "mine"}, {"synchronous_commit", "off"}, {"sslmode", "require"}});
  EXPECT_EQ(of.schema, "mine");
  EXPECT_FALSE(of.durable);
  EXPECT_EQ(of.url, "postgresql://me:secret@db.example:5433/store?sslmode=require");
  const std::string unknown = message_of<UsageError>([] {
    postgres::settings_of("postgresql://me:secret@/x", {{"sync", "off"}});
  });
  EXPECT_NE(unknown.find("no option sync"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("connect_timeout"), std::string::npos) << unknown;
  EXPECT_THROW(postgres::settings_of("postgresql://", {{"schema", "pg_x"}}), UsageError);
  EXPECT_THROW(postgres::settings_of("postgresql://", {{"synchronous_commit", "x"}}), UsageError);
  const std::string malformed =
      message_of<UsageError>([] { postgres::settings_of("postgresql://me:secret%zz@h/x", {}); });
  EXPECT_EQ(malformed.find("secret"), std::string::npos) << malformed;
}

TEST_F(Postgres, ErrorsNameNoPassword) {
  PostgresServer& server = shared_postgres();
  postgres::Settings of = settings();
  const std::string url = server.url();
  of.url = "postgresql://graven:hunter2@/nowhere" + url.substr(url.find('?'));
  const std::string why = message_of<UsageError>([&] { postgres::open(of); });
  EXPECT_NE(why.find("nowhere"), std::string::npos) << why;
  EXPECT_EQ(why.find("hunter2"), std::string::npos) << why;
}

}  // namespace
}  // namespace graven::test
