// SPDX-License-Identifier: MIT
//
// The verbs that keep a database safe: backup, once or again and again, restore, and
// maintenance. The main thread's.
//
// Always holds: a scheduled backup deletes only files it could have made itself, named after
// the database and a moment, and only once the new one is in its place.
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

using Clock = std::chrono::steady_clock;

Data as_data(const BackupReport& report, double seconds) {
  return Data::dict({{"path", report.path},
                     {"bytes", Data(report.bytes)},
                     {"nodes", Data(report.nodes)},
                     {"links", Data(report.links)},
                     {"replaced", report.replaced},
                     {"seconds", seconds}});
}

void tell(const BackupReport& report, double seconds, bool json) {
  Output out;
  if (json) {
    out.line(to_json_text(as_data(report, seconds)));
  } else {
    out.line(fmt::format("{}: {}, {} dicts and lists, {}", report.path, human_bytes(report.bytes),
                         grouped(report.nodes), human_time(seconds)));
    if (!report.replaced.empty()) {
      out.line(fmt::format("the database that was there is {}", report.replaced));
    }
  }
  out.flush();
}

/// What asks to stop in the middle: an exception leaves nothing half done.
void stop_if_asked(const char* what) {
  if (const int signal = InterruptGuard::signal()) {
    throw Interrupted(signal, fmt::format("{} stopped; nothing was changed", what));
  }
}

BackupReport back_up(const Database& db, const std::string& target, bool overwrite) {
  Progress progress("copying", 0, Progress::Unit::kItems);
  return db.backup(target, {.progress =
                                [&](std::uint64_t done, std::uint64_t total) {
                                  stop_if_asked("backup");
                                  progress.update(done, total);
                                },
                            .overwrite = overwrite});
}

/// "state" of "dir/state.db".
std::string stem_of(const std::string& file) {
  std::string name = file.substr(file.rfind('/') + 1);
  const auto dot = name.rfind('.');
  if (dot != std::string::npos && dot != 0) name.resize(dot);
  return name;
}

constexpr std::string_view kMoment = "00000000T000000Z";

/// In UTC, so that names sort by time.
std::string moment_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/// Whether a name is "<stem>-<moment>.db".
bool is_scheduled(std::string_view name, const std::string& stem) {
  const std::string start = stem + "-";
  if (!name.starts_with(start) || !name.ends_with(".db")) return false;
  name.remove_prefix(start.size());
  name.remove_suffix(3);
  return std::equal(
      name.begin(), name.end(), kMoment.begin(), kMoment.end(),
      [](char c, char like) { return like == '0' ? c >= '0' && c <= '9' : c == like; });
}

/// Deletes all but the newest `keep`.
void retain(const std::string& folder, const std::string& stem, std::uint64_t keep) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    if (is_scheduled(entry->d_name, stem)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  for (std::size_t i = 0; i + keep < names.size(); ++i) {
    const std::string path = folder + "/" + names[i];
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      note(fmt::format("graven: {} is no longer needed, but could not be deleted: {}", path,
                       std::strerror(errno)));
    }
  }
}

/// Until then or a signal; whether it was the time.
bool sleep_until(Clock::time_point when) {
  while (InterruptGuard::signal() == 0) {
    const auto left = when - Clock::now();
    if (left.count() <= 0) return true;
    constexpr auto kLook = std::chrono::milliseconds(50);
    const auto nap = std::chrono::nanoseconds(std::min<Clock::duration>(left, kLook));
    const timespec time{.tv_sec = 0, .tv_nsec = nap.count()};
    ::nanosleep(&time, nullptr);
  }
  return false;
}

int run_scheduled(const BackupVerb& options) {
  struct stat info {};
  if (::stat(options.target.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    throw UsageError(options.target + " is no folder; with --every give one that is there");
  }
  const std::string stem = stem_of(file_of(options.where.database));
  const auto every =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.every));
  for (Clock::time_point next = Clock::now() + every;; next += every) {
    try {
      // Opened for each: in between nothing of it is held.
      const Database db = open_database(options.where, Access::kRead);
      const Stopwatch watch;
      const std::string target = fmt::format("{}/{}-{}.db", options.target, stem, moment_now());
      tell(back_up(db, target, false), watch.seconds(), options.json);
      retain(options.target, stem, options.keep);
    } catch (const Interrupted&) {
      return kDone;  // as asked to
    } catch (const Error& error) {
      // The next may work: a disk has room again, a lock is given up.
      note(fmt::format("graven: {}", error.what()));
    }
    next = std::max(next, Clock::now());
    if (!sleep_until(next)) return kDone;
  }
}

}  // namespace

int run_backup(const BackupVerb& options) {
  const InterruptGuard guard;
  if (options.every > 0) return run_scheduled(options);
  const Database db = open_database(options.where, Access::kRead);
  const Stopwatch watch;
  tell(back_up(db, options.target, options.overwrite), watch.seconds(), options.json);
  return kDone;
}

int run_restore(const RestoreVerb& options) {
  const InterruptGuard guard;
  const std::string path = file_of(options.database);
  if (path.empty()) throw UsageError(options.database + " names no file");
  const Stopwatch watch;
  BackupReport report;
  {
    Progress progress("copying", 0, Progress::Unit::kBytes);
    report = restore(options.backup, path,
                     {.progress =
                          [&](std::uint64_t done, std::uint64_t total) {
                            stop_if_asked("restore");
                            progress.update(done, total);
                          },
                      .keep_replaced = !options.discard});
  }
  tell(report, watch.seconds(), options.json);
  return kDone;
}

int run_maintenance(const MaintenanceOptions& options) {
  const Database db = open_database(options.where, Access::kChange);
  const std::uint64_t before = db.size_on_disk();
  db.maintenance();
  const std::uint64_t after = db.size_on_disk();
  db.close();
  Output out;
  out.line(fmt::format("{}: {} before, {} now", options.where.database, human_bytes(before),
                       human_bytes(after)));
  out.flush();
  return kDone;
}

}  // namespace graven::cli
