// SPDX-License-Identifier: MIT
//
// The three system calls, and which lock descriptor a descriptor of SQLite's has. That is found
// without a mutex, in a table by number: a commit asks six times.
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

/// An inode that SQLite has open and has locked, or asked about.
struct Inode {
  dev_t device;
  ino_t number;
  int lock_descriptor;
  bool writable;  // else it can hold shared locks only
  int users;      // descriptors of SQLite's
  Inode* next;
};

/// For descriptors up to 2^24, of which Linux allows 2^20 unless told; a higher one cannot lock.
constexpr int kBlock = 4096;
using Block = std::array<std::atomic<Inode*>, kBlock>;
constinit std::array<std::atomic<Block*>, kBlock> table;

constinit Inode* inodes = nullptr;  // Locks' mutex, as are new entries of the table

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

/// The place of a descriptor in the table, if it has one.
std::atomic<Inode*>* slot_of(int descriptor) noexcept {
  if (descriptor < 0 || descriptor / kBlock >= kBlock) return nullptr;
  Block* block =
      table[static_cast<std::size_t>(descriptor / kBlock)].load(std::memory_order_acquire);
  return block == nullptr ? nullptr : &(*block)[static_cast<std::size_t>(descriptor % kBlock)];
}

/// The same, made if need be. With the mutex.
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

/// A description of its own of the same file, whatever it is now called. Where there is no /proc,
/// or the file's mode says less than its descriptor may, the one there is has to do: all of this
/// file says then holds but in the child of a fork, in which the parent's locks live on.
int open_again(int descriptor) noexcept {
  std::array<char, 40> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", descriptor);
  int made = open_sparing(path.data(), O_RDWR | O_CLOEXEC, 0);
  if (made < 0 && !writable(descriptor)) made = open_sparing(path.data(), O_RDONLY | O_CLOEXEC, 0);
  constexpr int kLeast = 3;  // as SQLite: what is printed by mistake must not end up in a file
  if (made < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM) {
    return ::fcntl(descriptor, F_DUPFD_CLOEXEC, kLeast);
  }
  if (made < 0 || made >= kLeast) return made;
  const int high = ::fcntl(made, F_DUPFD_CLOEXEC, kLeast);
  close_sparing(made);
  return high;
}

/// The entry of a file, new or old, with one user more. With the mutex.
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

/// The file could only be read when its lock descriptor was made, and now there is a descriptor
/// that may write: the locks, all shared, are taken over another.
bool make_writable(Inode& inode, int descriptor) {
  // Without the list they would be lost.
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
  set_lock(unwanted, file_lock(F_UNLCK, 0, 0));  // not only by the close that may come later
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
  lock.l_pid = 0;  // SQLite leaves it as it was, and the system then refuses the call
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
  // Out of the table before the number can be another file's.
  Inode* inode = slot == nullptr ? nullptr : slot->exchange(nullptr);
  if (inode == nullptr) return close_sparing(descriptor);
  const std::scoped_lock lock(Locks::get().mutex);
  const int result = close_sparing(descriptor, inode->lock_descriptor);
  if (--inode->users > 0) return result;
  // What SQLite has not given up goes with the last descriptor. Not only by the close that may
  // come later.
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
