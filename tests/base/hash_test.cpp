// SPDX-License-Identifier: MIT
//
// The hash is part of the file format: its values may never change. The vectors come from
// libxxhash 0.8.1 and cover every size class of XXH3.
#include "base/hash.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace graven::base {
namespace {

struct Vector {
  std::size_t size;
  std::uint64_t unseeded;
  std::uint64_t seeded;
};

constexpr std::uint64_t kSeed = 0x9e3779b185ebca8d;
constexpr Vector kVectors[] = {
    {0, 0x2d06800538d394c2, 0xa8a6b918b2f0364a},    {1, 0x4c5cca45d0f4811f, 0xfb9ffac0328029fc},
    {3, 0x6e3e2670e61106ac, 0xea2313880f3cdaea},    {4, 0x5c4c63133443d03f, 0x9ed5758ad388108e},
    {8, 0xf9fd4dd0b04d78f5, 0xcda4b01376fb6fee},    {9, 0x7c20df9712c26edf, 0x61e9c4f6989e2ebe},
    {16, 0x86abf6baccea0858, 0x002c5dbcd9e84e88},   {17, 0xb58bf5dc5022d071, 0x26c99ae8313daaf0},
    {128, 0x10d17f72c0ccba41, 0x687966cb6159cbc7},  {129, 0x1648bdc3db49d1a2, 0x25b2d1a1f5780bfa},
    {240, 0xb6cfaf343fab81e6, 0x7a689e088cdb8a88},  {241, 0x956cae592c67279e, 0xd8e8bd54329068cb},
    {1024, 0x70bd377d9574f4bb, 0x023e2783c9ca89b7}, {5000, 0xe4007929540f095c, 0xa07eaabd179f5731},
};

TEST(Hash, NeverChanges) {
  for (const Vector& vector : kVectors) {
    std::string bytes(vector.size, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 + 7);
    EXPECT_EQ(hash(bytes, 0), vector.unseeded) << vector.size;
    EXPECT_EQ(hash(bytes, kSeed), vector.seeded) << vector.size;
  }
}

// Short keys are hashed inline, and not by libxxhash.
TEST(Hash, IsTheLibrarysForEverySizeThatIsInline) {
  std::string bytes(16, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 151 + 3);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::string_view key = std::string_view(bytes).substr(0, size);
    for (const std::uint64_t seed :
         {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}, kSeed}) {
      EXPECT_EQ(hash(key, seed), hash_detail::of_any(key, seed)) << size;
    }
  }
}

TEST(Hash, NoBytesAtAll) { EXPECT_EQ(hash(std::string_view{}, 0), kVectors[0].unseeded); }

}  // namespace
}  // namespace graven::base
