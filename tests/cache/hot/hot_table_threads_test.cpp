// SPDX-License-Identifier: MIT
//
// The hot table under threads: growth and clear() under readers, long values replaced under readers
// and pinned views, eviction with nothing lost, fork() amid writers. What it is worth is measured
// with ThreadSanitizer.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "base/forks.hpp"
#include "cache/hot/hot_table.hpp"
#include "cache/hot/stamps.hpp"

#ifdef GRAVEN_RACE_POINTS
namespace graven::cache::hot {
void race_point() noexcept {
  thread_local std::uint32_t dice = 12345;
  static std::atomic<std::uint32_t> threads{0};
  thread_local const std::uint32_t self = ++threads;
  dice = dice * 1664525 + 1013904223 + self;
  if ((dice >> 16) % 64 != 0) return;
  if ((dice >> 26) % 16 == 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  } else {
    std::this_thread::yield();
  }
}
void race_access(bool /*changes*/) noexcept {}
void race_wait() noexcept {}
}  // namespace graven::cache::hot
#endif

namespace graven::test {
namespace {

using cache::HotEdit;
using cache::HotEvicted;
using cache::HotHandle;
using cache::HotHit;
using cache::HotKey;
using cache::HotTable;

// ------------------------------------------------------------------------------------- in the
// large

/// Writers raise the stamps of their own keys while the table splits; readers must see each key
/// at all times, never torn, never older than before.
void grow_under_readers(std::size_t keys, std::size_t long_every, bool through_handles) {
  HotTable table;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < 200; ++i) {
    names.push_back("kept" + std::to_string(i));
    const std::size_t size = i % long_every == 0 ? 100 : 12;
    table.put(names[i], hash_of(names[i]), stamped(1, size));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<std::uint64_t>(t));
      std::vector<std::uint64_t> last(names.size(), 1);
      std::vector<HotHandle> handles(names.size());
      char out[256];
      while (!stop.load(std::memory_order_relaxed)) {
        const std::size_t i = random() % names.size();
        std::uint64_t stamp = 0;
        if (through_handles) {
          const auto shown = [&](std::string_view value, std::uint8_t) { stamp = stamp_of(value); };
          HotHit hit;
          if (random() % 2 == 0) {
            if (table.visit(handles[i], shown)) hit.state = cache::HotState::kHit;
          } else {
            hit = table.find(handles[i], out, sizeof out);
            if (hit) stamp = stamp_of({out, hit.size});
          }
          if (!hit) {
            handles[i] = table.handle(names[i], hash_of(names[i]));
            hit = table.find(names[i], hash_of(names[i]), out, sizeof out);
            if (hit) stamp = stamp_of({out, hit.size});
          }
        } else {
          table.visit(names[i], hash_of(names[i]),
                      [&](std::string_view value, std::uint8_t) { stamp = stamp_of(value); });
        }
        if (stamp == 0 || stamp == ~0ULL || stamp < last[i]) wrong.fetch_add(1);
        last[i] = stamp;
      }
    });
  }
  std::atomic<std::size_t> inserted{0};
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<std::uint64_t>(t) + 7);
      std::uint64_t stamp = 1;
      for (std::size_t i = 0; i < keys; ++i) {
        const std::string other = std::to_string(t) + "-" + std::to_string(i);
        table.put(other, hash_of(other), i % 16 == 0 ? std::string(90, 'v') : "v");
        inserted.fetch_add(1, std::memory_order_relaxed);
        const std::size_t mine = random() % (names.size() / 2) * 2 + static_cast<std::size_t>(t);
        ++stamp;
        table.put(names[mine], hash_of(names[mine]),
                  stamped(stamp, mine % long_every == 0 ? random() % 200 : 12));
      }
    });
  }
  threads[2].join();
  threads[3].join();
  stop.store(true);
  threads[0].join();
  threads[1].join();
  EXPECT_EQ(wrong.load(), 0U);
  EXPECT_EQ(table.size(), inserted.load() + names.size());
}

TEST(HotTableThreads, GrowthStopsNoReader) {
  grow_under_readers(100000 / kSlow, 1000, false);
  grow_under_readers(100000 / kSlow, 3, false);
}

