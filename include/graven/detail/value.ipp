// SPDX-License-Identifier: MIT
//
// Value::get<T>, apart from the declarations. Included by <graven/value.hpp> only.
#pragma once

#include <concepts>
#include <type_traits>

namespace graven {
namespace detail {
[[noreturn]] void throw_wrong_type(std::string_view wanted, std::string_view found);
[[noreturn]] void throw_out_of_range(std::int64_t value);
}  // namespace detail

template <class T>
T Value::get() const {
  if constexpr (std::same_as<T, Value>) {
    return *this;
  } else if constexpr (std::same_as<T, double> || std::same_as<T, float>) {
    if (const auto* real = std::get_if<double>(&variant_)) return static_cast<T>(*real);
    if (const auto* integer = std::get_if<std::int64_t>(&variant_)) return static_cast<T>(*integer);
    detail::throw_wrong_type("float", type_name());
  } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    const auto* integer = std::get_if<std::int64_t>(&variant_);
    if (integer == nullptr) detail::throw_wrong_type("int", type_name());
    if (!std::in_range<T>(*integer)) detail::throw_out_of_range(*integer);
    return static_cast<T>(*integer);
  } else {
    if (const auto* value = std::get_if<T>(&variant_)) return *value;
    if constexpr (std::same_as<T, bool>) detail::throw_wrong_type("bool", type_name());
    if constexpr (std::same_as<T, std::string>) detail::throw_wrong_type("str", type_name());
    if constexpr (std::same_as<T, Bytes>) detail::throw_wrong_type("bytes", type_name());
    if constexpr (std::same_as<T, BigInt>) detail::throw_wrong_type("big int", type_name());
    if constexpr (std::same_as<T, Dict>) detail::throw_wrong_type("dict", type_name());
    if constexpr (std::same_as<T, List>) detail::throw_wrong_type("list", type_name());
    detail::throw_wrong_type("another type", type_name());
  }
}

}  // namespace graven
