// SPDX-License-Identifier: MIT
//
// Locks that belong to an open file description, so that a process that opens and closes the file
// somewhere else does not lose them; and whether a file is still the one of its name.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace graven::sqlite {

/// Of `length` bytes from `offset` on; 0: to the end of all offsets.
inline struct flock file_lock(short type, off_t offset, off_t length) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = length;
  return lock;
}

/// Waits for nobody; false, and errno, when it is not to be had.
inline bool set_lock(int descriptor, struct flock lock) noexcept {
  int result = 0;
  do {
    result = ::fcntl(descriptor, F_OFD_SETLK, &lock);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

/// Where `path` is a symbolic link it is another file.
inline bool still_in_place(int descriptor, const std::string& path) noexcept {
  struct stat open_file {};
  struct stat named {};
  return ::fstat(descriptor, &open_file) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

}  // namespace graven::sqlite
