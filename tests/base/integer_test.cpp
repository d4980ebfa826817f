// SPDX-License-Identifier: MIT
//
// Integers of any size against the machine's of 128 bits, and at the ends of each kind.
#include "base/integer.hpp"

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include <graven/integer.hpp>

#include "base/random.hpp"

namespace graven::test {
namespace {

using base::Integer;
__extension__ using Wide = __int128;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

std::string decimal_of(Wide value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  std::string text;
  for (; value != 0; value /= 10) {
    text.insert(text.begin(), static_cast<char>('0' + std::abs(static_cast<int>(value % 10))));
  }
  return (negative ? "-" : "") + text;
}

TEST(Integer, SumsAreThoseOfWiderOnes) {
  Random random;
  const auto any = [&] {
    const auto bits = static_cast<std::int64_t>(random.bits());
    return random.one_in(4) ? (random.one_in(2) ? kMost : kLeast) : bits >> random.below(64);
  };
  for (int i = 0; i < 20'000; ++i) {
    const Wide left = Wide{any()} << random.below(60);
    const Wide right = Wide{any()} << random.below(60);
    const auto integer = [](Wide value) {
      const auto low = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) >> 1U);
      const Integer high(static_cast<std::int64_t>(value >> 64));
      // value = high * 2^64 + low * 2 + its last bit, with sums alone
      Integer sum = high;
      for (int k = 0; k < 64; ++k) sum = sum + sum;
      return sum + Integer(low) + Integer(low) + Integer(static_cast<std::int64_t>(value & 1));
    };
    const Integer sum = integer(left) + integer(right);
    ASSERT_EQ(sum.to_decimal(), decimal_of(left + right));
    ASSERT_EQ((integer(left) + -integer(right)).to_decimal(), decimal_of(left - right));
    ASSERT_EQ(Integer(sum.to_hex()).to_decimal(), sum.to_decimal());
    const bool fits = left + right >= kLeast && left + right <= kMost;
    ASSERT_EQ(sum.to_int64().has_value(), fits);
    if (fits) {
      ASSERT_EQ(*sum.to_int64(), static_cast<std::int64_t>(left + right));
    }
    ASSERT_EQ(sum.to_double(), static_cast<double>(left + right));
  }
}

TEST(Integer, TheEnds) {
  EXPECT_EQ(Integer(kMost).to_int64(), kMost);
  EXPECT_EQ(Integer(kLeast).to_int64(), kLeast);
  EXPECT_EQ((Integer(kLeast) + Integer(-1)).to_hex(), "-8000000000000001");
  EXPECT_EQ((-Integer(kLeast)).to_int64(), std::nullopt);
  EXPECT_EQ((-Integer(0)).to_hex(), "0");
  EXPECT_EQ(Integer("-8000000000000000").to_int64(), kLeast);
  EXPECT_EQ((Integer("10000000000000000") + Integer("-10000000000000000")).to_decimal(), "0");
  EXPECT_TRUE(std::isinf(Integer("1" + std::string(300, '0')).to_double()));
  EXPECT_EQ(to_decimal(BigInt{"-c9f2c9cd04674edea40000000"}), "-1000000000000000000000000000000");
}

TEST(Integer, DecimalDigitsAreReadBack) {
  for (const std::string digits :
       {"0", "7", "-7", "999999999999999999", "1000000000000000000", "18446744073709551616",
        "-9223372036854775808", "1000000000000000000000000000000000000"}) {
    EXPECT_EQ(Integer::from_decimal(digits).to_decimal(), digits);
  }
  EXPECT_EQ(Integer::from_decimal("-0").to_hex(), "0");
  EXPECT_EQ(Integer::from_decimal("000000000000000000000000000000000000001").to_hex(), "1");
  EXPECT_EQ(Integer::from_decimal("-36893488147419103232").to_hex(), "-20000000000000000");
}

TEST(Integer, WhatIsWrittenAsOne) {
  for (const std::string_view hex : {"0", "-1", "8000000000000000", "-abcdef0123456789f"}) {
    EXPECT_TRUE(base::is_hex(hex)) << hex;
  }
  for (const std::string_view other : {"", "-", "A", "0x1", "+1", "1 ", "--1", "g"}) {
    EXPECT_FALSE(base::is_hex(other)) << other;
  }
}

}  // namespace
}  // namespace graven::test
