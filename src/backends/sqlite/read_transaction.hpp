// SPDX-License-Identifier: MIT
//
// A read transaction on a leased connection. It sees one state of the file that does not change.
// While it is open, no checkpoint can go beyond that state. Another thread ends it when the store
// is closed, or when it is older than the store's limit, so that a forgotten snapshot does not make
// the WAL grow for ever.
//
// Always holds: the first use leases the connection and begins the transaction. After another
// thread has ended it, every use throws ClosedError or TransactionExpiredError.
//
// ReadTransaction: one thread at a time. Reads: any thread. In the child of a fork every use throws
// and the destructor does nothing.
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

/// The open read transactions of one store.
class Reads final : private base::ForkGuard {
 public:
  /// 0: no limit.
  explicit Reads(std::chrono::milliseconds limit) : limit_(limit) {}

  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }
  /// Ends those older than the limit. Returns when the next one will be too old.
  std::optional<base::Deadline> end_overdue(base::Deadline now);
  /// Allows no new ones and ends those that are not in use at the moment. True if none is left.
  bool end_all() noexcept;
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  /// Sets the function that is called when end_overdue() will have work. Call before the first
  /// read.
  void when_due(std::function<void(base::Deadline)> wake) { wake_ = std::move(wake); }
  /// How many were ended so far because of the limit.
  [[nodiscard]] std::uint64_t ended() const;

 private:
  friend class ReadTransaction;
  void add(ReadTransaction& read);
  void remove(ReadTransaction& read) noexcept;

  void child_after_fork() noexcept override { open_.clear(); }  // they are the parent's

  const std::chrono::milliseconds limit_;
  std::function<void(base::Deadline)> wake_;
  mutable base::ForkMutex mutex_{base::kForkRankReads};
  std::vector<ReadTransaction*> open_;  // guarded by mutex_; oldest first
  std::uint64_t ended_ = 0;             // guarded by mutex_
  std::atomic<bool> closed_{false};     // written under mutex_
  base::ForkEnrolment enrolment_{*this};
};

/// What a read needs from its store.
struct ReadSource {
  Pool& readers;
  Reads& reads;
  const std::string& name;
  std::chrono::milliseconds patience;
  /// Throws if the data read cannot be trusted (a file read without locks has changed).
  std::function<void()> verify;
  Traffic& traffic;
};

class ReadTransaction {
 public:
  /// `purpose`: see Pool::lease().
  ReadTransaction(const ReadSource& source, const char* purpose) noexcept
      : source_(source), purpose_(purpose), generation_(base::fork_generation()) {}
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;
  ~ReadTransaction();

  /// Calls `body` with the connection, inside the transaction. It begins with the first call.
  template <class Body>
  auto use(const Body& body) {
    const std::scoped_lock lock(mutex_);
    return body(connection());
  }
  /// The same, but does nothing if the transaction is not open. Does not throw.
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
  /// Called by Reads; whether it is ended.
  bool end_from_outside();

  const ReadSource& source_;
  const char* purpose_;
  const std::uint64_t generation_;
  std::mutex mutex_;            // held during each use
  std::optional<Lease> lease_;  // from the first use
  base::Deadline due_{};
  bool known_ = false;  // Reads has it in its list
  bool ended_ = false;  // by another thread
};

}  // namespace graven::sqlite
