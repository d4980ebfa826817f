// SPDX-License-Identifier: MIT
//
// The texts of jsonb.hpp: which type a text is written as, and the escapes in texts that came from
// JSON. Escapes are accepted as SQLite's json_valid(x, 8) accepts them; but a lone surrogate is
// damage, because no UTF-8 stands for it.
//
// Pure functions over caller's bytes; any thread.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <system_error>

#include "base/jsonb.hpp"
#include "base/jsonb_detail.hpp"
#include "base/text.hpp"

namespace graven::jsonb {

using detail::damaged;
using detail::expect;
using detail::kMaxHeader;
using detail::octet;

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101;   // one in each byte of a word
constexpr std::uint64_t kHighs = 0x8080808080808080;  // the high bit of each

bool holds_escapes(const Element& element) {
  return element.type == Type::kTextJ || element.type == Type::kText5;
}

/// One decoded escape: UTF-8 of zero to four bytes, and how long the escape was.
struct Escape {
  std::array<char, 4> bytes{};
  std::size_t count = 0;
  std::size_t consumed = 2;
};

std::uint32_t hex(std::string_view digits) {
  std::uint32_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc{} || at != end) damaged("an escape in a text lacks hexadecimal digits");
  return value;
}

void encode(std::uint32_t code, Escape& escape) {
  const auto put = [&](std::uint32_t byte) {
    escape.bytes[escape.count++] = static_cast<char>(byte);
  };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 63));
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  }
}

/// \uXXXX, or two of them that make a surrogate pair.
void decode_unicode(std::string_view rest, Escape& escape) {
  if (rest.size() < 6) damaged("a text ends within an escape");
  std::uint32_t code = hex(rest.substr(2, 4));
  escape.consumed = 6;
  if (code >= 0xd800 && code < 0xe000) {
    std::uint32_t low = 0;
    if (code < 0xdc00 && rest.size() >= 12 && rest[6] == '\\' && rest[7] == 'u') {
      low = hex(rest.substr(8, 4));
    }
    if (low < 0xdc00 || low >= 0xe000) damaged("a text holds a lone surrogate");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    escape.consumed = 12;
  }
  encode(code, escape);
}

/// The escapes that only JSON5 has; the character after the backslash is `rest[1]`.
void decode_json5(std::string_view rest, Escape& escape) {
  switch (rest[1]) {
    case '\'':
      return encode('\'', escape);
    case 'v':
      return encode('\v', escape);
    case '0':
      if (rest.size() > 2 && rest[2] >= '0' && rest[2] <= '9') break;
      return encode(0, escape);
    case 'x':
      if (rest.size() < 4) damaged("a text ends within an escape");
      encode(hex(rest.substr(2, 2)), escape);
      escape.consumed = 4;
      return;
    case '\n':  // a continued line: adds nothing
      return;
    case '\r':
      escape.consumed = rest.size() > 2 && rest[2] == '\n' ? 3 : 2;
      return;
    case '\xe2':  // U+2028 and U+2029 end lines too
      if (!rest.substr(2).starts_with("\x80\xa8") && !rest.substr(2).starts_with("\x80\xa9")) break;
      escape.consumed = 4;
      return;
    default:
      break;
  }
  damaged("a text holds an escape that JSON5 does not know");
}

/// Decodes the escape at the start of `rest`.
Escape decode_escape(std::string_view rest, bool json5) {
  if (rest.size() < 2) damaged("a text ends within an escape");
  Escape escape;
  switch (rest[1]) {
    case '"':
    case '\\':
    case '/':
      encode(octet(rest[1]), escape);
      break;
    case 'b':
      encode('\b', escape);
      break;
    case 'f':
      encode('\f', escape);
      break;
    case 'n':
      encode('\n', escape);
      break;
    case 'r':
      encode('\r', escape);
      break;
    case 't':
      encode('\t', escape);
      break;
    case 'u':
      decode_unicode(rest, escape);
      break;
    default:
      if (!json5) damaged("a text holds an escape that JSON does not know");
      decode_json5(rest, escape);
  }
  return escape;
}

