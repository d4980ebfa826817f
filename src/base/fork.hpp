// SPDX-License-Identifier: MIT
//
// What graven does around fork(). A child has a copy of the memory but none of the parent's threads
// or file locks. So nobody may be changing shared state while the process forks, and the child must
// drop, not use, what belongs to the parent (connections, locks, a transaction). An object declares
// this with its members:
//
//   ForkMutex       A mutex that is held only briefly. fork() locks it, so in the child it is free
//                   and the state that it guards is consistent.
//   ForkRenewed<T>  Something that a thread of the parent may be using: a mutex that is held for
//                   long, a condition variable. The child gets a new one.
//   ForkEnrolment   Calls a ForkGuard, which has something to drop.
//
// Always holds: before the process forks every ForkMutex is locked, in order of rank (low first),
// within a rank in order of construction. Afterwards they are unlocked in reverse order; then, in
// the child, the guards without a rank are called. A thread that holds two of these mutexes took
// them in that order. Only the mutex for finding a store's live version is held across I/O.
//
// Any thread may construct and destroy these, but not inside a handler, nor while it holds a
// ForkMutex: the registry stays locked while handlers run. Each costs a lock and an allocation, so
// nothing that is made for each read or commit has one. Locking a ForkMutex costs the same as any
// other mutex.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <new>

namespace graven::base {

/// The ranks, and whose mutexes have them. Mutexes are locked in this order.
inline constexpr int kForkRankNone = 0;          // guards that only drop something
inline constexpr int kForkRankRegistry = 10;     // open stores of this process; memory budgets
inline constexpr int kForkRankOrphans = 11;      // a heap's orphans
inline constexpr int kForkRankOwner = 12;        // a heap's lease
inline constexpr int kForkRankPins = 13;         // which pins a heap looks at
inline constexpr int kForkRankPinShard = 14;     // some of those pins
inline constexpr int kForkRankMapShard = 15;     // some keys of a map with pending writes
inline constexpr int kForkRankMapTimes = 16;     // its expiry times
inline constexpr int kForkRankStore = 20;        // commit queue, writer lock, open transaction
inline constexpr int kForkRankCache = 21;        // a cache of records
inline constexpr int kForkRankJoined = 22;       // the maps that have joined it
inline constexpr int kForkRankTiers = 23;        // opening and clearing a warm file
inline constexpr int kForkRankTableLimits = 24;  // bounds of a hot table
inline constexpr int kForkRankTable = 25;        // its structure
inline constexpr int kForkRankLimbo = 26;        // blobs it has yet to free
inline constexpr int kForkRankMapCount = 27;     // the number of items of a map
inline constexpr int kForkRankMark = 28;         // finding a store's live version
inline constexpr int kForkRankReads = 29;        // read transactions
inline constexpr int kForkRankPool = 30;         // connections, descriptors, a store in memory
inline constexpr int kForkRankFollowed = 31;     // the state that a store's log has told
inline constexpr int kForkRankIterations = 32;   // which containers are iterated over
inline constexpr int kForkRankHousekeeper = 35;  // where threads sleep
inline constexpr int kForkRankSqlite = 40;       // SQLite's own mutexes
inline constexpr int kForkRankDescriptors = 41;  // the descriptors that its locks are on
inline constexpr int kForkRankSpared = 42;       // descriptors that could not be closed
inline constexpr int kForkRankLog = 50;          // the log's sink

/// An object with something to do around fork(), as long as it holds a ForkEnrolment.
class ForkGuard {
 public:
  ForkGuard() = default;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  virtual void prepare_fork() noexcept {}
  virtual void parent_after_fork() noexcept {}
  virtual void child_after_fork() noexcept = 0;

 protected:
  ~ForkGuard() = default;  // not deleted through this class
};

/// Calls a guard around fork(), from its construction to its destruction. Must be the guard's last
/// member: another thread may fork at any moment, and the handlers must find all that they use.
class ForkEnrolment {
 public:
  explicit ForkEnrolment(ForkGuard& guard, int rank = kForkRankNone);
  ~ForkEnrolment();
  ForkEnrolment(const ForkEnrolment&) = delete;
  ForkEnrolment& operator=(const ForkEnrolment&) = delete;

 private:
  friend struct ForkRegistry;
  using Guards = std::multimap<int, ForkGuard*>;  // by rank, then in order of construction
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

/// A T that is constructed again in the child of a fork, in place of the old one, which is not
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

/// Grows by one in every child of a fork; objects made under an older number belong to an ancestor.
/// One relaxed load.
std::uint64_t fork_generation() noexcept;

}  // namespace graven::base
