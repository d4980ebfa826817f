// SPDX-License-Identifier: MIT
//
// A log sink (<graven/log.hpp>) that writes with spdlog. Any thread.
#include "serve/log_lines.hpp"

#include <graven/error.hpp>

#include <array>
#include <memory>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace graven::serve {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

LogLevel parse(const std::string& text) {
  constexpr std::array kLevels{LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning,
                               LogLevel::kError, LogLevel::kOff};
  for (const LogLevel level : kLevels) {
    if (text == name(level)) return level;
  }
  throw UsageError("no log level '" + text + "'; there are debug, info, warning, error and off");
}

}  // namespace

LogLines::LogLines(const std::string& level) : level_(parse(level)) {
  const auto logger =
      std::make_shared<spdlog::logger>("graven", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog::level::trace);  // graven's level filters already
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->flush_on(spdlog::level::trace);
  sink_ = [logger](const LogRecord& record) {
    logger->log(to_spdlog(record.level), "{}", to_string(record));
  };
  set_log_sink(sink_, level_);
}

LogLines::~LogLines() { set_log_sink({}); }

void LogLines::warn(std::string_view event, std::string what) const {
  if (level_ > LogLevel::kWarning) return;
  const std::array<LogField, 1> fields{{{.key = "what", .value = std::move(what)}}};
  sink_({.level = LogLevel::kWarning, .event = event, .fields = fields});
}

}  // namespace graven::serve
