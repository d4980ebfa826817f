// SPDX-License-Identifier: MIT
//
// What graven has to say while nobody asks: a flush in the background that failed, a transaction
// that was rolled back for its age, an operation slower than Options::slow_operation.
//
// A library has no business on its host's standard error, so nothing is said until a sink is set.
// One sink serves the whole process. It is called by whichever thread has something to say, which
// may hold locks of graven's: it must return soon, must not throw, and must not use graven. After
// a fork the child has it too.
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

/// Lives as long as the call it is given to.
struct LogRecord {
  LogLevel level = LogLevel::kInfo;
  std::string_view event{};  ///< what happened, as "slow_operation"; see docs/operations.md
  std::span<const LogField> fields{};
};

/// One line: the event, then key=value, quoted where need be.
std::string to_string(const LogRecord& record);

using LogSink = std::function<void(const LogRecord&)>;

/// From now on `sink` gets what is of that level or worse; an empty one: nobody. A call of the
/// one before may still be under way in another thread.
void set_log_sink(LogSink sink, LogLevel level = LogLevel::kWarning);
/// Of the sink that is set.
void set_log_level(LogLevel level) noexcept;

}  // namespace graven
