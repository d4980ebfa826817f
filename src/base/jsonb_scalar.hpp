// SPDX-License-Identifier: MIT
//
// How scalars are encoded in JSONB, in bodies of nodes and in nested values of maps. Most are
// elements of their own. What JSON lacks is an escape: an object with one key, which is a mark
// (none in nodes, "$" in maps) and a letter. {"b": base64} is bytes, {"i": hex} an integer beyond
// 64 bits, {"f": "nan"|"inf"|"-inf"} a float.
//
// Always holds: scalar() or escaped() give back exactly what put_scalar() wrote. Both can read into
// any variant that has the alternatives std::nullptr_t, bool, std::int64_t, BigInt, double,
// std::string and Bytes.
//
// Pure functions; any thread.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <graven/error.hpp>
#include <graven/value.hpp>

#include "base/integer.hpp"
#include "base/jsonb.hpp"
#include "base/text.hpp"

namespace graven::jsonb {

/// The value of an element; CorruptionError for an array or object.
template <class To>
To scalar(const Element& element) {
  switch (element.type) {
    case Type::kNull:
      return nullptr;
    case Type::kTrue:
      return true;
    case Type::kFalse:
      return false;
    case Type::kInt:
    case Type::kInt5:
      if (const auto number = integer(element)) return *number;
      return real(element);
    case Type::kFloat:
    case Type::kFloat5:
      return real(element);
    default:
      return text(element);
  }
}

/// The value of an escape with this letter in its key and this value; CorruptionError with the
/// message `otherwise` if it is not valid.
template <class To>
To escaped(char letter, const Element& value, const char* otherwise) {
  const bool known = letter == 'b' || letter == 'i' || letter == 'f';
  if (!known || !value.is_text()) throw CorruptionError(otherwise);
  std::string written = text(value);
  if (letter == 'b') {
    if (auto bytes = base::from_base64(written)) return Bytes{*std::move(bytes)};
  } else if (letter == 'i') {
    if (base::is_hex(written)) return BigInt{std::move(written)};
  } else if (const auto number = base::odd_float(written)) {
    return *number;
  }
  throw CorruptionError(otherwise);
}

inline void put_escape(std::string& out, std::string_view mark, char letter,
                       std::string_view value) {
  const std::size_t object = open(out);
  put_header(out, Type::kText, mark.size() + 1);
  out.append(mark).push_back(letter);
  put_text(out, value);
  close(out, Type::kObject, object);
}

template <class T>
void put_scalar(std::string& out, const T& value, std::string_view mark) {
  if constexpr (std::is_same_v<T, std::nullptr_t>) {
    put_null(out);
  } else if constexpr (std::is_same_v<T, bool>) {
    put_bool(out, value);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    put_int(out, value);
  } else if constexpr (std::is_same_v<T, BigInt>) {
    put_escape(out, mark, 'i', value.hex);
  } else if constexpr (std::is_same_v<T, double>) {
    if (std::isfinite(value)) return put_real(out, value);
    put_escape(out, mark, 'f', base::name_of_odd(value));
  } else if constexpr (std::is_same_v<T, std::string>) {
    put_text(out, value);
  } else {
    static_assert(std::is_same_v<T, Bytes>);
    put_escape(out, mark, 'b', base::to_base64(value.data));
  }
}

}  // namespace graven::jsonb
