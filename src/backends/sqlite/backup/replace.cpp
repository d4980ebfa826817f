// SPDX-License-Identifier: MIT
//
// Puts a complete file in its place, where a store may be.
//
// Always holds: the -wal, -journal or -changes of the old store is never beside the new one,
// because SQLite would play it into the new one. A store never has two names. If the old store has
// no WAL or journal beside it, its name leads at every moment to the old or the new store. If its
// WAL goes with it, there is a moment with neither.
//
// One thread at a time.
#include <graven/error.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/vfs/file_layer.hpp"
#include "backends/sqlite/vfs/file_lock.hpp"
#include "backends/sqlite/vfs/own_descriptor.hpp"
#include "backends/sqlite/vfs/wal_lock.hpp"

namespace graven::sqlite {
namespace {

constexpr std::array kWithContent{"-wal", "-journal"};
constexpr std::array kWithout{"-shm", "-changes"};

[[noreturn]] void fail_at(const std::string& path, const char* what) {
  throw UnavailableError(path + " could not be " + what + ": " +
                         std::generic_category().message(errno) +
                         "; check the permissions of its folder and the disk");
}

/// Takes SQLite's lock on a database exclusively. A process that has the store open holds a part of
/// that lock all the time. It is an open-file-description lock, so it also conflicts with
/// connections of this process.
class SoleUse {
 public:
  explicit SoleUse(const Target& target)
      : descriptor_(::open(target.path.c_str(), O_RDWR | O_CLOEXEC)) {
    if (descriptor_.get() < 0) fail_at(target.name, "opened");
    if (set_lock(descriptor_.get(), file_lock(F_WRLCK, kFirst, kLast - kFirst + 1))) return;
    if (errno != EAGAIN && errno != EACCES) fail_at(target.name, "locked");
    const std::set<long> processes = lock_holders(target.path, kFirst, kLast);
    const bool here = processes.contains(::getpid());
    const long process = here ? ::getpid() : processes.empty() ? 0 : *processes.rbegin();
    throw BusyError(
        target.name + " is open in " + process_name(process) +
        (here ? "; close every database and map on it first" : "; close it there first"));
  }

 private:
  // SQLite's PENDING_BYTE, RESERVED_BYTE and SHARED range.
  static constexpr off_t kFirst = 0x40000000;
  static constexpr off_t kLast = kFirst + 511;

  OwnDescriptor descriptor_;
};

bool content_beside(const std::string& path) {
  for (const char* suffix : kWithContent) {
    if (file_state(path + suffix).size > 0) return true;
  }
  return false;
}

/// Moves the WAL or journal of a store into it, as SQLite's last connection does. If the store is
/// damaged, they stay.
void settle(const Target& target) {
  if (!content_beside(target.path)) return;
  try {
    // Through graven's VFS, which moves nothing into a file that the WAL does not belong to.
    Target over = target;
    over.vfs = file_layer_over(target.vfs);
    Connection connection(over, over.path, SQLITE_OPEN_READWRITE);
    connection.integer("SELECT count(*) FROM main.sqlite_schema");
    connection.try_execute("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const Error&) {
  }
}

void move(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_at(from, "moved");
}

/// Calls renameat2(), which old file systems lack.
bool rename_as(const std::string& from, const std::string& to, unsigned how) {
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), how) == 0;
}

/// Moves the old store away, with its WAL or journal.
void move_away(const std::string& path, const std::string& kept) {
  if (kept.empty()) {
    // What could not be moved into the store is a part of it: remove both.
    if (::unlink(path.c_str()) != 0) fail_at(path, "removed");
    return;
  }
  move(path, kept);
  for (const char* suffix : kWithContent) {
    if (file_state(path + suffix).size > 0) move(path + suffix, kept + suffix);
  }
}

void sync_folder(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_at(folder, "opened");
  const int result = ::fsync(descriptor);
  ::close(descriptor);
  if (result != 0 && errno != EINVAL) fail_at(folder, "synced to the disk");
}

[[noreturn]] void throw_exists(const Target& target) {
  throw UsageError(target.name +
                   " exists already; give another name or allow overwriting "
                   "(--overwrite on the command line)");
}

/// False if the target exists.
bool place_new(const std::string& from, const Target& target) {
  if (rename_as(from, target.path, RENAME_NOREPLACE)) return true;
  if (errno == EINVAL) {  // not supported by the file system
    if (::link(from.c_str(), target.path.c_str()) == 0) {
      ::unlink(from.c_str());
      return true;
    }
  }
  if (errno == EEXIST) return false;
  fail_at(target.name, "made");
}

}  // namespace

void PartialFile::require_place(const Target& target, Mode mode) {
  if (!file_state(target.path).exists) {
    if (!content_beside(target.path)) return;
    throw UsageError(target.name +
                     " does not exist, but a -wal or -journal of that name does, which would be "
                     "taken for a part of it; move that away or give another name");
  }
  if (mode == Mode::kNew) throw_exists(target);
  const std::string kept = kept_name(target.path);
  if (mode == Mode::kReplaceKeeping && (file_state(kept).exists || content_beside(kept))) {
    throw UsageError(kept +
                     " exists already: it is what an earlier restore has kept; move it away, or do "
                     "not keep the store that is replaced");
  }
  const SoleUse nobody(target);
}

std::string PartialFile::put_in_place(Mode mode) {
  require_place(target_, mode);
  const std::string& path = target_.path;
  std::string kept;
  const bool exists = file_state(path).exists;
  // If another process has created the target meanwhile, replaces it only if that was requested.
  if (mode == Mode::kNew || !exists) {
    if (exists) throw_exists(target_);
    for (const char* suffix : kWithout) ::unlink((path + suffix).c_str());
    if (!place_new(partial_.path, target_)) throw_exists(target_);
  } else {
    if (mode == Mode::kReplaceKeeping) kept = kept_name(path);
    settle(target_);
    const SoleUse nobody(target_);
    const bool content = content_beside(path);
    if (content) move_away(path, kept);
    for (const char* suffix : kWithContent) ::unlink((path + suffix).c_str());
    for (const char* suffix : kWithout) ::unlink((path + suffix).c_str());
    if (kept.empty() || content) {
      move(partial_.path, path);
    } else {
      exchange(kept);
    }
  }
  in_place_ = true;
  sync_folder(path);
  return kept;
}

/// Exchanges places with a store that has no WAL beside it; the old store gets the name `kept`.
void PartialFile::exchange(const std::string& kept) {
  const std::string& path = target_.path;
  // Not a name of a partial file, which others may remove: the old store has this name next.
  const std::string between = replaced_name(path, file_state(partial_.path).inode);
  if (rename_as(partial_.path, between, RENAME_NOREPLACE)) {
    partial_.path = between;
    if (rename_as(between, path, RENAME_EXCHANGE)) {
      in_place_ = true;
      if (!rename_as(between, kept, RENAME_NOREPLACE)) fail_at(between, "moved to its new name");
      return;
    }
  }
  // The file system does not support the exchange.
  move(path, kept);
  if (::rename(partial_.path.c_str(), path.c_str()) == 0) return;
  const int error = errno;
  static_cast<void>(::rename(kept.c_str(), path.c_str()));
  errno = error;
  fail_at(partial_.path, "moved");
}

bool PartialFile::put_if_absent() {
  in_place_ = place_new(partial_.path, target_);
  return in_place_;
}

}  // namespace graven::sqlite
