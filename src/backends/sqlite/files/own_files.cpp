// SPDX-License-Identifier: MIT
//
// The checks of own_files.hpp. Any thread.
#include "backends/sqlite/files/own_files.hpp"

#include <graven/error.hpp>

#include <chrono>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "backends/sqlite/files/main_record.hpp"
#include "backends/sqlite/files/store_files.hpp"
#include "backends/sqlite/files/wal_owner.hpp"
#include "backends/sqlite/vfs/file_layer.hpp"
#include "backends/sqlite/vfs/listed_locks.hpp"
#include "base/interrupt.hpp"

namespace graven::sqlite {
namespace {

// A real problem lasts for all attempts; what others are just doing does not.
constexpr int kAttempts = 20;
constexpr auto kPause = std::chrono::microseconds(500);
// A process that is about to create the index may not get to run for longer than that.
constexpr auto kIndexPatience = std::chrono::seconds(2);

// SQLite's locks: a process that has mapped the index holds that byte of it, and all that time also
// a part of this range of the database.
constexpr long kIndexInUse = 128;
constexpr long kDatabaseInUse = 0x40000000;
constexpr long kDatabaseInUseEnd = kDatabaseInUse + 511;
constexpr long kReaders = kDatabaseInUse + 2;  // from this byte on

/// Whether some process has a lock there. kPerhaps: the kernel lists another device than stat().
enum class Locked : std::uint8_t { kNo, kPerhaps, kYes };

Locked locked(const std::string& path, long first, long last) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Locked::kNo;
  Locked found = Locked::kNo;
  each_lock([&](const ListedLock& lock) {
    if (lock.on(info, first, last))
      found = lock.same_device(info) ? Locked::kYes : Locked::kPerhaps;
    return found != Locked::kYes;
  });
  return found;
}

std::string missing(const Target& target, const Header& header) {
  return target.name + (header.exists ? " is empty" : " does not exist");
}

/// Describes the problem, or returns empty.
std::string objection(const Target& target, const Header& header) {
  const std::string& path = target.path;
  const std::string& name = target.name;
  const bool index = file_state(path + "-shm").exists;
  const Locked in_use = index ? locked(path + "-shm", kIndexInUse, kIndexInUse) : Locked::kNo;
  if (in_use == Locked::kYes && locked(path, kDatabaseInUse, kDatabaseInUseEnd) == Locked::kNo) {
    return name + (header.exists ? " was replaced" : " was deleted or moved") +
           " while a process has it open; that process still uses " + name +
           "-shm and -wal with the former file; " + remedy_for_files(name);
  }
  if (header.wal && file_state(path + "-journal").size > 0) {
    return name + "-journal belongs to another file than the " + name +
           " that is there now, and SQLite would write its pages into it; move it away";
  }
  if (file_state(path + "-wal").size == 0) return {};
  switch (wal_owner(path + "-wal", header.page_size, header.epoch)) {
    case WalOwner::kNobody:
      return {};
    case WalOwner::kAnother:
      if (header.empty) {
        return missing(target, header) + ", but " + name + "-wal has commits to it; " +
               remedy_for_files(name);
      }
      return name + "-wal belongs to another file than the " + name +
             " that is there now, which was replaced or overwritten; " + remedy_for_files(name);
    case WalOwner::kUnknown:
    case WalOwner::kThis:
      break;
  }
  if (in_use == Locked::kNo && main_file_was_replaced(path)) {
    return name + " was replaced, or written by another program, since " + name +
           "-wal was written; " + remedy_for_files(name) + ". If it is the same file, and only " +
           "its time was changed, delete " + name + "-owners instead";
  }
  return {};
}

/// Whether a process reads the database through a WAL index that is not beside it. Every reader in
/// WAL mode has an index, except one with exclusive use (which holds a write lock).
bool is_read_elsewhere(const Target& target, const Header& header) {
  struct stat info {};
  if (!header.wal || file_state(target.path + "-shm").exists ||
      ::stat(target.path.c_str(), &info) != 0) {
    return false;
  }
  bool found = false;
  each_lock([&](const ListedLock& lock) {
    found = !lock.writes && lock.on(info, kReaders, kDatabaseInUseEnd) && lock.same_device(info);
    return !found;
  });
  return found;
}

void require_no_other_name(const Target& target, const Header& header) {
  const auto until = std::chrono::steady_clock::now() + kIndexPatience;
  for (base::InterruptPoll poll; is_read_elsewhere(target, header); poll()) {
    if (std::chrono::steady_clock::now() >= until) {
      throw UnavailableError(
          target.name +
          " is open under a former name, or its -shm was removed: the newest commits are in a -wal "
          "that is not beside it; close it there first, or give it its former name back");
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

Header require_own_files(const Target& target) {
  for (int attempt = 1;; ++attempt) {
    const Header header = check_header(target, file_state(target.path));
    const std::string found = objection(target, header);
    if (found.empty()) {
      require_no_other_name(target, header);
      return header;
    }
    if (attempt == kAttempts) throw UnavailableError(found);
    std::this_thread::sleep_for(kPause);
  }
}

void require_own_index(const Target& target, Connection& connection) {
  if (!file_state(target.path + "-shm").exists) return;
  for (int attempt = 1; !index_fits_wal(connection.handle()); ++attempt) {
    if (attempt == kAttempts) {
      throw UnavailableError(target.name + "-wal was deleted, replaced or cut off, or " +
                             target.name + "-shm overwritten, while a process has " + target.name +
                             " open; " + remedy_for_files(target.name));
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace graven::sqlite
