// SPDX-License-Identifier: MIT
//
// XXH3, compiled only into this file: in the header-only build its symbols are private, so they do
// not clash with another xxhash in the program. Any thread.
#include "base/hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace graven::base {
namespace hash_detail {

std::uint64_t of_any(std::string_view bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace hash_detail

Hash128 hash_128(std::string_view bytes) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

}  // namespace graven::base
