// SPDX-License-Identifier: MIT
//
// Reads the kernel's lists of file locks: /proc/locks has all locks, and
// /proc/<process>/fdinfo/<descriptor> those taken through one descriptor. A line looks like this:
//
//   7: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120
//
// The device is hexadecimal. A POSIX lock has its process id there (0 if the process is outside
// this pid namespace). An open-file-description lock has -1; only the second list tells its
// process. Both functions throw UnavailableError if no more files can be opened, because then
// nothing is known about locks.
//
// Any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <sys/stat.h>

namespace graven::sqlite {

struct ListedLock {
  bool of_description = false;  // else it belongs to a process
  long process = 0;             // only for a POSIX lock
  bool writes = false;
  unsigned major = 0;
  unsigned minor = 0;
  unsigned long inode = 0;
  long first = 0;
  long last = 0;  // LONG_MAX: up to the end of all offsets

  /// True if the lock is certainly on this file. It can be false for a lock on the file: btrfs
  /// lists another device than stat() returns.
  [[nodiscard]] bool same_device(const struct stat& file) const noexcept;
  [[nodiscard]] bool on(const struct stat& file, long from, long to) const noexcept {
    return inode == file.st_ino && first <= to && last >= from;
  }
};

/// Parses a line. Nothing for a lock that is only waited for and for other kinds of locks.
std::optional<ListedLock> listed_lock(const std::string& line);

/// Calls `see` for each lock of all processes until it returns false.
void each_lock(const std::function<bool(const ListedLock&)>& see);

/// The same for the locks taken through one descriptor. `process` is a process id or "self".
/// Returns false if `see` did.
bool each_lock_through(const std::string& process, const std::string& descriptor,
                       const std::function<bool(const ListedLock&)>& see);

}  // namespace graven::sqlite
