// SPDX-License-Identifier: MIT
//
// The store: mutations are whole or not at all, transactions nest, belong to their thread and
// expire, the hook sees every commit, and a forked child starts afresh.
#include "store/store.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "base/forks.hpp"
#include "memory/backend.hpp"
#include "sqlite/child.hpp"
#include "sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;
using store::Key;
using store::Limits;
using store::Record;
using store::Space;
using store::Step;
using store::Store;
using store::Work;

Key named(const std::string& name) { return {.space = Space::kMap, .name = name}; }

void put(Work& work, const std::string& name, std::int64_t value) {
  work.put(named(name), {.integers = {value}});
}

/// Notes what it is told, and may have something to write itself.
class Hook final : public store::CommitHook {
 public:
  void before_commit(Work& work) override {
    ++before;
    if (write) put(work, "hook", ++written);
    if (fail) throw UnavailableError("the hook fails");
  }
  void after_commit(bool committed) noexcept override { after.push_back(committed); }
  std::optional<store::Deadline> chore() noexcept override {
    ++chores;
    return std::nullopt;
  }

  int before = 0;
  std::vector<bool> after;
  bool write = false;
  bool fail = false;
  std::int64_t written = 0;
  std::atomic<int> chores{0};
};

class TheStore : public ::testing::Test {
 protected:
  std::int64_t value(const std::string& name) {
    const auto record = store.backend().load(named(name));
    return record ? record->integers[0] : 0;
  }
  void set(const std::string& name, std::int64_t number) {
    store.write([&](Work& work) { put(work, name, number); }, limits);
  }
  void set_in_another_thread(const std::string& name, std::int64_t number) {
    std::thread([&] { set(name, number); }).join();
  }
  /// In this thread's transaction.
  bool holds(const std::string& name) {
    bool there = false;
    EXPECT_TRUE(
        store.with_current([&](Work& work) { there = work.load(named(name)).has_value(); }));
    return there;
  }
  std::int64_t clock() {
    const auto record = store.backend().load(store::clock_key());
    return record ? record->integers[0] : 0;
  }

  Limits limits{.busy = milliseconds(20'000), .transaction = milliseconds(20'000)};
  Hook hook;
  Store store{memory::open("memory"), hook};
};

// --- Single mutations

TEST_F(TheStore, CommitsAMutation) {
  set("x", 1);
  EXPECT_EQ(value("x"), 1);
  EXPECT_EQ(hook.before, 1);
  EXPECT_EQ(hook.after, std::vector<bool>{true});
  EXPECT_FALSE(store.in_transaction());
}

TEST_F(TheStore, DropsAMutationThatThrows) {
  set("x", 1);
  const auto failing = [](Work& work) {
    put(work, "x", 2);
    throw BadValueError("no");
  };
  EXPECT_THROW(store.write(failing, limits), BadValueError);
  EXPECT_EQ(value("x"), 1);
  set("y", 1);  // the lane is free
  EXPECT_EQ(value("y"), 1);
}

TEST_F(TheStore, CommitsNothingWhereNothingWasWritten) {
  set("x", 1);
  const std::int64_t before = clock();
  store.write([](Work& work) { work.load(named("x")); }, limits);
  EXPECT_EQ(clock(), before);
  EXPECT_EQ(hook.before, 2);  // but the hook had its say
  EXPECT_EQ(hook.after.size(), 2U);
}

TEST_F(TheStore, CommitsWhatTheHookWroteEvenSo) {
  hook.write = true;
  store.write_apart([](Work&) {}, soon());
  EXPECT_EQ(value("hook"), 1);
}

TEST_F(TheStore, ATransactionsHookIsCalledOnceAtItsEnd) {
  hook.write = true;
  Step step = store.begin(limits);
  set("x", 1);
  set("y", 1);
  EXPECT_EQ(hook.before, 0);
  step.commit();
  EXPECT_EQ(hook.before, 1);
  EXPECT_EQ(value("x"), 1);
  EXPECT_EQ(value("hook"), 1);
}

