// SPDX-License-Identifier: MIT
//
// Commits that are too large for a store without interactive transactions: too many changes are
// refused before anything is sent; where predicates are too many, the transaction relies on the
// whole state, and at last on the lease.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "port/counting_store.hpp"
#include "port/oracle.hpp"
#include "store/the_store.hpp"

namespace graven::test {
namespace {

constexpr std::size_t kMostChanges = 20;
constexpr std::size_t kMostPredicates = 10;

class Client {
 public:
  explicit Client(const std::shared_ptr<oracle::OracleStore>& on) {
    auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(on));
    counting->script([this](const Call& call) {
      if (call.asked == Asked::kLease) ++leases;
      if (call.asked == Asked::kCommit) {
        ++commits;
        if (auto act = std::exchange(before_commit, nullptr)) act();
      }
      return Fault{.delay = delay};
    });
    store = std::make_unique<Store>(std::move(counting));
  }
  void set(int from, int to, std::int64_t value) {
    store->write(
        [&](Work& work) {
          for (int i = from; i < to; ++i) put(work, std::to_string(i), value);
        },
        {});
  }
  /// The sum of the first `count` values, written to "sum".
  int sum_up(int count) {
    int runs = 0;
    store->write(
        [&](Work& work) {
          ++runs;
          std::int64_t sum = 0;
          for (int i = 0; i < count; ++i) {
            if (const auto one = work.load(named(std::to_string(i)))) sum += one->integers[0];
          }
          put(work, "sum", sum);
        },
        {});
    return runs;
  }
  std::int64_t value(const std::string& name) {
    const auto record = store->load(named(name));
    return record ? record->integers[0] : 0;
  }

  std::function<void()> before_commit;
  std::atomic<int> commits{0};
  std::atomic<int> leases{0};
  std::chrono::microseconds delay{};
  std::unique_ptr<Store> store;
};

class CommitLimits : public ::testing::Test {
 protected:
  void counts(int commits, int leases) {
    EXPECT_EQ(client_.commits - commits_, commits);
    EXPECT_EQ(client_.leases - leases_, leases);
    commits_ = client_.commits;
    leases_ = client_.leases;
  }

  const std::shared_ptr<oracle::OracleStore> on_ = oracle::Oracle::create(
      {.most_changes = kMostChanges, .most_predicates = kMostPredicates, .slow_commits = true});
  Client client_{on_};
  Client other_{on_};
  int commits_ = 0;
  int leases_ = 0;
};

TEST_F(CommitLimits, TooManyChangesAreRefusedBeforeTheyAreSent) {
  client_.set(0, kMostChanges, 1);
  counts(1, 0);
  try {
    client_.set(0, kMostChanges + 1, 2);
    ADD_FAILURE();
  } catch (const LimitError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("21 records"), std::string::npos) << what;
    EXPECT_NE(what.find("at most 20"), std::string::npos) << what;
    EXPECT_NE(what.find("smaller transactions"), std::string::npos) << what;
  }
  counts(0, 0);
  EXPECT_EQ(client_.value("0"), 1);
  Step step = client_.store->begin({});
  client_.set(0, 15, 3);
  client_.set(15, 30, 3);
  EXPECT_THROW(step.commit(), LimitError);
  EXPECT_EQ(client_.value("0"), 1);
  EXPECT_EQ(client_.value("29"), 0);
}

TEST_F(CommitLimits, WritersWhoExceedItOnlyTogetherDoNotFail) {
  client_.delay = std::chrono::milliseconds(5);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 10; ++i) {
        EXPECT_NO_THROW(client_.set(100 * thread, 100 * thread + 15, i));
      }
      EXPECT_THROW(client_.set(100 * thread, 100 * thread + 25, 77), LimitError);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int thread = 0; thread < 6; ++thread) {
    EXPECT_EQ(client_.value(std::to_string(100 * thread + 14)), 9);
    EXPECT_EQ(client_.value(std::to_string(100 * thread + 20)), 0);
  }
}

/// One more than 10 records: the ten that are read, and the one that is written.
TEST_F(CommitLimits, FewPredicatesNeedNoLease) {
  client_.set(0, 10, 1);
  counts(1, 0);
  EXPECT_EQ(client_.sum_up(10), 1);
  counts(1, 0);
  EXPECT_EQ(client_.value("sum"), 10);
}

TEST_F(CommitLimits, ManyPredicatesNeedNoneWhereNobodyElseCommits) {
  client_.set(0, 20, 1);
  client_.set(20, 40, 1);
  counts(2, 0);
  EXPECT_EQ(client_.sum_up(40), 1);
  counts(1, 0);
  EXPECT_EQ(client_.value("sum"), 40);
}

