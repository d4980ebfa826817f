// SPDX-License-Identifier: MIT
//
// Small encodings of text: UTF-8 validity, base64, Crockford's base32 for ULIDs.
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graven::base {

/// The offset of the first byte that is not part of valid UTF-8 (surrogates and overlong
/// forms are not), or nothing when all of it is. ASCII runs are checked eight bytes at a time.
std::optional<std::size_t> invalid_utf8(std::string_view bytes) noexcept;

/// Standard base64 with padding (RFC 4648 section 4).
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

/// A ULID's 26 characters (https://github.com/ulid/spec): 128 bits, high word first.
std::string to_ulid(std::uint64_t high, std::uint64_t low);
struct Ulid {
  std::uint64_t high;
  std::uint64_t low;
};
std::optional<Ulid> from_ulid(std::string_view text);

}  // namespace graven::base
