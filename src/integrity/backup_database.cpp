// SPDX-License-Identifier: MIT
//
// Database::backup() and restore(): check their arguments, make a copy, check it, and then put it
// in place. The backend does the copying.
//
// Any thread.
#include <fmt/format.h>

#include <graven/backup.hpp>
#include <graven/database.hpp>
#include <graven/error.hpp>

#include <cerrno>
#include <string>
#include <sys/stat.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/files/whose_file.hpp"
#include "graph/collector/heap.hpp"
#include "graph/scope.hpp"
#include "integrity/check.hpp"
#include "map/core.hpp"
#include "map/value.hpp"

namespace graven {
namespace {

using sqlite::PartialFile;
using sqlite::Target;

/// Replaces in a message the name of the copy, which will be deleted, by the name of its source.
std::string said_of(std::string_view of, const PartialFile& copy, std::string text) {
  const std::string& name = copy.as_target().path;
  for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += of.size()) {
    text.replace(at, name.size(), of);
  }
  return text;
}

CheckReport check_copy(const PartialFile& copy) {
  const auto backend =
      sqlite::open(copy.as_target().path,
                   {.read_only = true, .allow_network_file_system = true, .immutable = true});
  return integrity::check(*backend, map::prove, {});
}

/// Checks a copy before it is put in place.
BackupReport prove(const PartialFile& copy, std::string_view of) {
  const CheckReport found = [&] {
    try {
      return check_copy(copy);
    } catch (const CorruptionError& error) {
      throw CorruptionError(said_of(of, copy, error.what()));
    }
  }();
  if (!found.ok()) {
    const Problem& first = found.problems.front();
    const std::string what = said_of(of, copy, first.what);
    throw CorruptionError(fmt::format(
        "{}{}{}{}{}; `graven check` lists all problems, `graven dump` saves what can be read",
        what.starts_with(of) ? "" : fmt::format("{} is damaged: ", of), first.node,
        first.node.empty() ? "" : " ", what,
        found.problems.size() == 1
            ? ""
            : fmt::format(" (and {} more problems)", found.problems.size() - 1)));
  }
  BackupReport report;
  report.bytes = copy.size();
  report.nodes = found.nodes;
  report.links = found.links;
  return report;
}

/// Throws if the backup does not exist. (The error of opening would advise to create the file,
/// which does not help here.)
void require_backup(const std::string& name) {
  struct stat info {};
  if (name.empty() || ::stat(name.c_str(), &info) == 0 || errno != ENOENT) return;
  throw UnavailableError(name + " does not exist, so there is nothing to restore; check its path");
}

Target target_at(std::string_view path) {
  const std::string name(path);
  return {.name = name, .path = sqlite::resolve(name), .vfs = {}};
}

}  // namespace

BackupReport Database::backup(Text path, const BackupOptions& options) const {
  graph::Heap& heap = scope_->session().heap();
  const port::Facts& facts = heap.backend().facts();
  if (heap.store().in_transaction()) {
    throw UsageError(
        "backup() inside a transaction, whose changes it could not see: call it after");
  }
  auto* const files = port::facet<port::Files>(heap.backend());
  if (files == nullptr) {
    throw UsageError(facts.name +
                     " is not in a file, and only of files there are backups: `graven " +
                     "copy` copies it into a file, `graven dump` writes it as JSON");
  }
  if (options.pages_per_step < 1) throw UsageError("pages_per_step must be at least 1");
  if (options.pause.count() < 0) throw UsageError("pause must not be negative");
  const Target target = target_at(path);
  const auto there = sqlite::check_path(target, false, options.allow_network_file_system);
  if (there.exists && there.identity() == facts.identity) {
    throw UsageError(target.name + " is the store itself; give the backup another name");
  }
  sqlite::refuse_beside_store(target.name, target.path, facts.file);
  const auto mode = options.overwrite ? PartialFile::Mode::kReplace : PartialFile::Mode::kNew;
  PartialFile::require_place(target, mode);
  PartialFile copy(target);
  map::flush_lazy(facts.identity);
  files->copy_to(copy.as_target().path, {.progress = options.progress,
                                         .pages_per_step = options.pages_per_step,
                                         .pause = options.pause});
  BackupReport report = prove(copy, facts.name);
  copy.seal();
  copy.sync();
  report.sealed = true;
  report.bytes = copy.size();
  static_cast<void>(copy.put_in_place(mode));
  report.path = target.path;
  return report;
}

BackupReport restore(Text backup, Text path, const RestoreOptions& options) {
  require_backup(std::string(backup));
  const Target source = target_at(backup);
  const auto file = sqlite::check_path(source, true, true);
  if (sqlite::check_header(source, file).empty) {
    throw CorruptionError(source.name + " is empty; take another backup");
  }
  const Target target = target_at(path);
  const auto there = sqlite::check_path(target, false, options.allow_network_file_system);
  if (there.exists && there.identity() == file.identity()) {
    throw UsageError(target.name + " is the backup itself; give the store another name");
  }
  sqlite::refuse_beside_store(target.name, target.path, source.path);
  const auto mode =
      options.keep_replaced ? PartialFile::Mode::kReplaceKeeping : PartialFile::Mode::kReplace;
  PartialFile::require_place(target, mode);
  PartialFile copy(target);
  const bool sealed = copy_whole_file(source, copy, options.progress);
  BackupReport report = prove(copy, source.name);
  if (sealed) copy.unseal();
  copy.stamp();
  copy.sync();
  report.sealed = sealed;
  report.path = target.path;
  report.replaced = copy.put_in_place(mode);
  return report;
}

}  // namespace graven
