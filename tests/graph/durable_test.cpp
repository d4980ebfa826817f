// SPDX-License-Identifier: MIT
//
// What waits for the disk and what does not: plain commits as Options::synchronous has it, durable
// ones always, several at once sharing a wait. And a disk that fails when it is waited for.
#include <algorithm>
#include <climits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class Durability : public testing::Test {
 protected:
  /// A database whose calls to the disk are counted.
  [[nodiscard]] Database open(sqlite::Synchronous synchronous, const std::string& name = "d.db") {
    auto store = std::make_shared<store::Store>(
        sqlite::open(folder_ / name, {.synchronous = synchronous, .vfs = faulty_vfs()}));
    Database db(
        graph::make_live_scope(std::make_shared<graph::Session>(std::move(store), Options())));
    db["first"] = 0;  // the files are there
    return db;
  }

  template <class Call>
  static int syncs_of(const Call& call) {
    arm({});
    call();
    disarm();
    return syncs();
  }

  const TemporaryFolder folder_;
};

constexpr auto kOff = sqlite::Synchronous::kOff;
constexpr auto kNormal = sqlite::Synchronous::kNormal;
constexpr auto kFull = sqlite::Synchronous::kFull;

TEST_F(Durability, OnlyADurableTransactionWaitsForTheDisk) {
  const Database db = open(kNormal);
  int value = 0;
  const auto write = [&] { db["value"] = ++value; };
  EXPECT_EQ(syncs_of(write), 0);
  EXPECT_EQ(syncs_of([&] { db.transaction(write); }), 0);
  EXPECT_GE(syncs_of([&] { db.transaction(write, Durable::kYes); }), 1);
  EXPECT_GE(syncs_of([&] { db.wait_durable(); }), 1);
  EXPECT_GE(syncs_of([&] {
              Transaction transaction = db.begin();
              write();
              transaction.commit(Durable::kYes);
            }),
            1);
  EXPECT_EQ(syncs_of(write), 0);
  EXPECT_EQ(db["value"].get<int>(), value);
}

TEST_F(Durability, ADurableOneInsideAnotherMakesThatDurable) {
  const Database db = open(kNormal);
  const auto write = [&] { db["value"] = 1; };
  int inside = -1;
  EXPECT_GE(syncs_of([&] {
              db.transaction([&] {
                db.transaction(write, Durable::kYes);
                inside = syncs();
              });
            }),
            1);
  EXPECT_EQ(inside, 0) << "waited before there was anything to wait for";
  EXPECT_EQ(syncs_of([&] { db.transaction([&] { db.transaction(write); }); }), 0);
}

TEST_F(Durability, TransactorsToo) {
  const Database db = open(kNormal);
  const Transactor transactor = db.transactor();
  const auto write = [&] { transactor.root().set("value", 1); };
  EXPECT_EQ(syncs_of([&] {
              write();
              EXPECT_TRUE(transactor.execute());
            }),
            0);
  EXPECT_GE(syncs_of([&] {
              write();
              EXPECT_TRUE(transactor.execute(Durable::kYes));
            }),
            1);
  EXPECT_GE(syncs_of([&] { transactor.transact(write, Durable::kYes); }), 1);
  int tries = 0;
  EXPECT_GE(syncs_of([&] {
              transactor.transact(
                  [&] {
                    write();
                    // Until it has the lane to itself.
                    if (++tries <= 3) std::thread([&] { db["value"] = tries; }).join();
                  },
                  Durable::kYes);
            }),
            1);
  EXPECT_EQ(tries, 4);
  // A conflict is none of the disk's business.
  EXPECT_EQ(syncs_of([&] {
              transactor.watch();
              write();
              db["other"] = 1;
              EXPECT_FALSE(transactor.execute(Durable::kYes));
            }),
            0);
}

TEST_F(Durability, WhereCommitsWaitAnywayTheyWaitOnce) {
  const Database db = open(kFull);
  const auto write = [&] { db["value"] = 1; };
  const int plain = syncs_of([&] { db.transaction(write); });
  EXPECT_GE(plain, 1);
  EXPECT_EQ(syncs_of([&] { db.transaction(write, Durable::kYes); }), plain);
}

TEST_F(Durability, AlsoWhereNothingElseIs) {
  const Database db = open(kOff);
  const auto write = [&] { db["value"] = 1; };
  EXPECT_EQ(syncs_of([&] { db.transaction(write); }), 0);
  EXPECT_GE(syncs_of([&] { db.transaction(write, Durable::kYes); }), 1);
}

TEST_F(Durability, ADiskThatCannotSayIsAnsweredTruthfully) {
  const Database db = open(kNormal);
  arm({});
  db.transaction([&] { db["value"] = 1; });
  const int calls = disarm();
  arm({.at = calls + 1, .code = SQLITE_IOERR});  // the wait for the disk
  EXPECT_THROW(db.transaction([&] { db["value"] = 2; }, Durable::kYes), CommitUnknownError);
  EXPECT_TRUE(fault_happened());
  disarm();
  EXPECT_EQ(db["value"].get<int>(), 2) << "it was committed";
  EXPECT_FALSE(db.in_transaction());
  db.wait_durable();
  db.transaction([&] { db["value"] = 3; }, Durable::kYes);
  EXPECT_EQ(db["value"].get<int>(), 3);
}

TEST_F(Durability, InsideATransactionThereIsNothingToWaitFor) {
  const Database db = open(kNormal);
  db.transaction([&] { EXPECT_THROW(db.wait_durable(), UsageError); });
  db.close();
  EXPECT_THROW(db.wait_durable(), ClosedError);
}

TEST_F(Durability, InMemoryAndReadOnlyItReturns) {
  const Database memory("memory://");
  memory.transaction([&] { memory["value"] = 1; }, Durable::kYes);
  memory.wait_durable();
  open(kNormal, "r.db").close();
  const Database reader(folder_ / "r.db", {.read_only = true});
  reader.wait_durable();
}

TEST_F(Durability, ManyAtOnceAllReturn) {
  const Database db = open(kNormal);
  constexpr int kThreads = 4;
  constexpr int kEach = 25;
  const int waited = syncs_of([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          db.transaction([&] { db.incr("count"); }, Durable::kYes);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_EQ(db.count("count"), kThreads * kEach);
  EXPECT_GE(waited, kEach);
}

/// Syncs of writers who all come back as soon as their write is committed.
int syncs_of_writers(const Database& db, int threads, int each) {
  arm({.sync_takes = std::chrono::milliseconds(5)});
  std::vector<std::thread> writers;
  for (int t = 0; t < threads; ++t) {
    writers.emplace_back([&db, t, each] {
      for (int i = 0; i < each; ++i) db[std::to_string(t)] = i;
    });
  }
  for (std::thread& writer : writers) writer.join();
  disarm();
  return syncs();
}

TEST_F(Durability, WritersWhoWereCommittedTogetherAreAgain) {
  const Database db = open(kFull);
  constexpr int kEach = 20;
  // On a busy machine one comes late now and then.
  int fewest = INT_MAX;
  for (int attempt = 0; attempt < 5 && fewest > kEach * 3 / 2; ++attempt)
    fewest = std::min(fewest, syncs_of_writers(db, 4, kEach));
  EXPECT_LE(fewest, kEach * 3 / 2);  // two for each round, if those released missed the next
  EXPECT_EQ(syncs_of_writers(db, 1, kEach), kEach);
}

}  // namespace
}  // namespace graven::test
