// SPDX-License-Identifier: MIT
//
// Transactions of a store: they nest, belong to their thread and to what they were begun on, and
// expire; what ends them before their time, and who is told of it.
#include <functional>
#include <optional>
#include <thread>

#include "store/the_store.hpp"

namespace graven::test {
namespace {

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
    set_in_another_thread("z", 1);  // the lane is free
    EXPECT_THROW(set("y", 2), UsageError);
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
  // Its own thread is told, once, so nothing of the rest of the block is committed by itself.
  EXPECT_TRUE(store.in_transaction());
  EXPECT_THROW(set("z", 2), UsageError);
  EXPECT_FALSE(store.in_transaction());
  set("z", 1);
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y") + value("z"), 2);
}

TEST_F(TheStore, WhoEndsAStepThatWasRolledBackElsewhereIsTold) {
  for (const bool by_statement : {false, true}) {
    Step step = store.begin(limits);
    set("x", 1);
    std::thread([&] { step.rollback(); }).join();
    if (by_statement) {
      EXPECT_THROW(set("x", 2), UsageError);
    }
    EXPECT_THROW(step.commit(), UsageError);
    EXPECT_FALSE(store.in_transaction());
    set("y", 1);
  }
  {
    const Step step = store.begin(limits);
    std::thread([&] { const_cast<Step&>(step).rollback(); }).join();
  }
  set("y", 2);  // the block was left
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(value("y"), 2);
}

TEST_F(TheStore, AnInnerStepRolledBackElsewhereTakesTheRestOfItsBlockAlong) {
  Step outer = store.begin(limits);
  set("x", 1);
  std::optional<Step> inner(store.begin(limits));
  set("y", 1);
  std::thread([&] { inner.reset(); }).join();
  EXPECT_THROW(set("y", 2), UsageError);
  set("x", 2);
  outer.commit();
  EXPECT_EQ(value("x"), 2);
  EXPECT_EQ(value("y"), 0);
  // Who was not told of it does not commit what is around it.
  Step another = store.begin(limits);
  set("x", 3);
  inner.emplace(store.begin(limits));
  std::thread([&] { inner.reset(); }).join();
  EXPECT_THROW(another.commit(), UsageError);
  EXPECT_FALSE(store.in_transaction());
  EXPECT_EQ(value("x"), 2);
}

TEST_F(TheStore, WhatWasRolledBackElsewhereIsToldAfterItsStoreHasGone) {
  std::optional<Store> other(std::in_place, lazy::open("other"));
  std::optional<Step> step(other->begin(limits));
  std::thread([&] {
    step.reset();
    other.reset();
  }).join();
  other.emplace(lazy::open("another"));  // in the place of the first
  other->write([](Work& work) { put(work, "x", 1); }, limits);
  set("x", 1);
  EXPECT_EQ(value("x"), 1);
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

TEST_F(TheStore, AnOwnersEndComesTooLateForACommit) {
  const int owner = 0;
  const auto end = [&] { std::thread([&] { store.end_of(&owner); }).join(); };
  for (const bool fails : {false, true}) {
    Step step = store.begin(limits, &owner);
    set("x", fails ? 2 : 1);
    hook.meanwhile = end;
    hook.fail = fails;
    if (fails) {
      EXPECT_THROW(step.commit(), UnavailableError);
    } else {
      step.commit();
    }
    hook.meanwhile = nullptr;
    hook.fail = false;
    EXPECT_FALSE(store.in_transaction());
    EXPECT_FALSE(store.transaction_open());
    set_in_another_thread("y", 1);
    set("z", 1);
  }
  EXPECT_EQ(value("x"), 1);
  EXPECT_EQ(counted(store::Event::kCommitted), 1U);
  EXPECT_EQ(counted(store::Event::kRolledBack), 0U);
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
  Store other(lazy::open("other"));
  Step step = store.begin(limits);
  Step other_step = other.begin(limits);
  set("x", 1);
  other.write([](Work& work) { put(work, "x", 2); }, limits);
  step.rollback();
  EXPECT_TRUE(other.in_transaction());
  other_step.commit();
  EXPECT_EQ(value("x"), 0);
  EXPECT_EQ(other.load(named("x"))->integers[0], 2);
}

// --- Time limits

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

TEST_F(TheStore, ALimitThatPassesComesTooLateForACommit) {
  for (const bool fails : {false, true}) {
    Step step = store.begin({.busy = milliseconds(1000), .transaction = milliseconds(50)});
    set("x", fails ? 2 : 1);
    hook.meanwhile = [&] {
      std::this_thread::sleep_for(milliseconds(60));
      const int before = hook.chores;  // the housekeeper has found it over its limit, then
      store.wake(std::chrono::steady_clock::now());
      const auto deadline = soon();
      while (hook.chores == before && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(milliseconds(1));
      }
    };
    hook.fail = fails;
    if (fails) {
      EXPECT_THROW(step.commit(), UnavailableError);
    } else {
      step.commit();
    }
    hook.meanwhile = nullptr;
    hook.fail = false;
    EXPECT_FALSE(store.in_transaction());
    EXPECT_FALSE(store.transaction_open());
    set_in_another_thread("y", 1);
    set("z", 1);
  }
  EXPECT_EQ(value("x"), 1);
  EXPECT_EQ(counted(store::Event::kCommitted), 1U);
  EXPECT_EQ(counted(store::Event::kExpired), 0U);
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

}  // namespace
}  // namespace graven::test
