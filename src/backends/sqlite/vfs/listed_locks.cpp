// SPDX-License-Identifier: MIT
//
// Parses the kernel's lists line by line. See listed_locks.hpp. Any thread.
#include "backends/sqlite/vfs/listed_locks.hpp"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <sys/sysmacros.h>

#include "backends/sqlite/vfs/fault.hpp"

namespace graven::sqlite {
namespace {

std::ifstream open_list(const std::string& path) {
  errno = 0;
  std::ifstream list(path);
  if (!list) refuse_if_out_of_files(errno, path);
  return list;
}

}  // namespace

bool ListedLock::same_device(const struct stat& file) const noexcept {
  return major == ::major(file.st_dev) && minor == ::minor(file.st_dev);
}

std::optional<ListedLock> listed_lock(const std::string& line) {
  std::istringstream fields(line);
  std::string number, kind, advisory, type, file, end;
  ListedLock lock;
  // For a lock that is only waited for, the kind is "->".
  if (!(fields >> number >> kind) || (kind != "POSIX" && kind != "OFDLCK")) return std::nullopt;
  if (!(fields >> advisory >> type >> lock.process >> file >> lock.first >> end)) {
    return std::nullopt;
  }
  if (std::sscanf(file.c_str(), "%x:%x:%lu", &lock.major, &lock.minor, &lock.inode) != 3) {
    return std::nullopt;
  }
  lock.of_description = kind == "OFDLCK";
  lock.writes = type == "WRITE";
  lock.last = end == "EOF" ? LONG_MAX : std::strtol(end.c_str(), nullptr, 10);
  return lock;
}

void each_lock(const std::function<bool(const ListedLock&)>& see) {
  std::ifstream list = open_list("/proc/locks");
  for (std::string line; std::getline(list, line);) {
    const auto lock = listed_lock(line);
    if (lock && !see(*lock)) return;
  }
}

bool each_lock_through(const std::string& process, const std::string& descriptor,
                       const std::function<bool(const ListedLock&)>& see) {
  constexpr std::string_view kLock = "lock:";
  std::ifstream list = open_list("/proc/" + process + "/fdinfo/" + descriptor);
  for (std::string line; std::getline(list, line);) {
    if (!line.starts_with(kLock)) continue;
    const auto lock = listed_lock(line.substr(kLock.size()));
    if (lock && !see(*lock)) return false;
  }
  return true;
}

}  // namespace graven::sqlite
