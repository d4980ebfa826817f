// SPDX-License-Identifier: MIT
//
// Implements the invalidation log (ChangeRing): first the life of the file (as in owners.cpp, a
// process unlinks it while holding its exclusive lock), then entries, then waiting.
//
// Always holds: the counter advances before its entry is written. So if a publisher dies, one
// number is lost and the next entry follows it. An entry is valid only if its state says "complete"
// before and after it was copied and the checksum matches the copy.
//
// Memory shared by processes is read and written as atomic words. The words of an entry are stored
// with release and loaded with acquire order, which keeps them between the two reads of the state.
// That costs nothing on x86, and ThreadSanitizer understands it, unlike fences.
//
// Any thread.
#include "backends/sqlite/change_ring.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <optional>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "backends/sqlite/vfs/file_lock.hpp"
#include "base/hash.hpp"

namespace graven::sqlite {

using port::Mark;
using std::chrono::steady_clock;

struct ChangeRing::Slot {
  std::atomic<std::uint64_t> state;  // entry n: 2n + 1 while written, 2n + 2 when complete
  std::atomic<std::uint64_t> checksum;
  port::MarkWords before;
  port::MarkWords after;
  std::atomic<std::uint64_t> flags;
  std::atomic<std::uint64_t> count;
  std::array<std::atomic<std::uint64_t>, kMost> hashes;
};

struct ChangeRing::Shared {
  std::atomic<std::uint64_t> magic;
  std::atomic<std::uint64_t> layout;
  alignas(64) std::atomic<std::uint64_t> head;  // entries begun since the file was created
  alignas(64) std::atomic<std::uint32_t> bell;  // even numbers; + 1: somebody waits
  alignas(4096) std::array<Slot, kEntries> slots;
};

/// A copy of a slot, with the words in the order of the checksum.
struct ChangeRing::Entry {
  std::uint64_t state;
  Mark before;
  Mark after;
  std::uint64_t flags;
  std::uint64_t count;
  std::array<std::uint64_t, kMost> hashes;

  [[nodiscard]] std::size_t kept() const noexcept { return count > kMost ? 0 : count; }
  [[nodiscard]] std::uint64_t checksum() const noexcept {
    const std::size_t size = offsetof(Entry, hashes) + kept() * sizeof hashes[0];
    return base::hash({reinterpret_cast<const char*>(this), size}, 0);
  }
};

namespace {

constexpr std::uint64_t kMagic = 0x676e69726e767267;                              // "grvnring"
constexpr std::uint64_t kLayout = 2 | std::uint64_t{ChangeRing::kEntries} << 32;  // version 2
constexpr off_t kFileSize = 4096 + ChangeRing::kEntries * 384;
constexpr std::uint64_t kEverything = UINT64_MAX;  // a count: too many changes
constexpr std::uint32_t kSleeping = 1;             // bit of `bell`

constexpr std::uint64_t whole_state(std::uint64_t number) { return 2 * number + 2; }

/// How long follow() waits for an entry. A publisher needs some microseconds between changing the
/// state version and completing the entry, and a busy reader often looks in between.
constexpr std::chrono::microseconds kPatience{50};

/// How often to look if this process cannot be woken through the file.
constexpr std::chrono::milliseconds kLook{5};

constexpr int kAttempts = 100;
constexpr ::mode_t kReadWrite = 0666;
constexpr int kOpenFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

// --- The file

/// Opens or creates the file, with the same access rights as the database. Does not follow a
/// symbolic link, which could lead to another user's file.
int open_file(const std::string& path, const std::string& database, bool read_only) {
  int descriptor = ::open(path.c_str(), O_RDWR | kOpenFlags);
  if (descriptor >= 0) return descriptor;
  if (read_only) return ::open(path.c_str(), O_RDONLY | kOpenFlags);
  if (errno != ENOENT) return -1;
  descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | kOpenFlags, 0600);
  struct stat info {};
  if (descriptor >= 0 && ::stat(database.c_str(), &info) == 0) {
    const bool owned = ::geteuid() != 0 || ::fchown(descriptor, info.st_uid, info.st_gid) == 0;
    if (owned) ::fchmod(descriptor, info.st_mode & kReadWrite);
  }
  return descriptor;
}

enum class Content {
  kRing,
  kUnmade,    // not completely created yet
  kOutdated,  // an invalidation log of another layout
  kForeign
};

Content content_of(int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return Content::kForeign;
  std::array<std::uint64_t, 8> words{};
  if (::pread(descriptor, words.data(), sizeof words, 0) < 0) return Content::kForeign;
  if (words[0] == kMagic) {
    const bool known = words[1] == kLayout && info.st_size == kFileSize;
    return known ? Content::kRing : Content::kOutdated;
  }
  const bool blank = words == decltype(words){};
  return blank && info.st_size <= kFileSize ? Content::kUnmade : Content::kForeign;
}

/// Allocates the whole file, so that writing to the mapping never finds the disk full. Zeros are an
/// empty log.
bool allocate(int descriptor) {
  int error = 0;
  do {
    error = ::posix_fallocate(descriptor, 0, kFileSize);
  } while (error == EINTR);
  return error == 0;
}

// --- Waiting

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const struct timespec* until) noexcept {
  return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, until,
                   nullptr, FUTEX_BITSET_MATCH_ANY);
}

