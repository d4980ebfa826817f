// SPDX-License-Identifier: MIT
//
// Paths inside a database, as the command line writes them: tasks/T1/status, or with a leading
// slash as in JSON Pointer (RFC 6901): /tasks/T1/status. The empty path is the root.
//
// In a segment ~1 stands for '/', ~0 for '~', and ~xHH for the character of that hexadecimal
// code, for control characters a shell or a terminal cannot take. A segment is a key where it
// meets a dict and an index where it meets a list (-1 is the last item).
//
// Always holds: format_path() of what parse_path() gave parses to the same. Any thread.
#pragma once

#include <graven/graven.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace graven::cli {

using Path = std::vector<std::string>;

/// Nothing is at the path; the command ends with status 1.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// UsageError when an escape is wrong.
Path parse_path(std::string_view text);
std::string format_segment(std::string_view segment);
/// Of the first `count` segments; "the root" for none.
std::string format_path(const Path& path, std::size_t count);
inline std::string format_path(const Path& path) { return format_path(path, path.size()); }

/// The index a segment means in a list, or nothing when it is no number.
std::optional<std::int64_t> parse_index(std::string_view segment);

/// One step down: NotFound when there is nothing, or when `from` is neither dict nor list.
/// `count` is the number of segments of `path` that the step completes, for messages.
Value step_down(const Value& from, const Path& path, std::size_t count);
/// What the first `count` segments lead to.
Value walk(const Dict& root, const Path& path, std::size_t count);
inline Value walk(const Dict& root, const Path& path) { return walk(root, path, path.size()); }

/// Stores data at a path, in a transaction of its own: at the root it replaces everything
/// there. With `parents`, dicts that are missing on the way are made. "-" as last segment
/// appends to a list.
void store(const Database& db, const Path& path, Data data, bool parents);

}  // namespace graven::cli
