// SPDX-License-Identifier: MIT
//
// The hot table alone: against a plain map with tiny bounds, one entry of every size, generations,
// changed limits, fork(). Batches and handles are in hot_table_handles_test.cpp, threads in
// hot_table_threads_test.cpp.
#include "cache/hot/hot_table.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "cache/hot/hot_eviction.hpp"
#include "cache/hot/stamps.hpp"

namespace graven::test {
namespace {

using cache::HotEdit;
using cache::HotEvicted;
using cache::HotHandle;
using cache::HotHit;
using cache::HotLimits;
using cache::HotState;
using cache::HotTable;

std::optional<std::string> get(const HotTable& table, std::string_view key) {
  std::optional<std::string> value;
  table.visit(key, hash_of(key), [&](std::string_view seen, std::uint8_t) { value = seen; });
  char out[300];
  const HotHit hit = table.find(key, hash_of(key), out, sizeof out);
  EXPECT_EQ(static_cast<bool>(hit), value.has_value());
  if (value) {
    EXPECT_EQ(hit.size, value->size());
    EXPECT_EQ(std::string(out, std::min(sizeof out, value->size())), value->substr(0, sizeof out));
  }
  return value;
}

std::string bytes_of(std::mt19937_64& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(TheHotTable, KeepsEverySize) {
  HotTable table;
  std::mt19937_64 random(5);
  std::map<std::string, std::string> model;
  for (std::size_t key_size = 0; key_size <= 70; ++key_size) {
    for (std::size_t value_size = 0; value_size <= 70; ++value_size) {
      std::string key = bytes_of(random, key_size);
      if (key_size >= 2) {
        key[0] = static_cast<char>(value_size);
        key[1] = static_cast<char>(key_size);
      }
      const std::string value = bytes_of(random, value_size);
      put(table, key, value, static_cast<std::uint8_t>(value_size));
      model[key] = value;
      ASSERT_EQ(get(table, key), value) << key_size << "/" << value_size;
    }
  }
  EXPECT_EQ(table.size(), model.size());
  for (const auto& [key, value] : model) ASSERT_EQ(get(table, key), value);
  // Every change of size in place.
  for (const std::size_t key_size : {0, 5, 8, 16, 39, 40, 41, 47, 48, 49, 63, 64, 127, 128}) {
    const std::string key = "k" + std::string(key_size == 0 ? 0 : key_size - 1, 'x');
    for (int i = 0; i < 400; ++i) {
      const std::string value = bytes_of(random, random() % 60);
      put(table, key, value, static_cast<std::uint8_t>(i));
      ASSERT_EQ(get(table, key), value);
    }
  }
}

TEST(TheHotTable, CutsOffWhatDoesNotFitTheBuffer) {
  HotTable table;
  put(table, "short", "0123456789", 3);
  put(table, "long", std::string(100, 'l'), 4);
  for (const char* key : {"short", "long"}) {
    char out[5] = {'?', '?', '?', '?', '?'};
    const HotHit hit = table.find(key, hash_of(key), out, 4);
    EXPECT_TRUE(hit);
    EXPECT_EQ(hit.size, key[0] == 's' ? 10U : 100U);
    EXPECT_EQ(std::string(out, 5), key[0] == 's' ? "0123?" : "llll?");
    const HotHandle handle = table.handle(key, hash_of(key));
    EXPECT_TRUE(table.find(handle, out, 4));
    EXPECT_EQ(out[4], '?');
    EXPECT_TRUE(table.find(key, hash_of(key), nullptr, 0));
  }
}

// Each operation against a model; what is dropped is in the sink, and nothing else is missing.
void run_against_model(std::uint64_t seed, HotLimits limits, std::size_t keys, int operations,
                       bool bad_hash) {
  std::mt19937_64 random(seed);
  std::unordered_map<std::string, std::pair<std::string, std::uint8_t>> model;
  std::unordered_map<std::string, std::pair<std::string, std::uint8_t>> dropped;
  HotTable table(limits, [&](const HotEvicted& entry) {
    const std::string key(entry.key);
    ASSERT_TRUE(model.contains(key)) << "dropped what was not there, seed " << seed;
    ASSERT_EQ(model[key].first, entry.value) << "seed " << seed;
    ASSERT_EQ(model[key].second, entry.kind);
    ASSERT_TRUE(dropped.emplace(key, model[key]).second) << "dropped twice, seed " << seed;
  });
  for (int i = 0; i < operations; ++i) {
    std::string key = "key" + std::to_string(random() % keys);
    if (random() % 8 == 0) key += std::string(45, '+');
    const std::uint64_t hash = bad_hash ? hash_of(key) >> 50 << 44 : hash_of(key);
    const auto known = model.find(key);
    const bool here = known != model.end() && !dropped.contains(key);
    const std::string value = bytes_of(random, random() % 6 == 0 ? random() % 900 : random() % 40);
    const auto kind = static_cast<std::uint8_t>(random());
    switch (random() % 16) {
      default: {
        std::optional<std::string> found;
        std::uint8_t found_kind = 0;
        table.visit(key, hash, [&](std::string_view bytes, std::uint8_t with) {
          found = bytes;
          found_kind = with;
        });
        ASSERT_EQ(found.has_value(), here) << "seed " << seed << " operation " << i;
        if (here) {
          ASSERT_EQ(*found, known->second.first) << "seed " << seed << " operation " << i;
          ASSERT_EQ(found_kind, known->second.second);
        }
        break;
      }
      case 1:
      case 2:
      case 3:
      case 4: {
        // The model first: the new entry itself may be dropped by the call that puts it.
        dropped.erase(key);
        model[key] = {value, kind};
        table.put(key, hash, value, kind);
        break;
      }
      case 5: {
        if (!here) {
          dropped.erase(key);
          model[key] = {value, kind};
        }
        ASSERT_EQ(table.put_if_absent(key, hash, value, kind, table.generation()), !here);
        break;
      }
      case 6: {
        ASSERT_EQ(table.erase(key, hash), here) << "seed " << seed << " operation " << i;
        dropped.erase(key);
        model.erase(key);
        break;
      }
      case 7: {
        int asked = 0;
        const bool remove = random() % 4 == 0;
        const std::optional<std::string> old =
            here ? std::optional(known->second.first) : std::nullopt;
        std::string stored = old.value_or("") + "+";
        if (stored.size() > 2000) stored.resize(3);
        dropped.erase(key);
        if (remove) {
          model.erase(key);
        } else {
          model[key] = {stored, kind};
        }
        table.update(key, hash, [&](HotEdit& edit) {
          ++asked;
          ASSERT_EQ(edit.old, old) << "seed " << seed << " operation " << i;
          edit.action = remove ? HotEdit::Action::kErase : HotEdit::Action::kStore;
          edit.value = stored;
          edit.kind = kind;
        });
        ASSERT_EQ(asked, 1);
        break;
      }
      case 8:
        if (random() % 500 == 0) {
          table.clear();
          model.clear();
          dropped.clear();
        }
        break;
      case 9:
        if (random() % 300 == 0) {
          const HotLimits other{1 + random() % (2 * keys), 70000 + random() % 2000000};
          table.set_limits(random() % 2 == 0 ? other : limits);
        }
        break;
    }
    ASSERT_EQ(table.size(), model.size() - dropped.size()) << "seed " << seed << " op " << i;
  }
  std::size_t shown = 0;
  table.for_each([&](std::string_view key, std::string_view value, std::uint8_t kind) {
    ++shown;
    const std::string name(key);
    ASSERT_FALSE(dropped.contains(name));
    ASSERT_EQ(model[name].first, value);
    ASSERT_EQ(model[name].second, kind);
  });
  EXPECT_EQ(shown, model.size() - dropped.size()) << "seed " << seed;
}

TEST(TheHotTable, LosesNothingWithoutBounds) {
  run_against_model(seed_of_test(), {}, 5000, 60000, false);
}

TEST(TheHotTable, ShowsTheSinkAllItDrops) {
  const std::uint64_t seed = seed_of_test();
  run_against_model(seed, {10, 1 << 20}, 50, 30000, false);
  run_against_model(seed + 1, {1, 1 << 20}, 20, 5000, false);
  run_against_model(seed + 2, {1500, 1 << 22}, 5000, 60000, false);
  run_against_model(seed + 3, {1 << 20, 200000}, 5000, 60000, false);
  run_against_model(seed + 4, {1 << 20, 80000}, 5000, 60000, false);
}

TEST(TheHotTable, BearsHashesThatAreAlike) {
  run_against_model(seed_of_test(), {1 << 20, 1 << 22}, 4000, 40000, true);
  HotTable table;
  for (int i = 0; i < 3000; ++i) table.put(std::to_string(i), 42, "v");
  EXPECT_LE(table.size(), 960U);
  EXPECT_GE(table.size(), 800U);
}

TEST(TheHotTable, KeepsBothBounds) {
  HotTable table({2000, 400000});
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    put(table, std::to_string(random() % 9000), std::string(random() % 700, 'v'));
    ASSERT_LE(table.bytes(), 400000U);
    if (i % 100 == 0) {
      ASSERT_LE(table.size(), 2000U);
    }
  }
  EXPECT_GT(table.bytes(), 300000U);
  EXPECT_LT(table.retired_bytes(), 1000000U);
  table.set_limits({50, 100000});
  EXPECT_LE(table.size(), 50U);
  EXPECT_LE(table.bytes(), 100000U);
  table.set_limits({});
  for (int i = 0; i < 20000; ++i) put(table, std::to_string(i), "v");
  EXPECT_EQ(table.size() >= 20000U, true);
}

TEST(TheHotTable, SurvivesAScan) {
  HotTable table({800, 1 << 20});
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 400; ++i) {
      const std::string key = "hot" + std::to_string(i);
      if (!get(table, key)) put(table, key, "v");
    }
  }
  for (int i = 0; i < 100000; ++i) put(table, "scan" + std::to_string(i), "v");
  int left = 0;
  for (int i = 0; i < 400; ++i) left += get(table, "hot" + std::to_string(i)) ? 1 : 0;
  EXPECT_GT(left, 300);
}

