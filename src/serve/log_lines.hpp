// SPDX-License-Identifier: MIT
//
// graven's log as lines on standard error, as long as this lives: time, level, event, key=value.
//
// Made and destroyed by the main thread; lines come from any.
#pragma once

#include <string>
#include <string_view>

#include <graven/log.hpp>

namespace graven::console {

class LogLines {
 public:
  /// From "debug", "info", "warning", "error" on; "off": nothing. UsageError for another.
  explicit LogLines(const std::string& level);
  ~LogLines();
  /// A line of this program's own, if warnings are wanted.
  void warn(std::string_view event, std::string what) const;
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

 private:
  LogLevel level_;
  LogSink sink_;
};

}  // namespace graven::console
