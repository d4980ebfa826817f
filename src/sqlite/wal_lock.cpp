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

namespace graven::sqlite {
namespace {

/// SQLite's WAL_WRITE_LOCK in the -shm (https://sqlite.org/walformat.html, "WAL locks").
constexpr long kWriteLockByte = 120;

long holder(const std::string& shm) {
  struct stat info {};
  if (::stat(shm.c_str(), &info) != 0) return 0;
  std::ifstream locks("/proc/locks");
  std::string line;
  long candidate = 0;
  while (std::getline(locks, line)) {
    std::istringstream fields(line);
    std::string number, kind, advisory, type, file, end;
    long pid = 0;
    long first = -1;
    if (!(fields >> number >> kind) || kind != "POSIX") continue;  // "->": only waiting
    if (!(fields >> advisory >> type >> pid >> file >> first >> end) || type != "WRITE") continue;
    const long last = end == "EOF" ? kWriteLockByte : std::strtol(end.c_str(), nullptr, 10);
    if (first > kWriteLockByte || last < kWriteLockByte) continue;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned long inode = 0;
    if (std::sscanf(file.c_str(), "%x:%x:%lu", &major, &minor, &inode) != 3) continue;
    if (inode != info.st_ino) continue;
    if (major == ::major(info.st_dev) && minor == ::minor(info.st_dev)) return pid;
    candidate = pid;  // btrfs reports another device here than stat() does
  }
  return candidate;
}

}  // namespace

std::string write_lock_holder(const std::string& path) {
  const long pid = holder(path + "-shm");
  if (pid == ::getpid()) return "this process";
  if (pid <= 0) return "another process";
  std::string name;
  std::ifstream comm("/proc/" + std::to_string(pid) + "/comm");
  std::getline(comm, name);
  std::string text = "process " + std::to_string(pid);
  if (!name.empty()) text += " (" + name + ")";
  return text;
}

}  // namespace graven::sqlite
