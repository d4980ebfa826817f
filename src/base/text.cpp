// SPDX-License-Identifier: MIT
//
// The encodings of text.hpp. UTF-8 is checked against table 3-7 of the Unicode standard
// ("Well-Formed UTF-8 Byte Sequences"). base64 and ULIDs are read strictly: each string of bytes
// has one base64 form (no missing padding, no stray bits, no white space), and a ULID is its 26
// characters in either case, as its specification says.
//
// Pure functions; any thread.
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace graven::base {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kUlidSize = 26;
constexpr std::uint8_t kNoDigit = 0xff;
constexpr std::uint64_t kHighBits = 0x8080808080808080;

constexpr std::array<std::uint8_t, 256> values_of(std::string_view digits, bool any_case) {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const auto value = static_cast<std::uint8_t>(i);
    const char digit = digits[i];
    values[static_cast<unsigned char>(digit)] = value;
    if (any_case && digit >= 'A' && digit <= 'Z') {
      values[static_cast<unsigned char>(digit - 'A' + 'a')] = value;
    }
  }
  return values;
}

constexpr auto kBase64Values = values_of(kBase64, false);
constexpr auto kBase32Values = values_of(kBase32, true);

bool within(unsigned char byte, unsigned low, unsigned high) { return byte >= low && byte <= high; }

/// The length of the well-formed sequence of two or more bytes at the start, or 0.
std::size_t sequence(const unsigned char* at, std::size_t left) {
  const unsigned char first = at[0];
  if (left >= 2 && within(first, 0xc2, 0xdf)) return within(at[1], 0x80, 0xbf) ? 2 : 0;
  if (left >= 3 && within(first, 0xe0, 0xef)) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;   // no overlong form
    const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogate
    return within(at[1], low, high) && within(at[2], 0x80, 0xbf) ? 3 : 0;
  }
  if (left >= 4 && within(first, 0xf0, 0xf4)) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;   // no overlong form
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;  // nothing past U+10FFFF
    const bool whole =
        within(at[1], low, high) && within(at[2], 0x80, 0xbf) && within(at[3], 0x80, 0xbf);
    return whole ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::optional<std::size_t> invalid_utf8(std::string_view bytes) noexcept {
  const auto* const begin = reinterpret_cast<const unsigned char*>(bytes.data());
  const std::size_t size = bytes.size();
  std::size_t i = 0;
  while (i < size) {
    if (size - i >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, begin + i, 8);
      if ((word & kHighBits) == 0) {
        i += 8;
        continue;
      }
    } else if (size >= 8) {
      std::uint64_t last = 0;  // some of these bytes are checked twice
      std::memcpy(&last, begin + size - 8, 8);
      if ((last & kHighBits) == 0) return std::nullopt;
    }
    if (begin[i] < 0x80) {
      ++i;
      continue;
    }
    // Text beyond ASCII comes in runs, so stay here until the run ends.
    do {
      const std::size_t length = sequence(begin + i, size - i);
      if (length == 0) return i;
      i += length;
    } while (i < size && begin[i] >= 0x80);
  }
  return std::nullopt;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return static_cast<unsigned char>(bytes[i]);
  };
  const auto put = [&](std::uint32_t group, int digits) {
    for (int i = 0; i < 4; ++i) {
      text.push_back(i < digits ? kBase64[(group >> (18 - 6 * i)) & 63] : '=');
    }
  };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) put(byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2), 4);
  if (bytes.size() - i == 1) put(byte(i) << 16, 2);
  if (bytes.size() - i == 2) put(byte(i) << 16 | byte(i + 1) << 8, 3);
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  if (text.ends_with("==")) {
    padding = 2;
  } else if (text.ends_with('=')) {
    padding = 1;
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t digits = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint8_t value =
          j < digits ? kBase64Values[static_cast<unsigned char>(text[i + j])] : std::uint8_t{0};
      if (value == kNoDigit) return std::nullopt;
      group = group << 6 | value;
    }
    const std::size_t whole = digits - 1;
    if ((group & (0xffffffU >> (8 * whole))) != 0) return std::nullopt;  // stray bits
    for (std::size_t j = 0; j < whole; ++j) {
      bytes.push_back(static_cast<char>(group >> (16 - 8 * j) & 0xff));
    }
  }
  return bytes;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    if (text.size() - at < 3) return std::nullopt;
    const int high = digit(text[at + 1]);
    const int low = digit(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return out;
}

std::string_view name_of_odd(double number) noexcept {
  return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
}

std::optional<double> odd_float(std::string_view name) noexcept {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (name == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (name == "inf") return kInfinity;
  if (name == "-inf") return -kInfinity;
  return std::nullopt;
}

bool is_name(std::string_view text) noexcept {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return !text.empty() && text.size() <= 200 && !invalid_utf8(text) &&
         std::none_of(text.begin(), text.end(), control);
}

std::string to_ulid(std::uint64_t high, std::uint64_t low) {
  std::string text(kUlidSize, '0');
  for (std::size_t i = kUlidSize; i-- > 0;) {
    text[i] = kBase32[low & 31];
    low = low >> 5 | high << 59;
    high >>= 5;
  }
  return text;
}

std::optional<Ulid> from_ulid(std::string_view text) {
  if (text.size() != kUlidSize || text[0] > '7') return std::nullopt;  // 26 digits hold 130 bits
  Ulid ulid{0, 0};
  for (const char digit : text) {
    const std::uint8_t value = kBase32Values[static_cast<unsigned char>(digit)];
    if (value == kNoDigit) return std::nullopt;
    ulid.high = ulid.high << 5 | ulid.low >> 59;
    ulid.low = ulid.low << 5 | value;
  }
  return ulid;
}

}  // namespace graven::base
