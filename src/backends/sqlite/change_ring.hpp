// SPDX-License-Identifier: MIT
//
// The change ring: a mapped file beside the database, `<database>-changes`, by which processes
// tell each other which records a commit changed, and wake who waits for one. Layout:
// docs/format/change-ring.md.
//
// Always holds: the live mark is the truth about the state; an entry only explains how one mark
// came from another, by the hashes of what changed, and stays true for ever, since marks never
// recur. So a ring that lacks something (a stranger wrote, a publisher was killed, entries were
// overwritten, the file was removed or is left from a crash) is a broken chain, never a wrong
// answer, and none at all is as right. Nobody of ours ever truncates the file: whoever does
// kills all that have it mapped (SIGBUS).
//
// Any thread, but publish() only while holding SQLite's write lock. In the child of a fork the
// object is idle: it knows nothing, says nothing and holds no lock.
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

class ChangeRing final : public store::ChangeFeed, private base::ForkGuard {
 public:
  static constexpr std::size_t kEntries = 1024;  // that the ring remembers
  static constexpr std::chrono::milliseconds kLongestSleep{50};

  /// That of a database, without its file: not to be used before attach(), nor in the child of a
  /// fork before another.
  ChangeRing(const std::string& database, bool read_only,
             std::chrono::milliseconds longest_sleep = kLongestSleep);
  /// Opens the file, making it if need be; false where there cannot be one. For a read-only store
  /// only one that is there already, and publish() does nothing. One thread.
  bool attach();
  /// Gives up the file, and removes it if nobody else uses it. What is mapped stays readable.
  void close() noexcept;
  ChangeRing(const ChangeRing&) = delete;
  ChangeRing& operator=(const ChangeRing&) = delete;
  ~ChangeRing() override;

  // store::ChangeFeed
  /// No system call unless somebody sleeps.
  void publish(const store::Mark& before, const store::Mark& after, Hashes hashes,
               std::uint64_t flags) noexcept override;
  /// Waits a moment for an entry that is being written, for the mark changes first.
  bool follow(const store::Mark& from, const store::Mark& to, Each each) override;
  [[nodiscard]] std::uint32_t ticket() const noexcept override;
  /// Gives up after the longest sleep.
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
  [[nodiscard]] bool glance(std::uint64_t number, const store::Mark& mark,
                            bool after) const noexcept;
  [[nodiscard]] std::uint64_t find(const store::Mark& from) const noexcept;
  void ring_the_bell() noexcept;

  void child_after_fork() noexcept override;

  const std::string database_;
  const std::string path_;
  const bool read_only_;
  const std::chrono::milliseconds longest_sleep_;

  Shared* shared_ = nullptr;             // set by attach(); none in the child of a fork
  GuardedRange guarded_;                 // the same: zeros, if the file is cut off
  bool writable_ = false;                // the mapping
  std::atomic<std::uint64_t> next_{0};   // the entry that follow() will probably begin with
  std::atomic<std::uint32_t> calls_{0};  // of wake(), where the bell cannot be rung

  base::ForkMutex mutex_{base::kForkRankPool};  // the descriptor
  int descriptor_ = -1;                         // holds the lock
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
