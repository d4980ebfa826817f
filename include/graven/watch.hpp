// SPDX-License-Identifier: MIT
//
// Watching a path in a database: a thread sleeps until a commit of this or another process changes
// what is there.
//
// A watch covers the value at the path and, if it is a dict or list, its direct entries; nothing
// deeper. Changes that follow each other quickly may be reported as one, and a change that was
// undone may not be reported; the last state is always reported.
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

/// The value at a path has changed.
struct Change {
  std::string path;            ///< as parse_path() takes it
  std::optional<Value> value;  ///< the new value; nothing: it was removed
};

/// A watch is a small value: copies stand for the same watch. One thread at a time calls next().
class Watch {
 public:
  /// Watches from now on. There need not be a value at the path. UsageError for a bad path, or in a
  /// transaction; ClosedError.
  Watch(const Database& db, Text path);

  /// The next change; nothing after `timeout` or stop(). In a dict each key that was set or removed
  /// is one change; a list as a whole is one change. ClosedError if the database is closed
  /// meanwhile.
  [[nodiscard]] std::optional<Change> next(std::chrono::milliseconds timeout) const;

  /// Ends a next() that is waiting; all later calls of next() return nothing. Any thread.
  void stop() const;

 private:
  detail::Held<graph::WatchState> state_;
};

/// Sleeps until Watch would report a change; false after `timeout`.
inline bool wait(const Database& db, Text path, std::chrono::milliseconds timeout) {
  return Watch(db, path).next(timeout).has_value();
}

}  // namespace graven
