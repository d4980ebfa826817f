// SPDX-License-Identifier: MIT
//
// The verbs backup (once or repeatedly), restore and maintenance. Used by the main thread.
//
// Always holds: a scheduled backup deletes only files with names that it could have made (the
// store's name and a time), and only after the new backup is in its place.
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

// Not BackupOptions and RestoreOptions: the library has these names.
struct BackupVerb {
  Where where{};
  std::string target{};
  bool overwrite = false;
  bool json = false;
  double every = 0;  // seconds; 0: once
  std::uint64_t keep = 24;
};

struct RestoreVerb {
  std::string backup{};
  std::string database{};
  bool discard = false;
  bool json = false;
};

struct MaintenanceOptions {
  Where where{};
  bool json = false;
};

using Clock = std::chrono::steady_clock;

Data as_data(const BackupReport& report, double seconds) {
  return Data::dict({{"path", report.path},
                     {"bytes", Data(report.bytes)},
                     {"nodes", Data(report.nodes)},
                     {"links", Data(report.links)},
                     {"sealed", report.sealed},
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
    if (!report.sealed) {
      out.line(
          "it had no seal: its contents are sound, but it is not known whether they were altered");
    }
    if (!report.replaced.empty()) {
      out.line(fmt::format("the database that was there is {}", report.replaced));
    }
  }
  out.flush();
}

/// Throws if a signal asked to stop; the exception leaves nothing half done.
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

/// "state" for "dir/state.db".
std::string stem_of(const std::string& file) {
  std::string name = file.substr(file.rfind('/') + 1);
  const auto dot = name.rfind('.');
  if (dot != std::string::npos && dot != 0) name.resize(dot);
  return name;
}

/// A name such as "state-1f6a0c93". Stores of the same name in another folder or on another
/// machine, and copies of a store, get other names.
std::string name_of(const Database& db, const std::string& file) {
  const std::unique_ptr<char, void (*)(void*)> path(::realpath(file.c_str(), nullptr), &std::free);
  std::uint32_t hash = 2166136261U;  // FNV-1a: the same in every release
  for (const char c : db.store_id() + (path ? path.get() : file.c_str())) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return fmt::format("{}-{:08x}", stem_of(file), hash);
}

constexpr std::string_view kMoment = "00000000T000000Z";

/// The time in UTC, so that names sort by time.
std::string moment_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/// Whether a file name is "<name of the store>-<time>.db".
bool is_scheduled(std::string_view name, const std::string& store) {
  const std::string start = store + "-";
  if (!name.starts_with(start) || !name.ends_with(".db")) return false;
  name.remove_prefix(start.size());
  name.remove_suffix(3);
  return std::equal(
      name.begin(), name.end(), kMoment.begin(), kMoment.end(),
      [](char c, char like) { return like == '0' ? c >= '0' && c <= '9' : c == like; });
}

/// Deletes all scheduled backups except the newest `keep`.
void retain(const std::string& folder, const std::string& store, std::uint64_t keep, bool json) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    if (is_scheduled(entry->d_name, store)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  for (std::size_t i = 0; i + keep < names.size(); ++i) {
    const std::string path = folder + "/" + names[i];
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      complain("unavailable",
               fmt::format("{} is no longer needed, but could not be deleted: {}", path,
                           std::strerror(errno)),
               json);
    }
  }
}

int run_scheduled(const BackupVerb& options) {
  struct stat info {};
  if (::stat(options.target.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    throw UsageError(options.target + " is no folder; with --every give a folder that exists");
  }
  const std::string file = file_of(options.where.database);
  const auto every =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.every));
  for (Clock::time_point next = Clock::now() + every;; next += every) {
    try {
      // Opened for each backup, so that between two of them nothing is kept open.
      const Database db = open_database(options.where, Access::kRead);
      const Stopwatch watch;
      const std::string store = name_of(db, file);
      const std::string target = fmt::format("{}/{}-{}.db", options.target, store, moment_now());
      const BackupReport report = back_up(db, target, false);
      tell(report, watch.seconds(), options.json);
      retain(options.target, store, options.keep, options.json);
    } catch (const Interrupted&) {
      return kDone;  // as requested
    } catch (const Error& error) {
      // The next backup may succeed: the disk may have space again, a lock may be released.
      complain(error, options.json);
    }
    next = std::max(next, Clock::now());
    if (!InterruptGuard::sleep_until(next)) return kDone;
  }
}

