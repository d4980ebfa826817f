// SPDX-License-Identifier: MIT
//
// Maps under several threads: batches are seen whole or not at all, increments are not lost, what
// returned is seen by all, while everything is evicted, flushed and expires.
#include <graven/graven.hpp>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/forks.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

class MapThreads : public ::testing::TestWithParam<Persist> {
 protected:
  [[nodiscard]] Map open(std::size_t capacity, Synchronous synchronous = Synchronous::kOff) const {
    MapOptions options;
    options.persist = GetParam();
    options.hot_capacity = capacity;
    options.flush_interval = milliseconds(2);
    options.synchronous = synchronous;
    return Map(folder_ / "m.db", options);
  }
  TemporaryFolder folder_;
};

constexpr int kSteps = 400;

TEST_P(MapThreads, BatchesAreSeenWhole) {
  for (const std::size_t capacity : {std::size_t{2}, std::size_t{1000}}) {
    const Map map = open(capacity);
    const std::vector<Map::Key> keys{"a", "b", "c", "d", "e"};
    const auto write = [&](int value) {
      std::vector<std::pair<std::string, Data>> entries;
      for (const auto key : keys) entries.emplace_back(key, value);
      map.update(entries);
    };
    write(0);
    std::atomic<int> writers{2};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 1; i <= kSteps; ++i) write(2 * i + t);
        --writers;
      });
    }
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        std::int64_t last[2] = {0, 0};
        while (writers > 0) {
          const auto values = map.get_many(keys);
          for (const auto& value : values) ASSERT_EQ(value, values[0]);
          // A writer's batches are seen in its order.
          const auto seen = values[0]->get<std::int64_t>();
          ASSERT_GE(seen, last[seen % 2]);
          last[seen % 2] = seen;
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

TEST_P(MapThreads, NoReadOfOneKeySeesABatchThatAnotherThenDoesNot) {
  const Map map = open(1000);
  const auto write = [&](int value) {
    std::vector<std::pair<std::string, Data>> entries;
    for (char key = 'a'; key <= 'z'; ++key) entries.emplace_back(std::string(1, key), value);
    map.update(entries);
  };
  write(0);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 1; i <= 5 * kSteps; ++i) write(i);
    stop = true;
  });
  threads.emplace_back([&] {
    std::int64_t last = 0;
    while (!stop) {
      for (const char* key : {"a", "z"}) {
        const auto value = map.at(key).get<std::int64_t>();
        ASSERT_GE(value, last);
        last = value;
      }
    }
  });
  for (auto& thread : threads) thread.join();
}

TEST_P(MapThreads, WhatReturnedIsSeenByAll) {
  const Map map = open(3);
  constexpr int kKeys = 8;
  std::atomic<std::int64_t> done[kKeys] = {};
  std::atomic<int> writers{2};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kSteps; ++i) {
        const int key = 2 * (i % (kKeys / 2)) + t;  // each key has one writer
        map.set(std::to_string(key), i);
        done[key] = i;
      }
      --writers;
    });
  }
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::int64_t last[kKeys] = {};
      while (writers > 0) {
        const int key = static_cast<int>(random() % kKeys);
        const std::int64_t least = std::max(done[key].load(), last[key]);
        const auto value = map.get(std::to_string(key));
        const std::int64_t seen = value ? value->get<std::int64_t>() : 0;
        ASSERT_GE(seen, least);
        last[key] = seen;
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_P(MapThreads, PopsAndDefaultsHappenOnce) {
  const Map map = open(4);
  std::atomic<int> popped{0};
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kSteps; ++i) {
        const std::string key = std::to_string(i % 7);
        const std::string mine = std::to_string(t) + "." + std::to_string(i);
        if (map.setdefault(key, mine) == Data(mine)) ++made;
        if (map.pop(key)) ++popped;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(static_cast<std::size_t>(made - popped), map.size());
}

TEST_P(MapThreads, SizesAndScansWhileAllChanges) {
  const Map map = open(10);
  for (int i = 0; i < 100; ++i) map.set("stays " + std::to_string(i), i);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < kSteps; ++i) {
      map.set("comes " + std::to_string(i % 20), i);
      map.erase("comes " + std::to_string((i + 7) % 20));
      if (i % 50 == 0) map.set("timed", i, milliseconds(1));
    }
    stop = true;
  });
  threads.emplace_back([&] {
    while (!stop) {
      const std::size_t size = map.size();
      ASSERT_GE(size, 100U);
      ASSERT_LE(size, 121U);
    }
  });
  threads.emplace_back([&] {
    while (!stop) {
      int seen = 0;
      const auto cursor = map.cursor();
      Data value;
      for (std::string key; cursor->next(key, &value);) {
        if (!key.starts_with("stays")) continue;
        ++seen;
        ASSERT_EQ("stays " + std::to_string(value.get<int>()), key);
      }
      ASSERT_EQ(seen, 100);
    }
  });
  for (auto& thread : threads) thread.join();
  std::this_thread::sleep_for(milliseconds(2));  // so that "timed" expires before, not between
  std::size_t counted = 0;
  const auto cursor = map.cursor();
  for (std::string key; cursor->next(key, nullptr);) ++counted;
  EXPECT_EQ(map.size(), counted);
}

TEST_P(MapThreads, WritersShareCommitsAndFailApart) {
  const Map map = open(1000, Synchronous::kFull);
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        map.set(std::to_string(t * 1000 + i), i);
        try {
          map.set("bad", "\xff");
        } catch (const BadValueError&) {
          ++refused;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(refused, 240);
  EXPECT_EQ(map.size(), 240U);
}

TEST_P(MapThreads, AChildForkedAmidWritesGoesOn) {
  GRAVEN_FORKS_AMID_THREADS();
  const Map map = open(1000);
  map.set("there", 7);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        map.set(std::to_string(2 * (i % 500) + t), i, std::chrono::hours(1));
      }
    });
  }
  for (int i = 0; i < 60; ++i) {
    Child child([&] {
      if (GetParam() == Persist::kLazy) {  // the parent's
        try {
          map.set("mine", 8);
          return false;
        } catch (const UsageError&) {
          return true;
        }
      }
      map.set("mine", 8, std::chrono::hours(1));
      return map.get("there") == Data(7) && map.get("mine") == Data(8) && map.size() > 1;
    });
    EXPECT_TRUE(child.succeeded());
  }
  stop = true;
  for (auto& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Modes, MapThreads,
                         ::testing::Values(Persist::kWritethrough, Persist::kLazy,
                                           Persist::kMemory),
                         [](const auto& mode) {
                           return mode.param == Persist::kWritethrough ? "Writethrough"
                                  : mode.param == Persist::kLazy       ? "Lazy"
                                                                       : "Memory";
                         });

}  // namespace
}  // namespace graven::test
