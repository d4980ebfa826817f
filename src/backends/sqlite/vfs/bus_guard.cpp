// SPDX-License-Identifier: MIT
//
// The SIGBUS handler and its table of ranges. See bus_guard.hpp. Any thread; the handler runs in
// the thread that made the access.
#include "backends/sqlite/vfs/bus_guard.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/near_tls.hpp"

namespace graven::sqlite {
namespace {

struct Slot {
  std::atomic<std::uintptr_t> from{0};  // 0: free
  std::atomic<std::uintptr_t> to{0};
  std::atomic<bool> lost{false};
  int users = 0;
};

/// A handler that was installed before; one more each time ours is put in front of another.
struct Before {
  struct sigaction action {};
  Before* older = nullptr;
};

constexpr int kSlots = 4096;
std::array<Slot, kSlots> slots;
std::atomic<int> in_use{0};  // slots from this one on are unused
std::atomic<Before*> before{nullptr};

/// The last call of our handler on this thread that passed a signal on. The next handler may raise
/// the signal again, or may lead back to ours (through another copy of this library): then the
/// older handler after it must get the signal. The next handler may also never return (siglongjmp)
/// and leave this record behind.
struct Passing {
  std::uintptr_t frame = 0;  // stack frame of that call; 0: none
  const siginfo_t* info = nullptr;
  int depth = 0;
};
GRAVEN_NEAR_TLS constinit thread_local Passing passing;

/// Whether this call comes from inside the handler that last got the signal: it is deeper on the
/// stack, and passes on the same `info` or a signal that was sent. A new fault at the same place
/// has the same frame, so a record left behind by siglongjmp() does not count.
bool nested(std::uintptr_t frame, const siginfo_t* info) noexcept {
  return frame < passing.frame && (info == passing.info || info->si_code <= 0);
}

/// SQLite's application mutex: in the child of a fork it is free, even if it was held in the
/// parent.
class Locked {
 public:
  Locked() : mutex_(sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP2)) { sqlite3_mutex_enter(mutex_); }
  ~Locked() { sqlite3_mutex_leave(mutex_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  sqlite3_mutex* mutex_;
};

bool lay_zeros(std::uintptr_t address) noexcept {
  const int end = in_use.load(std::memory_order_acquire);
  for (int i = 0; i < end; ++i) {
    Slot& slot = slots[static_cast<std::size_t>(i)];
    const std::uintptr_t from = slot.from.load(std::memory_order_acquire);
    const std::uintptr_t to = slot.to.load(std::memory_order_acquire);
    if (from == 0 || address < from || address >= to) continue;
    slot.lost.store(true, std::memory_order_release);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return ::mmap(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

/// The default action: at once for a signal that was sent, else when the access is repeated.
void die(int signal, const siginfo_t* info) noexcept {
  struct sigaction none {};
  none.sa_handler = SIG_DFL;
  ::sigaction(signal, &none, nullptr);
  if (info->si_code <= 0) ::raise(signal);
}

void pass_on(int signal, siginfo_t* info, void* context, std::uintptr_t frame) noexcept {
  const Passing outer = passing;
  passing = {frame, info, nested(frame, info) ? outer.depth + 1 : 0};
  const Before* due = before.load(std::memory_order_acquire);
  for (int i = 0; i < passing.depth && due != nullptr; ++i) due = due->older;
  if (due == nullptr) return die(signal, info);
  if ((due->action.sa_flags & SA_SIGINFO) != 0) {
    due->action.sa_sigaction(signal, info, context);
  } else if (due->action.sa_handler == SIG_DFL) {
    die(signal, info);
  } else if (due->action.sa_handler == SIG_IGN) {
    if (info->si_code > 0) die(signal, info);  // the kernel does not let a process ignore a fault
  } else {
    due->action.sa_handler(signal);
  }
  passing = outer;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool ours =
      info->si_code == BUS_ADRERR && lay_zeros(reinterpret_cast<std::uintptr_t>(info->si_addr));
  if (!ours) {
    pass_on(signal, info, context, reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
  }
  errno = error;
}

void install() {
  struct sigaction there {};
  if (::sigaction(SIGBUS, nullptr, &there) != 0) return;
  if ((there.sa_flags & SA_SIGINFO) != 0 && there.sa_sigaction == on_bus_error) return;
  auto added = std::make_unique<Before>();
  added->action = there;
  added->older = before.load();
  before.store(added.release(), std::memory_order_release);
  struct sigaction ours {};
  ours.sa_sigaction = on_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigaction(SIGBUS, &ours, nullptr);
}

}  // namespace

GuardedRange::GuardedRange(const volatile void* from, std::size_t bytes) {
  const auto start = reinterpret_cast<std::uintptr_t>(from);
  const Locked lock;
  install();
  int free = -1;
  const int end = in_use.load();
  for (int i = 0; i < end; ++i) {
    Slot& slot = slots[static_cast<std::size_t>(i)];
    if (slot.users == 0) {
      if (free < 0) free = i;
    } else if (slot.from.load() == start) {
      ++slot.users;
      slot_ = i;
      return;
    }
  }
  if (free < 0) free = end;
  if (free == kSlots) return;
  Slot& slot = slots[static_cast<std::size_t>(free)];
  slot.lost.store(false);
  slot.to.store(start + bytes, std::memory_order_release);
  slot.from.store(start, std::memory_order_release);
  slot.users = 1;
  slot_ = free;
  if (free == end) in_use.store(end + 1, std::memory_order_release);
}

GuardedRange::~GuardedRange() {
  if (slot_ < 0) return;
  const Locked lock;
  Slot& slot = slots[static_cast<std::size_t>(slot_)];
  if (--slot.users == 0) slot.from.store(0, std::memory_order_release);
}

bool GuardedRange::lost() const noexcept {
  return slot_ >= 0 && slots[static_cast<std::size_t>(slot_)].lost.load(std::memory_order_acquire);
}

}  // namespace graven::sqlite
