// SPDX-License-Identifier: MIT
//
// The store: mutations are whole or not at all, the hook sees every commit, and a forked child
// starts afresh. Transactions are in transaction_test.cpp.
#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include "backends/sqlite/child.hpp"
#include "base/forks.hpp"
#include "store/the_store.hpp"

namespace graven::test {
namespace {

// --- Single mutations

TEST_F(TheStore, HasOneHookMadeByTheFirstWhoAsks) {
  Store other(lazy::open("other"));
  other.write([](Work& work) { put(work, "x", 1); }, limits);  // needs none
  store::CommitHook* made = nullptr;
  store::CommitHook& first = other.hook([&] {
    auto one = std::make_unique<Hook>();
    made = one.get();
    return one;
  });
  EXPECT_EQ(&first, made);
  EXPECT_EQ(&other.hook([]() -> std::unique_ptr<Hook> { throw std::logic_error("a second"); }),
            made);
  other.write([](Work& work) { put(work, "x", 2); }, limits);
  EXPECT_EQ(static_cast<Hook*>(made)->before, 1);
}

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
