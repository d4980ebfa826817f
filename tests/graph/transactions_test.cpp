// SPDX-License-Identifier: MIT
//
// Whose a transaction is, and what ends it: the object it was begun on, its thread, the guard. How
// steps end among themselves is in tests/store/transaction_test.cpp.
#include <graven/graven.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

class Transactions : public ::testing::Test {
 protected:
  [[nodiscard]] Database open() const {
    return Database(path, {.transaction_limit = std::chrono::minutes(10)});
  }
  static void in_thread(const std::function<void()>& body) { std::thread(body).join(); }

  const TemporaryFolder folder;
  const std::string path = folder / "t.db";
  const Database db = open();
};

TEST_F(Transactions, AGuardCommitsOrRollsBack) {
  {
    const Transaction transaction = db.begin();
    db["a"] = 1;
  }
  EXPECT_FALSE(db["a"].exists());
  Transaction transaction = db.begin();
  db["a"] = 2;
  Transaction moved = std::move(transaction);
  {
    Transaction inner = db.begin();
    db["b"] = 1;
    inner.rollback();
    inner.rollback();
    EXPECT_THROW(inner.commit(), UsageError);
  }
  EXPECT_TRUE(db.in_transaction());
  moved.commit();
  EXPECT_FALSE(db.in_transaction());
  EXPECT_EQ(db["a"].get<int>(), 2);
  EXPECT_FALSE(db["b"].exists());
}

