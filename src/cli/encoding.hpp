// SPDX-License-Identifier: MIT
//
// Numbers as the command line's JSON has them: integers of any size from decimal to hexadecimal
// (graven::BigInt), floats as shortest text.
//
// Always holds: what format_real() and graven::to_decimal() write, the parse_* functions read back
// to the same value, bit for bit.
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

/// The longest integer read or written, in decimal digits; conversion is quadratic.
inline constexpr std::size_t kMaxDigits = 1'000'000;

enum class NumberKind { kInvalid, kInteger, kReal };
/// What a text is by JSON's grammar of numbers (RFC 8259 section 6), which has no leading
/// zeros, no '+' and no bare point.
NumberKind number_kind(std::string_view text) noexcept;

/// The integer that `text`, of NumberKind::kInteger and at most kMaxDigits digits, stands for:
/// std::int64_t where it fits, else BigInt.
Data::Item parse_integer(std::string_view text);
/// The float nearest to `text`, of NumberKind::kReal; nothing when it is too large for one.
std::optional<double> parse_real(std::string_view text);

/// The shortest text that reads back as the same finite float, always with '.' or an exponent.
std::string format_real(double value);

/// A count with thousands separated: 1,234,567.
std::string grouped(std::uint64_t count);

}  // namespace graven::cli
