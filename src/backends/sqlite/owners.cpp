// SPDX-License-Identifier: MIT
//
// Leases: the locks of owners.hpp. Any thread: the mutex guards everything.
#include "backends/sqlite/owners.hpp"

#include <graven/error.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "backends/sqlite/files/main_record.hpp"
#include "backends/sqlite/vfs/file_lock.hpp"

namespace graven::sqlite {
namespace {

constexpr std::int64_t kOwnersEnd = INT64_MAX;

/// What the exclusive writer writes about itself: its process id, and an address in its copy of
/// graven.
using Writer = std::array<char, 48>;  // the first bytes of the file
Writer this_writer() noexcept {
  static const char here = 0;
  Writer text{};
  std::snprintf(text.data(), text.size(), "%ld %p\n", long{::getpid()},
                static_cast<const void*>(&here));
  return text;
}

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw UnavailableError(path + " could not be " + what + ": " +
                         std::generic_category().message(errno) +
                         "; it keeps track of the processes that use the store beside it");
}

}  // namespace

Owners::Owners(const std::string& database) : database_(database), path_(database + "-owners") {}

Owners::~Owners() { close(); }

void Owners::close() noexcept {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  held_.clear();
  writing_ = F_UNLCK;
  if (descriptor_ < 0) return;
  // Holding every byte means that nobody else holds one. A process that comes now waits for the
  // close, finds the file gone and creates a new one.
  if (set_lock(descriptor_, file_lock(F_WRLCK, 0, 0)) && still_in_place(descriptor_, path_)) {
    ::unlink(path_.c_str());
  }
  ::close(std::exchange(descriptor_, -1));
}

bool Owners::lock_all_again() noexcept {
  for (const std::int64_t owner : held_) {
    if (!set_lock(descriptor_, file_lock(F_WRLCK, owner, 1))) return false;
  }
  if (writing_ != F_UNLCK && !set_lock(descriptor_, file_lock(writing_, kWriters, 1))) {
    return false;
  }
  return still_in_place(descriptor_, path_);
}

/// Locks a byte in the file that currently has the name. False if another holder has it.
bool Owners::take(short type, std::int64_t offset) {
  if (closed_) throw ClosedError("the store of " + path_ + " was closed; open it again");
  for (int attempt = 0; attempt < 10000; ++attempt) {
    if (descriptor_ < 0) {
      descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
      if (descriptor_ < 0) fail(path_, "opened");
    }
    if (set_lock(descriptor_, file_lock(type, offset, 1)) && lock_all_again()) {
      displaced_ = false;
      return true;
    }
    if (still_in_place(descriptor_, path_)) {
      if (errno != EAGAIN && errno != EACCES) fail(path_, "locked");
      // Another process may be closing its store and hold every byte for a moment. After that, the
      // byte itself is taken.
      if (attempt > 100) return false;
      ::usleep(100);
      continue;
    }
    displaced_ = true;
    ::close(std::exchange(descriptor_, -1));
  }
  fail(path_, "locked");
}

void Owners::hold(std::int64_t owner) {
  if (owner <= kWriters) throw UsageError("a process number must be greater than 0");
  const std::scoped_lock lock(mutex_);
  if (held_.contains(owner)) return;
  if (!take(F_WRLCK, owner)) {
    throw UsageError("process number " + std::to_string(owner) + " of " + path_ +
                     " is held by another process");
  }
  held_.insert(owner);
}

std::size_t Owners::count() {
  const std::scoped_lock lock(mutex_);
  // A separate descriptor, because a descriptor does not see conflicts with its own locks.
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return held_.size();
  std::size_t count = 0;
  // The kernel returns any one lock in a range, so ask for the ranges before and after it too.
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges{{kWriters + 1, kOwnersEnd}};
  while (!ranges.empty()) {
    const auto [from, to] = ranges.back();
    ranges.pop_back();
    struct flock found = file_lock(F_WRLCK, from, to - from);
    if (::fcntl(descriptor, F_OFD_GETLK, &found) != 0 || found.l_type == F_UNLCK) continue;
    if (found.l_len == 0) break;  // a store is just being closed
    ++count;
    if (found.l_start > from) ranges.emplace_back(from, found.l_start);
    if (found.l_start + found.l_len < to) ranges.emplace_back(found.l_start + found.l_len, to);
  }
  ::close(descriptor);
  return count;
}

bool Owners::join_writers() {
  const std::scoped_lock lock(mutex_);
  if (writing_ != F_UNLCK) return true;
  if (!take(F_RDLCK, kWriters)) return false;
  writing_ = F_RDLCK;
  return true;
}

bool Owners::claim() {
  const std::scoped_lock lock(mutex_);
  if (writing_ == F_WRLCK) return true;
  if (!take(F_WRLCK, kWriters)) return false;
  writing_ = F_WRLCK;
  const Writer writer = this_writer();
  // For messages only: if it fails, they do not name this process.
  static_cast<void>(::pwrite(descriptor_, writer.data(), writer.size(), 0) != 0);
  return true;
}

bool Owners::writes() {
  const std::scoped_lock lock(mutex_);
  return writing_ != F_UNLCK;
}

Owners::OnlyWriter Owners::only_writer() const noexcept {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  struct flock probe = file_lock(F_RDLCK, kWriters, 1);
  Writer text{};
  OnlyWriter writer;
  if (::fcntl(descriptor, F_OFD_GETLK, &probe) == 0 && probe.l_type == F_WRLCK &&
      ::pread(descriptor, text.data(), text.size() - 1, 0) > 0) {
    writer = {std::strtoll(text.data(), nullptr, 10), this_writer() == text};
  }
  ::close(descriptor);
  return writer;
}

Owners::Stay Owners::stay() {
  const std::scoped_lock lock(mutex_);
  if (!displaced_ && (descriptor_ < 0 || still_in_place(descriptor_, path_))) {
    return Stay::kInPlace;
  }
  if (held_.empty() && writing_ == F_UNLCK) {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    displaced_ = false;
    return Stay::kMadeAnew;
  }
  // First the numbers: they are held even if another process has byte 0.
  const bool taken = held_.empty() ? take(writing_, kWriters) : take(F_WRLCK, *held_.begin());
  return taken ? Stay::kMadeAnew : Stay::kTaken;
}

void Owners::note_main(Identity main, const volatile std::uint32_t* index) {
  const std::scoped_lock lock(mutex_);
  note_main_file(descriptor_, database_, main, index);
}

bool Owners::alive(std::int64_t owner) {
  const std::scoped_lock lock(mutex_);
  if (held_.contains(owner)) return true;
  int descriptor = descriptor_;
  if (descriptor < 0) {
    // Not kept: without a lock of ours in it, the file may be unlinked at any time.
    descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      if (errno == ENOENT) return false;
      fail(path_, "opened");
    }
  }
  struct flock probe = file_lock(F_WRLCK, owner, 1);
  const bool asked = ::fcntl(descriptor, F_OFD_GETLK, &probe) == 0;
  const int error = errno;
  if (descriptor != descriptor_) ::close(descriptor);
  errno = error;
  if (!asked) fail(path_, "asked for its locks");
  return probe.l_type != F_UNLCK;
}

void Owners::child_after_fork() noexcept {
  // The parent's locks last as long as any copy of the descriptor.
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  held_.clear();
  writing_ = F_UNLCK;
  displaced_ = false;
}

}  // namespace graven::sqlite
