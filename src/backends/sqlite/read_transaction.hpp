// SPDX-License-Identifier: MIT
//
// A read transaction on a leased connection: one unchanging state of the file, which keeps
// checkpoints from passing it while it lasts. It is ended from outside when the store is closed,
// and, where the store has a limit, when it has been open for longer, so that a forgotten snapshot
// does not let the WAL grow for ever.
//
// Always holds: the connection is leased and the transaction begun with the first use, not before.
// Once ended from outside, every use throws ClosedError or TransactionExpiredError.
//
// A ReadTransaction is used by one thread at a time, Reads by any. In the child of a fork every
// use throws and the destructor does nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/sqlite/pool/pool.hpp"
#include "backends/sqlite/traffic.hpp"
#include "base/fork.hpp"

namespace graven::sqlite {

class ReadTransaction;

/// The read transactions of one store that are open.
class Reads final : private base::ForkGuard {
 public:
  /// 0: no limit.
  explicit Reads(std::chrono::milliseconds limit) : limit_(limit) {}

  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }
  /// Ends those past the limit; when the next one will be.
  std::optional<store::Deadline> end_overdue(store::Deadline now);
  /// From now on there are no new ones. Ends those that are not in use just now; whether that were
  /// all.
  bool end_all() noexcept;
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  /// Has `wake` called when end_overdue() will have something to do. Before the first one.
  void when_due(std::function<void(store::Deadline)> wake) { wake_ = std::move(wake); }
  /// How many were ended so far.
  [[nodiscard]] std::uint64_t ended() const;

 private:
  friend class ReadTransaction;
  void add(ReadTransaction& read);
  void remove(ReadTransaction& read) noexcept;

  void child_after_fork() noexcept override { open_.clear(); }  // the parent's

  const std::chrono::milliseconds limit_;
  std::function<void(store::Deadline)> wake_;
  mutable base::ForkMutex mutex_{base::kForkRankReads};
  std::vector<ReadTransaction*> open_;  // mutex_; oldest first
  std::uint64_t ended_ = 0;             // mutex_
  std::atomic<bool> closed_{false};     // written under mutex_
  base::ForkEnrolment enrolment_{*this};
};

/// What reading needs of its store.
struct ReadSource {
  Pool& readers;
  Reads& reads;
  const std::string& name;
  std::chrono::milliseconds patience;
  /// Throws where what was read cannot be trusted (a file read without locks has changed).
  std::function<void()> verify;
  Traffic& traffic;
};

class ReadTransaction {
 public:
  /// `purpose`: as for Pool::lease().
  ReadTransaction(const ReadSource& source, const char* purpose) noexcept
      : source_(source), purpose_(purpose), generation_(base::fork_generation()) {}
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;
  ~ReadTransaction();

  /// Calls `body` with the connection, inside the transaction.
  template <class Body>
  auto use(const Body& body) {
    const std::scoped_lock lock(mutex_);
    return body(connection());
  }
  /// The same for what need not be done once it is over. Does not throw.
  template <class Body>
  void if_open(const Body& body) noexcept {
    if (generation_ != base::fork_generation()) return;
    const std::scoped_lock lock(mutex_);
    if (lease_) body(**lease_);
  }

 private:
  friend class Reads;
  Connection& connection();
  void begin();
  void end() noexcept;
  /// Of Reads: whether it is over.
  bool end_from_outside();

  const ReadSource& source_;
  const char* purpose_;
  const std::uint64_t generation_;
  std::mutex mutex_;            // held while in use
  std::optional<Lease> lease_;  // from the first use on
  store::Deadline due_{};
  bool known_ = false;  // to Reads
  bool ended_ = false;  // from outside
};

}  // namespace graven::sqlite
