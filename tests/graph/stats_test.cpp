// SPDX-License-Identifier: MIT
//
// What stats() tells moves as it must: one thing is done, the figures of that thing grow, by as
// much, and metrics() says the same. And what is logged on the way.
#include <sqlite3.h>

#include <atomic>
#include <mutex>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "graph/scope.hpp"

namespace graven::test {
namespace {

std::uint64_t errors_of(const Stats& stats, Errc code) {
  for (const ErrorCount& error : stats.errors) {
    if (error.name == name(code)) return error.count;
  }
  ADD_FAILURE() << "no such code";
  return 0;
}

/// The lines that were logged while it lives.
class Logged {
 public:
  Logged() {
    set_log_sink([this](const LogRecord& record) {
      const std::scoped_lock lock(mutex_);
      lines_.push_back(to_string(record));
    });
  }
  ~Logged() { set_log_sink({}); }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;

  [[nodiscard]] bool any(const std::string& pattern) {
    const std::scoped_lock lock(mutex_);
    const std::regex expression(pattern);
    for (const std::string& line : lines_) {
      if (std::regex_search(line, expression)) return true;
    }
    return false;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST(Stats, CommitsAndReads) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db");
  const Stats before = db.stats();
  for (int i = 0; i < 10; ++i) db["key" + std::to_string(i)] = i;
  const Stats after = db.stats();
  EXPECT_EQ(after.writes.commits - before.writes.commits, 10U);
  EXPECT_EQ(after.writes.commit.count - before.writes.commit.count, 10U);
  EXPECT_GT(after.writes.commit.sum, before.writes.commit.sum);
  EXPECT_GE(after.writes.records - before.writes.records, 10U);
  EXPECT_GT(after.writes.bytes, before.writes.bytes);
  EXPECT_EQ(after.writes.lane.count - before.writes.lane.count, 10U);
  EXPECT_EQ(after.writes.failed, 0U);
  EXPECT_GE(after.file.commits - before.file.commits, 10U);
  EXPECT_EQ(after.file.name, folder / "s.db");
  EXPECT_GT(after.file.wal_bytes, 0U);
  EXPECT_GT(after.file.size_bytes, after.file.wal_bytes);
  EXPECT_GE(after.file.page_bytes, 512U);
  EXPECT_FALSE(after.file.read_only);

  // Another process's store: what it reads comes from the file once, then from memory.
  const Database reader(folder / "s.db", {.read_only = true});
  const Stats cold = reader.stats();
  EXPECT_GT(cold.reads.count, 0U);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(reader["key3"].get<int>(), 3);
  const Stats warm = reader.stats();
  EXPECT_GE(warm.cache.hits - cold.cache.hits, 20U);
  EXPECT_LE(warm.reads.count - cold.reads.count, 10U);
  EXPECT_TRUE(warm.file.read_only);
  EXPECT_EQ(warm.writes.commits, 0U);
  EXPECT_GE(warm.file.commits, 10U);
}

TEST(Stats, AReadThatACommitUndoesIsMadeAgainInMemory) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db");
  for (int i = 0; i < 20; ++i) {
    db["a"] = i;
    EXPECT_EQ(db["a"].get<int>(), i);
  }
  graph::Scope& scope = *db.scope();
  const std::uint64_t before = db.stats().reads.count;
  int runs = 0;
  scope.read([&](port::View& view) {
    EXPECT_TRUE(view.load(graph::node_key(scope.session().root())));
    if (++runs < cache::kTriesInMemory) std::thread([&] { db["a"] = -runs; }).join();
  });
  EXPECT_EQ(runs, cache::kTriesInMemory);
  EXPECT_EQ(db.stats().reads.count, before);
}

TEST(Stats, Transactions) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db", {.transaction_limit = std::chrono::milliseconds(500)});
  Logged logged;
  db.transaction([&] {
    db["a"] = 1;
    db.transaction([&] { db["b"] = 2; });  // a savepoint is none of its own
    EXPECT_TRUE(db.stats().transactions.open);
  });
  EXPECT_THROW(db.transaction([&] { throw std::runtime_error("no"); }), std::runtime_error);
  const Transactor one = db.transactor();
  const Transactor other = db.transactor();
  one["a"] = one["a"].get<int>() + 1;
  other["a"] = other["a"].get<int>() + 1;
  EXPECT_TRUE(one.execute());
  EXPECT_FALSE(other.execute());
  Transaction transaction = db.begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const std::uint64_t expired = errors_of(db.stats(), Errc::kTransactionExpired);
  EXPECT_THROW(transaction.commit(), TransactionExpiredError);
  const Stats stats = db.stats();
  EXPECT_EQ(stats.transactions.committed, 1U);
  EXPECT_EQ(stats.transactions.rolled_back, 1U);
  EXPECT_EQ(stats.transactions.expired, 1U);
  EXPECT_EQ(stats.transactions.conflicts, 1U);
  EXPECT_FALSE(stats.transactions.open);
  EXPECT_EQ(errors_of(stats, Errc::kTransactionExpired) - expired, 1U);
  EXPECT_TRUE(logged.any("^transaction_expired limit_ms=500 store=.*s.db$"));
}

TEST(Stats, TheLaneAndBusyErrors) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db", {.busy_timeout = std::chrono::milliseconds(30)});
  db["a"] = 1;
  Transaction transaction = db.begin();
  std::thread([&] { EXPECT_THROW(db["a"] = 2, BusyError); }).join();
  Stats stats = db.stats();
  EXPECT_EQ(stats.busy.errors, 1U);
  EXPECT_GE(stats.writes.lane.max, 0.025);
  transaction.rollback();

