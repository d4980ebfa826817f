// SPDX-License-Identifier: MIT
//
// Standard output, a progress bar on standard error, and the signals that ask a verb to stop.
//
// Always holds: output is written completely or the command fails. A full disk is an error; if the
// reader of a pipe is gone, the command closes the database and then ends by SIGPIPE. A progress
// bar is only drawn on a terminal. A signal during guarded work never interrupts a transaction.
//
// Used by the main thread; the signal handler only sets one flag.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace graven::cli {

/// The reader of standard output is gone.
class OutputClosed : public std::runtime_error {
 public:
  OutputClosed() : std::runtime_error("standard output was closed") {}
};

/// A signal asked to stop; what() says how much was done.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(int signal, const std::string& what) : std::runtime_error(what), signal_(signal) {}
  [[nodiscard]] int signal() const noexcept { return signal_; }

 private:
  int signal_;
};

/// Opens descriptors 0, 1 and 2 if they are closed, so that no database file gets one of these
/// numbers and this program's output. Ignores SIGPIPE, so that a lost reader is an error.
void prepare_descriptors();

/// Buffered output to a file descriptor; standard output by default.
class Output {
 public:
  explicit Output(int descriptor = 1, std::string name = "standard output")
      : descriptor_(descriptor), name_(std::move(name)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void put(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kFlushAt) flush();
  }
  void line(std::string_view text) {
    put(text);
    put("\n");
  }
  /// Writes the buffer. UnavailableError if that fails, OutputClosed if the reader is gone.
  void flush();

 private:
  static constexpr std::size_t kFlushAt = std::size_t{256} << 10;
  int descriptor_;
  std::string name_;
  std::string buffer_{};
};

/// Writes a line to standard error.
void note(std::string_view text);
bool is_terminal(int descriptor);

/// A progress bar on standard error, redrawn at most ten times a second. Draws nothing if that is
/// not a terminal or if `shown` is false.
class Progress {
 public:
  enum class Unit { kBytes, kItems };
  Progress(std::string label, std::uint64_t total, Unit unit, bool shown = true);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done);
  /// For a total that becomes known or changes during the work (0: unknown).
  void update(std::uint64_t done, std::uint64_t total) {
    total_ = total;
    update(done);
  }
  /// Removes the bar from the screen.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  std::uint64_t total_;
  Unit unit_;
  bool shown_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::milliseconds(100);
};

/// "12.3 MB".
std::string human_bytes(std::uint64_t bytes);
/// "0.8 ms", "3.2 s", "4:05 min".
std::string human_time(double seconds);

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// While one exists, the first SIGINT, SIGTERM or SIGHUP only sets a flag; the second one ends the
/// process as usual.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that arrived, or 0.
  [[nodiscard]] static int signal() noexcept;
  /// Sleeps until then or until a signal; true if the time came.
  static bool sleep_until(std::chrono::steady_clock::time_point when);

 private:
  static constexpr int kCount = 3;
  struct sigaction before_[kCount];
};

}  // namespace graven::cli
