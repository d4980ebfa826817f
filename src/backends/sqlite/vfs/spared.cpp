// SPDX-License-Identifier: MIT
//
// The list of spared descriptors (spared.hpp). No other mutex is taken while holding its mutex.
//
// How it finds POSIX locks of this process: F_OFD_GETLK returns one lock that conflicts. If it
// returns none, there are none. If it returns one of this process, there are. If it returns another
// lock, that may hide one of this process on the same bytes; then it reads the list of locks of
// each descriptor that this process has on the file.
//
// Any thread.
#include "backends/sqlite/vfs/spared.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "backends/sqlite/vfs/fault.hpp"
#include "backends/sqlite/vfs/file_lock.hpp"
#include "backends/sqlite/vfs/listed_locks.hpp"
#include "base/fork.hpp"

namespace graven::sqlite {
namespace {

struct Spared {
  int descriptor;
  dev_t device;
  ino_t inode;

  [[nodiscard]] bool of(const struct stat& file) const noexcept {
    return device == file.st_dev && inode == file.st_ino;
  }
};

constinit std::vector<Spared> spared;    // guarded by List's mutex
constinit std::atomic<int> how_many{0};  // the size of `spared`

class List final : private base::ForkGuard {
 public:
  // Never destroyed: a fork may come at any time.
  static List& get() {
    static auto* list = new List;
    return *list;
  }

  base::ForkMutex mutex{base::kForkRankSpared};

 private:
  void child_after_fork() noexcept override {
    for (const Spared& one : spared) ::close(one.descriptor);
    spared.clear();
    how_many = 0;
  }

  base::ForkEnrolment enrolment_{*this};
};

/// Whether this process holds POSIX locks on the file.
bool process_has_locks(const struct stat& file) {
  constexpr const char* kDescriptors = "/proc/self/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(kDescriptors), &::closedir);
  if (!entries) {
    refuse_if_out_of_files(errno, kDescriptors);
    return false;
  }
  while (const dirent* entry = ::readdir(entries.get())) {
    struct stat info {};
    const int descriptor = std::atoi(entry->d_name);  // "." and ".." give 0, checked twice
    if (::fstat(descriptor, &info) != 0) continue;
    if (info.st_dev != file.st_dev || info.st_ino != file.st_ino) continue;
    const bool none = each_lock_through("self", std::to_string(descriptor),
                                        [](const ListedLock& lock) { return lock.of_description; });
    if (!none) return true;
  }
  return false;
}

bool would_drop_locks(int ask) noexcept {
  struct flock any = file_lock(F_WRLCK, 0, 0);
  if (::fcntl(ask, F_OFD_GETLK, &any) != 0 || any.l_type == F_UNLCK) return false;
  if (any.l_pid == ::getpid()) return true;
  struct stat file {};
  if (::fstat(ask, &file) != 0) return false;
  try {
    return process_has_locks(file);
  } catch (...) {  // no memory or no descriptor: assume locks
    return true;
  }
}

/// Adds it to the list. If there is no memory for that, the descriptor just stays open.
void spare(int descriptor) noexcept {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return;
  try {
    spared.push_back({descriptor, file.st_dev, file.st_ino});
    how_many = static_cast<int>(spared.size());
  } catch (...) {
  }
}

/// Closes those whose file has no such locks any more.
void close_spared() noexcept {
  std::erase_if(spared, [](const Spared& one) {
    if (would_drop_locks(one.descriptor)) return false;
    ::close(one.descriptor);
    return true;
  });
  how_many = static_cast<int>(spared.size());
}

/// A descriptor of the list for the file `path` that was opened with `flags`, or -1.
int take(const char* path, int flags) noexcept {
  struct stat file {};
  const bool there =
      (flags & O_NOFOLLOW) != 0 ? ::lstat(path, &file) == 0 : ::stat(path, &file) == 0;
  if (!there || (flags & (O_EXCL | O_TRUNC)) != 0) return -1;
  constexpr int kStandard = 2;  // SQLite does not use 0, 1 or 2
  const auto at = std::find_if(spared.begin(), spared.end(), [&](const Spared& one) {
    return one.of(file) && one.descriptor > kStandard &&
           (::fcntl(one.descriptor, F_GETFL) & O_ACCMODE) == (flags & O_ACCMODE);
  });
  if (at == spared.end()) return -1;
  const int descriptor = at->descriptor;
  spared.erase(at);
  how_many = static_cast<int>(spared.size());
  return descriptor;
}

}  // namespace

int close_sparing(int descriptor, int ask) noexcept {
  const std::scoped_lock lock(List::get().mutex);
  int result = 0;
  if (would_drop_locks(ask)) {
    spare(descriptor);
  } else {
    result = ::close(descriptor);
  }
  if (!spared.empty()) close_spared();
  return result;
}

int open_sparing(const char* path, int flags, int mode) noexcept {
  if (how_many.load() > 0) {
    const std::scoped_lock lock(List::get().mutex);
    if (const int descriptor = take(path, flags); descriptor >= 0) return descriptor;
  }
  return ::open(path, flags, mode);
}

int spared_descriptors() noexcept { return how_many.load(); }

void guard_spared_against_fork() { List::get(); }

}  // namespace graven::sqlite
