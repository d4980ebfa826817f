// SPDX-License-Identifier: MIT
//
// Small encodings of text: UTF-8 validity, quoted texts, base64, URLs, the floats that JSON lacks,
// Crockford's base32 for ULIDs. The programs above the library use them too.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graven::base {

/// The offset of the first byte that is not part of valid UTF-8, or nothing if all of it is valid.
/// Surrogates and overlong forms are invalid. ASCII runs are checked eight bytes at a time.
std::optional<std::size_t> invalid_utf8(std::string_view bytes) noexcept;

/// How a text is written between quotes.
struct Quoting {
  char quote;  // escaped by a backslash, like the backslash itself
  /// Characters that are escaped by a letter, each followed by that letter.
  std::string_view letters;
  /// For any other escape: what comes between the backslash and two hexadecimal digits.
  std::string_view hex;
};

/// Appends a text with its quotes. `special` tells whether a byte must be escaped; the quote and
/// the backslash always are.
template <class Special>
void append_quoted(std::string& out, std::string_view text, const Quoting& as, Special special) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += as.quote;
  std::size_t plain = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const auto byte = static_cast<unsigned char>(c);
    const bool itself = c == as.quote || c == '\\';
    if (!itself && !special(byte)) continue;
    out += text.substr(plain, at - plain);
    plain = at + 1;
    out += '\\';
    const std::size_t letter = itself ? as.letters.npos : as.letters.find(c);
    if (itself) {
      out += c;
    } else if (letter != as.letters.npos) {
      out += as.letters[letter + 1];
    } else {
      out += as.hex;
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  out += text.substr(plain);
  out += as.quote;
}

/// Appends a text as a JSON string.
inline void append_json(std::string& out, std::string_view text) {
  append_quoted(out, text, {'"', "\nn\rr\tt\bb\ff", "u00"},
                [](unsigned char byte) { return byte < 0x20; });
}

/// Standard base64 with padding (RFC 4648 section 4).
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

/// Decodes %20 and the like (RFC 3986); nothing if a '%' lacks its two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text);

/// The floats that JSON lacks, by name: "nan", "inf", "-inf".
std::string_view name_of_odd(double number) noexcept;
std::optional<double> odd_float(std::string_view name) noexcept;

/// Whether the text can be the name of a prefix or map: 1 to 200 bytes of UTF-8 without control
/// characters.
bool is_name(std::string_view text) noexcept;

/// A ULID's 26 characters (https://github.com/ulid/spec): 128 bits, high word first.
std::string to_ulid(std::uint64_t high, std::uint64_t low);
struct Ulid {
  std::uint64_t high;
  std::uint64_t low;
};
std::optional<Ulid> from_ulid(std::string_view text);

}  // namespace graven::base