TEST_F(TheStore, AHookThatFailsFailsTheCommit) {
  hook.fail = true;
  EXPECT_THROW(set("x", 1), UnavailableError);
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(hook.after, std::vector<bool>{false});
  Step step = store.begin(limits);
  set("x", 2);
  EXPECT_THROW(step.commit(), UnavailableError);
  EXPECT_FALSE(store.in_transaction());
  EXPECT_EQ(value("x"), 0);
  hook.fail = false;
  set("x", 3);
  EXPECT_EQ(value("x"), 3);
  EXPECT_EQ(hook.after, (std::vector<bool>{false, false, true}));
}

// --- Transactions

TEST_F(TheStore, ATransactionIsSeenByItsThreadOnlyUntilItCommits) {
  Step step = store.begin(limits);
  EXPECT_TRUE(store.in_transaction());
  set("x", 1);
  EXPECT_TRUE(store.with_current([](Work& work) { EXPECT_TRUE(work.load(named("x"))); }));
  std::thread([&] {
    EXPECT_FALSE(store.in_transaction());
    EXPECT_EQ(value("x"), 0);
    EXPECT_FALSE(store.with_current([](Work&) {}));
  }).join();
  step.commit();
  EXPECT_FALSE(store.in_transaction());
  EXPECT_EQ(value("x"), 1);
}

TEST_F(TheStore, ARolledBackTransactionLeavesNothing) {
  Step step = store.begin(limits);
  set("x", 1);
  step.rollback();
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(hook.before, 0);
  set("y", 1);
  EXPECT_EQ(value("y"), 1);
}

TEST_F(TheStore, AMutationThatThrowsLeavesTheRestOfTheTransaction) {
  Step step = store.begin(limits);
  set("x", 1);
  EXPECT_THROW(store.write(
                   [](Work& work) {
                     put(work, "x", 2);
                     throw BadValueError("no");
                   },
                   limits),
               BadValueError);
  step.commit();
  EXPECT_EQ(value("x"), 1);
}

TEST_F(TheStore, TransactionsNest) {
  Step step = store.begin(limits);
  set("x", 1);
  Step step2 = store.begin(limits);
  set("x", 2);
  set("y", 2);
  Step step3 = store.begin(limits);
  set("y", 3);
  step3.commit();
  step2.rollback();
  EXPECT_TRUE(store.in_transaction());
  set("z", 4);
  Step step4 = store.begin(limits);
  set("z", 5);
  step4.commit();
  step.commit();
  EXPECT_FALSE(store.in_transaction());
  EXPECT_EQ(value("x"), 1);
  EXPECT_EQ(value("y"), 0);
  EXPECT_EQ(value("z"), 5);
}

TEST_F(TheStore, AStepEndsOnce) {
  Step step = store.begin(limits);
  set("x", 1);
  step.commit();
  EXPECT_THROW(step.commit(), UsageError);
  step.rollback();
  EXPECT_EQ(value("x"), 1);
}

TEST_F(TheStore, AStepThatGoesIsRolledBack) {
  {
    const Step step = store.begin(limits);
    set("x", 1);
    {
      const Step inner = store.begin(limits);
      set("y", 1);
    }
    EXPECT_FALSE(holds("y"));
    EXPECT_TRUE(holds("x"));
  }
  EXPECT_FALSE(store.in_transaction());
  EXPECT_EQ(value("x"), 0);
}

TEST_F(TheStore, AnOuterStepIsNotCommittedBeforeAnInnerOne) {
  Step outer = store.begin(limits);
  set("x", 1);
  Step inner = store.begin(limits);
  EXPECT_THROW(outer.commit(), UsageError);
  EXPECT_FALSE(store.in_transaction());
  EXPECT_THROW(inner.commit(), UsageError);
  EXPECT_EQ(value("x"), 0);
  set("x", 2);
  EXPECT_EQ(value("x"), 2);
}

TEST_F(TheStore, AStepIsCommittedByItsThreadOnly) {
  std::optional<Step> step;
  std::thread first([&] {
    step.emplace(store.begin(limits));
    set("x", 1);
    std::thread([&] { EXPECT_THROW(step->commit(), UsageError); }).join();
    EXPECT_FALSE(store.in_transaction());
    set("y", 1);
  });
  first.join();
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y"), 1);
}

