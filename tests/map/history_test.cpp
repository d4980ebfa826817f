// SPDX-License-Identifier: MIT
//
// The checker of histories, on histories made by hand: what it must accept, what it must refuse,
// and what it shows of a long one that it refuses.
#include "map/history.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace graven::test {
namespace {

using Kind = Operation::Kind;

constexpr std::uint32_t kA = 1;
constexpr std::uint32_t kB = 2;

Operation one(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Kind kind,
              std::uint32_t keys, Numbers argument = {}, Numbers result = {}) {
  return {.kind = kind,
          .thread = thread,
          .keys = keys,
          .argument = argument,
          .result = result,
          .begin = begin,
          .end = end};
}
Operation set(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Number number,
              std::uint32_t keys = kA) {
  Numbers numbers{};
  for (std::size_t key = 0; key < kHistoryKeys; ++key) {
    if ((keys >> key & 1U) != 0) numbers[key] = number;
  }
  return one(thread, begin, end, Kind::kSet, keys, numbers);
}
Operation get(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Number number) {
  return one(thread, begin, end, Kind::kGet, kA, {}, {number});
}
Operation get_many(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Numbers numbers) {
  return one(thread, begin, end, Kind::kGet, kA | kB, {}, numbers);
}
Operation counting(Operation op, Number count) {
  op.count = count;
  return op;
}

TEST(History, OneAfterTheOtherIsAsAPlainMap) {
  const std::vector<Operation> history{
      get(0, 1, 2, 0),
      set(0, 3, 4, 7),
      get(1, 5, 6, 7),
      one(0, 7, 8, Kind::kSetDefault, kA, {8}, {7}),
      one(0, 9, 10, Kind::kExchange, kA, {9}, {7}),
      one(1, 11, 12, Kind::kPop, kA, {}, {9}),
      one(1, 13, 14, Kind::kPop, kA, {}, {0}),
      one(0, 15, 16, Kind::kSetDefault, kA, {10}, {10}),
      counting(one(1, 17, 18, Kind::kErase, kA | kB), 1),
      counting(one(1, 19, 20, Kind::kErase, kA | kB), 0),
  };
  EXPECT_TRUE(check_history(history)) << check_history(history).text;
  std::vector<Operation> backwards(history.rbegin(), history.rend());
  EXPECT_TRUE(check_history(backwards));
}

TEST(History, WhatIsUnderWayMayBeSeenOrNot) {
  EXPECT_TRUE(check_history({set(0, 1, 10, 7), get(1, 2, 3, 0), get(2, 4, 5, 7)}));
  EXPECT_TRUE(check_history({set(0, 1, 10, 7), get(1, 2, 8, 7), get(2, 4, 5, 0)}));
  EXPECT_TRUE(check_history({set(0, 1, 10, 7), set(1, 2, 9, 8), get(2, 11, 12, 7)}));
  EXPECT_TRUE(check_history({set(0, 1, 10, 7), set(1, 2, 9, 8), get(2, 11, 12, 8)}));
  // What ends at the moment something else begins may have come after it.
  EXPECT_TRUE(check_history({set(0, 1, 5, 7), get(1, 5, 6, 0)}));
}

TEST(History, AStaleReadIsRefused) {
  EXPECT_FALSE(check_history({set(0, 1, 2, 7), get(1, 3, 4, 0)}));
  EXPECT_FALSE(check_history({set(0, 1, 2, 7), set(0, 3, 4, 8), get(1, 5, 6, 7)}));
  // Once seen by one, to be seen by all.
  EXPECT_FALSE(check_history({set(0, 1, 10, 7), get(1, 2, 3, 7), get(2, 4, 5, 0)}));
}

TEST(History, WhatNobodyWroteIsRefused) {
  EXPECT_FALSE(check_history({get(0, 1, 2, 7)}));
  EXPECT_FALSE(check_history({get(1, 1, 2, 7), set(0, 3, 4, 7)}));
}

TEST(History, ALostUpdateIsRefused) {
  const auto exchange = [](std::uint32_t thread, Number from, Number to) {
    return one(thread, 1, 10, Kind::kExchange, kA, {to}, {from});
  };
  EXPECT_TRUE(check_history({exchange(0, 0, 1), exchange(1, 1, 2)}));
  EXPECT_FALSE(check_history({exchange(0, 0, 1), exchange(1, 0, 2)}));
  const auto insert = [](std::uint32_t thread, Number number, Number count) {
    return counting(one(thread, 1, 10, Kind::kInsert, kA, {number}), count);
  };
  EXPECT_TRUE(check_history({insert(0, 1, 1), insert(1, 2, 0), get(0, 11, 12, 1)}));
  EXPECT_FALSE(check_history({insert(0, 1, 1), insert(1, 2, 0), get(0, 11, 12, 2)}));
  EXPECT_FALSE(check_history({insert(0, 1, 1), insert(1, 2, 1)}));
  // Both of two setdefaults stored theirs; both of two pops got it.
  EXPECT_FALSE(check_history({one(0, 1, 9, Kind::kSetDefault, kA, {1}, {1}),
                              one(1, 2, 10, Kind::kSetDefault, kA, {2}, {2})}));
  EXPECT_FALSE(check_history({set(0, 1, 2, 7), one(0, 3, 9, Kind::kPop, kA, {}, {7}),
                              one(1, 4, 10, Kind::kPop, kA, {}, {7})}));
  EXPECT_FALSE(check_history({set(0, 1, 2, 7), counting(one(0, 3, 9, Kind::kErase, kA), 1),
                              counting(one(1, 4, 10, Kind::kErase, kA), 1)}));
}

TEST(History, ATornBatchIsRefused) {
  const Operation batch = set(0, 1, 20, 7, kA | kB);
  EXPECT_TRUE(check_history({batch, get_many(1, 2, 3, {0, 0}), get_many(1, 4, 5, {7, 7})}));
  EXPECT_FALSE(check_history({batch, get_many(1, 2, 3, {7, 0})}));
  EXPECT_FALSE(check_history({batch, get_many(1, 2, 3, {7, 7}), get_many(1, 4, 5, {0, 0})}));
  // Two single reads see it torn, too.
  const auto get_b = [](std::uint64_t begin, Number number) {
    return one(1, begin, begin + 1, Kind::kGet, kB, {}, {0, number});
  };
  EXPECT_TRUE(check_history({batch, get(1, 2, 3, 0), get_b(4, 7)}));
  EXPECT_FALSE(check_history({batch, get(1, 2, 3, 7), get_b(4, 0)}));
}

TEST(History, SizesAreOfOneMoment) {
  const auto size = [](std::uint64_t begin, Number count) {
    return counting(one(1, begin, begin + 1, Kind::kSize, 0), count);
  };
  const Operation batch = set(0, 1, 20, 7, kA | kB);
  EXPECT_TRUE(check_history({batch, size(2, 0), size(4, 2)}));
  EXPECT_FALSE(check_history({batch, size(2, 1)}));
  EXPECT_FALSE(check_history({batch, size(2, 2), size(4, 0)}));
}

TEST(History, OfALongOneOnlyWhatMattersIsShown) {
  std::vector<Operation> history;
  std::uint64_t now = 1;
  for (Number i = 1; i <= 1000; ++i, now += 4) {
    history.push_back(set(0, now, now + 3, i));
    history.push_back(get(1, now + 1, now + 2, i - i % 2));
  }
  ASSERT_TRUE(check_history(history)) << check_history(history).text;
  const std::size_t before = history.size();
  history.push_back(set(0, now, now + 20, 2000));
  history.push_back(get(1, now + 1, now + 2, 1000));
  history.push_back(get(1, now + 3, now + 4, 2000));
  history.push_back(get(2, now + 5, now + 6, 1000));
  history.push_back(get(1, now + 7, now + 8, 2000));
  ASSERT_EQ(before + 5, history.size());
  const Verdict verdict = check_history(history);
  ASSERT_FALSE(verdict);
  ASSERT_EQ(verdict.window.size(), 3U) << verdict.text;
  EXPECT_EQ(verdict.text,
            "no order of these operations explains their results; before them the map held\n"
            "     a=1000\n"
            "  [0, 20] thread 0: set a=2000\n"
            "  [3, 4] thread 1: get -> a=2000\n"
            "  [5, 6] thread 2: get -> a=1000\n"
            "what came before them:\n"
            "  [-11, -10] thread 1: get -> a=998\n"
            "  [-12, -9] thread 0: set a=998\n"
            "  [-7, -6] thread 1: get -> a=998\n"
            "  [-8, -5] thread 0: set a=999\n"
            "  [-3, -2] thread 1: get -> a=1000\n"
            "  [-4, -1] thread 0: set a=1000\n");
}

TEST(History, ReadsThatHaveNoOrderAreShownAlsoBesideACallThatEndsLater) {
  // The exchange sees what is set after the window has ended, so the window does not explain it.
  const Verdict verdict = check_history({
      one(2, 1, 100, Kind::kExchange, kA, {9}, {7}),
      set(1, 10, 20, 1),
      get(1, 30, 40, 5),
      set(1, 60, 70, 7),
  });
  ASSERT_FALSE(verdict);
  ASSERT_EQ(verdict.window.size(), 3U) << verdict.text;
  EXPECT_EQ(verdict.window.back().kind, Kind::kGet) << verdict.text;
}

}  // namespace
}  // namespace graven::test
