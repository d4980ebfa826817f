// SPDX-License-Identifier: MIT
//
// Numbers in the command line's JSON: decimal integers of any size (graven::BigInt holds large ones
// in hexadecimal), floats as the shortest text.
//
// Always holds: the parse_* functions read what format_real() and graven::to_decimal() write back
// to exactly the same value.
//
// Pure functions; any thread.
#pragma once

#include <graven/data.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graven::cli {

/// The most decimal digits of an integer; conversion takes quadratic time.
inline constexpr std::size_t kMaxDigits = 1'000'000;

enum class NumberKind { kInvalid, kInteger, kReal };
/// What a text is according to JSON's number grammar (RFC 8259 section 6): no leading zeros, no
/// '+', and digits on both sides of a point.
NumberKind number_kind(std::string_view text) noexcept;

/// The value of an integer `text` (NumberKind::kInteger, at most kMaxDigits digits): std::int64_t
/// if it fits, else BigInt.
Data::Item parse_integer(std::string_view text);
/// The nearest float to `text` (NumberKind::kReal); nothing if it is too large for a float.
std::optional<double> parse_real(std::string_view text);

/// The shortest text that reads back as the same finite float; it always has '.' or an exponent.
std::string format_real(double value);

/// A count with thousands separators: 1,234,567.
std::string grouped(std::uint64_t count);

}  // namespace graven::cli
