// SPDX-License-Identifier: MIT
//
// Keys as bytes, and their hashes: the form that the cache's hot table and the invalidation log
// use.
//
// Pure functions and values; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "port/record.hpp"

namespace graven::port {

inline constexpr std::uint64_t kRecordSeed = 0x67726176656e;

/// Murmur3's finalizer: every bit of the number affects every bit of the hash.
inline std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 33U)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33U);
}

/// A key as the hot table stores it: the id of a node, else the space and then the key's parts. On
/// the stack unless the key has a name.
class Encoded {
 public:
  explicit Encoded(const Key& key) {
    const auto a = static_cast<std::uint64_t>(key.a);
    const auto space = static_cast<std::uint64_t>(key.space);
    const KeyShape shape = schema(key.space).shape;
    if (key.space == Space::kNode) {
      words_[0] = a;
      view_ = {bytes(), sizeof a};
    } else {
      words_[0] = space | a << 8U;
      words_[1] = a >> 56U;
      view_ = {bytes(), 1 + sizeof a};
    }
    if (shape == KeyShape::kName) {
      long_.reserve(view_.size() + key.name.size());
      long_ = view_;
      long_ += key.name;
      view_ = long_;
      hash_ = base::hash(view_, kRecordSeed);
      return;
    }
    const auto b = static_cast<std::uint64_t>(key.b);
    if (shape == KeyShape::kPair) {
      words_[1] |= b << 8U;
      words_[2] = b >> 56U;
      view_ = {bytes(), 1 + sizeof a + sizeof b};
    }
    hash_ = mix(a + mix(b + space));
  }
  Encoded(const Encoded&) = delete;
  Encoded& operator=(const Encoded&) = delete;

  [[nodiscard]] std::string_view view() const noexcept { return view_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  // Written as whole words, so that a reader of whole words does not wait for single bytes.
  [[nodiscard]] const char* bytes() const noexcept {
    return reinterpret_cast<const char*>(words_.data());
  }

  std::array<std::uint64_t, 3> words_{};
  std::string long_;
  std::string_view view_;
  std::uint64_t hash_ = 0;
};

/// The parts of a key that Encoded has encoded.
struct Decoded {
  Space space = Space::kNode;
  std::int64_t a = 0;
  std::uint64_t hash = 0;

  explicit Decoded(std::string_view key) noexcept {
    std::int64_t b = 0;
    if (key.size() == sizeof a) {
      std::memcpy(&a, key.data(), sizeof a);
    } else {
      space = static_cast<Space>(key.front());
      std::memcpy(&a, key.data() + 1, sizeof a);
      if (schema(space).shape == KeyShape::kName) {
        hash = base::hash(key, kRecordSeed);
        return;
      }
      if (schema(space).shape == KeyShape::kPair)
        std::memcpy(&b, key.data() + 1 + sizeof a, sizeof b);
    }
    hash = mix(static_cast<std::uint64_t>(a) +
               mix(static_cast<std::uint64_t>(b) + static_cast<std::uint64_t>(space)));
  }
};

}  // namespace graven::port
