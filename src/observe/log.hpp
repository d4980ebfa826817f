// SPDX-License-Identifier: MIT
//
// Sends records to the sink of <graven/log.hpp>, and times operations that are logged when they are
// slow. No text is built when nobody listens.
//
// Always holds: log() never throws and takes no lock except a leaf lock of its own. So it may be
// called anywhere, also while holding the writer lock (Lane) or inside a callback of SQLite. Any
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <string_view>

#include <graven/log.hpp>

#include "observe/metrics.hpp"

namespace graven::observe {

/// The lowest level that the sink wants; kOff without a sink.
extern std::atomic<LogLevel> log_level;

inline bool logged(LogLevel level) noexcept {
  return level >= log_level.load(std::memory_order_relaxed);
}
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) noexcept;

/// The time from which on an operation counts as slow.
class SlowLimit {
 public:
  void set(std::chrono::nanoseconds limit) noexcept { limit_ = limit.count(); }
  /// Always false without a limit.
  [[nodiscard]] bool exceeded(std::chrono::nanoseconds took) const noexcept {
    const std::int64_t limit = limit_.load(std::memory_order_relaxed);
    return limit != 0 && took.count() >= limit;
  }

 private:
  std::atomic<std::int64_t> limit_{0};
};

void log_slow(std::string_view operation, std::string_view store, std::chrono::nanoseconds took,
              LogField detail) noexcept;

/// Times an operation from construction to destruction. If it was slow, `detail()` is called for
/// the log field that says what it did.
template <class Detail>
class Timed {
 public:
  using Clock = std::chrono::steady_clock;

  Timed(Latency& latency, const SlowLimit& slow, std::string_view operation, std::string_view store,
        Detail detail)
      : latency_(latency), slow_(slow), operation_(operation), store_(store), detail_(detail) {}
  ~Timed() {
    const std::chrono::nanoseconds took = Clock::now() - start_;
    latency_.record(took);
    if (!slow_.exceeded(took) || !logged(LogLevel::kWarning)) [[likely]]
      return;
    try {
      log_slow(operation_, store_, took, detail_());
    } catch (...) {
      // No memory to log it.
    }
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Latency& latency_;
  const SlowLimit& slow_;
  std::string_view operation_;
  std::string_view store_;
  Detail detail_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace graven::observe
