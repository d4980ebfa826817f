// SPDX-License-Identifier: MIT
//
// What fork() means to graven. A child has a copy of memory but none of the
// parent's threads or file locks, so whatever guards shared state must be quiet
// while the process forks, and whatever stands for the parent (connections,
// locks, a transaction) must be dropped, not used, in the child.
//
// Always holds: prepare() of every registered guard has run before the process
// forks, in order of rank (low first), and parent() or child() runs after it in
// reverse order. A guard takes only short internal mutexes in prepare(); the one
// that is held across I/O is a cache's, while it first finds the store's mark.
//
// Enrol and leave from any thread, but never from inside a handler, nor while
// holding a mutex that some prepare_fork() takes: the registry stays locked
// while the handlers run.
#pragma once

#include <cstdint>

namespace graven::base {

/// An object with something to do around fork(), for as long as it holds a
/// ForkEnrolment.
class ForkGuard {
 public:
  ForkGuard() = default;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  virtual void prepare_fork() noexcept = 0;
  virtual void parent_after_fork() noexcept = 0;
  virtual void child_after_fork() noexcept = 0;

 protected:
  ~ForkGuard() = default;  // not through the base
};

/// Calls a guard around fork() from its construction to its destruction. The
/// guard's last member: another thread may fork at any moment, and must find
/// all that the handlers touch.
class ForkEnrolment {
 public:
  ForkEnrolment(ForkGuard& guard, int rank);
  ~ForkEnrolment();
  ForkEnrolment(const ForkEnrolment&) = delete;
  ForkEnrolment& operator=(const ForkEnrolment&) = delete;

 private:
  friend struct ForkRegistry;
  ForkGuard& guard_;
  const int rank_;
};

/// Ranks: locks are taken in this order.
inline constexpr int kForkRankRegistry = 10;  // the process's table of open stores
inline constexpr int kForkRankStore = 20;     // lane, pins
inline constexpr int kForkRankPool = 30;      // connection pools
inline constexpr int kForkRankSqlite = 40;    // SQLite's own mutexes
inline constexpr int kForkRankLog = 50;       // the log's sink

/// Grows by one in every child of a fork; what was made under an older number
/// belongs to an ancestor. One relaxed load.
std::uint64_t fork_generation() noexcept;

}  // namespace graven::base
