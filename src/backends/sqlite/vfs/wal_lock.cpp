// SPDX-License-Identifier: MIT
//
// First reads the kernel's list of all locks. If it has an open-file-description lock on the file,
// searches the descriptors of this process and then of the other processes for its holder. Any
// thread.
#include "backends/sqlite/vfs/wal_lock.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <fstream>
#include <functional>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/vfs/listed_locks.hpp"

namespace graven::sqlite {
namespace {

/// SQLite's WAL_WRITE_LOCK in the -shm (https://sqlite.org/walformat.html, "WAL locks").
constexpr long kWriteLockByte = 120;

/// Calls `see` with the name of each entry that begins with a digit, until it returns false.
bool each_number(const std::string& folder, const std::function<bool(const std::string&)>& see) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  if (!entries) return true;
  while (const dirent* entry = ::readdir(entries.get())) {
    const char first = entry->d_name[0];
    if (first >= '0' && first <= '9' && !see(entry->d_name)) return false;
  }
  return true;
}

/// Calls `see` with each lock on these bytes of a file and its process, until it returns false; the
/// process is 0 if unknown. UnavailableError if the lists cannot be read now.
void each_listed_holder(const std::string& path, long first, long last,
                        const std::function<bool(const ListedLock&, long process)>& see) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return;
  bool go_on = true;
  std::optional<ListedLock> described;
  each_lock([&](const ListedLock& lock) {
    if (!lock.on(info, first, last)) return true;
    if (lock.of_description) {
      described = lock;
    } else {
      go_on = see(lock, lock.process);
    }
    return go_on;
  });
  if (!go_on || !described) return;
  bool found = false;
  const auto of_process = [&](const std::string& process) {
    const long number = process == "self" ? long{::getpid()} : std::atol(process.c_str());
    return each_number("/proc/" + process + "/fdinfo", [&](const std::string& descriptor) {
      return each_lock_through(process, descriptor, [&](const ListedLock& lock) {
        if (!lock.of_description || !lock.on(info, first, last)) return true;
        found = true;
        return see(lock, number);
      });
    });
  };
  if (!of_process("self")) return;
  const std::string own = std::to_string(::getpid());
  const bool all = each_number(
      "/proc", [&](const std::string& process) { return process == own || of_process(process); });
  if (all && !found) see(*described, 0);
}

/// The same; if the lists cannot be read, reports a lock of an unknown process.
void each_holder(const std::string& path, long first, long last,
                 const std::function<bool(const ListedLock&, long process)>& see) {
  try {
    each_listed_holder(path, first, last, see);
  } catch (const UnavailableError&) {
    see({.writes = true}, 0);
  }
}

long write_lock_process(const std::string& shm) {
  struct stat info {};
  ::stat(shm.c_str(), &info);
  long candidate = 0;
  each_holder(shm, kWriteLockByte, kWriteLockByte, [&](const ListedLock& lock, long process) {
    if (!lock.writes) return true;
    candidate = process;
    return !lock.same_device(info);
  });
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
  return process_name(write_lock_process(path + "-shm"));
}

std::set<long> lock_holders(const std::string& path, long first, long last) {
  std::set<long> processes;
  each_holder(path, first, last, [&](const ListedLock&, long process) {
    processes.insert(process);
    return true;
  });
  return processes;
}

std::set<long> wal_readers(const std::string& path) {
  // WAL_READ_LOCK(0) to (4) in the -shm, https://sqlite.org/walformat.html
  return lock_holders(path + "-shm", 123, 127);
}

std::optional<std::chrono::seconds> process_age(long process) {
  struct stat info {};
  if (::stat(("/proc/" + std::to_string(process)).c_str(), &info) != 0) return std::nullopt;
  return std::chrono::seconds(std::max<long>(0, ::time(nullptr) - info.st_ctim.tv_sec));
}

}  // namespace graven::sqlite
