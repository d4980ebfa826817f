// SPDX-License-Identifier: MIT
//
// flock() cannot end at a deadline, so a wait is a series of tries. The mutex keeps the process
// from forking between open() and the note of what was opened.
#include "backends/redis/embedded/lock_file.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace graven::redis {
namespace {

constexpr int kOpening = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;

base::ForkMutex& no_fork() {
  static auto* mutex = new base::ForkMutex(base::kForkRankDescriptors);  // never destroyed
  return *mutex;
}

}  // namespace

LockFile::LockFile(int folder, const char* name, InChild in_child)
    : folder_(folder), name_(name), in_child_(in_child) {
  int error = 0;
  {
    const std::scoped_lock lock(no_fork());
    descriptor_ = ::openat(folder, name, kOpening, 0600);
    error = errno;
  }
  if (descriptor_ < 0) {
    throw UnavailableError("cannot open the lock file " + std::string(name) +
                           " of a private server: " + std::generic_category().message(error));
  }
}

LockFile::~LockFile() {
  const std::scoped_lock lock(no_fork());
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

bool LockFile::try_lock(int how) noexcept {
  return descriptor_ >= 0 && ::flock(descriptor_, how | LOCK_NB) == 0;
}

bool LockFile::lock(int how, base::Deadline deadline) {
  Pauses pauses(deadline);
  while (!try_lock(how)) {
    if (!pauses.next()) return false;
  }
  return true;
}

void LockFile::child_after_fork() noexcept {
  if (descriptor_ < 0) return;
  int own = -1;
  if (in_child_ == InChild::kShared) {
    // The inherited lock is held until the child has its own, so nobody can come between.
    own = ::openat(folder_, name_, kOpening, 0600);
    if (own >= 0 && ::flock(own, LOCK_SH | LOCK_NB) != 0) {
      ::close(own);
      own = -1;
    }
  }
  ::close(descriptor_);  // not unlocked: that would unlock the parent's
  descriptor_ = own;
}

bool Pauses::next() {
  const auto now = std::chrono::steady_clock::now();
  base::check_interrupt();
  if (now >= deadline_) return false;
  base::sleep_until(std::min<base::Deadline>(deadline_, now + pause_));
  pause_ = std::min(pause_ * 2, std::chrono::milliseconds(50));
  return true;
}

}  // namespace graven::redis
