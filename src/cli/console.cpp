// SPDX-License-Identifier: MIT
//
// Descriptors, the progress bar, signals. Used by the main thread, except the signal handler, which
// sets one flag.
#include "cli/console.hpp"

#include <graven/error.hpp>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "cli/encoding.hpp"

namespace graven::cli {
namespace {

volatile std::sig_atomic_t pending_signal = 0;

extern "C" void remember_signal(int signal) { pending_signal = signal; }

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
  return 80;
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return;  // no way to report it
    }
  }
}

}  // namespace

void prepare_descriptors() {
  std::signal(SIGPIPE, SIG_IGN);
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // In the wrong direction, so that using it is still an error.
    const int opened = ::open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
    if (opened >= 0 && opened != descriptor) ::close(opened);
  }
}

void Output::flush() {
  std::string_view text = buffer_;
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      buffer_.clear();
      throw OutputClosed();
    } else if (errno != EINTR) {
      const int error = errno;
      buffer_.clear();
      throw UnavailableError(fmt::format("cannot write to {}: {}", name_, std::strerror(error)));
    }
  }
  buffer_.clear();
}

void note(std::string_view text) { write_all(2, std::string(text) + '\n'); }

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

Progress::Progress(std::string label, std::uint64_t total, Unit unit, bool shown)
    : label_(std::move(label)), total_(total), unit_(unit), shown_(shown && is_terminal(2)) {}

void Progress::update(std::uint64_t done) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const auto amount = [&](std::uint64_t count) {
    return unit_ == Unit::kBytes ? human_bytes(count) : grouped(count);
  };
  std::string tail = amount(done);
  if (total_ != 0) tail += " of " + amount(total_);
  if (seconds > 0.3) {
    tail += fmt::format("  {}/s", amount(static_cast<std::uint64_t>(rate)));
    if (total_ > done && rate > 0) {
      const double left = static_cast<double>(total_ - done) / rate;
      tail += fmt::format("  {} left", human_time(std::max(left, 1.0)));
    }
  }
  std::string line = "\r\x1b[K" + label_ + "  ";
  const std::size_t used = label_.size() + 2 + tail.size() + 12;
  const std::size_t width = terminal_width();
  if (total_ != 0 && used < width) {
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const std::size_t cells = std::min<std::size_t>(30, width - used);
    const auto full = static_cast<std::size_t>(part * static_cast<double>(cells));
    line += fmt::format("{:3}% [{:#<{}}{:.<{}}]  ", static_cast<int>(part * 100), "", full, "",
                        cells - full);
  }
  line += tail.substr(0, std::max<std::size_t>(width, 10) - 1);
  write_all(2, line);
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) write_all(2, "\r\x1b[K");
  drawn_ = false;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (amount >= 999.95 && unit + 1 < kUnits.size()) {
    amount /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string human_time(double seconds) {
  if (seconds < 0.01) return fmt::format("{:.2f} ms", seconds * 1000);
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 100) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  return fmt::format("{}:{:02} min", whole / 60, whole % 60);
}

InterruptGuard::InterruptGuard() : before_{} {
  pending_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    // An ignored signal (nohup) stays ignored.
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
}

int InterruptGuard::signal() noexcept { return pending_signal; }

bool InterruptGuard::sleep_until(std::chrono::steady_clock::time_point when) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kLook = std::chrono::milliseconds(20);
  while (signal() == 0) {
    const auto left = when - Clock::now();
    if (left.count() <= 0) return true;
    const auto nap = std::chrono::nanoseconds(std::min<Clock::duration>(left, kLook));
    const timespec time{.tv_sec = 0, .tv_nsec = nap.count()};
    ::nanosleep(&time, nullptr);
  }
  return false;
}

}  // namespace graven::cli