/// Sleeps until woken or until the time, if `word` has that value.
void sleep_on(std::atomic<std::uint32_t>& word, std::uint32_t value, bool own_process,
              steady_clock::time_point until) noexcept {
  const auto since_boot = until.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  struct timespec time {};
  time.tv_sec = seconds.count();
  time.tv_nsec = std::chrono::nanoseconds(since_boot - seconds).count();
  futex(word, FUTEX_WAIT_BITSET | (own_process ? FUTEX_PRIVATE_FLAG : 0), value, &time);
}

}  // namespace

ChangeRing::ChangeRing(const std::string& database, bool read_only,
                       std::chrono::milliseconds longest_sleep)
    : database_(database),
      path_(database + "-changes"),
      read_only_(read_only),
      longest_sleep_(longest_sleep) {}

/// Holds the mutex from opening the descriptor on, so that no fork comes between that and storing
/// it.
bool ChangeRing::attach() {
  const std::scoped_lock lock(mutex_);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Attempt outcome = try_to_attach();
    if (outcome == Attempt::kDone) return true;
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
    if (outcome == Attempt::kHopeless) break;
  }
  return false;
}

ChangeRing::Attempt ChangeRing::try_to_attach() {
  descriptor_ = open_file(path_, database_, read_only_);
  if (descriptor_ < 0) return errno == EEXIST ? Attempt::kAgain : Attempt::kHopeless;
  if (!set_lock(descriptor_, file_lock(F_RDLCK, 0, 1))) {
    if (errno != EAGAIN && errno != EACCES) return Attempt::kHopeless;
    ::usleep(100);  // its last user is just removing it
    return Attempt::kAgain;
  }
  if (!still_in_place(descriptor_, path_)) return Attempt::kAgain;
  const Content content = content_of(descriptor_);
  if (content == Content::kForeign || (content != Content::kRing && read_only_)) {
    return Attempt::kHopeless;
  }
  if (content == Content::kOutdated) {
    return remove_if_unused() ? Attempt::kAgain : Attempt::kHopeless;
  }
  if (content == Content::kUnmade && !allocate(descriptor_)) {
    remove_if_unused();
    return Attempt::kHopeless;
  }
  return map(content == Content::kUnmade) ? Attempt::kDone : Attempt::kHopeless;
}

bool ChangeRing::map(bool unmade) {
  static_assert(sizeof(Shared) == kFileSize && offsetof(Shared, slots) == 4096);
  static_assert(sizeof(Slot) == 384 && sizeof(Entry) == sizeof(Slot) - sizeof(Slot::checksum));
  // A reader that may write publishes nothing, but it announces that it waits.
  writable_ = (::fcntl(descriptor_, F_GETFL) & O_ACCMODE) == O_RDWR;
  const int protection = writable_ ? PROT_READ | PROT_WRITE : PROT_READ;
  void* mapped = ::mmap(nullptr, kFileSize, protection, MAP_SHARED, descriptor_, 0);
  if (mapped == MAP_FAILED) return false;
  shared_ = static_cast<Shared*>(mapped);
  guarded_ = GuardedRange(mapped, kFileSize);
  if (unmade) {
    // Several processes may do this at the same time; they store the same values.
    shared_->layout.store(kLayout, std::memory_order_relaxed);
    shared_->magic.store(kMagic, std::memory_order_release);
  }
  next_.store(head(), std::memory_order_relaxed);
  return true;
}

