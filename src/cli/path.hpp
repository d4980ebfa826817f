// SPDX-License-Identifier: MIT
//
// Paths on the command line (graven/path.hpp): walking along one, and storing at its end.
// Any thread.
#pragma once

#include <graven/graven.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace graven::cli {

/// Nothing is at the path; the command ends with status 1.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A path for programs, as arguments take it; that of the root is empty.
inline std::string exact_path(const Path& path) {
  return path.empty() ? std::string() : format_path(path);
}

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
