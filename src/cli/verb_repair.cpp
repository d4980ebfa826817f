// SPDX-License-Identifier: MIT
//
// The verb repair: repairs what check finds, as far as possible. First makes a copy of the file
// beside it. Used by the main thread.
#include <fmt/format.h>

#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct RepairVerb {
  Where where{};
  bool dry_run = false;
  bool no_backup = false;
  bool json = false;
};

Data as_data(const std::vector<Repaired>& list) {
  Data items = Data::list();
  for (const Repaired& one : list) {
    Data item =
        one.bytes.empty()
            ? Data::dict({{"node", one.node}, {"what", one.what}})
            : Data::dict({{"node", one.node}, {"what", one.what}, {"bytes", Bytes{one.bytes}}});
    append(items, item);
  }
  return items;
}

Data as_data(const RepairReport& report) {
  return Data::dict({{"ok", report.left.empty()},
                     {"dry_run", report.dry_run},
                     {"backup", report.backup},
                     {"mended", as_data(report.mended)},
                     {"lost", as_data(report.lost)},
                     {"left", as_data(report.left)}});
}

void print_list(Output& out, std::string_view heading, const std::vector<Repaired>& list) {
  if (list.empty()) return;
  out.line(fmt::format("{}:", heading));
  for (const Repaired& one : list) {
    out.line(fmt::format("  {}: {}{}", one.node.empty() ? "store" : one.node, one.what,
                         one.bytes.empty() ? ""
                                           : fmt::format(" ({} as stored; --json has them)",
                                                         human_bytes(one.bytes.size()))));
  }
}

void print_report(Output& out, const std::string& name, const RepairReport& report) {
  if (report.sound()) {
    out.line(name + ": sound, nothing to repair");
    return;
  }
  const bool dry = report.dry_run;
  print_list(out, dry ? "would be repaired" : "repaired", report.mended);
  print_list(out, dry ? "would be lost" : "lost", report.lost);
  print_list(out, dry ? "would be left" : "left", report.left);
  if (!report.backup.empty())
    out.line(fmt::format("the file before the repair is {}", report.backup));
  if (!report.left.empty()) {
    out.line(
        "What is left cannot be repaired: restore a backup ('graven restore'), or save what can "
        "be\nread with 'graven dump' and load it into a new database.");
  } else {
    out.line(fmt::format("{}: {}", name, dry ? "all of it can be repaired" : "sound now"));
  }
}

int run_repair(const RepairVerb& options) {
  require_in_file(options.where.database, "repair");
  const InterruptGuard guard;
  const Database db = open_database(options.where, Access::kChange);
  RepairReport report;
  {
    Progress progress("looking", 0, Progress::Unit::kItems);
    report = db.repair({.dry_run = options.dry_run,
                        .backup = !options.no_backup,
                        .progress = [&](std::uint64_t done, std::uint64_t total) {
                          if (const int signal = InterruptGuard::signal()) {
                            throw Interrupted(signal, "repair stopped");
                          }
                          progress.update(done, total);
                        }});
  }
  Output out;
  if (options.json) {
    out.line(to_json_text(as_data(report)));
  } else {
    print_report(out, db.name(), report);
  }
  db.close();
  out.flush();
  return report.left.empty() ? kDone : kNotFound;
}

}  // namespace

void declare_repair(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "repair", "Repair what check finds, as far as possible",
      "Links and the contents of containers are taken as correct; what can be derived from them\n"
      "is made again. A value that cannot be read becomes null, and is reported with its bytes.\n"
      "The file is copied to DATABASE.before-repair first. Status 1 if something is left; see\n"
      "docs/operations.md.\n"
      "Examples:\n"
      "  graven repair state.db --dry-run\n"
      "  graven repair state.db --json > report.json",
      run_repair);
  verb.database(options.where.database);
  verb.flag("-n,--dry-run", options.dry_run, "Show what would be done, and change nothing");
  verb.flag("--no-backup", options.no_backup, "Do not copy the file first");
  verb.json(options.json, "The report as JSON, with the bytes of what was lost");
}

}  // namespace graven::cli