/// More readers than processors, so that some are stopped between the directory and the tags
/// while the first segments of many small tables split. Half of what they look for is at home in
/// one group, so that most of it begins elsewhere and comes home when there is room.
TEST(HotTableThreads, GrowthHidesNoKeyFromAReaderThatIsLate) {
  constexpr std::size_t kTables = 400 / kSlow;
  constexpr std::size_t kKept = 64;
  std::vector<std::unique_ptr<HotTable>> tables;
  std::vector<std::string> names;
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < kKept; ++i) {
    names.push_back("kept" + std::to_string(i));
    hashes.push_back(hash_of(names[i]));
    if (i % 2 == 0) hashes[i] &= ~(0x3fULL << 32);
  }
  for (std::size_t t = 0; t < kTables; ++t) {
    tables.push_back(std::make_unique<HotTable>());
    for (std::size_t i = 0; i < kKept; ++i) tables[t]->put(names[i], hashes[i], "v");
  }
  std::atomic<std::size_t> current{0};
  std::atomic<std::uint64_t> missed{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 6; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937 random(static_cast<std::uint32_t>(t));
      char out[64];
      for (std::size_t at = 0; (at = current.load()) < kTables;) {
        const std::size_t k = random() % kKept;
        for (int i = 0; i < 100; ++i) {
          const bool there =
              i % 2 == 0 ? static_cast<bool>(tables[at]->find(names[k], hashes[k], out, sizeof out))
                         : static_cast<bool>(tables[at]->handle(names[k], hashes[k]));
          if (!there) missed.fetch_add(1);
        }
      }
    });
  }
  for (; current.load() < kTables; current.fetch_add(1)) {
    HotTable& table = *tables[current.load()];
    for (int i = 0; i < 4000; ++i) {
      const std::string key = std::to_string(i);
      table.put(key, hash_of(key), "v");
    }
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(missed.load(), 0U);
}

TEST(HotTableThreads, GrowthLeavesHandlesRightOrStale) {
  grow_under_readers(100000 / kSlow, 3, true);
}

TEST(HotTableThreads, DropsNothingThatTheSinkDoesNotGet) {
  std::mutex mutex;
  std::unordered_map<std::string, std::uint64_t> dropped;  // the latest stamp
  HotTable table({3000, 600000}, [&](const HotEvicted& entry) {
    const std::scoped_lock lock(mutex);
    std::uint64_t& latest = dropped[std::string(entry.key)];
    EXPECT_LT(latest, stamp_of(entry.value)) << "an older value was dropped after a newer one";
    latest = stamp_of(entry.value);
  });
  constexpr std::size_t kKeys = 20000;
  std::array<std::vector<std::uint64_t>, 2> put;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 2; ++t) {
    put[t].resize(kKeys);
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (std::uint64_t i = 1; i < 150000 / kSlow; ++i) {
        const std::size_t k = random() % kKeys;
        const std::string key = std::to_string(t) + ":" + std::to_string(k);
        table.put(key, hash_of(key), stamped(i, k % 5 == 0 ? 300 : 12));
        put[t][k] = i;
      }
    });
  }
  threads.emplace_back([&] {
    std::mt19937_64 random(5);
    while (!stop.load()) {
      const std::string key = "0:" + std::to_string(random() % kKeys);
      table.visit(key, hash_of(key),
                  [&](std::string_view value, std::uint8_t) { EXPECT_NE(stamp_of(value), ~0ULL); });
      if (random() % 20000 == 0) {
        table.set_limits({500 + random() % 4000, 200000 + random() % 500000});
      }
      if (random() % 20000 == 0) {
        table.for_each([&](std::string_view, std::string_view value, std::uint8_t) {
          EXPECT_NE(stamp_of(value), ~0ULL);
        });
      }
    }
  });
  threads[0].join();
  threads[1].join();
  stop.store(true);
  threads[2].join();
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t k = 0; k < kKeys; ++k) {
      if (put[t][k] == 0) continue;
      const std::string key = std::to_string(t) + ":" + std::to_string(k);
      std::uint64_t found = 0;
      table.visit(key, hash_of(key),
                  [&](std::string_view value, std::uint8_t) { found = stamp_of(value); });
      if (found == 0) found = dropped[key];
      ASSERT_EQ(found, put[t][k]) << key;
    }
  }
}

