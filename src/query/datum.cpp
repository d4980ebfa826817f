// SPDX-License-Identifier: MIT
//
// Comparisons of scalars. See datum.hpp.
#include "query/datum.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include <graven/error.hpp>

#include "base/integer.hpp"

namespace graven::query {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

/// The digits of a whole number of at least 2^63, as BigInt has them.
std::string hex_of(double whole) {
  int exponent = 0;
  auto mantissa =
      static_cast<std::uint64_t>(std::ldexp(std::frexp(std::fabs(whole), &exponent), 53));
  exponent -= 53;  // at least 11
  mantissa <<= static_cast<unsigned>(exponent % 4);
  std::string digits;
  for (; mantissa != 0; mantissa >>= 4U) digits.push_back("0123456789abcdef"[mantissa & 15U]);
  if (whole < 0) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  digits.append(static_cast<std::size_t>(exponent / 4), '0');
  return digits;
}

std::strong_ordering compare_hex(std::string_view left, std::string_view right) noexcept {
  const bool negative = left.starts_with('-');
  if (negative != right.starts_with('-')) {
    return negative ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  const auto longer = left.size() <=> right.size();
  const auto order = longer != 0 ? longer : left <=> right;
  return negative ? 0 <=> order : order;
}

std::partial_ordering compare(std::int64_t left, double right) noexcept {
  if (std::isnan(right)) return std::partial_ordering::unordered;
  if (right >= kTwoTo63) return std::partial_ordering::less;
  if (right < -kTwoTo63) return std::partial_ordering::greater;
  const double whole = std::trunc(right);
  const auto order = left <=> static_cast<std::int64_t>(whole);
  if (order != 0) return order;
  return whole <=> right;
}

/// `hex` is beyond 64 bits.
std::partial_ordering compare(std::string_view hex, double right) noexcept {
  if (std::isnan(right)) return std::partial_ordering::unordered;
  const auto sign =
      hex.starts_with('-') ? std::partial_ordering::less : std::partial_ordering::greater;
  if (right < kTwoTo63 && right >= -kTwoTo63) return sign;
  if (std::isinf(right)) {
    return right > 0 ? std::partial_ordering::less : std::partial_ordering::greater;
  }
  return compare_hex(hex, hex_of(right));
}

std::partial_ordering compare_numbers(const Datum& left, const Datum& right) noexcept {
  if (left.kind == Kind::kReal) {
    if (right.kind == Kind::kReal) return left.real <=> right.real;
    return 0 <=> compare_numbers(right, left);
  }
  if (right.kind == Kind::kReal) {
    return left.kind == Kind::kBig ? compare(left.text, right.real)
                                   : compare(left.integer, right.real);
  }
  if (left.kind == Kind::kBig) {
    if (right.kind == Kind::kBig) return compare_hex(left.text, right.text);
    return left.text.starts_with('-') ? std::partial_ordering::less
                                      : std::partial_ordering::greater;
  }
  if (right.kind == Kind::kBig) return 0 <=> compare_numbers(right, left);
  return left.integer <=> right.integer;
}

int rank(const Datum& datum) noexcept {
  switch (datum.kind) {
    case Kind::kNone:
      return 0;
    case Kind::kText:
      return 2;
    case Kind::kBytes:
      return 3;
    case Kind::kDict:
    case Kind::kList:
      return 4;
    default:
      return 1;
  }
}

bool is_nan(const Datum& datum) noexcept {
  return datum.kind == Kind::kReal && std::isnan(datum.real);
}

}  // namespace

Scalar scalar_of(const Value& value) {
  return std::visit(
      [](const auto& part) -> Scalar {
        using T = std::remove_cvref_t<decltype(part)>;
        if constexpr (std::is_base_of_v<Node, T>) {
          throw WrongTypeError(
              "a field is compared with a null, bool, number, text or bytes, not with a dict or "
              "list; for items of a list use any()");
        } else if constexpr (std::is_same_v<T, BigInt>) {
          base::require_hex(part.hex, "");
          const base::Integer exact{std::string_view(part.hex)};
          if (const auto small = exact.to_int64()) return *small;
          return BigInt{exact.to_hex()};
        } else {
          return part;
        }
      },
      value.variant());
}

Datum datum_of(const Scalar& scalar) noexcept {
  return std::visit(
      [](const auto& part) {
        using T = std::remove_cvref_t<decltype(part)>;
        Datum datum{.there = true};
        if constexpr (std::is_same_v<T, bool>) {
          datum.kind = Kind::kBool;
          datum.integer = part ? 1 : 0;
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          datum.kind = Kind::kInt;
          datum.integer = part;
        } else if constexpr (std::is_same_v<T, BigInt>) {
          datum.kind = Kind::kBig;
          datum.text = part.hex;
        } else if constexpr (std::is_same_v<T, double>) {
          datum.kind = Kind::kReal;
          datum.real = part;
        } else if constexpr (std::is_same_v<T, std::string>) {
          datum.kind = Kind::kText;
          datum.text = part;
        } else if constexpr (std::is_same_v<T, Bytes>) {
          datum.kind = Kind::kBytes;
          datum.text = part.data;
        }
        return datum;
      },
      scalar);
}

Scalar copy_of(const Datum& datum) {
  switch (datum.kind) {
    case Kind::kBool:
      return datum.integer != 0;
    case Kind::kInt:
      return datum.integer;
    case Kind::kBig:
      return BigInt{std::string(datum.text)};
    case Kind::kReal:
      return datum.real;
    case Kind::kText:
      return std::string(datum.text);
    case Kind::kBytes:
      return Bytes{std::string(datum.text)};
    default:
      return nullptr;
  }
}

Data::Item item_of(const Datum& datum) {
  return std::visit([](auto&& part) -> Data::Item { return std::forward<decltype(part)>(part); },
                    copy_of(datum));
}

bool equal(const Datum& left, const Datum& right) noexcept {
  if (left.kind == right.kind) {
    switch (left.kind) {
      case Kind::kNone:
        return true;
      case Kind::kReal:
        return left.real == right.real;
      case Kind::kBig:
      case Kind::kText:
      case Kind::kBytes:
        return left.text == right.text;
      default:
        return left.integer == right.integer;
    }
  }
  return left.is_number() && right.is_number() && compare_numbers(left, right) == 0;
}

std::optional<std::partial_ordering> compare(const Datum& left, const Datum& right) noexcept {
  if (left.is_number() && right.is_number()) return compare_numbers(left, right);
  if (left.kind != right.kind || (left.kind != Kind::kText && left.kind != Kind::kBytes)) {
    return std::nullopt;
  }
  return left.text <=> right.text;
}

std::weak_ordering total_order(const Datum& left, const Datum& right) noexcept {
  const int of_left = rank(left);
  if (const auto order = of_left <=> rank(right); order != 0) return order;
  if (of_left == 1) {
    const std::partial_ordering order = compare_numbers(left, right);
    if (order == std::partial_ordering::unordered) return is_nan(left) <=> is_nan(right);
    return order < 0   ? std::weak_ordering::less
           : order > 0 ? std::weak_ordering::greater
                       : std::weak_ordering::equivalent;
  }
  if (of_left == 2 || of_left == 3) return left.text <=> right.text;
  return std::weak_ordering::equivalent;
}

void put_identity(std::string& out, const Datum& datum) {
  const auto put = [&out](char mark, const void* bytes, std::size_t size) {
    out.push_back(mark);
    out.append(static_cast<const char*>(bytes), size);
  };
  const auto put_text = [&](char mark, std::string_view text) {
    const std::uint64_t size = text.size();
    put(mark, &size, sizeof size);
    out.append(text);
  };
  switch (datum.kind) {
    case Kind::kNone:
      out.push_back('0');
      return;
    case Kind::kBool:
    case Kind::kInt:
      return put('i', &datum.integer, sizeof datum.integer);
    case Kind::kBig:
      return put_text('h', datum.text);
    case Kind::kReal: {
      if (std::isnan(datum.real)) return out.push_back('n');
      if (std::isinf(datum.real) || datum.real != std::trunc(datum.real)) {
        return put('r', &datum.real, sizeof datum.real);
      }
      if (datum.real >= kTwoTo63 || datum.real < -kTwoTo63) {
        return put_text('h', hex_of(datum.real));
      }
      const auto whole = static_cast<std::int64_t>(datum.real);
      return put('i', &whole, sizeof whole);
    }
    case Kind::kText:
      return put_text('t', datum.text);
    case Kind::kBytes:
      return put_text('b', datum.text);
    default:
      return put('l', &datum.integer, sizeof datum.integer);
  }
}

}  // namespace graven::query