TEST_F(Transactions, ClosingAnotherObjectOfTheFileLeavesItAlone) {
  const auto close_others = [&] {
    const Database audit = db.with_prefix("audit");
    audit["seen"] = true;
    audit.close();
    const Database other = open();
    other["b"] = 2;
    other.close();
    const Map map(path);
    map.set("c", 3);
    map.close();
  };
  EXPECT_THROW(db.transaction([&] {
    db["a"] = 1;
    close_others();
    EXPECT_TRUE(db.in_transaction());
    db["d"] = 4;
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  EXPECT_TRUE(db.root().empty());
  db.transaction([&] {
    db["a"] = 1;
    close_others();
    db["d"] = 4;
  });
  EXPECT_EQ(db.root().size(), 3U);
  EXPECT_TRUE(db.with_prefix("audit")["seen"].get<bool>());
}

TEST_F(Transactions, ClosingItsObjectRollsItBack) {
  const Database other = open();
  const auto expect_over = [&](const Transaction& /*open*/) {
    EXPECT_THROW(other["rest"] = 1, ClosedError);
    EXPECT_THROW(static_cast<void>(other["rest"].exists()), ClosedError);
    in_thread([&] { other["meanwhile"] = 1; });
  };
  {
    const Database mine = open();
    Transaction transaction = mine.begin();
    mine["a"] = 1;
    mine.close();
    expect_over(transaction);
    EXPECT_THROW(transaction.commit(), ClosedError);
  }
  {
    const Database mine = open();
    Transaction transaction = mine.begin();
    mine["a"] = 1;
    in_thread([&] { mine.close(); });
    expect_over(transaction);
    EXPECT_THROW(mine["b"] = 1, ClosedError);
    EXPECT_THROW(transaction.commit(), ClosedError);
  }
  other["afterwards"] = 1;
  EXPECT_EQ(db.root().size(), 2U);
}

TEST_F(Transactions, ClosingEndsWhateverHoldsTheWriteLock) {
  const auto held_by =
      [&](const std::function<void(const Database&, std::function<void()>)>& hold) {
        const Database mine = open();
        EXPECT_THROW(hold(mine,
                          [&] {
                            mine["a"] = 1;
                            in_thread([&] {
                              mine.close();
                              db["free"] = 1;
                            });
                          }),
                     ClosedError);
        db["here too"] = 1;
        EXPECT_FALSE(db["a"].exists());
        EXPECT_TRUE(db["free"].exists());
      };
  held_by([](const Database& mine, const std::function<void()>& inside) {
    mine.transaction([&] { mine.transaction(inside); });
  });
  held_by([](const Database& mine, const std::function<void()>& inside) {
    const SqlConnection sql = mine.write_connection();
    inside();
    sql.commit();
  });
  held_by([](const Database& mine, const std::function<void()>& inside) {
    const BulkImport import(mine);
    import.phase("one", inside);
  });
  held_by([this](const Database& mine, const std::function<void()>& inside) {
    const Transactor transactor = mine.transactor();
    int tries = 0;
    transactor.transact([&] {
      transactor["n"] = transactor["n"].exists();
      if (++tries <= 3) return in_thread([&] { db["n"] = tries; });
      inside();
    });
  });
}

TEST_F(Transactions, AThreadThatEndsLeavesNoLock) {
  std::optional<Transaction> left;
  std::optional<SqlConnection> connection;
  in_thread([&] {
    left.emplace(db.begin());
    db["a"] = 1;
    connection.emplace(db.write_connection());
  });
  db["b"] = 1;
  EXPECT_THROW(left->commit(), UsageError);
  EXPECT_THROW(connection->commit(), UsageError);
  EXPECT_FALSE(db["a"].exists());
}

TEST_F(Transactions, ItIsCommittedByItsThread) {
  std::optional<Transaction> transaction(db.begin());
  db["a"] = 1;
  in_thread([&] { EXPECT_THROW(transaction->commit(), UsageError); });
  in_thread([&] { db["c"] = 1; });
  EXPECT_THROW(db["rest"] = 1, UsageError);  // whatever it does on the file
  EXPECT_FALSE(db.in_transaction());
  db["b"] = 1;
  EXPECT_FALSE(db["a"].exists());
  EXPECT_FALSE(db["rest"].exists());
  transaction.emplace(db.begin());
  in_thread([&] { transaction.reset(); });
  EXPECT_THROW(open()["rest"] = 1, UsageError);
  db["d"] = 1;
  EXPECT_FALSE(db["rest"].exists());
}

TEST_F(Transactions, AWriteThatWaitedWhileItsObjectWasClosedIsRefused) {
  const Database mine = open();
  mine["a"] = 1;
  std::thread waiting;
  {
    Transaction transaction = db.begin();
    waiting = std::thread([&] {
      EXPECT_THROW(mine["a"] = 2, ClosedError);
      EXPECT_THROW(static_cast<void>(mine.begin()), ClosedError);
    });
    while (db.stats().writes.waiting == 0) std::this_thread::yield();
    mine.close();
    transaction.commit();
  }
  waiting.join();
  EXPECT_EQ(db["a"].get<int>(), 1);
}

// --- Waits

void stop_waiting() { throw std::runtime_error("interrupted"); }

struct Interrupting {
  Interrupting() { set_interrupt_check(stop_waiting); }
  Interrupting(const Interrupting&) = delete;
  Interrupting& operator=(const Interrupting&) = delete;
  ~Interrupting() { set_interrupt_check(nullptr); }
};

TEST_F(Transactions, AWaitMayBeEndedFromOutside) {
  db["a"] = 1;
  const Transaction transaction = db.begin();
  in_thread([&] {
    const Interrupting interrupting;
    EXPECT_THROW(db["a"] = 2, std::runtime_error);
    EXPECT_THROW(static_cast<void>(db.begin()), std::runtime_error);
    EXPECT_THROW(db.wait_durable(), std::runtime_error);
    EXPECT_THROW(static_cast<void>(db.collect()), std::runtime_error);
    EXPECT_EQ(db["a"].get<int>(), 1);
  });
  EXPECT_EQ(db.stats().writes.waiting, 0U);
}

TEST_F(Transactions, AThreadsWaitMayBeCancelled) {
  db["a"] = 1;
  Cancellation cancellation;
  cancellation.run([&] { db["a"] = 2; });
  std::optional<Transaction> transaction(db.begin());
  std::thread waiting([&] { EXPECT_THROW(cancellation.run([&] { db["a"] = 3; }), AbortedError); });
  while (db.stats().writes.waiting == 0) std::this_thread::yield();
  cancellation.cancel();
  waiting.join();
  EXPECT_TRUE(cancellation.cancelled());
  transaction.reset();
  EXPECT_EQ(db["a"].get<int>(), 2);
}

const Database* handlers = nullptr;
void use_the_root() { static_cast<void>(handlers->root().size()); }

TEST_F(Transactions, AHandlerMayUseTheRootThatIsBeingMadeAnew) {
  const Database other = db.with_prefix("other");
  other["a"] = 1;
  db.delete_prefix_immediately("other");
  std::optional<Transaction> transaction(db.begin());
  in_thread([&] {
    handlers = &other;
    set_interrupt_check(use_the_root);
    EXPECT_THROW(static_cast<void>(other.root().size()), UsageError);  // it would wait itself
    set_interrupt_check(nullptr);
  });
  transaction.reset();
  EXPECT_EQ(other.root().size(), 0U);
}

TEST_F(Transactions, HousekeepingWaitsAsLongAsWritesDo) {
  const Database hasty(path, {.busy_timeout = milliseconds(50)});
  const Transaction transaction = db.begin();
  in_thread([&] {
    EXPECT_THROW(static_cast<void>(hasty.collect()), BusyError);
    EXPECT_THROW(hasty.maintenance(), BusyError);
  });
}

}  // namespace
}  // namespace graven::test
