// SPDX-License-Identifier: MIT
//
// The one hash function: XXH3 (https://xxhash.com), 64 bits, seeded. Stored slots depend on it, so
// it is part of the file format. Besides, in 128 bits without a seed, to compare contents. Pure;
// any thread.
//
// Keys of 4 to 16 bytes are hashed inline, with XXH3's algorithm: a call would double the cost.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace graven::base {

namespace hash_detail {

static_assert(std::endian::native == std::endian::little);

inline std::uint64_t load_4(const char* at) noexcept {
  std::uint32_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}
inline std::uint64_t load_8(const char* at) noexcept {
  std::uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

inline std::uint64_t of_4_to_8(const char* at, std::size_t size, std::uint64_t seed) noexcept {
  seed ^= static_cast<std::uint64_t>(__builtin_bswap32(static_cast<std::uint32_t>(seed))) << 32;
  std::uint64_t x = (load_4(at + size - 4) + (load_4(at) << 32)) ^ (0xc73ab174c5ecd5a2ULL - seed);
  x ^= std::rotl(x, 49) ^ std::rotl(x, 24);
  x *= 0x9fb21c651e98df25ULL;
  x ^= (x >> 35) + size;
  x *= 0x9fb21c651e98df25ULL;
  return x ^ (x >> 28);
}

inline std::uint64_t of_9_to_16(const char* at, std::size_t size, std::uint64_t seed) noexcept {
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t low = load_8(at) ^ (0x6782737bea4239b9ULL + seed);
  const std::uint64_t high = load_8(at + size - 8) ^ (0xaf56bc3b0996523aULL - seed);
  const Wide product = static_cast<Wide>(low) * high;
  std::uint64_t x =
      size + __builtin_bswap64(low) + high +
      (static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64));
  x ^= x >> 37;
  x *= 0x165667919e3779f9ULL;
  return x ^ (x >> 32);
}

std::uint64_t of_any(std::string_view bytes, std::uint64_t seed) noexcept;

}  // namespace hash_detail

inline std::uint64_t hash(std::string_view bytes, std::uint64_t seed) noexcept {
  const std::size_t size = bytes.size();
  if (size - 9 <= 16 - 9) [[likely]]
    return hash_detail::of_9_to_16(bytes.data(), size, seed);
  if (size - 4 <= 8 - 4) return hash_detail::of_4_to_8(bytes.data(), size, seed);
  return hash_detail::of_any(bytes, seed);
}

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};
/// XXH3 in 128 bits: contents with equal hashes are taken for equal.
Hash128 hash_128(std::string_view bytes) noexcept;

}  // namespace graven::base