  // Another process, as it were, that holds the write lock.
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "s.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_THROW(db["a"] = 2, BusyError);
  sqlite3_close(other);
  stats = db.stats();
  EXPECT_EQ(stats.busy.errors, 2U);
  EXPECT_GE(stats.busy.waits, 1U);
}

TEST(Stats, CheckpointsAndThoseThatReadersKeepFromIt) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db", {.synchronous = Synchronous::kOff});
  const std::string large(200'000, 'x');
  // Another thread checkpoints when it gets to it, at the latest a commit does.
  for (int i = 0; i < 120; ++i) db["key"] = large + std::to_string(i);
  while (db.stats().checkpoints.time.count == 0) std::this_thread::yield();
  EXPECT_EQ(db.stats().checkpoints.incomplete, 0U);
  const Snapshot held = db.snapshot();
  for (int i = 0; i < 400; ++i) db["key"] = large + std::to_string(i);
  const Stats kept = db.stats();
  EXPECT_GE(kept.checkpoints.incomplete, 1U);
  EXPECT_GT(kept.file.wal_bytes, std::uint64_t{400} * 200'000);
}

TEST(Stats, CollectedNodes) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db");
  db["a"] = Data::dict({{"b", Data::dict()}, {"c", Data::list()}});
  db.root().erase("a");
  EXPECT_EQ(db.stats().collector.collected, 3U);
  EXPECT_EQ(db.stats().process.owners, 0U);
  const Dict kept = db.new_dict();
  EXPECT_EQ(db.stats().process.owners, 1U);
  db.collect();
  EXPECT_GE(db.stats().collector.time.count, 1U);
}

