// SPDX-License-Identifier: MIT
//
// Backups: Database::backup() writes a whole store into one file while programs use the store;
// restore() puts such a file in a store's place. docs/operations.md says what to keep where, and
// what a restore means for programs that remember uids.
//
// Always holds: a file gets its final name only when it is whole, read back and on the disk; until
// then, and after any failure, what was there before is unchanged. A backup ends with a seal, a
// hash of all bytes before it, so restore() notices every changed byte, also if the seal was cut
// off or something was appended. A store that is not a backup has no seal: restore() then checks
// that its contents are sound, but cannot know whether they were changed.
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
  /// Called between steps, with numbers of pages, before the copy is read back. An exception from
  /// it ends the backup.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
  int pages_per_step = 1024;
  /// The pause between two steps, which leaves the disk to others. The WAL grows while a backup
  /// copies.
  std::chrono::milliseconds pause{0};
  /// Replaces an existing file. A file that a process has open as a store is never replaced.
  bool overwrite = false;
  bool allow_network_file_system = false;
};

/// The contents of a backup or a restored store.
struct BackupReport {
  std::string path{};  ///< absolute
  std::uint64_t bytes = 0;
  std::uint64_t nodes = 0;  ///< dicts and lists, in every prefix
  std::uint64_t links = 0;
  std::string replaced{};  ///< of restore(): where the replaced store is now; empty: deleted
  /// Of restore(): whether a seal proved that no byte was changed since the backup was made.
  bool sealed = false;
};

struct RestoreOptions {
  /// Called now and then, with numbers of bytes, before the file is read back. An exception from it
  /// ends the restore.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
  /// Keeps the replaced store as `<path>.before-restore`.
  bool keep_replaced = true;
  bool allow_network_file_system = false;
};

/// Puts a copy of a backup in the place of the store at `path`, which need not exist.
/// CorruptionError if the backup is not whole, ForeignFileError if it is not graven's or of a newer
/// format, BusyError while any process has the store open (this process has it open until it has
/// closed its last Database and Map on it), UsageError if `<path>.before-restore` exists. After an
/// error nothing is changed.
BackupReport restore(Text backup, Text path, const RestoreOptions& options = {});

}  // namespace graven
