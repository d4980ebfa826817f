// SPDX-License-Identifier: MIT
//
// A pool of connections. Connections are opened when first needed and lent out by lease. The last
// one returned is lent first, so few stay in use and the others are closed after some idle time.
// The readers are one pool; the writer is a pool of one.
//
// Always holds: a connection is either idle in the pool or with its lease. A thread that holds a
// lease never waits for another one: if none is free it gets a connection beyond the limit, so
// leases cannot deadlock. After a fork the child's pool is empty: the parent's connections are
// leaked there, neither used nor closed.
//
// Any thread may lease. A lease may move between threads, but only one uses it at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "base/fork.hpp"
#include "observe/metrics.hpp"

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

  /// Whether this process made the lease, not the parent that it was forked from.
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

struct PoolSettings {
  std::string name;                      ///< file name, for messages
  std::string role;                      ///< "read" or "write"
  int limit = 1;                         ///< how many connections at most
  std::chrono::milliseconds keep_alive;  ///< a connection that is idle for longer is closed
  std::string remedy;                    ///< advice in the BusyError if none becomes free
};

/// The figures of a pool at one moment.
struct PoolFigures {
  int limit = 0;
  int open = 0;
  int active = 0;  ///< lent out
  int idle = 0;
  int waiting = 0;                     ///< threads that wait for a connection
  std::uint64_t leases = 0;            ///< total so far
  std::uint64_t timeouts = 0;          ///< waits that ended without a connection
  std::chrono::milliseconds oldest{};  ///< age of the oldest current lease
  std::string oldest_holder{};         ///< "thread 4711, for a snapshot"; empty: no lease
  Histogram wait{};                    ///< wait times of those who found none free
  Histogram held{};
};

class Pool final : private base::ForkGuard {
 public:
  using Opener = std::function<std::unique_ptr<Connection>()>;

  Pool(Opener opener, PoolSettings settings);
  ~Pool();

  /// Leases a connection for the caller alone. BusyError if none is free until the deadline; it
  /// names the holder of the oldest lease. `purpose` says what it is for, as in "a snapshot"; must
  /// be a literal.
  Lease lease(base::Deadline deadline, const char* purpose);
  Lease lease(std::chrono::milliseconds patience, const char* purpose);

  /// Closes idle connections now and lent ones when they come back. Later lease() calls throw
  /// ClosedError.
  void close() noexcept;
  /// Makes the statements that run on lent connections fail soon.
  void interrupt() noexcept;
  /// Call after close(): waits until all connections are closed; false at the deadline. Does not
  /// wait for leases of the calling thread.
  bool wait_until_closed(base::Deadline until) noexcept;
  /// Closes the connections that have been idle for keep_alive, except the last one. Returns when
  /// to call again.
  std::optional<base::Deadline> close_idle(base::Deadline now);
  /// Sets the function that is called when close_idle() will have work. Call before the first
  /// lease.
  void when_idle(std::function<void(base::Deadline)> wake) { wake_ = std::move(wake); }

  /// From now on divides `bytes` of page cache among the open connections; a lent one gets its part
  /// when it comes back. No connection gets more than `most`.
  void bound_caches(std::size_t bytes, std::size_t most);

  [[nodiscard]] PoolFigures figures() const;

 private:
  friend class Lease;

  /// A connection and its user.
  struct Member {
    std::unique_ptr<Connection> connection;
    bool lent = true;
    std::int64_t thread = 0;
    const char* purpose = "";
    base::Deadline since{};  // when it was lent or returned
  };

  void give_back(Connection* connection) noexcept;
  template <typename Until>
  Lease take(const char* purpose, const Until& until);
  void wait_for_one(std::unique_lock<std::mutex>& lock, base::Deadline deadline);
  Lease open(std::uint64_t generation, const char* purpose);
  // Called with mutex_ held:
  [[nodiscard]] std::size_t cache_share() const noexcept;
  void share_caches() noexcept;
  [[nodiscard]] const Member* longest_held() const noexcept;
  [[nodiscard]] bool held_by_this_thread() const noexcept;
  [[noreturn]] void throw_exhausted();
  [[noreturn]] void throw_closed() const;

  void child_after_fork() noexcept override;

  /// What the mutex guards. The child of a fork gets a new one: the condition variable may have
  /// waiters that do not exist in the child.
  struct State {
    std::vector<Member> members;    // without those that are just being opened
    std::vector<Connection*> idle;  // the last one returned is at the end
    int open = 0;                   // members, plus those being opened
    int waiting = 0;
    std::size_t cache_bytes = 0;  // for all together; 0: connections keep their initial size
    std::size_t cache_most = 0;   // for one connection
    std::uint64_t leases = 0;
    std::uint64_t timeouts = 0;
    bool woken = false;  // close_idle() is scheduled
    bool closed = false;
    std::condition_variable returned;
  };
  std::unique_ptr<State> fresh_state() const;

  const Opener opener_;
  const PoolSettings settings_;
  std::function<void(base::Deadline)> wake_;
  observe::Latency waits_;
  observe::Latency held_;
  mutable base::ForkMutex mutex_{base::kForkRankPool};
  std::unique_ptr<State> state_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
