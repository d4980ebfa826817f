// SPDX-License-Identifier: MIT
//
// graven demo: imports the Debian package index, closes and reopens the file, and shows on it
// what graven is for. Leaves the file for the reader to look into.
//
// Always holds: only a database that an earlier demo made is replaced. The main thread's.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/demo_import.hpp"
#include "cli/demo_show.hpp"
#include "cli/encoding.hpp"
#include "cli/package_source.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct DemoOptions {
  std::string input{};
  std::string output = "build/demo/packages.db";
  std::string program = "graven";  // as it was called, for the commands to try next
  bool json = false;
};

namespace fs = std::filesystem;

bool is_demo_file(const std::string& path) {
  try {
    const Database db(path, Options{.read_only = true});
    const std::optional<Value> about = db.root().get("about");
    if (!about || !about->is<Dict>()) return false;
    const std::optional<Value> maker = about->as_dict().get("made_by");
    return maker && maker->is<std::string>() && maker->get<std::string>() == "graven demo";
  } catch (const Error&) {
    return false;
  }
}

void make_room(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    if (!is_demo_file(path)) {
      throw UsageError(fmt::format(
          "{} exists and was not made by the demo; name another file with --out", path));
    }
    for (const char* suffix : {"", "-wal", "-shm", "-owners"}) {
      fs::remove(path + suffix, error);
      if (error) {
        throw UnavailableError(
            fmt::format("cannot remove {}{}: {}", path, suffix, error.message()));
      }
    }
  }
  const fs::path folder = fs::path(path).parent_path();
  if (folder.empty()) return;
  fs::create_directories(folder, error);
  if (error) {
    throw UnavailableError(
        fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  }
}

ImportReport import(DemoPage& page, const DemoOptions& options) {
  const InterruptGuard guard;
  PackageSource source(options.input);
  page.line(fmt::format("Importing {} into {}", source.name(), options.output));
  Options settings;
  settings.transaction_limit = std::chrono::hours(1);
  std::optional<Database> db(std::in_place, options.output, settings);
  ImportReport report = import_packages(*db, source);
  if (report.packages.empty()) {
    throw UnavailableError(
        options.input.empty()
            ? "apt knows no packages: run 'apt-get update' as root, or give a Packages file of a "
              "Debian mirror with --input"
            : fmt::format("{} holds no packages; --input wants a Debian Packages file",
                          options.input));
  }
  const std::string packages = grouped(report.packages.size()) + " packages";
  page.line(report.stanzas == report.packages.size()
                ? packages + " stored"
                : fmt::format("{} of {} stanzas stored", packages, grouped(report.stanzas)),
            report.reading_seconds);
  if (report.older_versions != 0) {
    page.line(fmt::format("  {} stanzas are other versions of a package: the newest is kept",
                          grouped(report.older_versions)));
  }
  page.line(fmt::format("{} links made between packages", grouped(report.links)),
            report.linking_seconds);
  const Stopwatch closing;
  db->close();
  db.reset();
  page.line(fmt::format("closed; the file has {}", human_bytes(fs::file_size(options.output))),
            closing.seconds());
  return report;
}

void show(DemoPage& page, const DemoOptions& options, const ImportReport& report) {
  page.heading("The file, opened again");
  const Stopwatch opening;
  const Database db(options.output);
  page.line("open", opening.seconds());
  const DemoCast cast = choose_cast(report);
  show_counts(page, db, report);
  show_dependents(page, db, cast.hub);
  show_package(page, db, cast.shown);
  show_rollback(page, db, cast.shown);
  if (!cast.victim.empty()) show_collection(page, db, cast.victim);
  show_cycle(page, db, cast);
  const bool sound = show_check(page, db);
  db.close();
  page.heading("Next, try");
  page.line(fmt::format("  {} ls {} packages/{}", options.program, options.output, cast.shown));
  page.line(fmt::format("  {} get {} packages/{} --depth 1", options.program, options.output,
                        cast.shown));
  page.line(fmt::format("  {} why {} packages/{}", options.program, options.output, cast.hub));
  if (!sound) {
    throw CorruptionError(
        fmt::format("{} has problems; this is a fault in graven: please report "
                    "it with the output above",
                    options.output));
  }
}

int run_demo(const DemoOptions& options) {
  const int nowhere = options.json ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
  Output out(options.json ? nowhere : 1);
  DemoPage page(out);
  make_room(options.output);
  const Stopwatch whole;
  const ImportReport report = import(page, options);
  show(page, options, report);
  page.heading(fmt::format("The demo took {}.", human_time(whole.seconds())));
  if (options.json) {
    ::close(nowhere);
    answer(Data::dict({{"database", options.output},
                       {"packages", Data(std::uint64_t{report.packages.size()})},
                       {"links", Data(report.links)},
                       {"reading_seconds", report.reading_seconds},
                       {"linking_seconds", report.linking_seconds},
                       {"seconds", whole.seconds()}}));
  }
  return kDone;
}

}  // namespace

void declare_demo(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("demo", "Load the Debian package index and show what graven does with it",
                "Reads 'apt-cache dumpavail', about 64,000 packages on Debian 12, and needs "
                "no network.\nExamples:\n"
                "  graven demo\n"
                "  graven demo --input Packages.xz --out /tmp/packages.db",
                run_demo);
  verb.value("-i,--input", options.input, "A Packages file instead, also .gz .xz .bz2 .lz4 .zst")
      .named("FILE");
  verb.value("-o,--out", options.output, "The database (default build/demo/packages.db)")
      .named("FILE");
  options.program = verbs.program();
  verb.json(options.json, "No page, but one JSON document of figures");
}

}  // namespace graven::cli
