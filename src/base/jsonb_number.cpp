// SPDX-License-Identifier: MIT
//
// The numbers of jsonb.hpp, which JSONB keeps as text: decimal, and what JSON5 adds (hexadecimal
// integers, a decimal point without digits on one side). Conversions use std::to_chars and
// std::from_chars, which are exact and independent of the locale.
//
// Pure functions over caller's bytes; any thread.
#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

#include "base/jsonb.hpp"
#include "base/jsonb_detail.hpp"

namespace graven::jsonb {

using detail::damaged;
using detail::expect;
using detail::kInlineSize;

namespace {

constexpr std::uint64_t kLargestInteger = std::numeric_limits<std::int64_t>::max();

/// The digits of kInt5 without sign and "0x".
std::string_view hex_digits(std::string_view payload, bool& negative) {
  negative = payload.starts_with('-');
  if (negative) payload.remove_prefix(1);
  const bool marked = payload.starts_with("0x") || payload.starts_with("0X");
  const std::string_view digits = marked ? payload.substr(2) : std::string_view{};
  if (digits.empty() || digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos) {
    damaged("a hexadecimal integer is malformed");
  }
  return digits;
}

/// The result for a number too large or too small for a double; from_chars does not tell which.
double beyond_range(std::string_view number) {
  const bool negative = number.starts_with('-');
  const std::size_t mark = number.find_first_of("eE");
  const std::string_view mantissa = number.substr(0, mark);
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = mantissa.find_first_of("123456789");
  std::int64_t exponent = 0;
  if (mark != number.npos) {
    std::string_view digits = number.substr(mark + 1);
    const bool small = digits.starts_with('-');
    if (small || digits.starts_with('+')) digits.remove_prefix(1);
    const auto [at, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error != std::errc{}) exponent = std::numeric_limits<std::int64_t>::max() / 2;
    if (small) exponent = -exponent;
  }
  const bool large = first != mantissa.npos &&
                     exponent + static_cast<std::int64_t>(point) > static_cast<std::int64_t>(first);
  const double magnitude = large ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -magnitude : magnitude;
}

/// The number with these 8 to 19 digits (ids have so many); false for anything else. Reads eight
/// digits at a time: https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/
bool long_decimal(std::string_view digits, std::int64_t& number) noexcept {
  if (std::endian::native == std::endian::big || digits.size() < 8 || digits.size() > 19) {
    return false;
  }
  std::uint64_t value = 0;
  for (; digits.size() >= 8; digits.remove_prefix(8)) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, digits.data(), sizeof eight);
    const std::uint64_t upper = eight & 0xf0f0f0f0f0f0f0f0ULL;
    const std::uint64_t carried = (eight + 0x0606060606060606ULL) & 0xf0f0f0f0f0f0f0f0ULL;
    if (upper != 0x3030303030303030ULL || carried != upper) return false;
    eight = (eight & 0x0f0f0f0f0f0f0f0fULL) * 2561 >> 8U;
    eight = (eight & 0x00ff00ff00ff00ffULL) * 6553601 >> 16U;
    eight = (eight & 0x0000ffff0000ffffULL) * 42949672960001ULL >> 32U;
    value = value * 100'000'000 + eight;
  }
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  number = static_cast<std::int64_t>(value);
  return value <= kLargestInteger;
}

}  // namespace

bool read_integer(const Element& element, std::int64_t& value) {
  const std::string_view payload = element.payload;
  if (element.type == Type::kInt) [[likely]] {
    if (long_decimal(payload, value)) return true;
    const char* const end = payload.data() + payload.size();
    const auto [at, error] = std::from_chars(payload.data(), end, value);
    if (error == std::errc::invalid_argument || at != end) damaged("an integer is malformed");
    return error == std::errc{};
  }
  expect(element, element.type == Type::kInt5, "an integer");
  bool negative = false;
  const std::string_view digits = hex_digits(payload, negative);
  std::uint64_t magnitude = 0;
  const auto [at, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, 16);
  if (error != std::errc{} || magnitude > kLargestInteger + (negative ? 1 : 0)) return false;
  value = static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
  return true;
}

double real(const Element& element) {
  expect(element, element.type >= Type::kInt && element.type <= Type::kFloat5, "a number");
  std::string_view digits = element.payload;
  auto format = std::chars_format::general;
  bool negative = false;
  if (element.type == Type::kInt5) {
    digits = hex_digits(digits, negative);
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
    format = std::chars_format::hex;
  } else if (digits.find_first_not_of("0123456789.+-eE") != digits.npos) {
    damaged("a number is malformed");  // from_chars would take "inf" and "nan"
  }
  double value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value, format);
  if (error == std::errc::invalid_argument || at != end) damaged("a number is malformed");
  if (error != std::errc{}) {
    value = element.type == Type::kInt5 ? std::numeric_limits<double>::infinity()
                                        : beyond_range(digits);
  }
  return negative ? -value : value;
}

void put_int(std::string& out, std::int64_t value) {
  std::array<char, 2 + 20> buffer;  // header, sign and 19 digits
  char* const digits = buffer.data() + 2;
  const auto [end, error] = std::to_chars(digits, buffer.data() + buffer.size(), value);
  const auto size = static_cast<std::size_t>(end - digits);
  char* const start = digits - (size <= kInlineSize ? 1 : 2);
  detail::write_header(start, Type::kInt, size);
  out.append(start, static_cast<std::size_t>(end - start));
}

namespace {

/// A faster shortest_digits() for numbers with at most two decimals and eleven digits (such as
/// prices and percentages); nullptr for others. So few digits belong to no other number, so they
/// are the shortest form; shortest_digits() writes an exponent only for zeros at the end.
char* hundredths(char* at, double finite) noexcept {
  constexpr double kMost = 1e9;
  constexpr double kMostWhole = 1e5;
  if (!(std::abs(finite) < kMost)) return nullptr;
  const auto number = static_cast<std::int64_t>(std::round(finite * 100));
  if (static_cast<double>(number) / 100 != finite || number == 0) return nullptr;
  const std::int64_t magnitude = std::abs(number);
  const auto rest = static_cast<int>(magnitude % 100);
  if (rest == 0 && std::abs(finite) >= kMostWhole) return nullptr;
  if (number < 0) *at++ = '-';
  at = std::to_chars(at, at + 10, magnitude / 100).ptr;
  *at++ = '.';
  *at++ = static_cast<char>('0' + rest / 10);
  if (rest % 10 != 0) *at++ = static_cast<char>('0' + rest % 10);
  return at;
}

/// Writes to `at` (26 bytes) the shortest text that is read as the same number and not as an
/// integer.
char* shortest_digits(char* at, double finite) noexcept {
  char* end = std::to_chars(at, at + 24, finite).ptr;  // "-2.2250738585072014e-308"
  const std::string_view written(at, static_cast<std::size_t>(end - at));
  if (written.find_first_of(".e") == written.npos) {
    *end++ = '.';
    *end++ = '0';
  }
  return end;
}

}  // namespace

void put_real(std::string& out, double finite) {
  if (!std::isfinite(finite)) throw BadValueError("JSON has no number for an infinity or a NaN");
  std::array<char, 2 + 26> buffer;  // header and digits
  char* const digits = buffer.data() + 2;
  const char* end = hundredths(digits, finite);
  if (end == nullptr) end = shortest_digits(digits, finite);
  const auto size = static_cast<std::size_t>(end - digits);
  char* const start = digits - (size <= kInlineSize ? 1 : 2);
  detail::write_header(start, Type::kFloat, size);
  out.append(start, static_cast<std::size_t>(end - start));
}

}  // namespace graven::jsonb