TEST(Stats, LazyFlushes) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db", {.persist = Persist::kLazy,
                                      .flush_interval = std::chrono::hours(1),
                                      .slow_operation = std::chrono::milliseconds(1)});
  db.flush();
  const Stats before = db.stats();
  db["a"] = std::string(100'000, 'x');
  EXPECT_GT(db.stats().flushes.pending_bytes, 100'000U);
  db.flush();
  const Stats after = db.stats();
  EXPECT_EQ(after.flushes.time.count - before.flushes.time.count, 1U);
  EXPECT_EQ(after.flushes.pending_bytes, 0U);
  EXPECT_EQ(after.flushes.failed, 0U);
}

/// A database on a disk that can be made to fail.
Database on_a_faulty_disk(const std::string& path, bool lazy) {
  auto backend = sqlite::open(path, {.vfs = faulty_vfs()});
  if (lazy) {
    backend = lazy::over(std::move(backend), {.flush_interval = std::chrono::milliseconds(20)});
  }
  return Database(graph::make_live_scope(std::make_shared<graph::Session>(
      std::make_shared<store::Store>(std::move(backend)), Options{})));
}

FaultPlan full_disk() {
  FaultPlan plan;
  plan.at = 1;
  plan.code = SQLITE_FULL;
  plan.for_good = true;
  return plan;
}

TEST(Stats, CommitsThatFail) {
  const TemporaryFolder folder;
  const Database db = on_a_faulty_disk(folder / "s.db", false);
  const Stats before = db.stats();
  arm(full_disk());
  EXPECT_THROW(db["a"] = 1, UnavailableError);
  disarm();
  const Stats after = db.stats();
  EXPECT_EQ(after.writes.failed - before.writes.failed, 1U);
  EXPECT_EQ(after.writes.commits, before.writes.commits);
  EXPECT_EQ(errors_of(after, Errc::kUnavailable) - errors_of(before, Errc::kUnavailable), 1U);
}

TEST(Stats, FlushesThatFailAreCountedAndLogged) {
  const TemporaryFolder folder;
  const Database db = on_a_faulty_disk(folder / "s.db", true);
  Logged logged;
  arm(full_disk());
  db["a"] = 1;
  while (!logged.any("^flush_failed error=.* store=.*s.db$")) std::this_thread::yield();
  EXPECT_GE(db.stats().flushes.failed, 1U);
  disarm();
  db.flush();
  EXPECT_EQ(db.stats().flushes.pending_bytes, 0U);
}

TEST(Stats, InMemoryTheRestIsNothing) {
  const Database db("memory://");
  db["a"] = 1;
  const Stats stats = db.stats();
  EXPECT_EQ(stats.file.name, "memory://");
  EXPECT_EQ(stats.file.size_bytes, 0U);
  EXPECT_GE(stats.writes.commits, 1U);
  EXPECT_TRUE(db.connection_stats().empty());
  EXPECT_EQ(db.metrics().find("graven_pool"), std::string::npos);
}

TEST(Stats, SlowOperationsAreLogged) {
  const TemporaryFolder folder;
  Logged logged;
  const Database db(folder / "s.db", {.synchronous = Synchronous::kOff,
                                      .slow_operation = std::chrono::milliseconds(1)});
  const std::string large(3'000'000, 'x');
  for (int i = 0; i < 20 && !logged.any("operation=commit"); ++i) db["key"] = large;
  EXPECT_TRUE(
      logged.any("^slow_operation operation=commit ms=[0-9.]+ store=.*s.db wrote=\"\\d+ records, "
                 "prefix main\"$"));
  EXPECT_THROW(Database(folder / "s.db", {.slow_operation = std::chrono::milliseconds(-1)}),
               UsageError);
}

TEST(Stats, SlowOperationsOfAMapAreLogged) {
  const TemporaryFolder folder;
  for (const Persist persist : {Persist::kWritethrough, Persist::kLazy}) {
    MapOptions options;
    options.persist = persist;
    options.synchronous = Synchronous::kOff;
    options.slow_operation = std::chrono::milliseconds(1);
    Logged logged;
    const Map map(folder / "m.db", options);
    for (int i = 0; i < 20 && !logged.any("operation=commit"); ++i) {
      map.set("key" + std::to_string(i), Data(std::string(5'000'000, 'x')));
      map.flush();
    }
    EXPECT_TRUE(logged.any("^slow_operation operation=commit ms=[0-9.]+ store=.*m.db wrote=\""));
    map.clear();
    map.close();
  }
  MapOptions options;
  options.slow_operation = std::chrono::milliseconds(-1);
  EXPECT_THROW(Map(folder / "m.db", options), UsageError);
}

TEST(Stats, ToldWhileOthersWork) {
  const TemporaryFolder folder;
  const Database db(folder / "s.db", {.synchronous = Synchronous::kOff,
                                      .slow_operation = std::chrono::milliseconds(1)});
  const Map map(folder / "s.db", {.synchronous = Synchronous::kOff});
  Logged logged;
  db["a"] = 0;
  const std::uint64_t before = db.stats().writes.commits;
  constexpr std::uint64_t kEach = 150;
  std::atomic<int> working{3};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (std::uint64_t i = 0; i < kEach; ++i) db["a"] = static_cast<std::int64_t>(i);
    --working;
  });
  threads.emplace_back([&] {
    for (std::uint64_t i = 0; i < kEach; ++i) {
      map.set("key", static_cast<std::int64_t>(i));
      (void)map.get("key");
      (void)db["a"].get<std::int64_t>();
    }
    --working;
  });
  threads.emplace_back([&] {
    for (std::uint64_t i = 0; i < kEach; ++i) {
      db.transaction([&] { db["b"] = static_cast<std::int64_t>(i); });
      const Snapshot held = db.snapshot();
      (void)held["b"].get<std::int64_t>();
    }
    --working;
  });
  Stats last = db.stats();
  while (working != 0) {
    const Stats now = db.stats();
    EXPECT_GE(now.writes.commits, last.writes.commits);
    EXPECT_GE(now.writes.commit.count, last.writes.commit.count);
    EXPECT_GE(now.reads.count, last.reads.count);
    EXPECT_FALSE(db.metrics().empty());
    EXPECT_FALSE(map.metrics().empty());
    last = now;
  }
  for (std::thread& thread : threads) thread.join();
  const Stats after = db.stats();
  EXPECT_GE(after.writes.commits - before, 3 * kEach);
  EXPECT_EQ(after.transactions.committed, kEach);
  EXPECT_EQ(after.writes.commits, after.writes.commit.count);
  EXPECT_GE(after.reads.count, kEach);
}

TEST(Stats, MetricsSayTheSame) {
  const TemporaryFolder folder;
  const Database db(folder / "odd \"name\".db");
  db["a"] = 1;
  const std::string text = db.metrics();
  const Stats stats = db.stats();
  const auto has = [&](const std::string& line) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
  };
  const std::string store = "store=\"" +
                            std::regex_replace(folder / "odd ", std::regex("\\\\"), "") +
                            "\\\"name\\\".db\"";
  has("graven_commits_total{" + store + "} " + std::to_string(stats.writes.commits) + "\n");
  has("graven_commit_seconds_count{" + store + "} " + std::to_string(stats.writes.commit.count));
  has("graven_file_wal_bytes{" + store + "} " + std::to_string(stats.file.wal_bytes) + "\n");
  has("graven_pool_limit{" + store + ",pool=\"readers\"} 10\n");
  has("graven_build_info{" + store + ",version=\"" + std::string(version()) + "\"} 1\n");
  // Every sample is of a family that was announced before, once.
  std::set<std::string> families;
  std::istringstream lines(text);
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family;
    } else if (!line.starts_with("# TYPE ")) {
      EXPECT_TRUE(line.starts_with(family)) << line;
    }
  }
}

}  // namespace
}  // namespace graven::test
