// SPDX-License-Identifier: MIT
//
// The verb copy: a whole store from one place to another, between files and servers. Used by the
// main thread.
#include <string>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

// Not CopyOptions: the library has this name.
struct CopyVerb {
  std::string from{};
  std::string to{};
  bool quiet = false;
  bool json = false;
};

Data as_data(const CopyReport& report, double seconds) {
  return Data::dict({{"from", report.from},
                     {"to", report.to},
                     {"records", Data(report.records)},
                     {"bytes", Data(report.bytes)},
                     {"prefixes", Data(report.prefixes)},
                     {"nodes", Data(report.nodes)},
                     {"maps", Data(report.maps)},
                     {"items", Data(report.items)},
                     {"counters", Data(report.counters)},
                     {"digest", report.digest},
                     {"collected", Data(report.collected)},
                     {"same_uids", report.same_uids},
                     {"seconds", seconds}});
}

std::string counted(std::uint64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

void print_report(const CopyReport& report, double seconds) {
  Output out;
  out.line(fmt::format("{}: copied {} of {} ({}, {}, {}, {}, {}), {}, {}", report.to,
                       counted(report.records, "record", "records"), report.from,
                       counted(report.prefixes, "prefix", "prefixes"),
                       counted(report.nodes, "dict or list", "dicts and lists"),
                       counted(report.maps, "map", "maps"),
                       counted(report.items, "item of maps", "items of maps"),
                       counted(report.counters, "counter", "counters"), human_bytes(report.bytes),
                       human_time(seconds)));
  out.line("both hold the same: " + report.digest);
  if (report.collected != 0) {
    out.line(fmt::format("then {}, which only running programs kept or which were pending deletion",
                         counted(report.collected, "dict or list was removed from the copy",
                                 "dicts and lists were removed from the copy")));
  }
  if (!report.same_uids) out.line("the uids in the copy are others: each store has its own");
  out.flush();
}

/// The file of a store, if it is in one, must not be where the output goes.
void require_place(const std::string& url) {
  if (const std::string file = file_of(url); !file.empty()) require_other_output(file);
}

int run_copy(const CopyVerb& options) {
  const InterruptGuard guard;
  require_place(options.from);
  require_place(options.to);
  require_file(options.from);
  const Stopwatch watch;
  CopyReport report;
  {
    Progress copying("copying", 0, Progress::Unit::kItems, !options.quiet);
    Progress comparing("comparing", 0, Progress::Unit::kItems, !options.quiet);
    report = copy_store(
        options.from, options.to, {.progress = [&](std::uint64_t done, std::uint64_t total) {
          if (const int signal = InterruptGuard::signal()) {
            throw Interrupted(signal,
                              fmt::format("copy stopped; {} is incomplete and cannot be opened: "
                                          "the same command starts over",
                                          redacted(options.to)));
          }
          if (total == 0) {
            copying.update(done, total);
          } else {
            copying.clear();
            comparing.update(done, total);
          }
        }});
  }
  if (options.json) {
    answer(as_data(report, watch.seconds()));
  } else if (!options.quiet) {
    print_report(report, watch.seconds());
  }
  return kDone;
}

}  // namespace

void declare_copy(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "copy", "Copy a whole store into an empty one, of any kind: file, Redis, PostgreSQL",
      "All prefixes and maps, as one state, while programs write SOURCE. DEST is made if it is\n"
      "missing. Both are compared at the end. A copy that was interrupted cannot be opened; the\n"
      "same command starts over. For a copy of a file into a file, 'graven backup' is faster.\n"
      "Examples:\n"
      "  graven copy state.db redis://localhost/0\n"
      "  graven copy postgresql://localhost/app state.db",
      run_copy);
  verb.value("SOURCE", options.from, "File or URL of the store to copy").required();
  verb.value("DEST", options.to, "File or URL of the new store").required();
  verb.flag("-q,--quiet", options.quiet, "No progress bar and no summary");
  verb.json(options.json, "The report as JSON");
}

}  // namespace graven::cli
