// SPDX-License-Identifier: MIT
//
// What is the oracle's own, besides the port: its settings, and that it refuses what the port does
// not allow.
#include "port/oracle.hpp"

#include <gtest/gtest.h>

#include <graven/error.hpp>

namespace graven::test {
namespace {

using oracle::Oracle;
using port::Batch;
using port::CommitResult;
using port::Key;
using port::Operation;
using port::Space;

port::Deadline soon_enough() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }

Key node(std::int64_t id) { return {.space = Space::kNode, .a = id}; }

CommitResult commit(Oracle& store, std::uint64_t sequence, Batch batch) {
  return store.commit({.session = 5, .sequence = sequence}, {&batch, 1}, {}, soon_enough());
}

TEST(Oracle, ForgetsOldEntriesOfItsLog) {
  const auto store = Oracle::open(Oracle::create({.log_entries = 3}));
  std::vector<port::StateVersion> states{{}};
  for (std::uint64_t i = 1; i <= 5; ++i) {
    states.push_back(commit(*store, i, {.changes = {{node(1), port::Record{}}}}).states.front());
  }
  const auto entries_after = [&](std::size_t state) {
    int count = 0;
    const bool there = store->log(
        {}, states[state], [&](const port::LogEntry&) { ++count; }, soon_enough());
    return there ? count : -1;
  };
  EXPECT_EQ(entries_after(5), 0);
  EXPECT_EQ(entries_after(2), 3);
  EXPECT_EQ(entries_after(1), -1);
  EXPECT_EQ(entries_after(0), -1);
}

TEST(Oracle, HandlesAreLikeProcesses) {
  const auto shared = Oracle::create();
  const auto one = Oracle::open(shared);
  const auto other = Oracle::open(shared);
  EXPECT_NE(one->facts().identity, other->facts().identity);
  EXPECT_EQ(one->facts().constant, other->facts().constant);
  EXPECT_NE(one->facts().constant, 0U);
}

TEST(Oracle, RefusesWhatTheOrderWouldDecide) {
  const auto store = Oracle::open(Oracle::create());
  const port::Change put{node(1), port::Record{}};
  EXPECT_THROW(commit(*store, 1, {.changes = {put, put}}), UsageError);
  const Operation erase{.kind = Operation::Kind::kErase, .key = node(1)};
  EXPECT_THROW(commit(*store, 1, {.operations = {erase}, .changes = {put}}), UsageError);
  const std::vector<Batch> twice{{.changes = {put}}, {.operations = {erase}}};
  EXPECT_THROW(store->commit({5, 1}, twice, {}, soon_enough()), UsageError);
  EXPECT_EQ(commit(*store, 1, {.changes = {put}}).outcome, port::Outcome::kDone);
}

}  // namespace
}  // namespace graven::test
