// SPDX-License-Identifier: MIT
//
// The verbs stats (the current figures), top (how they change) and serve (both over HTTP). They
// open the database read-only. Used by the main thread.
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <optional>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/json_writer.hpp"
#include "cli/verbs.hpp"
#include "serve/serve.hpp"
#include "serve/status.hpp"

namespace graven::cli {
namespace {

struct StatsOptions {
  Where where{};
  bool json = false;
};

struct TopOptions {
  Where where{};
  double interval = 1;
  std::uint64_t count = 0;  // 0: until interrupted
  bool json = false;
};

struct ServeOptions {
  Where where{};
  std::string host = "127.0.0.1";
  int port = 9464;
  std::string token_file{};
  std::string tls_cert{};
  std::string tls_key{};
  std::string log_level = "warning";
  std::uint64_t slow_ms = 0;
  std::uint64_t most_wal_mb = 256;
  std::uint64_t least_free_mb = 100;
  bool expect_writable = false;
  bool json = false;
};

using Clock = std::chrono::steady_clock;

/// The changes of the file since the last look.
struct Moved {
  double seconds = 0;
  std::uint64_t commits = 0;
};

/// The growth of a count that restarts at 0 when the file is opened for the first time again.
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

Data as_data(const Stats& stats, const Moved& moved) {
  return Data::dict({{"seconds", moved.seconds},
                     {"commits_per_second",
                      moved.seconds > 0 ? static_cast<double>(moved.commits) / moved.seconds : 0.0},
                     {"commits", Data(stats.file.commits)},
                     {"size_bytes", Data(stats.file.size_bytes)},
                     {"wal_bytes", Data(stats.file.wal_bytes)},
                     {"free_pages", Data(stats.file.free_pages)},
                     {"owners", Data(std::uint64_t{stats.process.owners})}});
}

std::string screen_of(const Stats& stats, const Moved& moved) {
  constexpr const char* kClear = "\x1b[H\x1b[2J";
  const double rate = moved.seconds > 0 ? static_cast<double>(moved.commits) / moved.seconds : 0;
  return fmt::format(
      "{}graven top  {}  {}\n"
      "\n"
      "  commits/s   {:>12.1f}   all processes\n"
      "  commits     {:>12}   since the file was first opened\n"
      "  size        {:>12}   WAL {}\n"
      "  free pages  {:>12}   of {} bytes\n"
      "  owners      {:>12}   processes that hold unlinked nodes\n"
      "  a read      {:>12}   from the file, median of this command's reads\n"
      "\n"
      "Ctrl-C ends\n",
      kClear, stats.file.name, clock_time(), rate, stats.file.commits,
      serve::shown_bytes(stats.file.size_bytes), serve::shown_bytes(stats.file.wal_bytes),
      stats.file.free_pages, stats.file.page_bytes, stats.process.owners,
      serve::shown_time(stats.reads.p50));
}

int run_stats(const StatsOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Stats stats = db.stats();
  Output out;
  if (options.json) {
    out.line(serve::to_json(stats, db.connection_stats()));
  } else {
    out.put(serve::to_text(stats, db.connection_stats()));
  }
  out.flush();
  return kDone;
}

int run_top(const TopOptions& options) {
  require_in_file(options.where.database, "top");
  const InterruptGuard guard;
  const Database db = open_database(options.where, Access::kRead);
  const bool screen = is_terminal(1);
  Output out;
  std::uint64_t commits = 0;
  std::optional<Clock::time_point> before;
  const auto interval =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.interval));
  for (std::uint64_t look = 1;; ++look) {
    (void)db.prefixes();  // a read, so that reads are timed
    const Stats stats = db.stats();
    const auto now = Clock::now();
    Moved moved;
    if (before) {
      moved = {.seconds = std::chrono::duration<double>(now - *before).count(),
               .commits = grown(commits, stats.file.commits)};
    }
    before = now;
    commits = stats.file.commits;
    if (options.json) {
      out.line(to_json_text(as_data(stats, moved)));
    } else if (screen) {
      out.put(screen_of(stats, moved));
    } else {
      out.line(line_of(stats, moved));
    }
    out.flush();
    if (look == options.count || !InterruptGuard::sleep_until(now + interval)) return kDone;
  }
}

int run_serve(const ServeOptions& options) {
  serve::ServeOptions serving;
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
  serving.listening = [&options](const std::string& url) {
    if (options.json) return answer(Data::dict({{"url", url}}));
    Output out;
    out.line(url);
    out.flush();
  };
  serve::serve(serving, [&] {
    return open_database(options.where, Access::kRead, std::chrono::milliseconds(options.slow_ms));
  });
  return kDone;
}

}  // namespace

void declare_stats(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("stats", "Show the state of a database's file",
                "The programs that use it know what they did with it: Database::stats().\n"
                "Examples:\n"
                "  graven stats state.db\n"
                "  graven stats state.db --json",
                run_stats);
  verb.where(options.where);
  verb.json(options.json, "The statistics as JSON, times in seconds");
}

void declare_top(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("top", "Watch a database: commits per second, WAL, size",
                "On a terminal the screen is redrawn; elsewhere each measurement prints a line.\n"
                "Examples:\n"
                "  graven top state.db\n"
                "  graven top state.db --interval 5 --count 12 > hour.log",
                run_top);
  verb.where(options.where);
  verb.value("-i,--interval", options.interval, "Seconds between two measurements (default 1)")
      .named("S")
      .between(0.05, 86400.0);
  verb.value("-n,--count", options.count, "Number of measurements (default: until Ctrl-C)")
      .named("N");
  verb.json(options.json, "One JSON document for each measurement");
}

void declare_serve(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "serve", "Serve metrics and health of a database over HTTP",
      "/metrics (Prometheus), /healthz, /readyz?verbose and /status (JSON), until SIGTERM or\n"
      "Ctrl-C. An address that is not a loopback address needs a token; see docs/operations.md.\n"
      "Examples:\n"
      "  graven serve state.db\n"
      "  graven serve state.db --host 0.0.0.0 --token-file token --tls-cert c.pem --tls-key k.pem",
      run_serve);
  verb.where(options.where);
  verb.value("--host", options.host, "Address to listen on (default 127.0.0.1)");
  verb.value("--port", options.port, "Port (default 9464; 0: any free port, which is printed)")
      .between(0, 65535);
  verb.value("--token-file", options.token_file,
             "File with the bearer token, which all paths but /healthz then need")
      .named("FILE");
  verb.value("--tls-cert", options.tls_cert, "Certificate chain, PEM").named("FILE");
  verb.value("--tls-key", options.tls_key, "Private key, PEM").named("FILE");
  verb.value("--log-level", options.log_level,
             "Least level to log on standard error: debug, info, warning, error or off")
      .named("LEVEL");
  verb.value("--slow-ms", options.slow_ms, "Log operations that take longer (default 0: none)")
      .named("MS");
  verb.value("--max-wal", options.most_wal_mb, "Not ready if the WAL is larger than this many MiB")
      .named("MIB");
  verb.value("--min-free", options.least_free_mb, "Not ready if fewer MiB of the disk are free")
      .named("MIB");
  verb.flag("--expect-writable", options.expect_writable,
            "Not ready if the file cannot be written");
  verb.json(options.json, "The URL as JSON");
}

}  // namespace graven::cli