/// A process that comes now waits for the close, finds the file gone and creates a new one.
bool ChangeRing::remove_if_unused() noexcept {
  return set_lock(descriptor_, file_lock(F_WRLCK, 0, 1)) && still_in_place(descriptor_, path_) &&
         ::unlink(path_.c_str()) == 0;
}

ChangeRing::~ChangeRing() {
  close();
  const std::scoped_lock lock(mutex_);
  guarded_ = {};
  if (shared_ != nullptr) ::munmap(shared_, kFileSize);
  shared_ = nullptr;
}

void ChangeRing::close() noexcept {
  const std::scoped_lock lock(mutex_);
  if (descriptor_ < 0) return;
  remove_if_unused();
  ::close(descriptor_);
  descriptor_ = -1;
}

void ChangeRing::child_after_fork() noexcept {
  // The parent's lock lasts as long as any copy of the descriptor.
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (shared_ != nullptr) ::munmap(shared_, kFileSize);
  shared_ = nullptr;
}

// --- Entries

std::uint64_t ChangeRing::head() const noexcept {
  return shared_->head.load(std::memory_order_acquire);
}

void ChangeRing::publish(const Mark& before, const Mark& after, Hashes hashes,
                         std::uint64_t flags) noexcept {
  if (shared_ == nullptr || read_only_ || before == after) return;
  const std::uint64_t number = shared_->head.fetch_add(1, std::memory_order_acq_rel);
  Entry entry;
  entry.state = whole_state(number);
  entry.before = before;
  entry.after = after;
  entry.flags = flags;
  entry.count = hashes.size() > kMost ? kEverything : hashes.size();
  const std::size_t kept = entry.kept();
  std::copy_n(hashes.begin(), kept, entry.hashes.begin());

  Slot& slot = shared_->slots[number % kEntries];
  slot.state.store(entry.state - 1, std::memory_order_release);
  slot.checksum.store(entry.checksum(), std::memory_order_release);
  port::write_mark(slot.before, before);
  port::write_mark(slot.after, after);
  slot.flags.store(flags, std::memory_order_release);
  slot.count.store(entry.count, std::memory_order_release);
  for (std::size_t i = 0; i < kept; ++i) {
    slot.hashes[i].store(entry.hashes[i], std::memory_order_release);
  }
  slot.state.store(entry.state, std::memory_order_release);
  next_.store(number + 1, std::memory_order_relaxed);
  ring_the_bell();
}

ChangeRing::Found ChangeRing::read(std::uint64_t number, Entry& entry) const noexcept {
  const Slot& slot = shared_->slots[number % kEntries];
  entry.state = slot.state.load(std::memory_order_acquire);
  if (entry.state < whole_state(number)) return Found::kNotYet;
  if (entry.state != whole_state(number)) return Found::kNever;
  const std::uint64_t checksum = slot.checksum.load(std::memory_order_acquire);
  entry.before = port::read_mark(slot.before);
  entry.after = port::read_mark(slot.after);
  entry.flags = slot.flags.load(std::memory_order_acquire);
  entry.count = slot.count.load(std::memory_order_acquire);
  const std::size_t kept = entry.kept();
  for (std::size_t i = 0; i < kept; ++i) {
    entry.hashes[i] = slot.hashes[i].load(std::memory_order_acquire);
  }
  const bool same = slot.state.load(std::memory_order_acquire) == entry.state;
  return same && checksum == entry.checksum() ? Found::kWhole : Found::kNever;
}