TEST(HotTableThreads, UpdatesLoseNoCount) {
  HotTable table;
  std::vector<std::thread> threads;
  constexpr int kEach = 50000 / kSlow;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        table.update("count", hash_of("count"), [](HotEdit& edit) {
          const std::uint64_t now = edit.old ? stamp_of(*edit.old) : 0;
          edit.action = HotEdit::Action::kStore;
          edit.value = stamped(now + 1, 8 + now % 2 * 60);
        });
        if (i % 10 == 0) {
          const std::string other = std::to_string(t) + "/" + std::to_string(i);
          table.put(other, hash_of(other), "v");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::uint64_t count = 0;
  table.visit("count", hash_of("count"),
              [&](std::string_view value, std::uint8_t) { count = stamp_of(value); });
  EXPECT_EQ(count, 3U * kEach);
}

TEST(HotTableThreads, APinnedViewOutlivesItsEntry) {
  HotTable table;
  const std::string value(1000, 'v');
  table.put("a", hash_of("a"), value);
  std::atomic<int> state{0};
  std::thread writer([&] {
    while (state.load() == 0) std::this_thread::yield();
    for (int i = 0; i < 500; ++i) table.put("a", hash_of("a"), std::string(1000, 'w'));
    table.erase("a", hash_of("a"));
    for (int i = 0; i < 500; ++i) table.put("b", hash_of("a"), std::string(1000, 'x'));
    state.store(2);
  });
  ASSERT_TRUE(table.visit("a", hash_of("a"), [&](std::string_view seen, std::uint8_t) {
    state.store(1);
    while (state.load() != 2) std::this_thread::yield();
    EXPECT_EQ(seen, value);
  }));
  writer.join();
  EXPECT_GT(table.retired_bytes(), 900000U);  // they waited for the view
  for (int i = 0; i < 3000; ++i) table.put("b", hash_of("a"), std::string(1000, 'y'));
  EXPECT_LT(table.retired_bytes(), 900000U);
}

TEST(HotTableThreads, ClearDropsWhatWasThereBefore) {
  HotTable table;
  std::atomic<std::uint64_t> cleared{0};  // what was put with a smaller stamp is gone
  std::atomic<std::uint64_t> next{1};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    std::mt19937_64 random(1);
    while (!stop.load()) {
      const std::string key = std::to_string(random() % 3000);
      const std::uint64_t generation = table.generation();
      const std::uint64_t stamp = next.load();
      table.put_if_absent(key, hash_of(key), stamped(stamp, random() % 2 * 70), 0, generation);
    }
  });
  threads.emplace_back([&] {
    std::mt19937_64 random(2);
    std::vector<HotHandle> handles(3000);
    char out[128];
    while (!stop.load()) {
      const std::size_t i = random() % handles.size();
      const std::string key = std::to_string(i);
      const std::uint64_t least = cleared.load();
      HotHit hit = table.find(handles[i], out, sizeof out);
      if (!hit) {
        hit = table.find(key, hash_of(key), out, sizeof out);
        handles[i] = table.handle(key, hash_of(key));
      }
      if (!hit) continue;
      const std::uint64_t stamp = stamp_of({out, hit.size});
      if (stamp == ~0ULL || stamp < least) wrong.fetch_add(1);
    }
  });
  for (int i = 0; i < 3000 / kSlow; ++i) {
    const std::uint64_t stamp = next.fetch_add(1) + 1;
    table.clear();
    cleared.store(stamp);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

/// What was put before an erase_hash() is not seen after it, though other writers are at the key.
TEST(HotTableThreads, ErasesByHashWhatWasThereBefore) {
  HotTable table({2000, 1 << 24});
  constexpr std::size_t kKeys = 50;
  std::array<std::atomic<std::uint64_t>, kKeys> erased{};  // older stamps are gone
  std::atomic<std::uint64_t> next{1};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kKeys; ++i) names.push_back("shared" + std::to_string(i));
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    std::mt19937_64 random(1);
    for (std::uint64_t i = 0; !stop.load(); ++i) {
      const std::string& name = names[random() % kKeys];
      table.put(name, hash_of(name), stamped(next.fetch_add(1) + 1, random() % 2 * 70));
      const std::string other = std::to_string(i);
      table.put(other, hash_of(other), "v");
    }
  });
  threads.emplace_back([&] {
    std::mt19937_64 random(2);
    while (!stop.load()) {
      const std::size_t k = random() % kKeys;
      const std::uint64_t least = erased[k].load();
      table.visit(names[k], hash_of(names[k]), [&](std::string_view value, std::uint8_t) {
        const std::uint64_t stamp = stamp_of(value);
        if (stamp == ~0ULL || stamp < least) wrong.fetch_add(1);
      });
    }
  });
  std::mt19937_64 random(3);
  while (next.load() < 50000 / kSlow) {
    const std::size_t k = random() % kKeys;
    // The one writer has put all stamps that are smaller.
    const std::uint64_t before = next.load();
    table.erase_hash(hash_of(names[k]));
    erased[k].store(before);
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(HotTableThreads, ForkAmidWritersLeavesAUsableChild) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not support threads after a fork with threads";
#endif
  GRAVEN_FORKS_AMID_THREADS();
  HotTable table({20000, 4000000});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<std::uint64_t>(t));
      while (!stop.load()) {
        const std::string key = std::to_string(random() % 50000);
        table.put(key, hash_of(key), std::string(random() % 100, 'v'));
        table.visit(key, hash_of(key), [](std::string_view, std::uint8_t) {});
      }
    });
  }
  for (int round = 0; round < 30; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      table.child_after_fork();
      for (int i = 0; i < 3000; ++i) {
        const std::string key = std::to_string(i);
        table.put(key, hash_of(key), std::string(100, 'c'));
      }
      bool good = table.size() == 3000;
      table.visit("7", hash_of("7"), [&](std::string_view value, std::uint8_t) {
        good = good && value == std::string(100, 'c');
      });
      ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(status, 0);
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace graven::test