// A key goes to its own group where that has room: what was dropped last is to be all over the
// segment, not in one part of it.
TEST(TheHotTable, DropsFromAllGroupsInTurn) {
  const auto segment = std::make_unique<cache::hot::Segment>();
  for (std::size_t line = 0; line < cache::hot::kLines; ++line) {
    segment->count.fetch_add(1);
    cache::hot::eviction_entered(*segment, line, 0x9e3779b97f4a7c15U * (line + 1));
  }
  std::set<std::size_t> dropped;
  for (std::size_t round = 0; round < cache::hot::kLinesPerGroup; ++round) {
    std::set<std::size_t> groups;
    for (std::size_t i = 0; i < cache::hot::kGroups; ++i) {
      const std::size_t line = cache::hot::eviction_pick(
          *segment, [](std::size_t) { return cache::hot::Verdict::kDrop; });
      ASSERT_LT(line, cache::hot::kLines);
      cache::hot::eviction_left(*segment, line);
      segment->count.fetch_sub(1);
      groups.insert(line / cache::hot::kLinesPerGroup);
      dropped.insert(line);
    }
    EXPECT_EQ(groups.size(), cache::hot::kGroups);
  }
  EXPECT_EQ(dropped.size(), cache::hot::kLines);
}

TEST(TheHotTable, ErasesByHashAlone) {
  HotTable table;
  for (int i = 0; i < 3000; ++i) put(table, std::to_string(i), std::string(i % 90, 'v'));
  EXPECT_FALSE(table.erase_hash(hash_of("none")));
  EXPECT_EQ(table.size(), 3000U);
  for (int i = 0; i < 3000; i += 2) EXPECT_TRUE(table.erase_hash(hash_of(std::to_string(i))));
  EXPECT_TRUE(table.erase_hash(hash_of("7")));
  EXPECT_FALSE(table.erase_hash(hash_of("7")));
  EXPECT_EQ(table.size(), 1499U);
  for (int i = 0; i < 3000; ++i) {
    EXPECT_EQ(get(table, std::to_string(i)).has_value(), i % 2 != 0 && i != 7) << i;
  }
  // All of a hash, of which one group can't hold them, and none that only looks alike.
  const std::uint64_t hash = hash_of("same");
  const std::uint64_t alike = hash ^ 1ULL << 30;
  for (int i = 0; i < 40; ++i) {
    table.put("same" + std::to_string(i), hash, std::string(i % 2 * 60, 's'));
    table.put("alike" + std::to_string(i), alike, "a");
  }
  EXPECT_TRUE(table.erase_hash(hash));
  EXPECT_FALSE(table.erase_hash(hash));
  EXPECT_EQ(table.size(), 1499U + 40U);
  for (int i = 0; i < 40; ++i) {
    char out[64];
    EXPECT_FALSE(table.find("same" + std::to_string(i), hash, out, sizeof out));
    EXPECT_TRUE(table.find("alike" + std::to_string(i), alike, out, sizeof out));
  }
}

