// SPDX-License-Identifier: MIT
//
// The verbs that watch: stats shows how a file stands, top shows how it moves, serve tells both
// over HTTP. They open it read-only. The main thread's.
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <optional>

#include "cli/console.hpp"
#include "cli/verbs.hpp"
#include "console/serve.hpp"
#include "console/status.hpp"

namespace graven::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// What has happened to the file since the look before.
struct Moved {
  double seconds = 0;
  std::uint64_t commits = 0;
};

/// A count that starts anew with the file's first opening.
std::uint64_t grown(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

std::string clock_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

std::string line_of(const Stats& stats, const Moved& moved) {
  return fmt::format("{} commits/s={:.1f} commits={} size={} wal={} free_pages={} owners={}",
                     clock_time(),
                     moved.seconds > 0 ? static_cast<double>(moved.commits) / moved.seconds : 0.0,
                     stats.file.commits, stats.file.size_bytes, stats.file.wal_bytes,
                     stats.file.free_pages, stats.process.owners);
}

std::string screen_of(const Stats& stats, const Moved& moved) {
  constexpr const char* kClear = "\x1b[H\x1b[2J";
  const double rate = moved.seconds > 0 ? static_cast<double>(moved.commits) / moved.seconds : 0;
  return fmt::format(
      "{}graven top  {}  {}\n\n"
      "  commits/s   {:>12.1f}   all processes\n"
      "  commits     {:>12}   since the file was first opened\n"
      "  size        {:>12}   WAL {}\n"
      "  free pages  {:>12}   of {} bytes\n"
      "  owners      {:>12}   processes that hold unlinked nodes\n"
      "  a read      {:>12}   from the file, median of this command's\n\n"
      "Ctrl-C ends\n",
      kClear, stats.file.name, clock_time(), rate, stats.file.commits,
      console::shown_bytes(stats.file.size_bytes), console::shown_bytes(stats.file.wal_bytes),
      stats.file.free_pages, stats.file.page_bytes, stats.process.owners,
      console::shown_time(stats.reads.p50));
}

/// Until then or a signal; whether it was the time.
bool sleep_until(Clock::time_point when) {
  constexpr auto kLook = std::chrono::milliseconds(20);
  while (InterruptGuard::signal() == 0) {
    const auto left = when - Clock::now();
    if (left.count() <= 0) return true;
    const auto nap = std::chrono::nanoseconds(std::min<Clock::duration>(left, kLook));
    const timespec time{.tv_sec = 0, .tv_nsec = nap.count()};
    ::nanosleep(&time, nullptr);
  }
  return false;
}

}  // namespace

int run_stats(const StatsOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Stats stats = db.stats();
  Output out;
  if (options.json) {
    out.line(console::to_json(stats, db.connection_stats()));
  } else {
    out.put(console::to_text(stats, db.connection_stats()));
  }
  out.flush();
  return kDone;
}

int run_top(const TopOptions& options) {
  const InterruptGuard guard;
  const Database db = open_database(options.where, Access::kRead);
  const bool screen = is_terminal(1);
  Output out;
  std::uint64_t commits = 0;
  std::optional<Clock::time_point> before;
  const auto interval =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.interval));
  for (std::uint64_t look = 1;; ++look) {
    (void)db.root().size();  // a read, to be timed where it goes to the file
    const Stats stats = db.stats();
    const auto now = Clock::now();
    Moved moved;
    if (before) {
      moved = {.seconds = std::chrono::duration<double>(now - *before).count(),
               .commits = grown(commits, stats.file.commits)};
    }
    before = now;
    commits = stats.file.commits;
    if (screen) {
      out.put(screen_of(stats, moved));
    } else {
      out.line(line_of(stats, moved));
    }
    out.flush();
    if (look == options.count || !sleep_until(now + interval)) return kDone;
  }
}

int run_serve(const ServeOptions& options) {
  console::ServeOptions serving;
  serving.path = file_of(options.where.database);
  serving.http = {.host = options.host,
                  .port = options.port,
                  .token = {},
                  .tls_cert = options.tls_cert,
                  .tls_key = options.tls_key};
  serving.token_file = options.token_file;
  serving.limits = {.most_wal = options.most_wal_mb << 20U,
                    .least_free = options.least_free_mb << 20U,
                    .expect_writable = options.expect_writable};
  serving.log_level = options.log_level;
  serving.listening = [](const std::string& url) {
    Output out;
    out.line(url);
    out.flush();
  };
  console::serve(serving, [&] {
    return open_database(options.where, Access::kRead, std::chrono::milliseconds(options.slow_ms));
  });
  return kDone;
}

}  // namespace graven::cli
