// SPDX-License-Identifier: MIT
//
// Saying something to the sink of <graven/log.hpp>, and timing operations that say so themselves
// when they are slow. Nothing is put into words before somebody listens.
//
// Always holds: log() never throws and takes no lock but a leaf of its own, so it may be called
// anywhere, also with the lane held or inside a callback of SQLite's. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <string_view>

#include <graven/log.hpp>

#include "observe/metrics.hpp"

namespace graven::base {

/// What the sink wants; kOff without one.
extern std::atomic<LogLevel> log_level;

inline bool logged(LogLevel level) noexcept {
  return level >= log_level.load(std::memory_order_relaxed);
}
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) noexcept;

/// From which time on an operation is slow.
class SlowLimit {
 public:
  void set(std::chrono::nanoseconds limit) noexcept { limit_ = limit.count(); }
  /// Never without a limit.
  [[nodiscard]] bool exceeded(std::chrono::nanoseconds took) const noexcept {
    const std::int64_t limit = limit_.load(std::memory_order_relaxed);
    return limit != 0 && took.count() >= limit;
  }

 private:
  std::atomic<std::int64_t> limit_{0};
};

void log_slow(std::string_view operation, std::string_view store, std::chrono::nanoseconds took,
              LogField detail) noexcept;

/// Times an operation from construction to destruction. `detail()` gives the field that says what
/// it was about; it is called if that was slow.
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
      // No memory to say it with.
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

}  // namespace graven::base
