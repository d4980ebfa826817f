// SPDX-License-Identifier: MIT
//
// UTF-8, base64 and numbers as text. Big integers are read in limbs of 64 bits, 18 decimal digits
// at a time: quadratic, which kMaxDigits keeps bearable.
//
// Pure functions; any thread.
#include "cli/encoding.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace graven::cli {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> kBase64Values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i) {
    values[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Little-endian limbs of base 2^64.
using Limbs = std::vector<std::uint64_t>;

void multiply_add(Limbs& limbs, std::uint64_t factor, std::uint64_t addend) {
  std::uint64_t carry = addend;
  for (std::uint64_t& limb : limbs) {
    const Wide product = Wide{limb} * factor + carry;
    limb = static_cast<std::uint64_t>(product);
    carry = static_cast<std::uint64_t>(product >> 64);
  }
  if (carry != 0) limbs.push_back(carry);
}

std::string to_hex(const Limbs& limbs) {
  std::string hex;
  for (auto limb = limbs.rbegin(); limb != limbs.rend(); ++limb) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *limb, 16).ptr;
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    if (!hex.empty()) hex.append(16 - text.size(), '0');
    hex += text;
  }
  return hex;
}

}  // namespace

std::optional<std::size_t> invalid_utf8(std::string_view bytes) noexcept {
  const std::size_t size = bytes.size();
  std::size_t at = 0;
  while (at < size) {
    if (size - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof(word));
      if ((word & 0x8080808080808080U) == 0) {
        at += 8;
        continue;
      }
    }
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char lead = byte(at);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    // The first continuation byte carries the limits that rule out overlong forms, surrogates
    // and code points past U+10FFFF; the others are free.
    std::size_t length = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return at;
    }
    if (size - at < length || byte(at + 1) < low || byte(at + 1) > high) return at;
    for (std::size_t i = 2; i < length; ++i) {
      if ((byte(at + i) & 0xC0) != 0x80) return at;
    }
    at += length;
  }
  return std::nullopt;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < left ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= left ? kBase64Digits[group >> (18 - 6 * i) & 63U] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::size_t padding = 0;
    if (at + 4 == text.size()) {
      padding = text[at + 3] != '=' ? 0 : (text[at + 2] != '=' ? 1 : 2);
    }
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4 - padding; ++i) {
      const int value = kBase64Values[static_cast<unsigned char>(text[at + i])];
      if (value < 0) return std::nullopt;
      group |= static_cast<std::uint32_t>(value) << (18 - 6 * i);
    }
    // Bits that no byte takes must be zero, or two texts would stand for the same bytes.
    if ((group & ((1U << (8 * padding)) - 1)) != 0) return std::nullopt;
    for (std::size_t i = 0; i < 3 - padding; ++i) {
      bytes += static_cast<char>(group >> (16 - 8 * i) & 255U);
    }
  }
  return bytes;
}

NumberKind number_kind(std::string_view text) noexcept {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t start = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at - start;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const std::size_t first = at;
  const std::size_t whole = digits();
  if (whole == 0 || (whole > 1 && text[first] == '0')) return NumberKind::kInvalid;
  NumberKind kind = NumberKind::kInteger;
  if (at < text.size() && text[at] == '.') {
    kind = NumberKind::kReal;
    ++at;
    if (digits() == 0) return NumberKind::kInvalid;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    kind = NumberKind::kReal;
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return NumberKind::kInvalid;
  }
  return at == text.size() ? kind : NumberKind::kInvalid;
}

Data::Item parse_integer(std::string_view text) {
  std::int64_t small = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), small).ec == std::errc{}) {
    return small;
  }
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  constexpr std::size_t kChunk = 18;
  Limbs limbs;
  while (!text.empty()) {
    // The odd chunk comes first, so that all others multiply by the same power of ten.
    const std::size_t size = text.size() % kChunk == 0 ? kChunk : text.size() % kChunk;
    std::uint64_t chunk = 0;
    std::from_chars(text.data(), text.data() + size, chunk);
    multiply_add(limbs, 1'000'000'000'000'000'000U, chunk);
    text.remove_prefix(size);
  }
  return BigInt{(negative ? "-" : "") + to_hex(limbs)};
}

std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc{}) return value;
  // from_chars does not tell too large from too small; strtod does.
  value = std::strtod(std::string(text).c_str(), nullptr);
  if (std::isinf(value)) return std::nullopt;
  return value;
}

std::string format_real(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string grouped(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

}  // namespace graven::cli
