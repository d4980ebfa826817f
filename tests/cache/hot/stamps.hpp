// SPDX-License-Identifier: MIT
//
// What the tests of the hot table share: values that show whether they are torn and which of
// several they are, and by how much to shorten a test in a slow build.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "base/random.hpp"
#include "cache/hot/hot_table.hpp"

namespace graven::test {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kSlow = 5;
#elif defined(GRAVEN_RACE_POINTS)
inline constexpr int kSlow = 2;
#else
inline constexpr int kSlow = 1;
#endif

inline std::uint64_t hash_of(std::string_view key) { return base::hash(key, 1); }

inline void put(cache::HotTable& table, std::string_view key, std::string_view value,
                std::uint8_t kind = 0) {
  table.put(key, hash_of(key), value, kind);
}

/// The seed of a random test, which prints it.
inline std::uint64_t seed_of_test() { return Random().bits(); }

/// A value that says of itself whether it is torn: its number, again and again.
inline std::string stamped(std::uint64_t stamp, std::size_t size) {
  std::string value(std::max<std::size_t>(size, 8), '\0');
  for (std::size_t i = 0; i < value.size(); ++i) {
    value[i] = static_cast<char>(stamp >> (8 * (i % 8)));
  }
  return value;
}

/// The number, or ~0 for a torn value.
inline std::uint64_t stamp_of(std::string_view value) {
  if (value.size() < 8) return ~0ULL;
  std::uint64_t stamp = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    stamp |= static_cast<std::uint64_t>(static_cast<unsigned char>(value[i])) << (8 * i);
  }
  return stamped(stamp, value.size()) == value ? stamp : ~0ULL;
}

}  // namespace graven::test
