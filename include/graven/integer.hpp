// SPDX-License-Identifier: MIT
//
// Integers beyond 64 bits, which graven keeps as hexadecimal digits (BigInt), as people read them.
//
// Pure functions; any thread.
#pragma once

#include <string>

#include <graven/value.hpp>

namespace graven {

/// Its decimal digits, after a '-' when negative. Takes time in proportion to the square of their
/// number.
std::string to_decimal(const BigInt& integer);

}  // namespace graven
