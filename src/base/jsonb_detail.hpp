// SPDX-License-Identifier: MIT
//
// Shared by the parts of the JSONB codec: jsonb.cpp (headers and containers), jsonb_text.cpp and
// jsonb_number.cpp (scalars). No other file includes this.
//
// Pure functions over caller's bytes; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/jsonb.hpp"

namespace graven::jsonb::detail {

inline constexpr std::size_t kInlineSize = 11;  // the largest payload whose header is one byte
inline constexpr std::size_t kMaxHeader = 9;

/// Throws CorruptionError: "damaged JSONB: <what>; ...".
[[noreturn]] void damaged(const std::string& what);
[[noreturn]] void unexpected(const Element& element, const char* expected);

inline void expect(const Element& element, bool is_expected, const char* what) {
  if (!is_expected) [[unlikely]] {
    unexpected(element, what);
  }
}

inline unsigned octet(char byte) { return static_cast<unsigned char>(byte); }

/// Writes the header to `at` (room for kMaxHeader bytes) and returns its size.
inline std::size_t write_header(char* at, Type type, std::size_t payload) {
  const auto low = static_cast<unsigned>(type);
  if (payload <= kInlineSize) {
    at[0] = static_cast<char>(payload << 4 | low);
    return 1;
  }
  unsigned wide = 12;
  std::size_t width = 1;
  if (payload > 0xffffffff) {
    wide = 15;
    width = 8;
  } else if (payload > 0xffff) {
    wide = 14;
    width = 4;
  } else if (payload > 0xff) {
    wide = 13;
    width = 2;
  }
  at[0] = static_cast<char>(wide << 4 | low);
  for (std::size_t i = width; i > 0; --i, payload >>= 8) at[i] = static_cast<char>(payload & 0xff);
  return 1 + width;
}

inline bool same_bytes(const char* at, std::size_t size, std::string_view other) {
  return std::string_view(at, size) == other;
}

/// Whether the payload of kTextJ, or with `json5` of kText5, decodes to `other`.
bool escaped_equals(std::string_view payload, bool json5, std::string_view other);

}  // namespace graven::jsonb::detail