/// Calls `take` with each piece of the decoded payload of kTextJ or kText5, until it returns false.
template <class Take>
bool decode_pieces(std::string_view rest, bool json5, Take take) {
  while (!rest.empty()) {
    const std::string_view plain = rest.substr(0, rest.find('\\'));
    if (!plain.empty() && !take(plain)) return false;
    rest.remove_prefix(plain.size());
    if (rest.empty()) break;
    const Escape escape = decode_escape(rest, json5);
    rest.remove_prefix(escape.consumed);
    if (!take(std::string_view(escape.bytes.data(), escape.count))) return false;
  }
  return true;
}

/// Whether the text can be stored as kText: it has nothing that JSON escapes.
bool needs_no_escape(std::string_view text) {
  // The classic word tests: a byte of `word` below n, or equal to c, sets a high bit. Carries may
  // set more bits, never fewer, and exactly() decides those words.
  const auto suspicious = [](std::uint64_t word) {
    const std::uint64_t quote = word ^ kOnes * '"';
    const std::uint64_t backslash = word ^ kOnes * '\\';
    return (((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) |
            ((backslash - kOnes) & ~backslash)) &
           kHighs;
  };
  const auto plain = [](char byte) { return octet(byte) >= 0x20 && byte != '"' && byte != '\\'; };
  const auto exactly = [&](std::string_view part) {
    return std::all_of(part.begin(), part.end(), plain);
  };
  const auto load = [](const char* from, auto word) {
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  const std::size_t size = text.size();
  const char* const at = text.data();
  if (size < 4) return exactly(text);
  if (size < 8) {
    const std::uint64_t word =
        load(at, std::uint32_t{}) | std::uint64_t{load(at + size - 4, std::uint32_t{})} << 32U;
    return suspicious(word) == 0 || exactly(text);
  }
  for (std::size_t i = 0; i < size; i += 8) {
    const std::size_t from = std::min(i, size - 8);  // the last eight may overlap the ones before
    if (suspicious(load(at + from, std::uint64_t{})) != 0 && !exactly(text.substr(from, 8))) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool detail::escaped_equals(std::string_view payload, bool json5, std::string_view other) {
  const bool prefix = decode_pieces(payload, json5, [&](std::string_view piece) {
    if (!other.starts_with(piece)) return false;
    other.remove_prefix(piece.size());
    return true;
  });
  return prefix && other.empty();
}

std::string text(const Element& element) {
  expect(element, element.is_text(), "a text");
  std::string decoded;
  if (holds_escapes(element)) {
    decoded.reserve(element.payload.size());
    decode_pieces(element.payload, element.type == Type::kText5, [&](std::string_view piece) {
      decoded += piece;
      return true;
    });
  } else {
    decoded = element.payload;
  }
  if (base::invalid_utf8(decoded)) damaged("a text is not valid UTF-8");
  return decoded;
}

bool text_equals(const Element& element, std::string_view other) {
  expect(element, element.is_text(), "a text");
  if (holds_escapes(element)) {
    return detail::escaped_equals(element.payload, element.type == Type::kText5, other);
  }
  return detail::same_bytes(element.payload.data(), element.payload.size(), other);
}

void put_text(std::string& out, std::string_view utf8) {
  const Type type = needs_no_escape(utf8) ? Type::kText : Type::kTextRaw;
  constexpr std::size_t kShort = 55;
  if (utf8.size() <= kShort) {
    std::array<char, kMaxHeader + kShort> whole;
    const std::size_t header = detail::write_header(whole.data(), type, utf8.size());
    std::memcpy(whole.data() + header, utf8.data(), utf8.size());
    out.append(whole.data(), header + utf8.size());
    return;
  }
  put_header(out, type, utf8.size());
  out.append(utf8);
}

}  // namespace graven::jsonb
