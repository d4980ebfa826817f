// SPDX-License-Identifier: MIT
//
// A scalar, or an unread dict or list, as conditions compare it; and the comparisons.
//
// Always holds: numbers are compared exactly, whatever their types; equal() implies that neither is
// before the other in the total order. Text is compared by code points, which is the order of its
// UTF-8 bytes.
//
// Views of bytes that belong to others; plain values, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <graven/data.hpp>

namespace graven::query {

enum class Kind : std::uint8_t { kNone, kBool, kInt, kBig, kReal, kText, kBytes, kDict, kList };

struct Datum {
  Kind kind = Kind::kNone;
  bool there = false;        // false: no such field; it reads as null
  std::int64_t integer = 0;  // kBool, kInt; the id of a node
  double real = 0;
  std::string_view text{};  // kText, kBytes; of kBig the hexadecimal digits

  [[nodiscard]] bool is_number() const noexcept {
    return kind >= Kind::kBool && kind <= Kind::kReal;
  }
  [[nodiscard]] bool is_node() const noexcept { return kind >= Kind::kDict; }
};

/// The scalars that a condition may hold.
using Scalar = std::variant<std::nullptr_t, bool, std::int64_t, BigInt, double, std::string, Bytes>;

/// WrongTypeError for a dict or list.
Scalar scalar_of(const Value& value);
/// A view of the scalar, which must live as long.
Datum datum_of(const Scalar& scalar) noexcept;
/// A copy. A dict or list must not be given.
Scalar copy_of(const Datum& datum);
Data::Item item_of(const Datum& datum);

/// As Python's ==.
bool equal(const Datum& left, const Datum& right) noexcept;
/// As Python's <: nothing for types that have no order; `unordered` for NaN.
std::optional<std::partial_ordering> compare(const Datum& left, const Datum& right) noexcept;
/// null < numbers (NaN last) < text < bytes < others.
std::weak_ordering total_order(const Datum& left, const Datum& right) noexcept;

/// Bytes that are the same for equal scalars, and different for others. All NaNs are the same here.
void put_identity(std::string& out, const Datum& datum);

}  // namespace graven::query
