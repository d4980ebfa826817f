// SPDX-License-Identifier: MIT
//
// graven's log as lines on standard error, as long as this lives: time, level, event, key=value.
//
// Made and destroyed by the main thread; lines come from any.
#pragma once

#include <string>

namespace graven::console {

class LogLines {
 public:
  /// From "debug", "info", "warning", "error" on; "off": nothing. UsageError for another.
  explicit LogLines(const std::string& level);
  ~LogLines();
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
};

}  // namespace graven::console
