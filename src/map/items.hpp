// SPDX-License-Identifier: MIT
//
// Items of what callers give, checked, and back.
//
// Errors: those of encode() and check_scalar(), BadValueError for a time to live that is none.
// Pure functions but for the clock; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "map/core.hpp"

namespace graven::map {

using TimeToLive = std::optional<std::chrono::milliseconds>;

/// When what lives so long from now on is gone.
Expiry expiry_of(TimeToLive ttl);

Item make_item(std::string_view key, const Data& value, TimeToLive ttl = std::nullopt);
Item make_item(std::string_view key, const MapValue& value, TimeToLive ttl = std::nullopt);
Item make_item(const MapEntry& entry, TimeToLive ttl = std::nullopt);

inline Data to_data(const Item& item) { return decode(item.kind, item.bytes); }

/// The item of a number and what is added to it: exact where both are integers, else a float; when
/// it expires is left to the caller. WrongTypeError, which names the key, for what is no number;
/// LimitError for an integer that is too large to add a float to.
Item sum(std::string_view key, const Data& number, const Data& by);
/// The same number below zero. The same errors.
Data negative(std::string_view key, const Data& number);

}  // namespace graven::map
