// SPDX-License-Identifier: MIT
//
// Rules of JSON and of graven's convention that need no parser: reserved names, equal keys,
// and where in a text something is. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <graven/data.hpp>

namespace graven::cli {

/// Keys that, first in an object, make it one of the convention's.
bool is_reserved_key(std::string_view key) noexcept;

/// Of keys that occur twice only the last value stays, at the place of the first.
void drop_duplicate_keys(Data::Container& dict);

/// The place of a raw control character inside a string (`control`), or else of the string that
/// has no end, in a text known to have one.
std::size_t string_fault(std::string_view text, bool control) noexcept;

/// "line 3, column 7 (byte 41)" of an offset, where the text starts at a line and a byte of its
/// file (counted from 1 and 0).
std::string position_in(std::string_view text, std::size_t offset, std::uint64_t first_line = 1,
                        std::uint64_t first_byte = 0);

}  // namespace graven::cli
