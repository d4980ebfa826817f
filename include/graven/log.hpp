// SPDX-License-Identifier: MIT
//
// The log: events that no call returns, such as a failed flush in the background, a transaction
// that was rolled back after its time limit, an operation slower than Options::slow_operation.
//
// graven writes nothing to standard error: nothing is logged until the program sets a sink. One
// sink serves the whole process. Any thread of graven or of the program may call it, also while it
// holds locks of graven: the sink must return soon, must not throw, and must not use graven. After
// a fork the child has the sink too.
//
// Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace graven {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

/// "debug", "info", "warning", "error", "off".
std::string_view name(LogLevel level) noexcept;

struct LogField {
  std::string_view key{};
  std::string value{};
};

/// Valid during the call that it is passed to.
struct LogRecord {
  LogLevel level = LogLevel::kInfo;
  std::string_view event{};  ///< such as "slow_operation"; see docs/operations.md
  std::span<const LogField> fields{};
};

/// One line: the event, then key=value pairs, quoted if needed.
std::string to_string(const LogRecord& record);

using LogSink = std::function<void(const LogRecord&)>;

/// Sets the sink, which gets records of `level` and above; an empty one switches logging off. A
/// call of the previous sink may still run in another thread.
void set_log_sink(LogSink sink, LogLevel level = LogLevel::kWarning);
/// Changes the level of the current sink.
void set_log_level(LogLevel level) noexcept;

}  // namespace graven
