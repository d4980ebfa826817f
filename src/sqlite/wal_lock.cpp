// SPDX-License-Identifier: MIT
//
// /proc/locks, line by line: "7: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120". The device
// is hexadecimal; a holder outside this pid namespace has pid 0 or is left out.
// Any thread.
#include "sqlite/wal_lock.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <vector>

namespace graven::sqlite {
namespace {

/// SQLite's WAL_WRITE_LOCK in the -shm (https://sqlite.org/walformat.html, "WAL locks").
constexpr long kWriteLockByte = 120;

struct Lock {
  long process;
  bool writes;
  bool sure;  // of the file: btrfs reports another device here than stat() does
};

/// The locks held on any of a file's bytes from `first` to `last`.
std::vector<Lock> locks_on(const std::string& path, long first, long last) {
  std::vector<Lock> found;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return found;
  std::ifstream locks("/proc/locks");
  std::string line;
  while (std::getline(locks, line)) {
    std::istringstream fields(line);
    std::string number, kind, advisory, type, file, end;
    long pid = 0;
    long from = -1;
    if (!(fields >> number >> kind) || kind != "POSIX") continue;  // "->": only waiting
    if (!(fields >> advisory >> type >> pid >> file >> from >> end)) continue;
    const long to = end == "EOF" ? last : std::strtol(end.c_str(), nullptr, 10);
    if (from > last || to < first) continue;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned long inode = 0;
    if (std::sscanf(file.c_str(), "%x:%x:%lu", &major, &minor, &inode) != 3) continue;
    if (inode != info.st_ino) continue;
    const bool sure = major == ::major(info.st_dev) && minor == ::minor(info.st_dev);
    found.push_back({pid, type == "WRITE", sure});
  }
  return found;
}

long holder(const std::string& shm) {
  long candidate = 0;
  for (const Lock& lock : locks_on(shm, kWriteLockByte, kWriteLockByte)) {
    if (!lock.writes) continue;
    if (lock.sure) return lock.process;
    candidate = lock.process;
  }
  return candidate;
}

}  // namespace

std::string process_name(long process) {
  if (process == ::getpid()) return "this process";
  if (process <= 0) return "another process";
  std::string name;
  std::ifstream comm("/proc/" + std::to_string(process) + "/comm");
  std::getline(comm, name);
  std::string text = "process " + std::to_string(process);
  if (!name.empty()) text += " (" + name + ")";
  return text;
}

std::string write_lock_holder(const std::string& path) {
  return process_name(holder(path + "-shm"));
}

std::set<long> lock_holders(const std::string& path, long first, long last) {
  std::set<long> processes;
  for (const Lock& lock : locks_on(path, first, last)) processes.insert(lock.process);
  return processes;
}

}  // namespace graven::sqlite
