// SPDX-License-Identifier: MIT
//
// What stands between a verb and the world: standard output, a progress bar on standard error,
// and the signals that ask to stop.
//
// Always holds: output goes out whole or the command fails (a full disk is an error, a reader
// that went away ends the command by SIGPIPE after the database was closed); a bar is drawn on
// a terminal only; a signal during guarded work never cuts a transaction in two.
//
// Used by the main thread; the signal handler touches one flag.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace graven::cli {

/// Standard output has no reader any more.
class OutputClosed : public std::runtime_error {
 public:
  OutputClosed() : std::runtime_error("standard output was closed") {}
};

/// A signal asked to stop; what() says how far the work had come.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(int signal, const std::string& what) : std::runtime_error(what), signal_(signal) {}
  [[nodiscard]] int signal() const noexcept { return signal_; }

 private:
  int signal_;
};

/// Makes sure that descriptors 0, 1 and 2 are taken, so that no database file becomes what this
/// program prints to, and that a lost reader is an error instead of a sudden end.
void prepare_descriptors();

/// A buffered file descriptor; standard output unless told.
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
  /// UnavailableError when it cannot be written, OutputClosed when nobody reads.
  void flush();

 private:
  static constexpr std::size_t kFlushAt = std::size_t{256} << 10;
  int descriptor_;
  std::string name_;
  std::string buffer_{};
};

/// A line on standard error.
void note(std::string_view text);
bool is_terminal(int descriptor);

/// A bar on standard error, drawn over itself ten times a second at most; nothing at all when
/// that is no terminal or `shown` is false.
class Progress {
 public:
  enum class Unit { kBytes, kItems };
  Progress(std::string label, std::uint64_t total, Unit unit, bool shown = true);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done);
  /// For a total that becomes known, or changes, on the way (0: unknown).
  void update(std::uint64_t done, std::uint64_t total) {
    total_ = total;
    update(done);
  }
  /// Takes the bar off the screen.
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

/// While one lives, the first SIGINT, SIGTERM or SIGHUP only sets a flag; a second one ends the
/// process as ever.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that came, or 0.
  [[nodiscard]] static int signal() noexcept;
  /// Until then or a signal; whether it was the time.
  static bool sleep_until(std::chrono::steady_clock::time_point when);

 private:
  static constexpr int kCount = 3;
  struct sigaction before_[kCount];
};

}  // namespace graven::cli
