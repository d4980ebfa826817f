// SPDX-License-Identifier: MIT
//
// The connections of this process to one server: lends them to threads, keeps those that are idle,
// and makes new ones, with growing pauses while the server cannot be reached.
//
// Any thread. A forked child starts with none: those of the parent are abandoned there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/redis/connection.hpp"
#include "backends/redis/settings.hpp"
#include "base/fork.hpp"

namespace graven::redis {

class Connections final : private base::ForkGuard {
 public:
  explicit Connections(Settings settings);
  ~Connections();

  /// A connection for one thread; goes back when it is destroyed, if it is still of use.
  class Lent {
   public:
    Lent(Connections& of, std::unique_ptr<Connection> connection, std::uint64_t generation) noexcept
        : of_(&of), connection_(std::move(connection)), generation_(generation) {}
    Lent(Lent&& other) noexcept = default;
    Lent& operator=(Lent&&) = delete;
    ~Lent();
    Connection* operator->() const noexcept { return connection_.get(); }
    Connection& operator*() const noexcept { return *connection_; }

   private:
    Connections* of_;
    std::unique_ptr<Connection> connection_;
    std::uint64_t generation_;
  };

  /// An idle connection that works, or a new one; tries again while the server cannot be reached.
  /// Unreached at the deadline; ClosedError after close().
  Lent lend(Deadline deadline);
  /// Like lend(), but never one that was idle: for a caller that is to keep it.
  std::unique_ptr<Connection> fresh(Deadline deadline);

  /// From now on those whose server is no master count as not reached.
  void require_master() noexcept { master_only_ = true; }
  /// What is connected so far is not lent again: its server takes no writes any more.
  void renew() noexcept;

  /// Closes the idle connections; lent ones are closed when they come back. Settings::revive is not
  /// called any more, and what it holds is let go.
  void close() noexcept;

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }

 private:
  void child_after_fork() noexcept override;
  template <class Attempt>
  std::unique_ptr<Connection> persist(Deadline deadline, const Attempt& attempt);
  std::unique_ptr<Connection> connected(Deadline deadline) const;
  void take_back(std::unique_ptr<Connection> connection, std::uint64_t generation) noexcept;
  std::unique_ptr<Connection> take_idle(std::uint64_t& generation);
  void throw_if_closed() const;  // called with mutex_ held

  const Settings settings_;  // without `revive`
  std::atomic<bool> master_only_{false};
  mutable base::ForkMutex mutex_{base::kForkRankPool};
  std::function<void(Deadline)> revive_;  // mutex_, as the next
  std::uint64_t generation_ = 0;          // of those in idle_
  bool closed_ = false;
  std::vector<std::unique_ptr<Connection>> idle_{};  // the last one returned is at the end
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::redis
