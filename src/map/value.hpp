// SPDX-License-Identifier: MIT
//
// Values of a map: Data to a kind and bytes, and back. Scalars are their bytes; nested data is one
// element of JSONB, in which {"$b": base64} is bytes, {"$i": hex} an integer beyond 64 bits and
// {"$f": "nan"|"inf"|"-inf"} a float JSON lacks. A dict whose only key begins with "$" gets one
// more
// "$" in front of it (docs/format/map.md).
//
// Always holds: decode(encode(x)) equals x.
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <graven/map.hpp>

#include "port/record.hpp"

namespace graven::map {

using store::ValueKind;

inline constexpr std::size_t kMaxKey = 65'535;
inline constexpr std::size_t kMaxValue = std::size_t{512} << 20U;
/// SQLite's own limit for JSON.
inline constexpr int kMaxDepth = 1000;

/// Checks as well: WrongTypeError for a handle, BadValueError for text that is not UTF-8 or a
/// structure that contains itself, LimitError. `key` is for the message.
ValueKind encode(const Data& data, std::string_view key, std::string& bytes);
Data decode(ValueKind kind, std::string_view bytes);
/// CorruptionError for a text or big integer that is none. Others are looked at when they are
/// decoded.
void require_readable(ValueKind kind, std::string_view bytes);
/// CorruptionError where a stored value cannot be read.
void prove(std::int64_t kind, std::string_view bytes);
/// Whether these are what encode() makes of a scalar: the same errors, UsageError for what is none.
void check_scalar(ValueKind kind, std::string_view bytes, std::string_view key);

/// A key or value in a message: its beginning, if it is long.
std::string shown(std::string_view text);

/// LimitError or BadValueError for what no key can be.
void check_key(std::string_view key);

}  // namespace graven::map
