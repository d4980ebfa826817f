// SPDX-License-Identifier: MIT
//
// Makes items and calculates with numbers. See items.hpp. Any thread.
#include "map/items.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <graven/error.hpp>

#include "base/integer.hpp"

namespace graven::map {
namespace {

using base::Integer;

/// The number as an integer; nothing if it is a float.
std::optional<Integer> integer_of(std::string_view key, const Data& number, const char* what) {
  const Data::Item& item = number.root();
  if (const auto* small = std::get_if<std::int64_t>(&item)) return Integer(*small);
  if (const auto* big = std::get_if<BigInt>(&item)) return Integer(std::string_view(big->hex));
  if (std::holds_alternative<double>(item)) return std::nullopt;
  const std::string_view kind = number.is_dict()   ? "dict"
                                : number.is_list() ? "list"
                                                   : number.scalar().type_name();
  throw WrongTypeError(
      fmt::format("{} '{}' is {}, and only int and float can be added", what, shown(key), kind));
}

double real_of(std::string_view key, const Data& number, const std::optional<Integer>& integer) {
  if (!integer) return std::get<double>(number.root());
  const double real = integer->to_double();
  if (std::isfinite(real)) return real;
  throw LimitError(fmt::format(
      "at '{}', a float and an integer that is too large for a float cannot be added", shown(key)));
}

Data to_data(const Integer& integer) {
  if (const auto small = integer.to_int64()) return *small;
  return BigInt{integer.to_hex()};
}

constexpr Expiry kEnd = Expiry{1} << 52U;  // milliseconds; 140,000 years

constexpr const char* kValue = "the value at";
constexpr const char* kStep = "the number to add to the value at";

}  // namespace

Expiry expiry_of(TimeToLive ttl) {
  if (!ttl) return 0;
  if (ttl->count() <= 0) {
    throw BadValueError(
        fmt::format("a time to live of {} ms: give a positive one, or none", ttl->count()));
  }
  return std::min<Expiry>(ttl->count(), kEnd) + now();
}

Expiry expiry_at(std::chrono::sys_time<std::chrono::milliseconds> when) {
  return std::clamp<Expiry>(when.time_since_epoch().count(), 1, kEnd);
}

Item make_item(std::string_view key, const Data& value, TimeToLive ttl) {
  check_key(key);
  Item item;
  item.kind = encode(value, key, item.bytes);
  item.expires = expiry_of(ttl);
  return item;
}

Item make_item(std::string_view key, const MapValue& value, TimeToLive ttl) {
  check_key(key);
  Item item;
  item.kind = static_cast<ValueKind>(value.kind);
  check_scalar(item.kind, value.bytes, key);
  item.bytes = value.bytes;
  item.expires = expiry_of(ttl);
  return item;
}

Item make_item(const MapEntry& entry, TimeToLive ttl) {
  return entry.data != nullptr ? make_item(entry.key, *entry.data, ttl)
                               : make_item(entry.key, entry.value, ttl);
}

Item sum(std::string_view key, const Data& number, const Data& by) {
  const std::optional<Integer> left = integer_of(key, number, kValue);
  const std::optional<Integer> right = integer_of(key, by, kStep);
  Data result;
  if (left && right) {
    result = to_data(*left + *right);
  } else {
    result = real_of(key, number, left) + real_of(key, by, right);
  }
  return make_item(key, result);
}

Data negative(std::string_view key, const Data& number) {
  const std::optional<Integer> integer = integer_of(key, number, kStep);
  return integer ? to_data(-*integer) : Data(-std::get<double>(number.root()));
}

}  // namespace graven::map
