// SPDX-License-Identifier: MIT
//
// Backups: a whole store in one file, made while programs work with the store
// (Database::backup), and put back in a store's place (restore). docs/operations.md says which
// file to keep where, and what a restored store means for those who remember uids.
//
// Always holds: a file is in its place only when it is whole, read back and on the disk; until
// then, and after any failure, what was there before is there unchanged. A backup ends with a
// seal, a hash of all before it, so restore() tells every altered byte, also where the seal itself
// was cut off or is no longer at the end. A store that is no backup has none: what restore() then
// proves is that its contents are sound, not that they are what they were.
//
// Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <graven/argument.hpp>

namespace graven {

struct BackupOptions {
  /// Called between steps, with pages; what it throws ends the backup. Reading back follows.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
  int pages_per_step = 1024;
  /// Between two steps, to leave the disk to others. The WAL grows for as long as a backup takes.
  std::chrono::milliseconds pause{0};
  /// Replace a file that is there. One that some process has open is never replaced.
  bool overwrite = false;
  bool allow_network_file_system = false;
};

/// What a backup or a restored store holds.
struct BackupReport {
  std::string path{};  ///< absolute
  std::uint64_t bytes = 0;
  std::uint64_t nodes = 0;  ///< dicts and lists, in every prefix
  std::uint64_t links = 0;
  std::string replaced{};  ///< of restore(): where the store that was there is now; empty: gone
  /// Of restore(): whether a seal proved that not a byte was altered since the backup was made.
  bool sealed = false;
};

struct RestoreOptions {
  /// Called now and then, with bytes; what it throws ends the restore. Reading back follows.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
  /// Keep the store that is there as `<path>.before-restore`.
  bool keep_replaced = true;
  bool allow_network_file_system = false;
};

/// Puts a backup in the place of the store at `path`, which need not exist; the backup stays as it
/// is. CorruptionError where it is not whole, ForeignFileError where it is not graven's or too
/// new, BusyError while any process has the store open (this one has until it has closed the last
/// Database and Map on it), UsageError where `<path>.before-restore` exists already; nothing is
/// changed then.
BackupReport restore(Text backup, Text path, const RestoreOptions& options = {});

}  // namespace graven
