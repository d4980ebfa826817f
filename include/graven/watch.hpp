// SPDX-License-Identifier: MIT
//
// Watching a place in a database: whoever waits sleeps, and is woken by commits of this and of
// other processes.
//
// What is watched is the value at a path and, if it is a dict or list, its own entries; not what
// lies deeper. Changes that follow each other quickly may be seen as one, and what was changed
// and changed back not at all; the last state is always seen.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <graven/database.hpp>
#include <graven/value.hpp>

namespace graven {

namespace graph {
class WatchState;
}

/// The value at a path has become another one.
struct Change {
  std::string path;            ///< as parse_path() takes it
  std::optional<Value> value;  ///< nothing: it is gone
};

/// A watch is a small value: copies stand for the same watch. One thread at a time calls next().
class Watch {
 public:
  /// Watches from now on. The path may lead to nothing yet. UsageError for a bad path, or in a
  /// transaction; ClosedError.
  Watch(const Database& db, Text path);

  /// The next change; nothing when the time is up or stop() was called. Of a dict each key that was
  /// set or removed is a change of its own; of a list the list is. ClosedError when the database is
  /// closed meanwhile.
  [[nodiscard]] std::optional<Change> next(std::chrono::milliseconds timeout) const;

  /// Ends a next() that is waiting, and all later ones at once. From any thread.
  void stop() const;

 private:
  detail::Held<graph::WatchState> state_;
};

/// Sleeps until what Watch would report changes; false when the time is up.
inline bool wait(const Database& db, Text path, std::chrono::milliseconds timeout) {
  return Watch(db, path).next(timeout).has_value();
}

}  // namespace graven
