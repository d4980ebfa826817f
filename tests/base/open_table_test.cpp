// SPDX-License-Identifier: MIT
//
// Open addressing against an ordered map: whatever the hashes are, what was entered is found, and
// nothing else.
#include "base/open_table.hpp"

#include <cstdint>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace graven::test {
namespace {

using Table = base::OpenTable<std::uint32_t>;

TEST(OpenTable, HasNothingBeforeItHasSlots) {
  Table table;
  const auto any = [](std::uint32_t) { return true; };
  EXPECT_EQ(table.size(), 0U);
  EXPECT_EQ(table.find(1, any), nullptr);
  EXPECT_EQ(table.place(1, any), nullptr);
  table.expect(1);
}

TEST(OpenTable, FindsWhatWasEnteredAndNothingElse) {
  Random random;
  for (int round = 0; round < 200; ++round) {
    // Slots say where an entry is, counted from 1; many keys have one hash.
    std::vector<std::uint64_t> keys;
    std::map<std::uint64_t, std::uint32_t> model;
    const std::uint64_t hashes = 1 + random.below(round % 2 == 0 ? 4 : 1000);
    const auto hash_of = [&](std::uint64_t key) { return key % hashes * 0x9e3779b97f4a7c15ULL; };
    const auto is = [&](std::uint64_t key) {
      return [&keys, key](std::uint32_t slot) { return keys[slot - 1] == key; };
    };
    Table table;
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t key = random.below(400);
      const auto known = model.find(key);
      const std::uint32_t* found = table.find(hash_of(key), is(key));
      ASSERT_EQ(found != nullptr, known != model.end());
      if (found != nullptr) {
        ASSERT_EQ(*found, known->second);
        ASSERT_EQ(table.place(hash_of(key), is(key)), found);
        continue;
      }
      if (2 * (keys.size() + 1) > table.size()) {
        table.grow(8, [&](std::uint32_t slot) { return hash_of(keys[slot - 1]); });
      }
      keys.push_back(key);
      const auto number = static_cast<std::uint32_t>(keys.size());
      model.emplace(key, number);
      if (random.one_in(2)) {
        table.enter(hash_of(key), number);
      } else {
        *table.place(hash_of(key), is(key)) = number;
      }
    }
    ASSERT_EQ(table.size() & (table.size() - 1), 0U);
    table.reset(16);
    ASSERT_EQ(table.size(), 16U);
    ASSERT_EQ(table.find(hash_of(keys[0]), is(keys[0])), nullptr);
  }
}

}  // namespace
}  // namespace graven::test
