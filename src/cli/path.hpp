// SPDX-License-Identifier: MIT
//
// Paths on the command line (graven/path.hpp): following one, and storing at its end. Any thread.
#pragma once

#include <graven/graven.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace graven::cli {

/// There is nothing at the path; the command ends with status 1.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A path in the form that arguments take; empty for the root.
inline std::string exact_path(const Path& path) {
  return path.empty() ? std::string() : format_path(path);
}

/// One step of a path. NotFound if there is nothing, or if `from` is neither dict nor list.
/// `count`: how many segments of `path` are done with this step, for messages.
Value step_down(const Value& from, const Path& path, std::size_t count);
/// The value that the first `count` segments lead to.
Value walk(const Dict& root, const Path& path, std::size_t count);
inline Value walk(const Dict& root, const Path& path) { return walk(root, path, path.size()); }

/// Stores data at a path, in one transaction. At the root it replaces everything. With `parents`,
/// creates missing dicts on the way. "-" as the last segment appends to a list.
void store(const Database& db, const Path& path, Data data, bool parents);

}  // namespace graven::cli
