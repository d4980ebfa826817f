// SPDX-License-Identifier: MIT
//
// The store: a backend, the lane that orders this process's writers, and transactions bound
// to threads. Reads go straight to the backend, or, in a thread that has a transaction open,
// through that transaction.
//
// Always holds: a mutation's records reach the backend whole or not at all; the commit hook
// has seen every Work before it is committed; a transaction past its limit is rolled back by
// the housekeeper, whatever its thread is doing.
//
// Any thread; what a Step is part of, see there.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/fork.hpp"
#include "base/function_ref.hpp"
#include "base/housekeeper.hpp"
#include "base/near_tls.hpp"
#include "cache/cache.hpp"
#include "port/backend.hpp"
#include "store/activity.hpp"
#include "store/commit_queue.hpp"
#include "store/lane.hpp"
#include "store/work.hpp"

namespace graven::store {

/// What a layer above wants to do around commits, all in the lane.
class CommitHook {
 public:
  virtual ~CommitHook() = default;
  /// The last words in a work before it is committed.
  virtual void before_commit(Work& work) = 0;
  /// After before_commit(), always: whether the work is durable.
  virtual void after_commit(bool committed) noexcept = 0;
  /// Due work of the housekeeper; when it wants to be called again.
  virtual std::optional<Deadline> chore() noexcept = 0;
};

struct Limits {
  std::chrono::milliseconds busy{30'000};
  std::chrono::milliseconds transaction{60'000};
  std::size_t read_cache = 0;  ///< bytes of records read that a transaction keeps; 0: as usual
};

/// How many transactions the calling thread has open, in all stores.
GRAVEN_NEAR_TLS extern constinit thread_local std::uint32_t open_in_thread;

class Store;
class Transaction;

/// One of a thread's nested transactions on a store, from begin() on: an inner one is a savepoint.
/// Rolled back when it goes, unless it was committed. Committed by the thread that began it, the
/// inner ones first, else by an error it is rolled back; rolled back by any, of which its thread is
/// then told by its next statement or by commit(). The store outlives it.
class Step {
 public:
  Step(Step&&) noexcept = default;
  Step& operator=(Step&& other) noexcept;
  ~Step();
  /// Ends it, whatever happens: what is not committed then is rolled back. `durable`: returns when
  /// it survives a loss of power or, inside another one, sees to it that the outermost commit does.
  void commit(bool durable = false);
  void rollback() noexcept;

 private:
  friend class Store;
  Step(std::shared_ptr<Transaction> transaction, std::uint64_t number)
      : transaction_(std::move(transaction)), number_(number) {}

  std::shared_ptr<Transaction> transaction_;
  std::uint64_t number_;
};

class Store final : private base::ForkGuard {
 public:
  explicit Store(std::unique_ptr<Backend> backend);
  ~Store();

  [[nodiscard]] Backend& backend() const noexcept { return *backend_; }
  /// The store's hook: made by the first who asks for it, and the store's until it goes.
  CommitHook& hook(base::FunctionRef<std::unique_ptr<CommitHook>()> make);
  [[nodiscard]] Cache& cache() noexcept { return cache_; }
  /// For works that are not made here.
  [[nodiscard]] Ids& ids() noexcept { return ids_; }

  /// Runs `mutation` in the lane and commits it, or makes it a part of this thread's open
  /// transaction. When it throws, nothing of it remains. Where commits wait for the disk, those
  /// that come meanwhile are committed together: then it may run on another writer's thread.
  void write(base::FunctionRef<void(Work&)> mutation, const Limits& limits);

  /// Runs `body` in a write transaction of its own although nothing may come of it: for the
  /// collector's slices. Never part of a thread's transaction.
  void write_apart(base::FunctionRef<void(Work&)> body, Deadline deadline);

  // Transactions of the calling thread. They nest: inner ones are savepoints.
  /// `owner`: whose end is the transaction's, see end_of().
  [[nodiscard]] Step begin(const Limits& limits, const void* owner = nullptr);
  /// Rolls back what was begun for this owner, in whichever thread, and what is inside of that.
  /// That thread gets ClosedError until it has ended it itself. What is being committed stays.
  void end_of(const void* owner) noexcept;
  [[nodiscard]] bool in_transaction() const noexcept {
    return open_in_thread != 0 && current() != nullptr;
  }

  /// Runs `body` with the work of this thread's transaction; false when it has none.
  /// The error of what has ended the transaction before its time, where something has.
  bool with_current(base::FunctionRef<void(Work&)> body);

  /// How many this process has made.
  [[nodiscard]] std::uint64_t commits() const noexcept {
    return commits_.load(std::memory_order_acquire);
  }

  /// Returns when every commit that has returned survives a loss of power. Those who ask while one
  /// waits for the disk share the next wait.
  void sync(Deadline deadline);
  /// The same of what this thread has just committed; CommitUnknownError where it fails. Inside a
  /// transaction the outermost commit will do it.
  void make_durable(Deadline deadline);

  /// Returns when every commit that has returned is in the store's files. UsageError inside a
  /// transaction of this thread.
  void flush();

  /// See Backend: in the lane.
  void begin_bulk(std::size_t cache_bytes);
  bool end_bulk(Deadline deadline);

  /// Counts one more user; false when the last one has left, with whom the store has ended.
  [[nodiscard]] bool join();
  /// The last one to leave ends the store: from then on it holds memory and nothing else, for
  /// however long it is referenced.
  void leave() noexcept;
  [[nodiscard]] bool used();

  /// Everything of this store in memory is to take no more than so many bytes: tables, page caches
  /// and what waits to be flushed. Any time; the last one counts.
  void bound_memory(std::size_t bytes);
  /// For tables, and for what waits, beside those of the store itself.
  [[nodiscard]] Share& table_share() noexcept { return table_share_; }
  [[nodiscard]] Share& pending_share() noexcept { return pending_share_; }
  /// The most that a warm file may have, for the memory its index takes.
  [[nodiscard]] std::size_t warm_limit() const noexcept {
    return warm_limit_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] Activity& activity() noexcept { return activity_; }
  [[nodiscard]] std::size_t waiting() { return lane_.waiting(); }
  [[nodiscard]] bool transaction_open();
  /// Of this file, here and below; 0: nothing is logged.
  void log_slower_than(std::chrono::milliseconds limit);

  void wake(Deadline when) { housekeeper_.wake(when); }
  /// Stops the housekeeper and rolls back what is open.
  void stop() noexcept;
  /// Whether that has begun: what the housekeeper is at should come to an end.
  [[nodiscard]] bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }

 private:
  friend class Transaction;
  void child_after_fork() noexcept override;
  [[nodiscard]] Transaction* current() const noexcept;
  /// UsageError where this thread has a transaction open on the same store, opened with other
  /// settings: a write would wait for its end.
  void refuse_beside_transaction() const;
  std::optional<Deadline> chore();
  std::optional<Deadline> chore_in_lane();
  std::shared_ptr<Transaction> open();
  /// The transaction has: the lane is free.
  void ended(const Transaction& transaction) noexcept;
  void commit_work(Work& work, WriteTransaction& writes);
  void close() noexcept;

  void restore_bulk() noexcept;

  /// Commits for all who are in the queue.
  void write_queued(Deadline deadline);

  /// A write transaction with its work, and the cache kept in step with what becomes of it.
  struct Writing;

  // Held while the last user leaves, whatever that takes.
  base::ForkRenewed<std::mutex> users_mutex_;
  int users_ = 0;       // users_mutex_
  bool ended_ = false;  // users_mutex_
  std::atomic<bool> stopping_{false};

  std::unique_ptr<Backend> backend_;
  Activity activity_;
  Share table_share_;
  Share pending_share_;
  Share::Part pending_part_;  // the backend's, if it keeps commits back
  std::atomic<std::size_t> warm_limit_{Share::kUnbounded};
  Cache cache_;
  std::atomic<CommitHook*> hook_{nullptr};  // owned; as a rule the collector
  Ids ids_;
  Lane lane_{activity_.lane};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> syncs_begun_{0};
  std::uint64_t syncs_done_ = 0;  // the last of them that succeeded; in the lane
  CommitQueue queue_;
  base::ForkMutex open_mutex_{base::kForkRankStore};
  std::shared_ptr<Transaction> open_;  // the transaction that holds the lane; open_mutex_
  base::Housekeeper housekeeper_;      // after the rest, which its thread uses
  base::ForkEnrolment enrolment_{*this};
};

/// A user of a store, from construction to destruction.
class Use {
 public:
  /// ClosedError where the store has ended.
  explicit Use(std::shared_ptr<Store> store);
  Use(Use&&) noexcept = default;
  Use& operator=(Use&&) = delete;
  ~Use() { end(); }
  /// Ends it early.
  void end() noexcept;

 private:
  std::shared_ptr<Store> store_;
};

}  // namespace graven::store
