// SPDX-License-Identifier: MIT
//
// Replaces SQLite's open, fcntl and close. See lock_descriptors.hpp. A table, by descriptor number,
// leads from SQLite's descriptor to the lock descriptor of its inode. Lookups take no mutex: a
// commit makes six.
//
// Any thread.
#include "backends/sqlite/vfs/lock_descriptors.hpp"

#include <graven/error.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <new>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <sqlite3.h>

#include "backends/sqlite/vfs/file_lock.hpp"
#include "backends/sqlite/vfs/listed_locks.hpp"
#include "backends/sqlite/vfs/spared.hpp"
#include "base/fork.hpp"

namespace graven::sqlite {
namespace {

/// An inode that SQLite has open and whose locks it has used.
struct Inode {
  dev_t device;
  ino_t number;
  int lock_descriptor;
  bool writable;  // else only shared locks are possible
  int users;      // number of SQLite's descriptors
  Inode* next;
};

/// Descriptors up to 2^24 (Linux allows 2^20 by default); higher ones cannot lock.
constexpr int kBlock = 4096;
using Block = std::array<std::atomic<Inode*>, kBlock>;
constinit std::array<std::atomic<Block*>, kBlock> table;

constinit Inode* inodes = nullptr;  // guarded by Locks' mutex, like new table entries

class Locks final : private base::ForkGuard {
 public:
  // Never destroyed: a fork may come at any time.
  static Locks& get() {
    static auto* locks = new Locks;
    return *locks;
  }

  base::ForkMutex mutex{base::kForkRankDescriptors};

 private:
  void child_after_fork() noexcept override {
    while (inodes != nullptr) {
      ::close(inodes->lock_descriptor);
      delete std::exchange(inodes, inodes->next);
    }
    for (std::atomic<Block*>& block : table) delete block.exchange(nullptr);
  }

