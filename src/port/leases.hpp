// SPDX-License-Identifier: MIT
//
// Who is alive, and who may write a partition alone for a while.
//
// Any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/interrupt.hpp"
#include "port/state_version.hpp"

namespace graven::port {

/// The right to write a partition alone, until it is released or runs out.
struct Lease {
  std::uint64_t token = 0;  ///< the fence of its holder's batches; random, not 0
  std::chrono::steady_clock::time_point until{};
  StateVersion state{};  ///< the newest state when it was taken
};

class Leases {
 public:
  virtual ~Leases() = default;
  /// Makes it visible to every process that the process with this number lives, until it ends or
  /// the backend is closed. A forked child does not inherit that.
  virtual void announce(std::int64_t process) = 0;
  /// Whether the process with this number (perhaps this one) lives.
  virtual bool alive(std::int64_t process) = 0;
  /// Takes the lease of a partition; who asks first gets it first. BusyError at the deadline; the
  /// error names the holder where possible.
  virtual Lease acquire(const Partition& partition, base::Deadline deadline) = 0;
  /// Extends the lease; false if it is lost.
  virtual bool renew(const Partition& partition, Lease& lease) = 0;
  virtual void release(const Partition& partition, const Lease& lease) noexcept = 0;
};

}  // namespace graven::port
