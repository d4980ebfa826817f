// SPDX-License-Identifier: MIT
//
// Database::repair(): checks the store, copies the file, rebuilds SQLite's structure (reindex),
// repairs the graph, and checks again.
//
// Always holds: nothing is changed before the copy is on the disk. The schema with its rows, and
// then the graph, are repaired in one transaction each, so after a crash each is done or not done.
// Losses of the first transaction are reported even if the second one fails. Any thread.
#include <fmt/format.h>

#include <graven/database.hpp>
#include <graven/error.hpp>
#include <graven/repair.hpp>

#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "graph/collector/heap.hpp"
#include "graph/scope.hpp"
#include "integrity/check.hpp"
#include "integrity/repair.hpp"
#include "map/value.hpp"
#include "observe/log.hpp"

namespace graven {
namespace {

using sqlite::PartialFile;
using sqlite::Target;

/// Copies the file as it is, to the first unused name.
std::string copy_aside(const port::Facts& store, port::Files& files) {
  const std::string& file = store.file;
  std::string path = file + ".before-repair";
  for (int number = 1;; ++number) {
    try {
      const Target target{.name = path, .path = path, .vfs = {}};
      PartialFile::require_place(target, PartialFile::Mode::kNew);
      PartialFile copy(target);
      files.copy_to(copy.as_target().path, {});
      copy.stamp();
      copy.sync();
      static_cast<void>(copy.put_in_place(PartialFile::Mode::kNew));
      return path;
    } catch (const UsageError&) {
      if (number == 1000) throw;
      path = fmt::format("{}.before-repair.{}", file, number);
    } catch (const CorruptionError& error) {
      throw UnavailableError(fmt::format(
          "{} cannot be copied before its repair: {}; copy it by other means and repair without a "
          "backup, or restore a backup",
          store.name, error.what()));
    }
  }
}

/// Thrown to roll back a dry run.
struct DryRun {};

/// Logs losses if repair() throws, because then there is no report.
void log_losses(const std::string& store, const std::vector<Repaired>& lost) {
  for (const Repaired& one : lost) {
    observe::log(LogLevel::kWarning, "repair_unfinished", {{"lost", one.what}, {"store", store}});
  }
}

}  // namespace

RepairReport Database::repair(const RepairOptions& options) const {
  graph::Heap& heap = scope_->session().heap();
  port::Backend& backend = heap.backend();
  if (heap.store().in_transaction()) {
    throw UsageError("repair() inside a transaction: call it before or after");
  }
  const port::Facts& facts = backend.facts();
  auto* const files = port::facet<port::Files>(backend);
  if (facts.read_only) {
    throw UsageError(facts.name + " is open read-only; open it for writing to repair it");
  }
  RepairReport report;
  report.dry_run = options.dry_run;
  const CheckReport before = integrity::check(backend, map::prove, options.progress);
  if (before.ok()) return report;
  if (options.backup && !options.dry_run && files != nullptr && !facts.file.empty()) {
    report.backup = copy_aside(facts, *files);
  }
  std::vector<std::string> structure;
  if (files != nullptr) structure = files->check();
  std::vector<Repaired> lost;  // in the first transaction, even if the second one fails
  try {
    if (!structure.empty() && !options.dry_run) {
      for (auto& [what, bytes] : files->mend()) {
        lost.push_back({.node = {}, .what = std::move(what), .bytes = std::move(bytes)});
      }
    }
    const RepairReport unrepaired = report;
    heap.store().write_apart(
        [&](store::Work& work) {
          report = unrepaired;
          integrity::repair(
              work, heap.store().ids(), facts.constant,
              [&](std::int64_t owner) { return backend.leases().alive(owner); }, map::prove,
              options.progress, report);
          if (options.dry_run) throw DryRun{};
        },
        std::chrono::steady_clock::now() + scope_->session().limits().busy);
  } catch (const DryRun&) {
    for (const std::string& line : structure) report.left.push_back({{}, line, {}});
  } catch (const CorruptionError& error) {
    // The store cannot be read completely, so the graph was not repaired.
    report.mended.clear();
    report.lost.clear();
    report.left.push_back({{}, error.what(), {}});
  } catch (...) {
    log_losses(facts.name, lost);
    throw;
  }
  report.lost.insert(report.lost.begin(), std::make_move_iterator(lost.begin()),
                     std::make_move_iterator(lost.end()));
  if (!options.dry_run) {
    report.left.clear();
    for (Problem& problem : integrity::check(backend, map::prove, {}).problems) {
      report.left.push_back({std::move(problem.node), std::move(problem.what), {}});
    }
  }
  std::set<std::pair<std::string, std::string>> left;
  for (const Repaired& one : report.left) left.emplace(one.node, one.what);
  std::vector<Repaired> mended;
  for (const Problem& problem : before.problems) {
    if (!left.contains({problem.node, problem.what})) {
      mended.push_back({problem.node, problem.what, {}});
    }
  }
  report.mended.insert(report.mended.begin(), std::make_move_iterator(mended.begin()),
                       std::make_move_iterator(mended.end()));
  return report;
}

}  // namespace graven