  base::ForkEnrolment enrolment_{*this};
};

/// The table entry of a descriptor, or nullptr.
std::atomic<Inode*>* slot_of(int descriptor) noexcept {
  if (descriptor < 0 || descriptor / kBlock >= kBlock) return nullptr;
  Block* block =
      table[static_cast<std::size_t>(descriptor / kBlock)].load(std::memory_order_acquire);
  return block == nullptr ? nullptr : &(*block)[static_cast<std::size_t>(descriptor % kBlock)];
}

/// The same; creates the entry if necessary. With the mutex held.
std::atomic<Inode*>* make_slot(int descriptor) noexcept {
  if (std::atomic<Inode*>* slot = slot_of(descriptor)) return slot;
  if (descriptor < 0 || descriptor / kBlock >= kBlock) {
    errno = EMFILE;
    return nullptr;
  }
  auto* block = new (std::nothrow) Block{};
  if (block == nullptr) {
    errno = ENOMEM;
    return nullptr;
  }
  table[static_cast<std::size_t>(descriptor / kBlock)].store(block, std::memory_order_release);
  return slot_of(descriptor);
}

bool writable(int descriptor) noexcept {
  return (::fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDWR;
}

/// Opens the same file again, whatever its name is now, for an open file description of its own. If
/// there is no /proc, or the file's mode does not allow it, duplicates the descriptor instead. Then
/// everything in lock_descriptors.hpp holds except in the child of a fork, where the parent's locks
/// stay.
int open_again(int descriptor) noexcept {
  std::array<char, 40> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", descriptor);
  int made = open_sparing(path.data(), O_RDWR | O_CLOEXEC, 0);
  if (made < 0 && !writable(descriptor)) made = open_sparing(path.data(), O_RDONLY | O_CLOEXEC, 0);
  constexpr int kLeast = 3;  // as in SQLite: output to 0, 1, 2 must not hit a file
  if (made < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM) {
    return ::fcntl(descriptor, F_DUPFD_CLOEXEC, kLeast);
  }
  if (made < 0 || made >= kLeast) return made;
  const int high = ::fcntl(made, F_DUPFD_CLOEXEC, kLeast);
  close_sparing(made);
  return high;
}

/// The entry of a file, with one more user; creates it if necessary. With the mutex held.
Inode* use_inode(int descriptor) noexcept {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return nullptr;
  Inode* inode = inodes;
  while (inode != nullptr && (inode->device != file.st_dev || inode->number != file.st_ino)) {
    inode = inode->next;
  }
  if (inode == nullptr) {
    const int made = open_again(descriptor);
    if (made < 0) return nullptr;
    inode = new (std::nothrow) Inode{file.st_dev, file.st_ino, made, writable(made), 0, inodes};
    if (inode == nullptr) {
      close_sparing(made);
      errno = ENOMEM;
      return nullptr;
    }
    inodes = inode;
  }
  ++inode->users;
  return inode;
}

Inode* inode_of(int descriptor) noexcept {
  std::atomic<Inode*>* slot = slot_of(descriptor);
  Inode* inode = slot == nullptr ? nullptr : slot->load(std::memory_order_acquire);
  if (inode != nullptr) return inode;
  const std::scoped_lock lock(Locks::get().mutex);
  slot = make_slot(descriptor);
  if (slot == nullptr) return nullptr;
  inode = use_inode(descriptor);
  slot->store(inode, std::memory_order_release);
  return inode;
}

/// When the lock descriptor was opened, the file was only readable; now SQLite has a writable
/// descriptor. Opens a new lock descriptor and takes the locks, all shared, again through it.
bool make_writable(Inode& inode, int descriptor) {
  // Without the list of locks, they would be lost.
  if (!writable(descriptor) || ::access("/proc/self/fdinfo", R_OK) != 0) return false;
  const int made = open_again(descriptor);
  if (made < 0) return false;
  bool taken = writable(made);
  try {
    each_lock_through("self", std::to_string(inode.lock_descriptor), [&](const ListedLock& held) {
      if (!held.of_description) return true;
      const off_t length = held.last == LONG_MAX ? 0 : held.last - held.first + 1;
      taken = taken && set_lock(made, file_lock(F_RDLCK, held.first, length));
      return taken;
    });
  } catch (...) {
    set_lock(made, file_lock(F_UNLCK, 0, 0));
    close_sparing(made, inode.lock_descriptor);
    throw;
  }
  const int old = std::exchange(inode.lock_descriptor, taken ? made : inode.lock_descriptor);
  if (taken) inode.writable = true;
  const int unwanted = taken ? old : made;
  set_lock(unwanted, file_lock(F_UNLCK, 0, 0));  // now: the close may come later
  close_sparing(unwanted, inode.lock_descriptor);
  return taken;
}

int set_or_get(int descriptor, int command, struct flock& lock) noexcept {
  Inode* inode = inode_of(descriptor);
  if (inode == nullptr) return -1;
  if (command != F_OFD_GETLK && lock.l_type == F_WRLCK && !inode->writable) {
    try {
      const std::scoped_lock guard(Locks::get().mutex);
      if (!make_writable(*inode, descriptor)) errno = EBADF;
    } catch (const UnavailableError&) {
      errno = EMFILE;
    } catch (...) {
      errno = ENOMEM;
    }
    if (!inode->writable) return -1;
  }
  lock.l_pid = 0;  // SQLite does not set it, and the kernel requires 0
  return ::fcntl(inode->lock_descriptor, command, &lock);
}

extern "C" {

int graven_unix_open(const char* path, int flags, int mode) {
  return open_sparing(path, flags, mode);
}

int graven_unix_fcntl(int descriptor, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  auto* lock = static_cast<struct flock*>(argument);
  switch (command) {
    case F_SETLK:
      return set_or_get(descriptor, F_OFD_SETLK, *lock);
    case F_SETLKW:
      return set_or_get(descriptor, F_OFD_SETLKW, *lock);
    case F_GETLK:
      return set_or_get(descriptor, F_OFD_GETLK, *lock);
    default:
      return ::fcntl(descriptor, command, argument);
  }
}

int graven_unix_close(int descriptor) {
  std::atomic<Inode*>* slot = slot_of(descriptor);
  // Remove it from the table before the number can be reused for another file.
  Inode* inode = slot == nullptr ? nullptr : slot->exchange(nullptr);
  if (inode == nullptr) return close_sparing(descriptor);
  const std::scoped_lock lock(Locks::get().mutex);
  const int result = close_sparing(descriptor, inode->lock_descriptor);
  if (--inode->users > 0) return result;
  // With the last descriptor, locks that SQLite has not released end. Unlock now, because the close
  // may come later.
  set_lock(inode->lock_descriptor, file_lock(F_UNLCK, 0, 0));
  close_sparing(inode->lock_descriptor);
  Inode** at = &inodes;
  while (*at != inode) at = &(*at)->next;
  *at = inode->next;
  delete inode;
  return result;
}

}  // extern "C"

}  // namespace
}  // namespace graven::sqlite

int graven_sqlite_use_lock_descriptors(const char*) {
  using namespace graven::sqlite;
  sqlite3_vfs* layer = sqlite3_vfs_find("unix");
  if (layer == nullptr) return SQLITE_ERROR;
  Locks::get();
  guard_spared_against_fork();
  for (const auto& [name, call] :
       {std::pair{"open", reinterpret_cast<sqlite3_syscall_ptr>(graven_unix_open)},
        std::pair{"fcntl", reinterpret_cast<sqlite3_syscall_ptr>(graven_unix_fcntl)},
        std::pair{"close", reinterpret_cast<sqlite3_syscall_ptr>(graven_unix_close)}}) {
    const int code = layer->xSetSystemCall(layer, name, call);
    if (code != SQLITE_OK) return code;
  }
  return SQLITE_OK;
}
