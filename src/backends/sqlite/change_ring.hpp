// SPDX-License-Identifier: MIT
//
// The invalidation log (ChangeRing): a memory-mapped file next to the database,
// `<database>-changes`. Through it a process tells the others which records a commit changed, and
// wakes those that wait for a change. Layout: docs/format/change-ring.md.
//
// Always holds: the state version (Mark) in the WAL index is the truth; an entry only says which
// records (by hash) changed between two state versions. State versions never recur, so an entry
// stays true for ever. Entries may be missing: another program wrote to the store, a publishing
// process was killed, old entries were overwritten, or the file was removed or is left over from a
// crash. Then follow() returns false; it never gives a wrong answer. Graven works without the file
// too, and never truncates it: that would kill every process that has it mapped (SIGBUS).
//
// Any thread; publish() only while holding SQLite's write lock. In the child of a fork the object
// does nothing and holds no lock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "backends/sqlite/vfs/bus_guard.hpp"
#include "base/fork.hpp"
#include "port/change_feed.hpp"

namespace graven::sqlite {

class ChangeRing final : public port::ChangeFeed, private base::ForkGuard {
 public:
  static constexpr std::size_t kEntries = 1024;  // how many commits the log remembers
  static constexpr std::chrono::milliseconds kLongestSleep{50};

  /// Opens no file yet: call attach() before any other function. In the child of a fork, call it
  /// again.
  ChangeRing(const std::string& database, bool read_only,
             std::chrono::milliseconds longest_sleep = kLongestSleep);
  /// Opens the file and creates it if necessary; false if that is impossible. A read-only store
  /// only opens an existing file, and its publish() does nothing. Call it from one thread.
  bool attach();
  /// Closes the file, and removes it if no other process uses it. The mapping stays readable.
  void close() noexcept;
  ChangeRing(const ChangeRing&) = delete;
  ChangeRing& operator=(const ChangeRing&) = delete;
  ~ChangeRing() override;

  // port::ChangeFeed
  /// Makes no system call unless somebody waits.
  void publish(const port::Mark& before, const port::Mark& after, Hashes hashes,
               std::uint64_t flags) noexcept override;
  /// If the entry is just being written, waits a moment: a commit changes the state version before
  /// its entry is complete.
  bool follow(const port::Mark& from, const port::Mark& to, Each each) override;
  [[nodiscard]] std::uint32_t ticket() const noexcept override;
  /// Returns after kLongestSleep at the latest.
  bool wait(std::uint32_t ticket, std::chrono::steady_clock::time_point until) noexcept override;
  void wake() noexcept override;

 private:
  struct Slot;
  struct Shared;
  struct Entry;
  enum class Attempt { kDone, kAgain, kHopeless };
  enum class Found { kWhole, kNotYet, kNever };

  Attempt try_to_attach();
  bool map(bool unmade);
  bool remove_if_unused() noexcept;

  [[nodiscard]] std::uint64_t head() const noexcept;
  Found read(std::uint64_t number, Entry& entry) const noexcept;
  [[nodiscard]] bool glance(std::uint64_t number, const port::Mark& mark,
                            bool after) const noexcept;
  [[nodiscard]] std::uint64_t find(const port::Mark& from) const noexcept;
  void ring_the_bell() noexcept;

  void child_after_fork() noexcept override;

  const std::string database_;
  const std::string path_;
  const bool read_only_;
  const std::chrono::milliseconds longest_sleep_;

  Shared* shared_ = nullptr;             // set by attach(); nullptr in the child of a fork
  GuardedRange guarded_;                 // reads as zeros if the file was truncated
  bool writable_ = false;                // the mapping is
  std::atomic<std::uint64_t> next_{0};   // the entry where follow() will probably start
  std::atomic<std::uint32_t> calls_{0};  // counts wake() where the mapping is read-only

  base::ForkMutex mutex_{base::kForkRankPool};  // guards descriptor_
  int descriptor_ = -1;                         // holds the file lock
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