TEST(TheHotTable, ClearsAtOnceAndRefusesOldFills) {
  HotTable table({1 << 20, 1 << 22});
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t generation = table.generation();
    for (int i = 0; i < 3000; ++i) {
      put(table, std::to_string(i), std::string(i % 90, 'v'));
    }
    table.clear();
    EXPECT_EQ(table.size(), 0U);
    EXPECT_EQ(table.generation(), generation + 1);
    EXPECT_FALSE(get(table, "17"));
    EXPECT_FALSE(table.put_if_absent("17", hash_of("17"), "old", 0, generation));
    EXPECT_FALSE(get(table, "17"));
    EXPECT_TRUE(table.put_if_absent("17", hash_of("17"), "new", 0, generation + 1));
    ASSERT_LE(table.bytes(), std::size_t{1} << 22);
  }
}

TEST(TheHotTable, LeavesAnEntryAloneWhoseUpdateThrows) {
  HotTable table;
  put(table, "a", "1");
  for (const char* key : {"a", "new"}) {
    EXPECT_THROW(table.update(key, hash_of(key), [](HotEdit&) { throw std::runtime_error("no"); }),
                 std::runtime_error);
  }
  EXPECT_EQ(get(table, "a"), "1");
  put(table, "a", "2");
  EXPECT_EQ(get(table, "a"), "2");
  EXPECT_EQ(table.size(), 1U);
}

TEST(TheHotTable, IsEmptyInAForkedChild) {
  HotTable table;
  for (int i = 0; i < 5000; ++i) put(table, std::to_string(i), std::string(i % 100, 'v'));
  const HotHandle handle = table.handle("7", hash_of("7"));
  const pid_t child = ::fork();
  if (child == 0) {
    table.child_after_fork();
    char out[64];
    bool good = table.size() == 0 && !get(table, "7") &&
                table.find(handle, out, sizeof out).state == HotState::kStale;
    for (int i = 0; i < 5000; ++i) put(table, std::to_string(i), std::string(i % 100, 'c'));
    good = good && table.size() == 5000 && get(table, "99") == std::string(99, 'c');
    table.clear();
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(table.size(), 5000U);
  EXPECT_EQ(get(table, "99"), std::string(99, 'v'));
}

}  // namespace
}  // namespace graven::test
