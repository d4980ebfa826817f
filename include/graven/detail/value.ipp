// SPDX-License-Identifier: MIT
//
// Value::get<T>, apart from the declarations. Included by <graven/value.hpp> only.
#pragma once

#include <concepts>
#include <limits>
#include <type_traits>

namespace graven {
namespace detail {

/// The type that get<T>() was asked for, for messages.
struct Wanted {
  std::string_view type;   // "int"
  std::string_view exact;  // "std::int8_t"
};

template <class T>
constexpr Wanted wanted() {
  if constexpr (Integer<T>) {
    constexpr std::size_t kSize = sizeof(T);
    constexpr bool kSigned = std::is_signed_v<T>;
    return {"int", kSize == 1   ? (kSigned ? "std::int8_t" : "std::uint8_t")
                   : kSize == 2 ? (kSigned ? "std::int16_t" : "std::uint16_t")
                   : kSize == 4 ? (kSigned ? "std::int32_t" : "std::uint32_t")
                                : (kSigned ? "std::int64_t" : "std::uint64_t")};
  }
  if constexpr (std::same_as<T, float>) return {"float", "float"};
  if constexpr (std::same_as<T, double>) return {"float", "double"};
  if constexpr (std::same_as<T, bool>) return {"bool", "bool"};
  if constexpr (std::same_as<T, std::string>) return {"str", "std::string"};
  if constexpr (std::same_as<T, Bytes>) return {"bytes", "Bytes"};
  if constexpr (std::same_as<T, BigInt>) return {"an int beyond 64 bits", "BigInt"};
  if constexpr (std::same_as<T, Dict>) return {"dict", "Dict"};
  if constexpr (std::same_as<T, List>) return {"list", "List"};
  return {"null", "std::nullptr_t"};
}

/// Throws WrongTypeError or, for a number that T cannot hold, LimitError, with the path if known.
[[noreturn]] void refuse(const Value& value, Wanted wanted, const Ref* place = nullptr);

/// A BigInt of up to 64 bits without a sign.
std::optional<std::uint64_t> to_unsigned(const BigInt& value);
/// The nearest double; an infinity if the number is too large.
double to_double(const BigInt& value);

template <class T>
T get(const Value& value, const Ref* place = nullptr) {
  const Value::Variant& variant = value.variant();
  if constexpr (std::same_as<T, Value>) {
    return value;
  } else if constexpr (Integer<T>) {
    if (const auto* integer = std::get_if<std::int64_t>(&variant)) {
      if (std::in_range<T>(*integer)) return static_cast<T>(*integer);
    } else if (const auto* large = std::get_if<BigInt>(&variant)) {
      const std::optional<std::uint64_t> number = to_unsigned(*large);
      if (number && std::in_range<T>(*number)) return static_cast<T>(*number);
    }
    refuse(value, wanted<T>(), place);
  } else if constexpr (std::floating_point<T> && Number<T>) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kMost = std::numeric_limits<T>::max();
    double real = 0;
    if (const auto* number = std::get_if<double>(&variant)) {
      real = *number;
      if (real == kInfinity || real == -kInfinity) return static_cast<T>(real);
    } else if (const auto* integer = std::get_if<std::int64_t>(&variant)) {
      real = static_cast<double>(*integer);
    } else if (const auto* large = std::get_if<BigInt>(&variant)) {
      real = to_double(*large);
    } else {
      refuse(value, wanted<T>(), place);
    }
    if (real > kMost || real < -kMost) refuse(value, wanted<T>(), place);
    return static_cast<T>(real);
  } else if constexpr (Scalar<T>) {
    if (const auto* found = std::get_if<T>(&variant)) return *found;
    refuse(value, wanted<T>(), place);
  } else {
    static_assert(kNever<T>,
                  "graven: get<T>() gives bool, integers of up to 64 bits, float, double, "
                  "std::string, Bytes, BigInt, Dict, List or Value");
  }
}

}  // namespace detail

template <class T>
T Value::get() const {
  return detail::get<T>(*this);
}

template <class T>
bool Value::is() const noexcept {
  if constexpr (detail::OneOf<T, std::int64_t, double> ||
                (detail::Scalar<T> && !detail::Number<T>) || std::same_as<T, bool>) {
    return std::holds_alternative<T>(variant_);
  } else {
    static_assert(detail::kNever<T>,
                  "graven: is<T>() asks for one of the types of Value::Variant, such as "
                  "std::int64_t, double or std::string");
  }
}

inline Dict Value::as_dict() const { return detail::get<Dict>(*this); }
inline List Value::as_list() const { return detail::get<List>(*this); }

}  // namespace graven
