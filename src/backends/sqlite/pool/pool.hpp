// SPDX-License-Identifier: MIT
//
// A pool of connections, opened when first needed and lent out one lease at a time, the last
// returned first, so that few stay warm and the others are closed when they have been idle for
// long. The readers are one pool; the writer is a pool of one.
//
// Always holds: a connection is in exactly one place: idle here, or with its lease. Nobody who has
// a lease waits for another: a thread that holds one gets a connection beyond the limit where
// there is no other, so leases cannot wait for each other. After a fork the child's pool is
// empty: the parent's connections, idle or lent, are leaked there, neither used nor closed.
//
// Any thread may lease; a lease moves between threads but is used by one at a time.
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

struct PoolSettings {
  std::string name;                      ///< of the file, for messages
  std::string role;                      ///< "read" or "write"
  int limit = 1;                         ///< connections at a time
  std::chrono::milliseconds keep_alive;  ///< idle for so long, a connection is closed
  std::string remedy;                    ///< what to do where none comes free
};

/// A pool at one moment.
struct PoolFigures {
  int limit = 0;
  int open = 0;
  int active = 0;  ///< lent out
  int idle = 0;
  int waiting = 0;                     ///< threads that wait for one
  std::uint64_t leases = 0;            ///< so far
  std::uint64_t timeouts = 0;          ///< waits that ended without one
  std::chrono::milliseconds oldest{};  ///< how long the one lent out longest has been
  std::string oldest_holder{};         ///< "thread 4711, for a snapshot"; empty: none is
  Histogram wait{};                    ///< of those who found none
  Histogram held{};
};

class Pool final : private base::ForkGuard {
 public:
  using Opener = std::function<std::unique_ptr<Connection>()>;

  Pool(Opener opener, PoolSettings settings);
  ~Pool();

  /// A connection of the caller's own. BusyError when none is free until the deadline, which says
  /// who has had one longest. `purpose` says what for, as in "a snapshot"; a literal.
  Lease lease(store::Deadline deadline, const char* purpose);
  Lease lease(std::chrono::milliseconds patience, const char* purpose);

  /// Closes the idle connections, and the others when they come back; lends none any more:
  /// ClosedError.
  void close() noexcept;
  /// Has what runs on those lent out fail soon.
  void interrupt() noexcept;
  /// Once closed: whether all are, by then. Does not wait for those of this thread.
  bool wait_until_closed(store::Deadline until) noexcept;
  /// Closes those that have been idle for keep_alive, but for the last one; when it is worth asking
  /// again.
  std::optional<store::Deadline> close_idle(store::Deadline now);
  /// Has `wake` called when close_idle() will have something to do. Before the first lease.
  void when_idle(std::function<void(store::Deadline)> wake) { wake_ = std::move(wake); }

  /// Divides so many bytes of page cache among the open connections, from now on: those in use get
  /// their part when they come back. None has more than `most`.
  void bound_caches(std::size_t bytes, std::size_t most);

  [[nodiscard]] PoolFigures figures() const;

 private:
  friend class Lease;

  /// A connection, and who has it.
  struct Member {
    std::unique_ptr<Connection> connection;
    bool lent = true;
    std::int64_t thread = 0;
    const char* purpose = "";
    store::Deadline since{};  // when it was lent, or came back
  };

  void give_back(Connection* connection) noexcept;
  template <typename Until>
  Lease take(const char* purpose, const Until& until);
  void wait_for_one(std::unique_lock<std::mutex>& lock, store::Deadline deadline);
  Lease open(std::uint64_t generation, const char* purpose);
  // Under mutex_:
  [[nodiscard]] std::size_t cache_share() const noexcept;
  void share_caches() noexcept;
  [[nodiscard]] const Member* longest_held() const noexcept;
  [[nodiscard]] bool held_by_this_thread() const noexcept;
  [[noreturn]] void throw_exhausted();
  [[noreturn]] void throw_closed() const;

  void child_after_fork() noexcept override;

  /// What the mutex guards. A child of a fork gets a new one: its parent's condition
  /// variable may have waiters that do not exist in the child.
  struct State {
    std::vector<Member> members;    // those being opened are not here yet
    std::vector<Connection*> idle;  // the last one returned is the last
    int open = 0;                   // members, and those being opened
    int waiting = 0;
    std::size_t cache_bytes = 0;  // of all; 0: every connection as it was opened
    std::size_t cache_most = 0;   // of one
    std::uint64_t leases = 0;
    std::uint64_t timeouts = 0;
    bool woken = false;  // close_idle() will come
    bool closed = false;
    std::condition_variable returned;
  };
  std::unique_ptr<State> fresh_state() const;

  const Opener opener_;
  const PoolSettings settings_;
  std::function<void(store::Deadline)> wake_;
  base::Latency waits_;
  base::Latency held_;
  mutable base::ForkMutex mutex_{base::kForkRankPool};
  std::unique_ptr<State> state_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
