// SPDX-License-Identifier: MIT
//
// Paths inside a database, as text: tasks/T1/status, or with a leading slash as in JSON Pointer
// (RFC 6901): /tasks/T1/status. The empty path is the root.
//
// In a segment ~1 stands for '/', ~0 for '~', and ~xHH for the character of that hexadecimal
// code, for control characters a shell or a terminal cannot take. A segment is a key where it
// meets a dict and an index where it meets a list (-1 is the last item).
//
// Always holds: format_path() of what parse_path() gave parses to the same. Any thread.
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

/// UsageError when an escape is wrong.
Path parse_path(Text text);
std::string format_segment(Text segment);
/// Of the first `count` segments; "the root" for none.
std::string format_path(const Path& path, std::size_t count);
inline std::string format_path(const Path& path) { return format_path(path, path.size()); }

/// The index a segment means in a list, or nothing when it is no number.
std::optional<std::int64_t> parse_index(Text segment);

}  // namespace graven
