// SPDX-License-Identifier: MIT
//
// A lock on a file by flock(). Such a lock belongs to the open file description, which a forked
// child shares; so the child closes its copy, or the lock would last as long as the child.
//
// Any thread may make one; then one thread at a time.
#pragma once

#include <cstdint>

#include "base/fork.hpp"
#include "base/interrupt.hpp"

namespace graven::redis {

class LockFile final : private base::ForkGuard {
 public:
  enum class InChild : std::uint8_t {
    kClosed,  ///< the child does not have it
    kShared,  ///< the child takes a shared lock of its own
  };

  /// Opens the file, without a lock; makes it if need be. UnavailableError.
  LockFile(int folder, const char* name, InChild in_child = InChild::kClosed);
  ~LockFile();

  /// `how`: LOCK_SH or LOCK_EX. False if others hold it.
  bool try_lock(int how) noexcept;
  /// Waits; false at the deadline. Can be interrupted.
  bool lock(int how, base::Deadline deadline);
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  void child_after_fork() noexcept override;

  const int folder_;
  const char* const name_;
  const InChild in_child_;
  int descriptor_ = -1;
  const base::ForkEnrolment enrolment_{*this};
};

/// A pause between two looks at something of another process, growing from 1 to 50 ms. Can be
/// interrupted. False at the deadline.
class Pauses {
 public:
  explicit Pauses(base::Deadline deadline) : deadline_(deadline) {}
  bool next();

 private:
  const base::Deadline deadline_;
  std::chrono::milliseconds pause_{1};
};

}  // namespace graven::redis
