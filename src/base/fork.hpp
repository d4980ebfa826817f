// SPDX-License-Identifier: MIT
//
// What fork() means to graven. A child has a copy of memory but none of the
// parent's threads or file locks, so whatever guards shared state must be quiet
// while the process forks, and whatever stands for the parent (connections,
// locks, a transaction) must be dropped, not used, in the child. An object says
// so by its members:
//
//   ForkMutex       A mutex that is held for a moment. It is locked while the
//                   process forks, so in the child it is free and what it
//                   guards is whole.
//   ForkRenewed<T>  What a thread of the parent's may be in the middle of: a
//                   mutex that is held for long, a condition that is waited
//                   for. The child has a new one.
//   ForkEnrolment   Calls a ForkGuard, which has something to drop.
//
// Always holds: before the process forks every ForkMutex is locked, in order of
// rank (low first), within a rank in order of construction. Afterwards they are
// unlocked in reverse, and then, in the child, the guards that have no rank are
// called. A thread that holds two of these mutexes took them in that order.
// Only the one under which a store's mark is found is held across I/O.
//
// Enrol and leave from any thread, but never from inside a handler, nor while
// holding a ForkMutex: the registry stays locked while the handlers run. Each
// costs a lock and an allocation: nothing that is made for each read or commit
// enrols. To lock a ForkMutex costs what it costs to lock any other.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <new>

namespace graven::base {

/// The ranks, and what each is of: mutexes are taken in this order.
inline constexpr int kForkRankNone = 0;          // guards that only drop something
inline constexpr int kForkRankRegistry = 10;     // what this process has open; shares of memory
inline constexpr int kForkRankOrphans = 11;      // a heap's orphans
inline constexpr int kForkRankOwner = 12;        // a heap's number
inline constexpr int kForkRankPins = 13;         // whose pins a heap looks at
inline constexpr int kForkRankPinShard = 14;     // some of those pins
inline constexpr int kForkRankMapShard = 15;     // some keys of a map whose writes wait in memory
inline constexpr int kForkRankMapTimes = 16;     // its times
inline constexpr int kForkRankStore = 20;        // commit queue, lane, open transaction
inline constexpr int kForkRankCache = 21;        // a cache of records
inline constexpr int kForkRankJoined = 22;       // the maps that have a part in it
inline constexpr int kForkRankTiers = 23;        // opening a warm file, and clearing
inline constexpr int kForkRankTableLimits = 24;  // bounds of a hot table
inline constexpr int kForkRankTable = 25;        // its structure
inline constexpr int kForkRankLimbo = 26;        // what it has yet to free
inline constexpr int kForkRankMapCount = 27;     // the number of items of a map
inline constexpr int kForkRankMark = 28;         // finding a store's mark
inline constexpr int kForkRankReads = 29;        // read transactions
inline constexpr int kForkRankPool = 30;         // connections, descriptors, a store in memory
inline constexpr int kForkRankHousekeeper = 35;  // where threads sleep
inline constexpr int kForkRankSqlite = 40;       // SQLite's own mutexes
inline constexpr int kForkRankDescriptors = 41;  // what its locks are on
inline constexpr int kForkRankSpared = 42;       // what could not be closed
inline constexpr int kForkRankLog = 50;          // the log's sink

/// An object with something to do around fork(), for as long as it holds a
/// ForkEnrolment.
class ForkGuard {
 public:
  ForkGuard() = default;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  virtual void prepare_fork() noexcept {}
  virtual void parent_after_fork() noexcept {}
  virtual void child_after_fork() noexcept = 0;

 protected:
  ~ForkGuard() = default;  // not through the base
};

/// Calls a guard around fork() from its construction to its destruction. The
/// guard's last member: another thread may fork at any moment, and must find
/// all that the handlers touch.
class ForkEnrolment {
 public:
  explicit ForkEnrolment(ForkGuard& guard, int rank = kForkRankNone);
  ~ForkEnrolment();
  ForkEnrolment(const ForkEnrolment&) = delete;
  ForkEnrolment& operator=(const ForkEnrolment&) = delete;

 private:
  friend struct ForkRegistry;
  using Guards = std::multimap<int, ForkGuard*>;  // by rank, then as they came
  Guards::iterator at_;
};

/// A mutex that is locked while the process forks.
template <class Mutex>
class ForkLocked final : public Mutex, private ForkGuard {
 public:
  explicit ForkLocked(int rank) : enrolment_(*this, rank) {}

 private:
  void prepare_fork() noexcept override { this->lock(); }
  void parent_after_fork() noexcept override { this->unlock(); }
  void child_after_fork() noexcept override { this->unlock(); }

  const ForkEnrolment enrolment_;
};

using ForkMutex = ForkLocked<std::mutex>;

/// A T that is made anew in the child of a fork, over the old one, which is not
/// destroyed.
template <class T>
class ForkRenewed final : private ForkGuard {
 public:
  T& operator*() noexcept { return value_; }
  T* operator->() noexcept { return &value_; }

 private:
  void child_after_fork() noexcept override { new (&value_) T; }

  T value_{};
  const ForkEnrolment enrolment_{*this};
};

/// Grows by one in every child of a fork; what was made under an older number
/// belongs to an ancestor. One relaxed load.
std::uint64_t fork_generation() noexcept;

}  // namespace graven::base
