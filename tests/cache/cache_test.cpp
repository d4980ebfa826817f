// SPDX-License-Identifier: MIT
//
// The rules of the cache, each at the moment where breaking it would show: what is served while
// whom commits, what may go in, what is dropped, and when several records are one state.
#include "cache/cache.hpp"

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "port/marked_backend.hpp"

namespace graven::test {
namespace {

TEST_F(CacheRules, WhatWasReadIsServedFromMemory) {
  backend.records[key(1)] = record("one");
  EXPECT_EQ(read(key(1)), "one");
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "one");
  EXPECT_EQ(cache.find(key(1)).value()->version, 7U);
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(CacheRules, ThatThereIsNothingIsKnownToo) {
  const Key entry{.space = Space::kEntry, .a = 1, .b = 2};
  EXPECT_EQ(read(entry), std::nullopt);
  const int loads = backend.loads;
  EXPECT_EQ(read(entry), std::nullopt);
  EXPECT_EQ(backend.loads, loads);
  backend.commit_elsewhere(entry, "one");
  EXPECT_EQ(read(entry), "one");
}

TEST_F(CacheRules, ButNotOfWhatHasAnId) {
  // Whoever makes one tells nobody of it.
  EXPECT_EQ(read(key(1)), std::nullopt);
  EXPECT_FALSE(cache.find(key(1)));
  backend.records[key(2)] = record("gone");
  EXPECT_EQ(read(key(2)), "gone");
  commit({{key(2), std::nullopt}});
  EXPECT_FALSE(cache.find(key(2)));
}

TEST_F(CacheRules, ACommitOfAnotherProcessDropsEverything) {
  backend.records[key(1)] = record("old");
  backend.records[key(2)] = record("same");
  EXPECT_EQ(read(key(1)), "old");
  EXPECT_EQ(read(key(2)), "same");
  backend.commit_elsewhere(key(1), "new");
  EXPECT_FALSE(cache.find(key(2)));
  EXPECT_EQ(read(key(1)), "new");
  EXPECT_EQ(cache.stats().drops, 2U);  // the first attached it to a state
}

TEST_F(CacheRules, WhatWasReadBeforeAForeignCommitIsNotKept) {
  backend.records[key(1)] = record("old");
  const Cache::Before before = cache.before();
  const auto found = backend.load(key(1));
  backend.commit_elsewhere(key(1), "new");
  EXPECT_FALSE(cache.find(key(1)));  // and so the tag moves on
  cache.fill(before, key(1), found);
  EXPECT_EQ(read(key(1)), "new");
}

TEST_F(CacheRules, WhatWasReadBeforeAnOwnCommitIsNotKept) {
  backend.records[key(1)] = record("old");
  const Cache::Before before = cache.before();
  const auto found = backend.load(key(1));
  commit({{key(1), record("new")}});
  cache.fill(before, key(1), found);
  EXPECT_EQ(read(key(1)), "new");
}

TEST_F(CacheRules, WhatAnotherKeysCommitCameInBetweenIsKept) {
  backend.records[key(1)] = record("same");
  const Cache::Before before = cache.before();
  const auto found = backend.load(key(1));
  for (int i = 0; i < 100; ++i) commit({{key(2), record(std::to_string(i))}});
  cache.fill(before, key(1), found);
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "same");
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(CacheRules, ButNotWhereTooMuchWasChangedToRemember) {
  backend.records[key(1)] = record("same");
  const Cache::Before before = cache.before();
  const auto found = backend.load(key(1));
  for (int i = 0; i < 2000; ++i) commit({{key(2), record(std::to_string(i))}});
  cache.fill(before, key(1), found);
  EXPECT_FALSE(cache.find(key(1)));
}

TEST_F(CacheRules, WhatIsNewerThanTheTableDoesNotGetIn) {
  backend.records[key(1)] = record("old");
  backend.records[key(2)] = record("old");
  EXPECT_EQ(read(key(1)), "old");
  const auto sequence = cache.current_sequence();
  const Cache::Before before = cache.before();
  backend.commit_elsewhere(key(2), "new");
  cache.fill(before, key(2), backend.load(key(2)));
  // Else both would pass for one state.
  EXPECT_TRUE(cache.sequence() != sequence || !cache.look(key(2)));
}

TEST_F(CacheRules, AnOwnCommitIsPublished) {
  const Key gone{.space = Space::kEntry, .a = 5, .b = 2};
  backend.records[key(1)] = record("old");
  backend.records[gone] = record("gone");
  read(key(1));
  read(gone);
  commit({{key(1), record("new")}, {gone, std::nullopt}, {key(3), record("three")}});
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "new");
  EXPECT_EQ(read(gone), std::nullopt);
  EXPECT_EQ(read(key(3)), "three");
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(CacheRules, UntilItIsVisibleTheStateBeforeIsServed) {
  backend.records[key(1)] = record("old");
  read(key(1));
  ASSERT_TRUE(cache.begin_own());
  EXPECT_EQ(read(key(1)), "old");
  backend.words[2].store(1);  // the mark moves, but nothing is committed
  EXPECT_EQ(read(key(1)), "old");
  cache.end_own(nullptr, nullptr);
}

TEST_F(CacheRules, FromThenOnReadersWaitForIt) {
  // Another process may have read the new state by now and told this one.
  backend.records[key(1)] = record("old");
  read(key(1));
  ASSERT_TRUE(cache.begin_own());
  const std::vector<Change> changes{{key(1), record("new")}};
  cache.prepare_own(&changes);
  backend.commit_elsewhere(key(1), "new");  // our own header is out, nothing is published
  auto reader = std::async(std::launch::async, [&] { return read(key(1)); });
  EXPECT_EQ(reader.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  const Mark after = port::read_mark(backend.words);
  cache.end_own(&changes, &after);
  EXPECT_EQ(reader.get(), "new");
}

TEST_F(CacheRules, WhatIsReadBeforeItIsPublishedIsNotKept) {
  backend.records[key(1)] = record("old");
  ASSERT_TRUE(cache.begin_own());
  const Cache::Before before = cache.before();
  const auto found = backend.load(key(1));
  backend.commit_elsewhere(key(1), "new");
  const Mark after = port::read_mark(backend.words);
  cache.end_own(nullptr, &after);
  cache.fill(before, key(1), found);
  EXPECT_FALSE(cache.find(key(1)));
}

TEST_F(CacheRules, ARolledBackCommitLeavesTheTableAsItWas) {
  backend.records[key(1)] = record("old");
  read(key(1));
  ASSERT_TRUE(cache.begin_own());
  cache.end_own(nullptr, nullptr);
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "old");
  EXPECT_EQ(backend.loads, loads);
  backend.commit_elsewhere(key(1), "new");  // the lock is free: now it may be another's
  EXPECT_EQ(read(key(1)), "new");
}

TEST_F(CacheRules, TakingTheLockCatchesUpFirst) {
  backend.records[key(1)] = record("old");
  read(key(1));
  backend.commit_elsewhere(key(1), "new");
  ASSERT_TRUE(cache.begin_own());
  EXPECT_FALSE(cache.look(key(1)));
  cache.fill_own(key(1), backend.load(key(1)));
  EXPECT_EQ(cache.look(key(1)).value()->body, "new");
  cache.end_own(nullptr, nullptr);
}

TEST_F(CacheRules, ACommitOfTooMuchIsForgottenWhole) {
  backend.records[key(1)] = record("old");
  read(key(1));
  ASSERT_TRUE(cache.begin_own());
  backend.commit_elsewhere(key(1), "new");
  const Mark after = port::read_mark(backend.words);
  cache.end_own(nullptr, &after);
  EXPECT_FALSE(cache.find(key(1)));
  EXPECT_EQ(read(key(1)), "new");
}

TEST_F(CacheRules, ALargeCommitTakesItsRecordsOutOnly) {
  for (int i = 0; i < 200; ++i) {
    backend.records[key(i)] = record("old");
    read(key(i));
  }
  std::vector<Change> changes;
  for (int i = 0; i < 100; ++i) changes.push_back({key(i), record("new")});
  commit(changes);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(cache.find(key(i)));
  for (int i = 100; i < 200; ++i) EXPECT_EQ(cache.find(key(i)).value()->body, "old");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(read(key(i)), "new");
}

TEST_F(CacheRules, AMarkThatMayComeAgainIsNone) {
  backend.records[key(1)] = record("old");
  backend.words[1].store(1);
  read(key(1));
  EXPECT_FALSE(cache.find(key(1)));
  EXPECT_FALSE(cache.begin_own());
}

TEST_F(CacheRules, WithoutAMarkNothingIsKept) {
  MarkedBackend bare;
  bare.marked = false;
  Cache idle(bare, &bare, {});
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(idle.attach());
  EXPECT_FALSE(idle.find(key(1)));
  EXPECT_FALSE(idle.before().known);
}

TEST_F(CacheRules, WhetherSomethingIsReclaimedIsPartOfTheState) {
  backend.records[key(1)] = record("one");
  EXPECT_FALSE(cache.find_node(key(1)));  // not known yet
  read(key(1));
  EXPECT_TRUE(cache.find_node(key(1)));
  commit({{{.space = Space::kOrphan, .a = 0, .b = 5}, Record{}}});
  EXPECT_FALSE(cache.find_node(key(1)));
  EXPECT_TRUE(cache.find(key(1)));
}

TEST_F(CacheRules, ThatNothingIsReclaimedIsNotLearntFromBeforeSomethingWas) {
  backend.records[key(1)] = record("one");
  const Cache::Before before = cache.before();
  commit({{{.space = Space::kOrphan, .a = 0, .b = 5}, Record{}}});
  cache.fill(before, key(1), backend.load(key(1)), false);
  EXPECT_TRUE(cache.find(key(1)));
  EXPECT_FALSE(cache.find_node(key(1)));
  const Cache::Before after = cache.before();
  commit({{key(2), record("two")}});
  cache.fill(after, key(1), backend.load(key(1)), false);
  EXPECT_TRUE(cache.find_node(key(1)));
}

TEST_F(CacheRules, KeysOfDifferentSpacesAndNamesAreDifferent) {
  const Key pair{.space = Space::kEntry, .a = 1, .b = 2};
  const Key other{.space = Space::kEntry, .a = 2, .b = 1};
  const Key name{.space = Space::kCounter, .a = 1, .name = "x"};
  const Key empty{.space = Space::kPrefix};
  int n = 0;
  for (const Key& where : {key(1), pair, other, name, empty}) {
    backend.records[where] = record(std::to_string(n++));
  }
  n = 0;
  for (const Key& where : {key(1), pair, other, name, empty}) {
    EXPECT_EQ(read(where), std::to_string(n));
    EXPECT_EQ(read(where), std::to_string(n++));
  }
}

// --- Several records, one state

TEST_F(CacheRules, AViewOfWhatIsThereAsksNobody) {
  backend.records[key(1)] = record("one");
  backend.records[key(2)] = record("two");
  read(key(1));
  read(key(2));
  const int loads = backend.loads;
  CachedView view(cache, backend);
  EXPECT_EQ(view.load(key(1))->body, "one");
  EXPECT_EQ(view.load(key(2))->body, "two");
  EXPECT_TRUE(view.holds());
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(CacheRules, AViewGoesOnInTheStoreWhereSomethingIsMissing) {
  backend.records[key(1)] = record("one");
  backend.records[key(2)] = record("two");
  read(key(1));
  {
    CachedView view(cache, backend);
    EXPECT_EQ(view.load(key(1))->body, "one");
    EXPECT_EQ(view.load(key(2))->body, "two");
    EXPECT_TRUE(view.holds());
  }
  EXPECT_TRUE(cache.find(key(2)));  // kept
}

TEST_F(CacheRules, AViewOfTwoStatesDoesNotHold) {
  backend.records[key(1)] = record("old");
  backend.records[key(2)] = record("old");
  read(key(1));
  CachedView view(cache, backend);
  EXPECT_EQ(view.load(key(1))->body, "old");
  backend.records[key(1)] = record("new");
  backend.commit_elsewhere(key(2), "new");
  EXPECT_EQ(view.load(key(2))->body, "new");
  EXPECT_FALSE(view.holds());
}

TEST_F(CacheRules, NorOneAcrossAnOwnCommit) {
  backend.records[key(1)] = record("old");
  backend.records[key(2)] = record("old");
  read(key(1));
  read(key(2));
  CachedView view(cache, backend);
  EXPECT_EQ(view.load(key(1))->body, "old");
  commit({{key(1), record("new")}, {key(2), record("new")}});
  EXPECT_EQ(view.load(key(2))->body, "new");
  EXPECT_FALSE(view.holds());
}

TEST_F(CacheRules, AViewThatTookNothingFromTheTableHoldsAnyway) {
  backend.records[key(1)] = record("old");
  CachedView view(cache, backend);
  EXPECT_EQ(view.load(key(1))->body, "old");
  commit({{key(1), record("new")}});
  EXPECT_EQ(view.load(key(1))->body, "new") << "from the table, which is of another state";
  EXPECT_FALSE(view.holds());
  CachedView fresh(cache, backend);
  EXPECT_EQ(fresh.load(key(1))->body, "new");
  EXPECT_TRUE(fresh.holds());
}

TEST_F(CacheRules, AChildOfAForkStartsEmpty) {
  backend.records[key(1)] = record("one");
  read(key(1));
  Child child([&] {
    const bool empty = !cache.look(key(1));
    attach();
    return empty && read(key(1)) == "one" && cache.find(key(1)).has_value();
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_TRUE(cache.look(key(1)));
}

}  // namespace
}  // namespace graven::test
