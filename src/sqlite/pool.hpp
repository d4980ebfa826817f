// SPDX-License-Identifier: MIT
//
// A pool of connections, opened when first needed and lent out one lease at a time, the last
// returned first, so that few stay warm. The readers are one pool; the writer is a pool of one.
//
// Always holds: a connection is in exactly one place: idle here, or with its lease. After a
// fork the child's pool is empty: the parent's connections, idle or lent, are leaked there,
// neither used nor closed.
//
// Any thread may lease; a lease moves between threads but is used by one at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fork.hpp"
#include "sqlite/connection.hpp"

namespace graven::sqlite {

class Pool;

class Lease {
 public:
  Lease(Lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        connection_(std::exchange(other.connection_, nullptr)),
        generation_(other.generation_) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  /// Whether this process leased it, rather than the parent it was forked from.
  [[nodiscard]] bool ours() const noexcept { return generation_ == base::fork_generation(); }

  Connection& operator*() const noexcept { return *connection_; }
  Connection* operator->() const noexcept { return connection_; }

 private:
  friend class Pool;
  Lease(Pool& pool, Connection* connection, std::uint64_t generation) noexcept
      : pool_(&pool), connection_(connection), generation_(generation) {}

  Pool* pool_;
  Connection* connection_;
  std::uint64_t generation_;
};

class Pool final : private base::ForkGuard {
 public:
  using Opener = std::function<std::unique_ptr<Connection>()>;

  /// At most `limit` connections at a time; `exhausted` is the message when none comes free.
  Pool(Opener opener, int limit, std::string exhausted);
  ~Pool();

  /// A connection of the caller's own; BusyError when none is free until the deadline.
  Lease lease(store::Deadline deadline);
  Lease lease(std::chrono::milliseconds patience);

  /// Closes the idle connections.
  void clear() noexcept;

  /// Divides so many bytes of page cache among the open connections, from now on: those in use get
  /// their part when they come back. None has more than `most`.
  void bound_caches(std::size_t bytes, std::size_t most);

 private:
  friend class Lease;
  void give_back(Connection* connection) noexcept;
  /// Under mutex_.
  [[nodiscard]] std::size_t cache_share() const noexcept;
  void share_caches() noexcept;
  Lease open(std::uint64_t generation);
  template <typename Wait>
  Lease take(const Wait& wait);

  void prepare_fork() noexcept override;
  void parent_after_fork() noexcept override;
  void child_after_fork() noexcept override;

  /// What the mutex guards. A child of a fork gets a new one: its parent's condition
  /// variable may have waiters that do not exist in the child.
  struct State {
    std::vector<std::unique_ptr<Connection>> idle;
    int open = 0;                 // idle and lent
    std::size_t cache_bytes = 0;  // of all; 0: every connection as it was opened
    std::size_t cache_most = 0;   // of one
    std::condition_variable returned;
  };

  const Opener opener_;
  const int limit_;
  const std::string exhausted_;
  std::mutex mutex_;
  std::unique_ptr<State> state_;
  base::ForkEnrolment enrolment_{*this, base::kForkRankPool};
};

}  // namespace graven::sqlite
