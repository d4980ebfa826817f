// SPDX-License-Identifier: MIT
//
// Decimal text of integers beyond 64 bits, which graven stores as hexadecimal digits (BigInt).
//
// Pure functions; any thread.
#pragma once

#include <string>

#include <graven/value.hpp>

namespace graven {

/// The decimal digits, after a '-' if negative. The time grows with the square of their number.
std::string to_decimal(const BigInt& integer);

}  // namespace graven