int run_backup(const BackupVerb& options) {
  require_in_file(options.where.database, "backup");
  const InterruptGuard guard;
  if (options.every > 0) return run_scheduled(options);
  const Database db = open_database(options.where, Access::kRead);
  const Stopwatch watch;
  const BackupReport report = back_up(db, options.target, options.overwrite);
  tell(report, watch.seconds(), options.json);
  return kDone;
}

int run_restore(const RestoreVerb& options) {
  const InterruptGuard guard;
  require_in_file(options.database, "restore");
  const std::string path = require_named_file(options.database);
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
  const std::string obstacle = db.maintenance();
  const std::uint64_t after = db.size_on_disk();
  db.close();
  if (options.json) {
    answer(Data::dict({{"bytes_before", Data(before)},
                       {"bytes", Data(after)},
                       {"obstacle", obstacle.empty() ? Data(nullptr) : Data(obstacle)}}));
    return kDone;
  }
  Output out;
  if (on_server(options.where.database)) {
    out.line(redacted(options.where.database) +
             ": collected; the server maintains its memory and files itself");
  } else {
    out.line(fmt::format("{}: {} before, {} now", redacted(options.where.database),
                         human_bytes(before), human_bytes(after)));
  }
  if (!obstacle.empty()) out.line(obstacle);
  out.flush();
  return kDone;
}

}  // namespace

void declare_backup(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "backup", "Copy a database while programs write it, and verify the copy",
      "With --every, TARGET is a folder. Each backup makes a file there, named after the database\n"
      "and the time, until SIGTERM or Ctrl-C; see docs/operations.md.\n"
      "Examples:\n"
      "  graven backup state.db /backups/state.db\n"
      "  graven backup state.db /backups --every 1h --keep 24",
      run_backup);
  verb.database(options.where.database);
  verb.value("TARGET", options.target, "File to make, or folder (with --every)").required();
  const Option overwrite = verb.flag("--overwrite", options.overwrite, "Replace an existing file");
  const Option every =
      verb.value("--every", options.every, "Repeat after this time: 30s, 15m, 1h, 1d")
          .named("TIME")
          .as_time()
          .between(0.1, 366.0 * 86400)
          .excludes(overwrite);
  verb.value("--keep", options.keep, "How many of the newest files to keep (default 24)")
      .named("N")
      .between(1, 1'000'000)
      .needs(every);
  verb.json(options.json, "The report as JSON");
}

void declare_restore(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "restore", "Replace a database by a backup",
      "Refuses a backup that is not complete, and a database that any program has open. The\n"
      "former database is kept as DATABASE.before-restore.\n"
      "Examples:\n"
      "  graven restore /backups/state.db state.db\n"
      "  graven restore /backups/state.db state.db --discard",
      run_restore);
  verb.value("BACKUP", options.backup, "A file that 'graven backup' made").required();
  verb.value("DATABASE", options.database, "File of the database").required();
  verb.flag("--discard", options.discard, "Do not keep the former database");
  verb.json(options.json, "The report as JSON");
}

void declare_maintenance(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("maintenance", "Collect, give back free pages, shorten the WAL, if needed",
                "Programs that use a database do most of this by themselves.\n"
                "Example:\n"
                "  graven maintenance state.db",
                run_maintenance);
  verb.where(options.where);
  verb.json(options.json, "The sizes as JSON");
}

}  // namespace graven::cli
