// SPDX-License-Identifier: MIT
//
// Maps killed at random moments. A lazy one's file holds a state the map once had: all of the first
// n writes, batches whole, and nothing of later ones, n no less than what a flush() had returned
// for. A writethrough one's holds exactly what was acknowledged, and perhaps the write under way.
//
// GRAVEN_KILLS sets the number of kills (300), GRAVEN_SEED repeats a run.
#include <graven/graven.hpp>

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// What the child tells as it goes on.
struct Told {
  std::atomic<std::int64_t> acknowledged;
  std::atomic<std::int64_t> flushed;
};

constexpr int kKeys = 40;

/// Write number i, on a map and on the model alike.
template <class Batch, class Erase>
void write(std::int64_t i, const Batch& batch, const Erase& erase) {
  if (i % 7 == 0) return erase("k" + std::to_string(i * 3 % kKeys));
  std::vector<std::pair<std::string, std::int64_t>> entries{{"k" + std::to_string(i % kKeys), i}};
  if (i % 3 == 0) {
    for (int extra = 0; extra < 10; ++extra) {
      entries.emplace_back("batch" + std::to_string(extra), i);
    }
  }
  batch(entries);
}

using Model = std::map<std::string, std::int64_t>;

Model after(std::int64_t count) {
  Model model;
  for (std::int64_t i = 1; i <= count; ++i) {
    write(
        i,
        [&](const auto& entries) {
          for (const auto& [key, value] : entries) model[key] = value;
        },
        [&](const std::string& key) { model.erase(key); });
  }
  return model;
}

Model contents(const Map& map) {
  Model model;
  const auto cursor = map.cursor();
  Data value;
  for (std::string key; cursor->next(key, &value);) model[key] = value.get<std::int64_t>();
  return model;
}

class MapKill : public testing::TestWithParam<Persist> {};

TEST_P(MapKill, TheFileIsAStateTheMapHad) {
  const std::uint64_t kills = from_environment("GRAVEN_KILLS", 300);
  const std::uint64_t seed = from_environment("GRAVEN_SEED", std::random_device{}());
  std::mt19937_64 random(seed);
  SCOPED_TRACE("repeat with GRAVEN_SEED=" + std::to_string(seed));
  void* shared =
      ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* told = new (shared) Told;

  std::uint64_t written = 0;
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    const TemporaryFolder folder;
    MapOptions options;
    options.persist = GetParam();
    options.hot_capacity = 8;
    options.flush_interval = std::chrono::milliseconds(1 + random() % 3);
    told->acknowledged = 0;
    told->flushed = 0;
    {
      Child child([&](const Reporter& reporter) {
        const Map map(folder / "m.db", options);
        reporter.say("open");
        for (std::int64_t i = 1;; ++i) {
          write(
              i,
              [&](const auto& entries) {
                std::vector<std::pair<std::string, Data>> data(entries.begin(), entries.end());
                map.update(data);
              },
              [&](const std::string& key) { map.erase(key); });
          told->acknowledged = i;
          if (i % 97 == 0) {
            map.flush();
            told->flushed = i;
          }
        }
        return true;
      });
      ASSERT_EQ(child.line(), "open");
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 12'000));
      child.kill();
    }
    const std::int64_t acknowledged = told->acknowledged;
    const Map map(folder / "m.db");
    const Model found = contents(map);
    ASSERT_EQ(map.size(), found.size());
    // The highest value tells how far it got, but for erasures that followed.
    std::int64_t count = 0;
    for (const auto& [key, value] : found) count = std::max(count, value);
    const std::int64_t least = GetParam() == Persist::kLazy ? told->flushed.load() : acknowledged;
    count = std::max(count, least);
    bool is_a_state = false;
    for (std::int64_t n = count; n <= std::min(count + 2, acknowledged + 1); ++n) {
      is_a_state = is_a_state || found == after(n);
    }
    ASSERT_TRUE(is_a_state) << "after kill " << kill << ": " << acknowledged
                            << " acknowledged, highest value " << count;
    written += static_cast<std::uint64_t>(acknowledged);
  }
  EXPECT_GT(written, kills * 10) << "the kills came too early to test anything";
  ::munmap(shared, sizeof(Told));
}

INSTANTIATE_TEST_SUITE_P(Modes, MapKill, testing::Values(Persist::kWritethrough, Persist::kLazy),
                         [](const auto& mode) {
                           return mode.param == Persist::kLazy ? "Lazy" : "Writethrough";
                         });

}  // namespace
}  // namespace graven::test
