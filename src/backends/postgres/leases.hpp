// SPDX-License-Identifier: MIT
//
// Leases as rows, by the server's clock. Who waits asks again and again; the server keeps the
// order.
//
// Any thread. A forked child holds none of the parent's leases.
#pragma once

#include <map>
#include <mutex>

#include "backends/postgres/store.hpp"
#include "backends/postgres/upkeep.hpp"
#include "port/leases.hpp"

namespace graven::postgres {

class RowLeases final : public port::Leases, private base::ForkGuard {
 public:
  RowLeases(Store& store, Upkeep& upkeep) : store_(store), upkeep_(upkeep) {}

  void announce(std::int64_t process) override;
  bool alive(std::int64_t process) override;
  port::Lease acquire(const port::Partition& partition, Deadline deadline) override;
  bool renew(const port::Partition& partition, port::Lease& lease) override;
  void release(const port::Partition& partition, const port::Lease& lease) noexcept override;

  /// Gives back what this process has.
  void close() noexcept;

 private:
  void child_after_fork() noexcept override { held_.clear(); }
  std::optional<port::Lease> attempt(const port::Partition& partition, std::uint64_t waiter,
                                     Deadline deadline, std::chrono::milliseconds& wait,
                                     std::string& holder);
  bool keep(const port::Partition& partition, std::uint64_t token, std::int64_t milliseconds,
            Deadline deadline);
  void leave_queue(const port::Partition& partition, std::uint64_t waiter) noexcept;

  Store& store_;
  Upkeep& upkeep_;
  base::ForkMutex mutex_{base::kForkRankReads};
  std::map<std::uint64_t, port::Partition> held_{};  // by token; mutex_
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::postgres
