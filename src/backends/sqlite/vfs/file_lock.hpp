// SPDX-License-Identifier: MIT
//
// Open-file-description locks, which a process does not lose when it opens and closes the file
// elsewhere; and a test whether an open file is still the one that its name leads to. Pure system
// calls; any thread.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace graven::sqlite {

/// A lock on `length` bytes from `offset`; length 0: up to the end of all offsets.
inline struct flock file_lock(short type, off_t offset, off_t length) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = length;
  return lock;
}

/// Does not wait; false with errno if the lock is not available.
inline bool set_lock(int descriptor, struct flock lock) noexcept {
  int result = 0;
  do {
    result = ::fcntl(descriptor, F_OFD_SETLK, &lock);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

/// False also if `path` is now a symbolic link.
inline bool still_in_place(int descriptor, const std::string& path) noexcept {
  struct stat open_file {};
  struct stat named {};
  return ::fstat(descriptor, &open_file) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

}  // namespace graven::sqlite
