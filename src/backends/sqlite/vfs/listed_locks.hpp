// SPDX-License-Identifier: MIT
//
// The locks the kernel lists: all of them in /proc/locks, and those taken through one descriptor in
// /proc/<process>/fdinfo/<descriptor>. A line: "7: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120".
// The device is hexadecimal. A POSIX lock has its process there (0 where that is outside this pid
// namespace), the lock of an open file description has -1: whose it is only the second list tells.
// Where no more files can be open both throw UnavailableError: nothing is known of locks then.
//
// Any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <sys/stat.h>

namespace graven::sqlite {

struct ListedLock {
  bool of_description = false;  // else of a process
  long process = 0;             // of a POSIX lock
  bool writes = false;
  unsigned major = 0;
  unsigned minor = 0;
  unsigned long inode = 0;
  long first = 0;
  long last = 0;  // LONG_MAX: to the end of all offsets

  /// Whether it is certainly the file's: btrfs lists another device than stat() tells.
  [[nodiscard]] bool same_device(const struct stat& file) const noexcept;
  [[nodiscard]] bool on(const struct stat& file, long from, long to) const noexcept {
    return inode == file.st_ino && first <= to && last >= from;
  }
};

/// A lock that is held; nothing for one that is waited for, and for what is no lock of these kinds.
std::optional<ListedLock> listed_lock(const std::string& line);

/// Calls `see` for each lock of all processes, until it says false.
void each_lock(const std::function<bool(const ListedLock&)>& see);

/// The same for the locks taken through a descriptor; `process` is a number or "self". False where
/// `see` said so.
bool each_lock_through(const std::string& process, const std::string& descriptor,
                       const std::function<bool(const ListedLock&)>& see);

}  // namespace graven::sqlite