TEST_F(CommitLimits, ManyPredicatesAreAskedUnderTheLease) {
  client_.set(0, 20, 1);
  client_.set(20, 40, 1);
  counts(2, 0);
  client_.before_commit = [&] { other_.set(50, 51, 1); };
  EXPECT_EQ(client_.sum_up(40), 1);  // what it has read is still so
  counts(1 + 4 + 1, 2);              // the lease, taken and let go
  EXPECT_EQ(client_.value("sum"), 40);
  EXPECT_EQ(other_.value("50"), 1);
  other_.set(50, 51, 2);  // the lease is free
  EXPECT_EQ(client_.value("50"), 2);
}

TEST_F(CommitLimits, ManyPredicatesOfWhichOneFails) {
  client_.set(0, 20, 1);
  client_.set(20, 40, 1);
  client_.before_commit = [&] { other_.set(33, 34, 5); };
  EXPECT_EQ(client_.sum_up(40), 2);
  EXPECT_EQ(client_.value("sum"), 44);
}

/// What a conflict has told may be out of date when the next attempt begins.
TEST_F(CommitLimits, WhatAConflictToldIsAsked) {
  struct Meanwhile final : store::CommitHook {
    void before_commit(Work&) override {}
    void after_commit(bool committed) noexcept override {
      if (committed || !act) return;
      std::exchange(act, nullptr)();
    }
    std::optional<base::Deadline> chore() noexcept override { return std::nullopt; }
    std::function<void()> act;
  };
  auto& hook =
      static_cast<Meanwhile&>(client_.store->hook([] { return std::make_unique<Meanwhile>(); }));
  client_.set(0, 15, 1);
  client_.before_commit = [&] { other_.set(0, 1, 5); };
  hook.act = [&] { other_.set(0, 1, 7); };
  int runs = 0;
  client_.store->write(
      [&](Work& work) {
        std::int64_t sum = 0;
        for (int i = 0; i < (runs == 0 ? 1 : 15); ++i) {
          sum += work.load(named(std::to_string(i)))->integers[0];
        }
        ++runs;
        put(work, "sum", sum);
      },
      {});
  EXPECT_EQ(client_.value("sum"), 7 + 14);
}

TEST_F(CommitLimits, ATransactionWithManyPredicates) {
  client_.set(0, 20, 1);
  client_.set(20, 40, 1);
  counts(2, 0);
  Step step = client_.store->begin({});
  EXPECT_EQ(client_.sum_up(40), 1);
  step.commit();
  counts(1, 2);
  EXPECT_EQ(client_.value("sum"), 40);
}

/// A mutation that writes nothing, or throws, has seen one state.
TEST_F(CommitLimits, WhatIsOnlyReadIsOfOneState) {
  client_.set(0, 20, 1);
  client_.set(20, 40, 1);
  for (const bool fails : {false, true}) {
    int runs = 0;
    std::int64_t sum = 0;
    const auto read = [&](Work& work) {
      ++runs;
      sum = 0;
      for (int i = 0; i < 40; ++i) {
        if (i == 20 && runs == 1) {
          other_.store->write(
              [&](Work& theirs) {
                put(theirs, "3", 10);
                put(theirs, "33", fails ? 9 : 5);
              },
              {});
        }
        sum += work.load(named(std::to_string(i)))->integers[0];
      }
      if (fails) throw BadValueError(std::to_string(sum));
    };
    try {
      client_.store->write(read, {});
      EXPECT_FALSE(fails);
      EXPECT_EQ(sum, 38 + 15);
    } catch (const BadValueError& error) {
      EXPECT_EQ(std::string(error.what()), std::to_string(38 + 19));
    }
    EXPECT_EQ(runs, 2);
  }
}

/// Four clients move amounts, and each checks their sum, over more records than predicates.
TEST_F(CommitLimits, ClientsThatConflict) {
  constexpr int kRounds = 40;
  client_.set(0, 15, 100);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      Client own(on_);
      for (int i = 0; i < kRounds; ++i) {
        std::int64_t sum = 0;
        own.store->write(
            [&](Work& work) {
              sum = 0;
              for (int at = 0; at < 15; ++at) {
                sum += work.load(named(std::to_string(at)))->integers[0];
              }
              const std::string from = std::to_string((i + thread) % 15);
              const std::string to = std::to_string((i * 7 + thread * 3 + 1) % 15);
              put(work, from, work.load(named(from))->integers[0] - 1);
              put(work, to, work.load(named(to))->integers[0] + 1);
            },
            {});
        EXPECT_EQ(sum, 1'500);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::int64_t sum = 0;
  for (int at = 0; at < 15; ++at) sum += client_.value(std::to_string(at));
  EXPECT_EQ(sum, 1'500);
}

}  // namespace
}  // namespace graven::test
