// SPDX-License-Identifier: MIT
//
// Threads on a lazy store that is flushed all the time: a writer, views of every age, readers of
// single records, flushes on demand. What one commit writes is the same number everywhere, so
// whatever is seen together must be equal, here and below.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::Record;
using port::Row;
using port::Space;

constexpr std::int64_t kNodes = 12;

/// The number all records of a view have, or nothing when they differ.
std::optional<std::string> number_in(port::View& view) {
  const std::vector<Row> rows = view.scan({.space = Space::kNode}, 5);
  std::optional<std::string> number;
  for (const Row& row : rows) {
    if (number && row.record.body != *number) return std::nullopt;
    number = row.record.body;
  }
  std::vector<Key> keys;
  for (std::int64_t id = 1; id <= kNodes; ++id) keys.push_back(node_key(id));
  bool same = rows.size() == 5;
  view.load_many(keys, [&](std::size_t, Record* record) {
    same = same && record != nullptr && record->body == number;
  });
  return same && view.load(node_key(kNodes))->body == number ? number : std::nullopt;
}

void hammer(std::unique_ptr<port::Backend> lower) {
  port::Interactive& below = records(*lower);
  const Opened lazy = lazy::over(
      std::move(lower), {.flush_interval = std::chrono::milliseconds(1), .pending_limit = 200'000});
  const auto write_all = [&](int number) {
    std::vector<Change> changes;
    // Some of it comes and goes, so that there are erasures to flush.
    for (std::int64_t id = 1; id <= kNodes; ++id) {
      changes.push_back({node_key(id), node_record(0, std::to_string(number))});
    }
    changes.push_back({node_key(1000 + number % 50), std::nullopt});
    changes.push_back({node_key(1000 + (number + 7) % 50), node_record(0, std::to_string(number))});
    changes.push_back({{.space = Space::kOrphan, .a = 0, .b = 1}, std::nullopt});
    if (number % 2 == 0) changes.back().record = Record{};
    write(*lazy, changes);
  };
  write_all(0);
  lazy->flush();
  constexpr int kCommits = 4000;
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int number = 1; number <= kCommits; ++number) write_all(number);
    done = true;
  });
  threads.emplace_back([&] {
    while (!done) {
      const auto view = lazy->view();
      const std::optional<std::string> first = number_in(*view);
      EXPECT_TRUE(first);
      std::this_thread::yield();
      EXPECT_EQ(number_in(*view), first);
    }
  });
  threads.emplace_back([&] {
    int last = 0;
    while (!done) {
      bool reclaiming = false;
      const int number = std::stoi(lazy->load_node(3, reclaiming)->body);
      EXPECT_GE(number, last);
      last = number;
      EXPECT_GE(std::stoi(lazy->load(node_key(4))->body), number);
      EXPECT_TRUE(number_in(*below.view()));
    }
  });
  threads.emplace_back([&] {
    while (!done) lazy->flush();
  });
  for (std::thread& thread : threads) thread.join();
  lazy->flush();
  EXPECT_EQ(number_in(*below.view()), std::to_string(kCommits));
}

TEST(LazyThreads, OverAFile) {
  const TemporaryFolder folder;
  hammer(sqlite::open(folder / "store.db", {.synchronous = sqlite::Synchronous::kOff}));
}

TEST(LazyThreads, OverMemory) { hammer(lazy::open("below")); }

}  // namespace
}  // namespace graven::test