/// A quick look at an entry; read() must confirm it.
bool ChangeRing::glance(std::uint64_t number, const Mark& mark, bool after) const noexcept {
  const Slot& slot = shared_->slots[number % kEntries];
  return slot.state.load(std::memory_order_acquire) == whole_state(number) &&
         port::read_mark(after ? slot.after : slot.before) == mark;
}

/// The number of the entry that starts at state version `from`; otherwise of the entry that may
/// still turn out to be it.
std::uint64_t ChangeRing::find(const Mark& from) const noexcept {
  const std::uint64_t expected = next_.load(std::memory_order_relaxed);
  if (glance(expected, from, false)) return expected;
  const std::uint64_t end = head();
  // Asked before the search, because the entry may be completed during the search.
  const bool writing = expected < end && shared_->slots[(end - 1) % kEntries].state.load(
                                             std::memory_order_acquire) < whole_state(end - 1);
  const std::uint64_t oldest = end - std::min<std::uint64_t>(end, kEntries);
  for (std::uint64_t number = end; number-- > oldest;) {
    if (glance(number, from, false)) return number;
  }
  return writing ? end - 1 : end;
}

bool ChangeRing::follow(const Mark& from, const Mark& to, Each each) {
  if (shared_ == nullptr) return false;
  Mark reached = from;
  std::uint64_t number = find(from);
  std::optional<steady_clock::time_point> patience;
  while (reached != to) {
    // If the newest entry already leads to `to`, no further entry will come.
    const std::uint64_t end = head();
    const bool told = end > 0 && glance(end - 1, to, true);
    Entry entry;
    const Found found = read(number, entry);
    if (found == Found::kNotYet && !told) {
      const auto now = steady_clock::now();
      if (!patience) patience = now + kPatience;
      if (now >= *patience) break;
      std::this_thread::yield();
      continue;
    }
    if (found != Found::kWhole || entry.before != reached || entry.count > kMost) break;
    each({entry.hashes.data(), entry.kept()}, entry.flags);
    reached = entry.after;
    ++number;
  }
  next_.store(reached == to ? number : head(), std::memory_order_relaxed);
  return reached == to;
}

// --- Waiting

/// Counts and takes the waiting bit in one step, so that a waiter that was killed costs only one
/// system call.
void ChangeRing::ring_the_bell() noexcept {
  std::atomic<std::uint32_t>& bell = shared_->bell;
  std::uint32_t value = bell.load(std::memory_order_relaxed);
  while (!bell.compare_exchange_weak(value, (value | kSleeping) + 1, std::memory_order_acq_rel)) {
  }
  if ((value & kSleeping) != 0) futex(bell, FUTEX_WAKE, INT_MAX, nullptr);
}

std::uint32_t ChangeRing::ticket() const noexcept {
  const std::uint32_t rung =
      shared_ != nullptr ? shared_->bell.load(std::memory_order_acquire) & ~kSleeping : 0;
  return rung + calls_.load(std::memory_order_acquire);
}

bool ChangeRing::wait(std::uint32_t ticket, steady_clock::time_point until) noexcept {
  until = std::min(until, steady_clock::now() + longest_sleep_);
  const bool announced = shared_ != nullptr && writable_;
  for (;;) {
    const std::uint32_t calls = calls_.load(std::memory_order_acquire);
    if (this->ticket() != ticket) return true;
    const auto now = steady_clock::now();
    if (now >= until) return false;
    if (!announced) {
      sleep_on(calls_, calls, true, std::min(until, now + kLook));
      continue;
    }
    // Waking clears the bit, so only this number can lack it.
    std::uint32_t rung = ticket;
    const bool set =
        shared_->bell.compare_exchange_strong(rung, ticket | kSleeping, std::memory_order_acq_rel);
    if (set || rung == (ticket | kSleeping)) {
      sleep_on(shared_->bell, ticket | kSleeping, false, until);
    }
  }
}

void ChangeRing::wake() noexcept {
  if (shared_ != nullptr && writable_) {
    ring_the_bell();
  } else {
    calls_.fetch_add(2, std::memory_order_acq_rel);
    futex(calls_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr);
  }
}

}  // namespace graven::sqlite
