// SPDX-License-Identifier: MIT
//
// XXH3, compiled into this file alone: the header-only build keeps its symbols private, so
// a program that brings another xxhash meets no second definition. Any thread.
#include "base/hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace graven::base::hash_detail {

std::uint64_t of_any(std::string_view bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace graven::base::hash_detail
