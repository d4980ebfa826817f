// SPDX-License-Identifier: MIT
//
// Rules of JSON and of graven's convention that need no parser: reserved names, equal keys, and
// positions in a text. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <graven/data.hpp>

namespace graven::cli {

/// Whether an object with this first key belongs to the convention.
bool is_reserved_key(std::string_view key) noexcept;

/// If a key occurs twice, keeps only the last value, at the position of the first.
void drop_duplicate_keys(Data::Container& dict);

/// The offset of a raw control character inside a string (`control`), or of the string that is not
/// closed. The text must have one.
std::size_t string_fault(std::string_view text, bool control) noexcept;

/// An offset as "line 3, column 7 (byte 41)". The text starts at line `first_line` (from 1) and
/// byte `first_byte` (from 0) of its file.
std::string position_in(std::string_view text, std::size_t offset, std::uint64_t first_line = 1,
                        std::uint64_t first_byte = 0);

}  // namespace graven::cli
