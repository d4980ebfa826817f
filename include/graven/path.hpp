// SPDX-License-Identifier: MIT
//
// Paths inside a database, as text: tasks/T1/status, or with a leading slash as in JSON Pointer
// (RFC 6901): /tasks/T1/status. The empty path is the root.
//
// In a segment ~1 stands for '/', ~0 for '~', and ~xHH for the character with that hexadecimal
// code (for control characters, which shells and terminals do not accept). A segment is a key in a
// dict and an index in a list (-1 is the last item).
//
// Always holds: parse_path(format_path(path)) is the same path. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <graven/argument.hpp>

namespace graven {

using Path = std::vector<std::string>;

/// The segments of a path. UsageError if an escape is wrong.
Path parse_path(Text text);
/// The segment with its escapes.
std::string format_segment(Text segment);
/// The text of the first `count` segments; "the root" if that is none.
std::string format_path(const Path& path, std::size_t count);
inline std::string format_path(const Path& path) { return format_path(path, path.size()); }

/// The segment as an index of a list, or nothing if it is not a number.
std::optional<std::int64_t> parse_index(Text segment);

}  // namespace graven
