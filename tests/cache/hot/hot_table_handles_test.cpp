// SPDX-License-Identifier: MIT
//
// The hot table's batches, and handles that remember where an entry is.
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cache/hot/hot_table.hpp"
#include "stamps.hpp"

namespace graven::test {
namespace {

using cache::HotHandle;
using cache::HotHit;
using cache::HotItem;
using cache::HotKey;
using cache::HotState;
using cache::HotTable;

TEST(TheHotTable, LooksUpManyAtOnce) {
  HotTable table;
  std::mt19937_64 random(9);
  for (const std::size_t count : {0, 1, 15, 17, 63, 64, 65, 128, 129, 1000}) {
    std::vector<std::string> keys;
    std::vector<std::string> values;
    std::vector<HotItem> items;
    for (std::size_t i = 0; i < count; ++i) {
      keys.push_back("batch" + std::to_string(i));
      values.push_back(std::string(random() % 80, static_cast<char>('a' + i % 26)));
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 3 != 0) items.push_back({keys[i], values[i], hash_of(keys[i]), 7});
      if (i % 3 == 0) table.erase(keys[i], hash_of(keys[i]));
    }
    table.put_many(items);
    std::vector<HotKey> wanted;
    std::vector<HotHandle> handles;
    for (const std::string& key : keys) {
      wanted.push_back({key, hash_of(key)});
      handles.push_back(table.handle(key, hash_of(key)));
    }
    std::vector<HotHit> hits(count + 1);
    for (const std::size_t stride : {100, 48, 20, 16, 7}) {
      std::vector<char> out(count * stride + 1);
      for (const bool by_handle : {false, true}) {
        if (by_handle) {
          table.find_many(handles, out.data(), stride, hits.data());
        } else {
          table.find_many(wanted, out.data(), stride, hits.data());
        }
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_EQ(static_cast<bool>(hits[i]), i % 3 != 0);
          if (i % 3 == 0) continue;
          ASSERT_EQ(std::string(&out[i * stride], std::min<std::size_t>(stride, hits[i].size)),
                    values[i].substr(0, stride));
          ASSERT_EQ(hits[i].size, values[i].size());
          ASSERT_EQ(hits[i].kind, 7);
        }
        ASSERT_EQ(out.back(), '\0');
      }
    }
  }
}

TEST(TheHotTable, HandlesKnowWhenTheyAreStale) {
  HotTable table({5000, 1 << 24});
  char out[200];
  put(table, "a", "1");
  const HotHandle handle = table.handle("a", hash_of("a"));
  ASSERT_TRUE(table.find(handle, out, sizeof out));
  put(table, "a", std::string(100, 'l'));  // elsewhere, but still the entry
  EXPECT_EQ(table.find(handle, out, sizeof out).size, 100U);
  put(table, "a", "2");
  EXPECT_EQ(table.find(handle, out, sizeof out).size, 1U);
  EXPECT_EQ(out[0], '2');
  table.erase("a", hash_of("a"));
  EXPECT_EQ(table.find(handle, out, sizeof out).state, HotState::kStale);
  put(table, "a", "3");
  EXPECT_EQ(table.find(handle, out, sizeof out).state, HotState::kStale);
  EXPECT_EQ(table.find(HotHandle{}, out, sizeof out).state, HotState::kStale);
  EXPECT_FALSE(table.handle("none", hash_of("none")));

  // Through growth and eviction: stale or right, never wrong.
  std::vector<std::pair<std::string, HotHandle>> handles;
  int stale = 0;
  int right = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string key = std::to_string(i);
    put(table, key, "v" + key);
    handles.emplace_back(key, table.handle(key, hash_of(key)));
    const auto& [old_key, old] = handles[static_cast<std::size_t>(i) / 2];
    const HotHit hit = table.find(old, out, sizeof out);
    (hit ? right : stale) += 1;
    if (hit) {
      ASSERT_EQ(std::string(out, hit.size), "v" + old_key);
    }
  }
  EXPECT_GT(right, 1000);
  EXPECT_GT(stale, 1000);
  const HotHandle last = table.handle("19999", hash_of("19999"));
  ASSERT_TRUE(last);
  table.clear();
  EXPECT_EQ(table.find(last, out, sizeof out).state, HotState::kStale);
}

TEST(TheHotTable, ShowsAValueThroughItsHandle) {
  HotTable table;
  int shown = 0;
  for (const std::size_t key_size : {0, 7, 12, 39, 41, 100}) {
    const std::string key(key_size, 'k');
    put(table, key, "");
    const HotHandle handle = table.handle(key, hash_of(key));
    ASSERT_TRUE(handle);
    for (const std::size_t size : {0, 1, 8, 12, 16, 17, 40, 48, 49, 1000, 3}) {
      const std::string value(size, static_cast<char>('a' + size % 26));
      put(table, key, value, static_cast<std::uint8_t>(size));
      ASSERT_TRUE(table.visit(handle,
                              [&](std::string_view seen, std::uint8_t kind) {
                                EXPECT_EQ(seen, value);
                                EXPECT_EQ(kind, static_cast<std::uint8_t>(size));
                                ++shown;
                              }))
          << key_size << "/" << size;
    }
    table.erase(key, hash_of(key));
    EXPECT_FALSE(table.visit(handle, [](std::string_view, std::uint8_t) { ADD_FAILURE(); }));
  }
  EXPECT_EQ(shown, 6 * 11);
  EXPECT_FALSE(table.visit(HotHandle{}, [](std::string_view, std::uint8_t) { ADD_FAILURE(); }));
  for (const std::size_t size : {12, 100}) {
    put(table, "old", std::string(size, 'o'));
    const HotHandle handle = table.handle("old", hash_of("old"));
    table.clear();
    put(table, "old", std::string(size, 'n'));
    EXPECT_FALSE(table.visit(handle, [](std::string_view, std::uint8_t) { ADD_FAILURE(); }));
  }
}

}  // namespace
}  // namespace graven::test
