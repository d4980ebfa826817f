// SPDX-License-Identifier: MIT
//
// The one sink, and how a record is written as a line. Any thread.
#include "observe/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "base/fork.hpp"
#include "base/text.hpp"
#include "observe/log_failure.hpp"

namespace graven {
namespace observe {

constinit std::atomic<LogLevel> log_level{LogLevel::kOff};

namespace {

/// Created when a sink is first set, because threads that hold locks must not enrol for fork().
class Listener final {
 public:
  static Listener& get() {
    static auto* listener = new Listener;  // never destroyed: threads may outlive statics
    return *listener;
  }

  void set(LogSink sink) {
    auto shared = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
    const std::scoped_lock lock(mutex_);
    sink_.swap(shared);
  }
  [[nodiscard]] std::shared_ptr<const LogSink> sink() {
    const std::scoped_lock lock(mutex_);
    return sink_;
  }

 private:
  base::ForkMutex mutex_{base::kForkRankLog};
  std::shared_ptr<const LogSink> sink_;
};

bool plain(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  });
}

void append_value(std::string& line, std::string_view value) {
  if (plain(value)) {
    line += value;
    return;
  }
  base::append_quoted(line, value, {'"', "\nn", "x"},
                      [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; });
}

}  // namespace

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) noexcept {
  if (!logged(level)) return;
  try {
    if (const auto sink = Listener::get().sink()) {
      (*sink)({level, event, {fields.begin(), fields.size()}});
    }
  } catch (...) {
    // The sink has thrown, or there is no memory: the operation that logs must not fail for that.
  }
}

void log_slow(std::string_view operation, std::string_view store, std::chrono::nanoseconds took,
              LogField detail) noexcept {
  try {
    log(LogLevel::kWarning, "slow_operation",
        {{"operation", std::string(operation)},
         {"ms", fmt::format("{:.1f}", std::chrono::duration<double, std::milli>(took).count())},
         {"store", std::string(store)},
         std::move(detail)});
  } catch (...) {
    // No memory to log it.
  }
}

void log_failure(std::string_view event, std::string_view what, std::string_view name) noexcept {
  if (!logged(LogLevel::kError)) return;
  try {
    std::string said = "unknown";
    try {
      throw;
    } catch (const std::exception& error) {
      said = error.what();
    } catch (...) {
      // It is no std::exception, so there is no text.
    }
    log(LogLevel::kError, event, {{"error", std::move(said)}, {what, std::string(name)}});
  } catch (...) {
    // No memory to log it.
  }
}

}  // namespace observe

std::string_view name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
    case LogLevel::kOff:
      return "off";
  }
  return "unknown";
}

std::string to_string(const LogRecord& record) {
  std::string line(record.event);
  for (const LogField& field : record.fields) {
    line += ' ';
    line += field.key;
    line += '=';
    observe::append_value(line, field.value);
  }
  return line;
}

void set_log_sink(LogSink sink, LogLevel level) {
  const bool any = static_cast<bool>(sink);
  if (!any) observe::log_level = LogLevel::kOff;
  observe::Listener::get().set(std::move(sink));
  if (any) observe::log_level = level;
}

void set_log_level(LogLevel level) noexcept { observe::log_level = level; }

}  // namespace graven
