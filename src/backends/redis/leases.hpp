// SPDX-License-Identifier: MIT
//
// Leases in the head of a partition, and the processes that are alive, each a key that expires.
//
// Any thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "backends/redis/core.hpp"
#include "base/fork.hpp"
#include "port/leases.hpp"

namespace graven::redis {

class RedisLeases final : public port::Leases, private base::ForkGuard {
 public:
  /// `announced` is called when there is first something to keep alive.
  RedisLeases(std::shared_ptr<Core> core, std::function<void()> announced);

  void announce(std::int64_t process) override;
  bool alive(std::int64_t process) override;
  port::Lease acquire(const port::Partition& partition, Deadline deadline) override;
  bool renew(const port::Partition& partition, port::Lease& lease) override;
  void release(const port::Partition& partition, const port::Lease& lease) noexcept override;

  /// Says again that the announced processes live; returns when to call it next.
  std::optional<Deadline> tend() noexcept;
  /// Gives back what this process has.
  void close() noexcept;

 private:
  void child_after_fork() noexcept override;
  Reply call(const port::Partition& partition, const char* what, std::uint64_t token,
             Deadline deadline);
  void forget(const port::Partition& partition, std::uint64_t token) noexcept;

  const std::shared_ptr<Core> core_;
  const std::function<void()> announced_;
  base::ForkMutex mutex_{base::kForkRankPool};
  std::set<std::int64_t> processes_;                          // mutex_, as the next
  std::set<std::pair<port::Partition, std::uint64_t>> held_;  // tokens
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::redis