TEST_F(TheStore, AnyThreadMayRollAStepBack) {
  std::optional<Step> step(store.begin(limits));
  set("x", 1);
  std::thread([&] {
    step.reset();
    set("y", 1);
  }).join();
  EXPECT_FALSE(store.in_transaction());
  set("z", 1);
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y") + value("z"), 2);
}

TEST_F(TheStore, AThreadThatEndsTakesItsTransactionWithIt) {
  std::optional<Step> step;
  std::thread([&] {
    step.emplace(store.begin(limits));
    set("x", 1);
  }).join();
  set("y", 1);
  EXPECT_THROW(step->commit(), UsageError);
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y"), 1);
}

// --- Owners

TEST_F(TheStore, AnOwnersEndRollsBackWhatWasBegunForIt) {
  const int one = 0;
  const int other = 0;
  Step step = store.begin(limits, &one);
  set("x", 1);
  store.end_of(&other);
  EXPECT_TRUE(holds("x"));
  std::thread([&] { store.end_of(&one); }).join();
  set_in_another_thread("y", 1);  // the lane is free
  // Nothing of the rest of the block is committed by itself.
  EXPECT_TRUE(store.in_transaction());
  EXPECT_THROW(set("z", 1), ClosedError);
  EXPECT_THROW(static_cast<void>(store.begin(limits, &other)), ClosedError);
  EXPECT_THROW(step.commit(), ClosedError);
  set("z", 2);
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y"), 1);
  EXPECT_EQ(value("z"), 2);
}

TEST_F(TheStore, AnInnerOwnersEndLeavesTheOuterStep) {
  const int outer = 0;
  const int inner = 0;
  Step step = store.begin(limits, &outer);
  set("x", 1);
  {
    Step within = store.begin(limits, &inner);
    set("y", 1);
    const Step innermost = store.begin(limits, &outer);
    set("z", 1);
    store.end_of(&inner);
    EXPECT_THROW(set("z", 2), ClosedError);
    EXPECT_THROW(within.commit(), ClosedError);
  }
  set("w", 1);
  step.commit();
  EXPECT_EQ(value("x") + value("w"), 2);
  EXPECT_EQ(value("y") + value("z"), 0);
}

TEST_F(TheStore, AnOwnersEndWaitsForNoStatement) {
  const int owner = 0;
  Step step = store.begin(limits, &owner);
  EXPECT_THROW(store.write(
                   [&](Work& work) {
                     put(work, "x", 1);
                     std::thread([&] { store.end_of(&owner); }).join();
                     EXPECT_TRUE(work.load(named("x")));  // it is rolled back after the statement
                   },
                   limits),
               ClosedError);
  set_in_another_thread("y", 1);
  EXPECT_THROW(step.commit(), ClosedError);
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y"), 1);
}

TEST_F(TheStore, WritersWaitForATransaction) {
  Step step = store.begin(limits);
  set("x", 1);
  std::thread hasty([&] {
    const Limits short_limits{.busy = milliseconds(20), .transaction = milliseconds(1000)};
    EXPECT_THROW(store.write([](Work& work) { put(work, "y", 1); }, short_limits), BusyError);
    EXPECT_THROW(static_cast<void>(store.begin(short_limits)), BusyError);
    EXPECT_FALSE(store.in_transaction());
  });
  hasty.join();
  std::thread patient([&] { set("x", 2); });
  step.commit();
  patient.join();
  EXPECT_EQ(value("x"), 2);
}

TEST_F(TheStore, TransactionsOfTwoStoresInOneThreadAreIndependent) {
  Hook other_hook;
  Store other(memory::open("other"), other_hook);
  Step step = store.begin(limits);
  Step other_step = other.begin(limits);
  set("x", 1);
  other.write([](Work& work) { put(work, "x", 2); }, limits);
  step.rollback();
  EXPECT_TRUE(other.in_transaction());
  other_step.commit();
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(other.backend().load(named("x"))->integers[0], 2);
}

// --- Time limits

