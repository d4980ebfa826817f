// SPDX-License-Identifier: MIT
//
// While one exists, writes graven's log to standard error, one line per event: time, level, event,
// key=value.
//
// Made and destroyed by the main thread; any thread may log.
#pragma once

#include <string>
#include <string_view>

#include <graven/log.hpp>

namespace graven::serve {

class LogLines {
 public:
  /// `level`: the lowest level to write, "debug", "info", "warning" or "error"; "off": none.
  /// UsageError for any other.
  explicit LogLines(const std::string& level);
  ~LogLines();
  /// Writes a warning of this program's own, if the level includes warnings.
  void warn(std::string_view event, std::string what) const;
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

 private:
  LogLevel level_;
  LogSink sink_;
};

}  // namespace graven::serve
