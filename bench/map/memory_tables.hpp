// SPDX-License-Identifier: MIT
//
// Tables in memory to compare with: absl::flat_hash_map, which one thread uses at a time, and
// tbb::concurrent_hash_map, with the same hash function as graven's own table.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>
#include <tbb/concurrent_hash_map.h>

#include <cstddef>
#include <string>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace graven::bench {

struct TbbHash {
  static std::size_t hash(const std::string& key) { return XXH3_64bits(key.data(), key.size()); }
  static bool equal(const std::string& a, const std::string& b) { return a == b; }
};

using FlatTable = absl::flat_hash_map<std::string, std::string>;
using ConcurrentTable = tbb::concurrent_hash_map<std::string, std::string, TbbHash>;

/// Null: no such key.
inline const std::string* find(const FlatTable& table, std::string_view key) {
  const auto found = table.find(absl::string_view(key.data(), key.size()));
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace graven::bench