/// Waits until this thread's transaction is over its limit and rolled back.
void outlive(Store& store) {
  const auto deadline = soon();
  while (std::chrono::steady_clock::now() < deadline) {
    try {
      store.with_current([](Work&) {});
    } catch (const TransactionExpiredError&) {
      return;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  ADD_FAILURE() << "the transaction does not expire";
}

TEST_F(TheStore, ATransactionThatOutlivesItsLimitIsRolledBack) {
  Step step = store.begin({.busy = milliseconds(1000), .transaction = milliseconds(200)});
  set("x", 1);
  std::thread other([&] { set("y", 1); });  // gets the lane without this thread's doing anything
  other.join();
  EXPECT_EQ(value("y"), 1);
  EXPECT_TRUE(store.in_transaction());  // until its thread has heard of it
  EXPECT_THROW(set("x", 2), TransactionExpiredError);
  EXPECT_THROW(step.commit(), TransactionExpiredError);
  EXPECT_FALSE(store.in_transaction());
  EXPECT_EQ(value("x"), 0);
  set("x", 3);
  EXPECT_EQ(value("x"), 3);
}

TEST_F(TheStore, AnExpiredTransactionCanBeRolledBackInSteps) {
  Step step = store.begin({.busy = milliseconds(1000), .transaction = milliseconds(100)});
  Step step2 = store.begin(limits);
  outlive(store);
  step2.rollback();
  EXPECT_TRUE(store.in_transaction());
  step.rollback();
  EXPECT_FALSE(store.in_transaction());
  set("x", 1);
  EXPECT_EQ(value("x"), 1);
}

TEST_F(TheStore, ATransactionWithinItsLimitIsLeftAlone) {
  Step step = store.begin(limits);
  set("x", 1);
  store.wake(std::chrono::steady_clock::now());
  std::this_thread::sleep_for(milliseconds(30));
  step.commit();
  EXPECT_EQ(value("x"), 1);
}

TEST_F(TheStore, TheHooksChoreRunsWhenWoken) {
  store.wake(std::chrono::steady_clock::now());
  const auto deadline = soon();
  while (hook.chores == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(hook.chores, 1);
}

TEST_F(TheStore, StopRollsBackWhatIsOpen) {
  std::thread([&] {
    Step step = store.begin(limits);
    set("x", 1);
    store.stop();
    EXPECT_THROW(set("x", 2), ClosedError);
    step.rollback();
  }).join();
  EXPECT_EQ(value("x"), 0);
}

// --- Forks

TEST_F(TheStore, AChildHasNoPartInItsParentsTransaction) {
  Step step = store.begin(limits);
  set("x", 1);
  Child child([&] {
    bool refused = false;
    try {
      set("x", 2);
    } catch (const UsageError&) {
      refused = true;
    }
    const bool before = store.in_transaction();
    step.rollback();
    const bool behind = store.in_transaction();
    set("y", 1);  // a transaction of its own: the lane is free here
    Step step2 = store.begin(limits);
    set("y", 2);
    step2.commit();
    return refused && before && !behind && value("y") == 2 && value("x") == 0;
  });
  EXPECT_TRUE(child.succeeded());
  set("x", 3);  // the parent's goes on
  step.commit();
  EXPECT_EQ(value("x"), 3);
}

TEST_F(TheStore, AChildsTransactionsExpireToo) {
  Child child([&] {
    Step step = store.begin({.busy = milliseconds(1000), .transaction = milliseconds(100)});
    outlive(store);
    step.rollback();
    set("y", 1);
    store.stop();
    return value("y") == 1;
  });
  EXPECT_TRUE(child.succeeded());
}

TEST_F(TheStore, ForkingWhileOthersWriteLeavesBothSidesInOrder) {
  GRAVEN_FORKS_AMID_THREADS();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::int64_t i = 1; !stop; ++i) set("x", i);
  });
  for (int round = 0; round < 10; ++round) {
    Child child([&] {
      set("mine", 1);
      const bool kept = value("mine") == 1;
      store.stop();
      return kept;
    });
    EXPECT_TRUE(child.succeeded());
  }
  stop = true;
  writer.join();
  EXPECT_EQ(value("mine"), 0);
}

}  // namespace
}  // namespace graven::test
