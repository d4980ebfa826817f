// SPDX-License-Identifier: MIT
//
// One store, many threads: a writer, readers of every kind, housekeeping, owners. What is
// committed together is seen together.
#include <graven/error.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using port::Space;
using std::chrono::milliseconds;

/// Each commit sets "a" and "b" to the same number and node 1's body to it.
void hammer(const Opened& backend, bool maintain) {
  write(*backend, {{node_key(1), node_record(0, "0")}});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int n = 1; n <= 400; ++n) {
      write(*backend, {{counter_key("a"), counter_record(0, n)},
                       {counter_key("b"), counter_record(0, n)},
                       {node_key(1), node_record(0, std::to_string(n))}});
    }
    stop = true;
  });
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      std::int64_t last = 0;
      while (!stop) {
        const auto view = backend->view();
        const auto a = view->load(counter_key("a"));
        const auto rows = view->scan({.space = Space::kCounter, .a = 1}, 10);
        const auto node = view->load(node_key(1));
        if (a) {
          ASSERT_EQ(rows.size(), 2U);
          ASSERT_EQ(rows[1].record.integers[0], a->integers[0]);
          ASSERT_EQ(node->body, std::to_string(a->integers[0]));
        }
        bool reclaiming = true;
        const std::int64_t now = std::stoll(backend->load_node(1, reclaiming)->body);
        ASSERT_GE(now, last);
        ASSERT_FALSE(reclaiming);
        last = now;
        backend->leases().announce(i + 1);
        ASSERT_TRUE(backend->leases().alive(i + 1));
      }
    });
  }
  if (maintain) {
    threads.emplace_back([&] {
      while (!stop) {
        backend->size_on_disk();
        ASSERT_TRUE(backend->check().empty());
        std::this_thread::sleep_for(milliseconds(5));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count(*backend, "a"), 400);
}

TEST(Threads, ReadersAndAWriterOnSqlite) {
  const TemporaryFolder folder;
  hammer(sqlite::open(folder / "a.db"), true);
}

TEST(Threads, ReadersAndAWriterInMemory) { hammer(lazy::open("memory"), true); }

TEST(Threads, WritersWaitForEachOther) {
  const TemporaryFolder folder;
  const Opened backend = sqlite::open(folder / "a.db");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 100; ++n) increment(*backend, "n");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count(*backend, "n"), 400);
}

TEST(Threads, ReadersWaitForAConnection) {
  const TemporaryFolder folder;
  const Opened backend =
      sqlite::open(folder / "a.db", {.busy_timeout = milliseconds(20), .max_readers = 2});
  write(*backend, {{node_key(1), node_record(0, "x")}});
  auto first = backend->view();
  const auto second = backend->view();
  first->load(node_key(1));
  second->load(node_key(1));
  EXPECT_EQ(backend->load(node_key(1))->body, "x");  // who has one does not wait for another
  std::thread([&] {
    try {
      backend->load(node_key(1));
      FAIL();
    } catch (const BusyError& error) {
      EXPECT_NE(std::string(error.what()).find("all 2 read connections"), std::string::npos);
    }
  }).join();
  first.reset();
  EXPECT_EQ(backend->load(node_key(1))->body, "x");

  const Opened patient = sqlite::open(folder / "a.db", {.max_readers = 1});
  auto held = patient->view();
  held->load(node_key(1));
  std::thread waiter([&] { EXPECT_EQ(patient->load(node_key(1))->body, "x"); });
  std::this_thread::sleep_for(milliseconds(20));
  held.reset();
  waiter.join();
}

}  // namespace
}  // namespace graven::test
