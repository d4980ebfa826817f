// SPDX-License-Identifier: MIT
//
// The warm file with several threads: nothing torn, nothing of another key, nothing older than
// what was put, erased or cleared before; fork() amid writers. Most of what it is worth it shows
// under ThreadSanitizer.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "base/forks.hpp"
#include "base/random.hpp"
#include "cache/hot/stamps.hpp"
#include "cache/warm_file.hpp"

namespace graven::test {
namespace {

using cache::WarmFile;

constexpr std::size_t kKeys = 400;
constexpr std::size_t kWriters = 2;

/// A value's number: which key, how often it was cleared before, which of the key's values.
std::uint64_t number(std::uint64_t key, std::uint64_t clears, std::uint64_t version) {
  return key << 52 | clears << 32 | version;
}

struct Shared {
  explicit Shared(const std::string& path) : warm(path, WarmFile::kMinBytes) {}

  WarmFile warm;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> truth{0};    // grows before a clear()
  std::atomic<std::uint64_t> cleared{0};  // truth when the last clear() that has returned began
  std::array<std::atomic<std::uint64_t>, kKeys> least{};  // no lower version may be seen
};

std::string name(std::size_t key) { return "key " + std::to_string(key); }

/// One look at a key, and what must be so of it.
void look(Shared& shared, std::size_t key, std::string& value, std::uint64_t* found) {
  const std::uint64_t least = shared.least[key].load();
  const std::uint64_t cleared = shared.cleared.load();
  std::uint8_t kind = 0;
  if (!shared.warm.find(name(key), hash_of(name(key)), value, kind)) return;
  ++*found;
  const std::uint64_t stamp = stamp_of(value);
  ASSERT_NE(stamp, ~0ULL) << "torn";
  ASSERT_EQ(stamp >> 52, key) << "of another key";
  ASSERT_EQ(kind, static_cast<std::uint8_t>(stamp)) << "of another value";
  ASSERT_GE(stamp & 0xffffffff, least) << "of before";
  ASSERT_GE(stamp >> 32 & 0xfffff, cleared) << "of before a clear()";
}

/// Puts and erases keys that no other thread does.
void write(Shared& shared, std::size_t writer, std::uint64_t seed, int operations) {
  Random random(seed);
  std::array<std::uint32_t, kKeys> versions{};
  for (int i = 0; i < operations; ++i) {
    const std::size_t key = random.below(kKeys / kWriters) * kWriters + writer;
    const std::string named = name(key);
    if (random.one_in(8)) {
      shared.warm.erase(hash_of(named));
      shared.least[key] = ++versions[key];
      continue;
    }
    const std::uint64_t generation = shared.warm.generation();
    const std::uint32_t version = ++versions[key];
    const std::uint64_t stamp = number(key, shared.truth.load(), version);
    const std::size_t size = random.one_in(50) ? 9000 : random.below(300);
    const bool kept = shared.warm.put(named, hash_of(named), stamped(stamp, size),
                                      static_cast<std::uint8_t>(stamp), generation);
    ASSERT_FALSE(kept && size == 9000);
    // Also if it was refused: nobody else puts the key, so none of a later clear() is there.
    shared.least[key] = version;
  }
}

TEST(TheWarmFileInThreads, ShowsNothingTornNorOld) {
  Random random;
  const TemporaryFolder folder;
  Shared shared(folder / "warm");
  std::vector<std::thread> threads;
  std::vector<std::uint64_t> found(2);
  for (std::uint64_t& count : found) {
    threads.emplace_back([&shared, &count, seed = random.bits()] {
      Random mine(seed);
      std::string value;
      while (!shared.stop) look(shared, mine.below(kKeys), value, &count);
    });
  }
  threads.emplace_back([&shared] {
    while (!shared.stop) {
      const std::uint64_t now = ++shared.truth;
      shared.warm.clear();
      shared.cleared = now;
      const auto stats = shared.warm.stats();
      EXPECT_LE(stats.entries, kKeys);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::vector<std::thread> writers;
  for (std::size_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back(
        [&shared, writer, seed = random.bits()] { write(shared, writer, seed, 400'000 / kSlow); });
  }
  for (std::thread& thread : writers) thread.join();
  shared.stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(found[0] + found[1], 0U);
}

TEST(TheWarmFileInThreads, LeavesAForkedChildNothingToWaitFor) {
  GRAVEN_FORKS_AMID_THREADS();
  const TemporaryFolder folder;
  WarmFile warm(folder / "warm", WarmFile::kMinBytes);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; !stop; ++i) {
        const std::string key = std::to_string(i % 3000);
        warm.put(key, hash_of(key), stamped(i, 500), 0, warm.generation());
      }
    });
  }
  for (int i = 0; i < 40; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      warm.child_after_fork();
      std::string value;
      std::uint8_t kind = 0;
      bool good = true;
      for (int key = 0; key < 100; ++key) {
        const std::uint64_t hash = hash_of(std::to_string(key));
        good = good && !warm.put(std::to_string(key), hash, "child's", 0, 0) &&
               !warm.find(std::to_string(key), hash, value, kind) && !warm.erase(hash);
      }
      good = good && warm.stats().entries == 0;
      warm.~WarmFile();
      ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(warm.stats().entries, 0U);
}

}  // namespace
}  // namespace graven::test
