// SPDX-License-Identifier: MIT
//
// Converts a caller's values to items, with checks, and items back to values.
//
// Errors: those of encode() and check_scalar(); BadValueError for an impossible time to live.
// Pure functions except that they read the clock; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "map/core.hpp"

namespace graven::map {

using TimeToLive = std::optional<std::chrono::milliseconds>;

/// The time at which an item with this time to live expires, counted from now.
Expiry expiry_of(TimeToLive ttl);
/// A time as an expiry, which is never 0; one that is too far away becomes the last possible one.
Expiry expiry_at(std::chrono::sys_time<std::chrono::milliseconds> when);

Item make_item(std::string_view key, const Data& value, TimeToLive ttl = std::nullopt);
Item make_item(std::string_view key, const MapValue& value, TimeToLive ttl = std::nullopt);
Item make_item(const MapEntry& entry, TimeToLive ttl = std::nullopt);

inline Data to_data(const Item& item) { return decode(item.kind, item.bytes); }

/// The item with the sum of two numbers: exact if both are integers, else a float. The caller sets
/// the expiry. WrongTypeError, which names the key, for a value that is no number; LimitError for
/// an integer that is too large to add to a float.
Item sum(std::string_view key, const Data& number, const Data& by);
/// The number with the opposite sign. The same errors.
Data negative(std::string_view key, const Data& number);

}  // namespace graven::map
