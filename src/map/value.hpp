// SPDX-License-Identifier: MIT
//
// Encodes a map's values: converts Data to a kind and bytes, and back. Scalars are their bytes.
// Nested data is one JSONB element, in which {"$b": base64} is bytes, {"$i": hex} an integer beyond
// 64 bits and {"$f": "nan"|"inf"|"-inf"} a float that JSON lacks. If the only key of a dict begins
// with "$", one more "$" is put before it (docs/format/map.md).
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

using port::ValueKind;

inline constexpr std::size_t kMaxKey = 65'535;
inline constexpr std::size_t kMaxValue = std::size_t{512} << 20U;
/// SQLite's own limit for JSON.
inline constexpr int kMaxDepth = 1000;

/// Encodes and checks: WrongTypeError for a handle; BadValueError for text that is not UTF-8 or a
/// structure that contains itself; LimitError if it is too large or too deep. `key` is for the
/// message.
ValueKind encode(const Data& data, std::string_view key, std::string& bytes);
Data decode(ValueKind kind, std::string_view bytes);
/// CorruptionError for bytes that are no valid text or big integer. Other kinds are checked when
/// they are decoded.
void require_readable(ValueKind kind, std::string_view bytes);
/// CorruptionError if a stored value cannot be read.
void prove(std::int64_t kind, std::string_view bytes);
/// Checks that `bytes` is what encode() makes of a scalar of this kind. Throws the same errors, and
/// UsageError if the kind is no scalar.
void check_scalar(ValueKind kind, std::string_view bytes, std::string_view key);

/// A key or value for a message, shortened if it is long.
std::string shown(std::string_view text);

/// LimitError or BadValueError if `key` is not allowed as a key.
void check_key(std::string_view key);

}  // namespace graven::map
