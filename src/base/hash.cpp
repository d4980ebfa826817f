// SPDX-License-Identifier: MIT
//
// XXH3, compiled only into this file: in the header-only build its symbols are private, so they do
// not clash with another xxhash in the program. Any thread.
#include "base/hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace graven::base::hash_detail {

std::uint64_t of_any(std::string_view bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace graven::base::hash_detail
