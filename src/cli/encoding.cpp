// SPDX-License-Identifier: MIT
//
// Converts numbers to and from text. Big integers take quadratic time; kMaxDigits limits that.
//
// Pure functions; any thread.
#include "cli/encoding.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/integer.hpp"

namespace graven::cli {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

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
  return BigInt{base::Integer::from_decimal(text).to_hex()};
}

std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc{}) return value;
  // from_chars reports too large and too small numbers alike; strtod distinguishes them.
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
