// SPDX-License-Identifier: MIT
//
// The pool of connections: who waits, who does not, whom an error names, what is closed, and read
// transactions that are ended because they were open for too long.
#include "backends/sqlite/pool/pool.hpp"

#include <chrono>
#include <future>
#include <semaphore>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/read_transaction.hpp"
#include "backends/sqlite/schema/format.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using sqlite::Lease;
using sqlite::Pool;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class SqlitePool : public testing::Test {
 protected:
  Pool::Opener opener() {
    return [this] {
      ++opened;
      return std::make_unique<sqlite::Connection>(
          sqlite::Target{"p.db", path, {}, milliseconds(1000)}, path,
          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    };
  }
  [[nodiscard]] static sqlite::PoolSettings settings(int limit) {
    return {.name = "p.db",
            .role = "read",
            .limit = limit,
            .keep_alive = milliseconds(1000),
            .remedy = "raise pool_size"};
  }

  const TemporaryFolder folder;
  const std::string path = folder / "p.db";
  std::atomic<int> opened{0};
};

// SQLite plans for a LIMIT that is bound, and so again whenever another is, unless it is told not
// to.
TEST_F(SqlitePool, StatementsAreCompiledOnce) {
  const std::unique_ptr<sqlite::Connection> connection = opener()();
  sqlite::create_store(*connection);
  for (std::size_t limit = 1; limit <= 5; ++limit) {
    for (std::size_t space = 0; space < port::kSpaceCount; ++space) {
      const port::Range range{
          .space = static_cast<port::Space>(space), .a = 1, .a_to = static_cast<int>(limit)};
      static_cast<void>(connection->tables().scan(range, limit));
    }
  }
  int statements = 0;
  for (sqlite3_stmt* one = nullptr; (one = sqlite3_next_stmt(connection->handle(), one)) != nullptr;
       ++statements) {
    EXPECT_EQ(sqlite3_stmt_status(one, SQLITE_STMTSTATUS_REPREPARE, 0), 0) << sqlite3_sql(one);
  }
  EXPECT_GE(statements, static_cast<int>(port::kSpaceCount));
}

TEST_F(SqlitePool, TheLastReturnedIsLentFirst) {
  Pool pool(opener(), settings(3));
  const sqlite::Connection* last = nullptr;
  {
    const Lease one = pool.lease(milliseconds(0), "a test");
    Lease two = pool.lease(milliseconds(0), "a test");
    last = &*one;  // two goes first, so one is the last to come back
  }
  EXPECT_EQ(&*pool.lease(milliseconds(0), "a test"), last);
  EXPECT_EQ(opened, 2);
  EXPECT_EQ(pool.figures().leases, 3U);
}

TEST_F(SqlitePool, WhoFindsNoneWaitsUntilOneComesBack) {
  // main:    lease        release
  // waiter:         wait         lease
  Pool pool(opener(), settings(1));
  std::future<bool> waiter;
  {
    const Lease held = pool.lease(milliseconds(0), "a test");
    waiter = std::async(std::launch::async, [&] {
      const Lease mine = pool.lease(Clock::now() + std::chrono::seconds(20), "waiting");
      return mine.ours();
    });
    while (pool.figures().waiting == 0) std::this_thread::yield();
    EXPECT_EQ(waiter.wait_for(milliseconds(10)), std::future_status::timeout);
  }
  EXPECT_TRUE(waiter.get());
  EXPECT_EQ(opened, 1);
}

TEST_F(SqlitePool, TheErrorNamesWhoHasItHowLongAndWhatFor) {
  Pool pool(opener(), settings(1));
  const Lease held = pool.lease(milliseconds(0), "a snapshot");
  const std::string thread = std::to_string(::gettid());
  std::string message;
  std::thread([&] {
    try {
      const Lease none = pool.lease(milliseconds(20), "a test");
    } catch (const BusyError& error) {
      message = error.what();
    }
  }).join();
  EXPECT_NE(message.find("p.db"), std::string::npos) << message;
  EXPECT_NE(message.find("thread " + thread + " has held it for "), std::string::npos) << message;
  EXPECT_NE(message.find("for a snapshot"), std::string::npos) << message;
  EXPECT_NE(message.find("raise pool_size"), std::string::npos) << message;
  EXPECT_EQ(pool.figures().timeouts, 1U);
  EXPECT_EQ(pool.figures().oldest_holder, "thread " + thread + ", for a snapshot");
}

TEST_F(SqlitePool, AThreadThatHasOneDoesNotWaitForAnother) {
  // Ten threads that each hold a snapshot and read on would otherwise wait for each other.
  Pool pool(opener(), settings(2));
  std::counting_semaphore<> holding(0);
  std::counting_semaphore<> go(0);
  std::counting_semaphore<> end(0);
  std::vector<std::future<void>> threads;
  for (int i = 0; i < 2; ++i) {
    threads.push_back(std::async(std::launch::async, [&] {
      const Lease first = pool.lease(milliseconds(0), "a snapshot");
      holding.release();
      go.acquire();
      const Lease second = pool.lease(milliseconds(0), "a read");
      holding.release();
      end.acquire();
    }));
  }
  for (int i = 0; i < 2; ++i) holding.acquire();
  go.release(2);
  for (int i = 0; i < 2; ++i) holding.acquire();
  EXPECT_EQ(pool.figures().active, 4);
  end.release(2);
  for (auto& thread : threads) thread.get();
  EXPECT_LE(pool.figures().open, 2);  // those beyond the limit are not kept
}

TEST_F(SqlitePool, IdleOnesAreClosedButTheLast) {
  Pool pool(opener(), settings(3));
  std::optional<Clock::time_point> due;
  pool.when_idle([&](Clock::time_point when) { due = when; });
  {
    const Lease one = pool.lease(milliseconds(0), "a test");
    const Lease two = pool.lease(milliseconds(0), "a test");
    const Lease three = pool.lease(milliseconds(0), "a test");
  }
  ASSERT_TRUE(due);
  EXPECT_EQ(pool.figures().idle, 3);
  const auto next = pool.close_idle(*due - milliseconds(500));
  ASSERT_TRUE(next);
  EXPECT_LE(*next, *due);
  EXPECT_EQ(pool.figures().idle, 3);
  EXPECT_EQ(pool.close_idle(*due + milliseconds(500)), std::nullopt);
  EXPECT_EQ(pool.figures().open, 1);
  EXPECT_TRUE(pool.lease(milliseconds(0), "a test").ours());
}

TEST_F(SqlitePool, OneThatCannotBeOpenedLeavesRoomForOthers) {
  bool broken = true;
  Pool pool(
      [&]() -> std::unique_ptr<sqlite::Connection> {
        if (broken) throw UnavailableError("no");
        return opener()();
      },
      settings(1));
  EXPECT_THROW(pool.lease(milliseconds(0), "a test"), UnavailableError);
  broken = false;
  EXPECT_TRUE(pool.lease(milliseconds(0), "a test").ours());
}

// --- Read transactions with a limit

class ReadLimit : public testing::Test {
 protected:
  ReadLimit() {
    sqlite::Options options;
    options.reader_limit = milliseconds(400);
    backend = sqlite::open(folder / "r.db", options);
    write(*backend, {{counter_key("n"), counter_record(0, 1)}});
  }
  const TemporaryFolder folder;
  Opened backend;
};

TEST_F(ReadLimit, OneThatIsOpenForTooLongIsEnded) {
  std::optional<base::Deadline> due;
  backend->when_due([&](base::Deadline when) { due = when; });
  const auto view = backend->view();
  EXPECT_FALSE(due) << "nothing is read yet";
  EXPECT_EQ(view->load(counter_key("n"))->integers[0], 1);
  ASSERT_TRUE(due);
  EXPECT_EQ(backend->tend(), due);
  EXPECT_EQ(view->load(counter_key("n"))->integers[0], 1);
  std::this_thread::sleep_until(*due);
  EXPECT_FALSE(backend->tend());
  try {
    view->load(counter_key("n"));
    FAIL() << "was not ended";
  } catch (const TransactionExpiredError& error) {
    EXPECT_NE(std::string(error.what()).find("reader_limit"), std::string::npos) << error.what();
  }
  EXPECT_EQ(backend->view()->load(counter_key("n"))->integers[0], 1);
}

TEST_F(ReadLimit, TheWalIsCleanedUpAgainThen) {
  const auto view = backend->view();
  view->load(counter_key("n"));
  for (int i = 0; i < 6000; ++i) {
    write(*backend, {{node_key(i + 1), node_record(0, std::string(2000, 'x'))}});
  }
  EXPECT_GT(std::filesystem::file_size(folder / "r.db-wal"), std::uintmax_t{50} << 20U);
  std::this_thread::sleep_for(milliseconds(420));
  backend->tend();
  for (int i = 0; i < 4000; ++i) {  // a checkpoint, then the WAL is started over and cut
    write(*backend, {{node_key(i + 1), node_record(0, std::string(2000, 'y'))}});
  }
  EXPECT_LT(std::filesystem::file_size(folder / "r.db-wal"), std::uintmax_t{40} << 20U);
}

}  // namespace
}  // namespace graven::test
