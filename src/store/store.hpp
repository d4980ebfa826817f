// SPDX-License-Identifier: MIT
//
// The store: a backend, the writer lock (Lane) that orders this process's writers, and transactions
// bound to threads. Reads go straight to the backend, or, in a thread with an open transaction,
// through that transaction.
//
// Always holds: a mutation's records reach the backend whole or not at all; the commit hook has
// seen every Work before it is committed; the housekeeper rolls back a transaction past its limit,
// whatever its thread is doing.
//
// Any thread; for a Step see there.
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
#include "store/optimistic.hpp"
#include "store/work.hpp"

namespace graven::store {

using port::Backend;

/// What a layer above wants to do around commits, all while it holds the writer lock.
class CommitHook {
 public:
  virtual ~CommitHook() = default;
  /// May add to a work before it is committed.
  virtual void before_commit(Work& work) = 0;
  /// Always called after before_commit(); `committed`: the work was committed.
  virtual void after_commit(bool committed) noexcept = 0;
  /// Work that is due, on the housekeeper's thread; returns when to call it again.
  virtual std::optional<Deadline> chore() noexcept = 0;
};

struct Limits {
  std::chrono::milliseconds busy{30'000};
  std::chrono::milliseconds transaction{60'000};
  std::size_t read_cache = 0;  ///< bytes of read records to keep; 0: the default
};

/// How many transactions the calling thread has open, in all stores.
GRAVEN_NEAR_TLS extern constinit thread_local std::uint32_t open_in_thread;

class Store;
class Transaction;

/// A transaction step: one of a thread's nested transactions on a store; an inner one is a
/// savepoint. Destroying it rolls it back, unless it was committed. The thread that began it
/// commits it, inner steps first; any other commit is an error and rolls it back. Any thread may
/// roll it back; its own thread is then told by its next statement or by commit(). The store
/// outlives it.
class Step {
 public:
  Step(Step&&) noexcept = default;
  Step& operator=(Step&& other) noexcept;
  ~Step();
  /// Ends the step in any case: if it cannot be committed it is rolled back. `durable`: returns
  /// when the commit is safe against a loss of power; in an inner step, makes the outermost commit
  /// wait for that.
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
  /// Reads and transactions of the store.
  [[nodiscard]] port::Interactive& records() const noexcept { return *records_; }
  /// A view of the newest state.
  [[nodiscard]] std::unique_ptr<View> view() const { return records_->view(); }
  [[nodiscard]] std::optional<Record> load(const Key& key) const { return records_->load(key); }
  /// Its state versions; nullptr where it has none.
  [[nodiscard]] port::SharedState* state() const noexcept { return state_; }
  [[nodiscard]] const std::string& name() const noexcept { return backend_->facts().name; }
  [[nodiscard]] bool read_only() const noexcept { return backend_->facts().read_only; }

  /// The store's hook. The first caller's `make` creates it; it lives as long as the store.
  CommitHook& hook(base::FunctionRef<std::unique_ptr<CommitHook>()> make);
  [[nodiscard]] cache::Cache& cache() noexcept { return cache_; }
  /// For works that are created elsewhere.
  [[nodiscard]] Ids& ids() noexcept { return ids_; }

  /// Runs `mutation` under the writer lock and commits it, or makes it a part of this thread's open
  /// transaction. When it throws, nothing of it remains. Where commits wait for the disk, writes
  /// that arrive meanwhile are committed together; the mutation may then run on another writer's
  /// thread. On a store without interactive transactions it may run several times: what it does to
  /// anything but the work must be repeatable, or wait for Work::when_committed().
  void write(base::FunctionRef<void(Work&)> mutation, const Limits& limits);

  /// Runs `body` in a write transaction of its own, also if it writes nothing: for the collector's
  /// slices. Never part of a thread's transaction.
  void write_apart(base::FunctionRef<void(Work&)> body, Deadline deadline);

  // Transactions of the calling thread. They nest: inner ones are savepoints.
  /// `owner`: an object whose end also ends the transaction, see end_of().
  [[nodiscard]] Step begin(const Limits& limits, const void* owner = nullptr);
  /// Rolls back what was begun for this owner, in whichever thread, and the steps inside it. That
  /// thread gets ClosedError until it has ended the step itself. A commit in progress is not ended.
  void end_of(const void* owner) noexcept;
  [[nodiscard]] bool in_transaction() const noexcept {
    return open_in_thread != 0 && current() != nullptr;
  }

  /// Runs `body` with the work of this thread's transaction; false when it has none. If something
  /// has ended the transaction early, throws that error.
  bool with_current(base::FunctionRef<void(Work&)> body);

  /// How many commits this process has made.
  [[nodiscard]] std::uint64_t commits() const noexcept {
    return commits_.load(std::memory_order_acquire);
  }

  /// Returns when every commit that has returned is safe against a loss of power. Threads that call
  /// it during such a wait share the next one.
  void sync(Deadline deadline);
  /// The same for what this thread has just committed; CommitUnknownError if it fails. Inside a
  /// transaction the outermost commit does it.
  void make_durable(Deadline deadline);

  /// Returns when every commit that has returned is in the store's files. UsageError inside a
  /// transaction of this thread.
  void flush();

  /// See Backend. end_bulk() takes the writer lock.
  void begin_bulk(std::size_t cache_bytes);
  bool end_bulk(Deadline deadline);

  /// Counts one more user; false when the last one has left and the store has ended.
  [[nodiscard]] bool join();
  /// The last user to leave ends the store: from then on it holds only memory, however long it is
  /// referenced.
  void leave() noexcept;
  [[nodiscard]] bool used();

  /// Sets the memory budget of the store: tables, page caches and pending writes. May be called at
  /// any time; the last call counts.
  void bound_memory(std::size_t bytes);
  /// Budgets for hot tables and for pending writes, of the store itself and of its maps.
  [[nodiscard]] cache::Share& table_share() noexcept { return table_share_; }
  [[nodiscard]] cache::Share& pending_share() noexcept { return pending_share_; }
  /// The most bytes that a warm file may have; its index takes memory.
  [[nodiscard]] std::size_t warm_limit() const noexcept {
    return warm_limit_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] Activity& activity() noexcept { return activity_; }
  [[nodiscard]] std::size_t waiting() { return lane_.waiting(); }
  [[nodiscard]] bool transaction_open();
  /// Logs operations on this store that take longer; 0: none.
  void log_slower_than(std::chrono::milliseconds limit);

  void wake(Deadline when) { housekeeper_.wake(when); }
  /// Stops the housekeeper and rolls back what is open.
  void stop() noexcept;
  /// Whether that has begun: the housekeeper's work should then end soon.
  [[nodiscard]] bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }

 private:
  friend class Transaction;
  void child_after_fork() noexcept override;
  [[nodiscard]] Transaction* current() const noexcept;
  /// UsageError where this thread has a transaction open on the same store, opened with other
  /// settings: a write would wait for that transaction.
  void refuse_beside_transaction() const;
  std::optional<Deadline> chore();
  std::optional<Deadline> chore_in_lane();
  std::shared_ptr<Transaction> open();
  /// The transaction has ended: releases the writer lock.
  void ended(const Transaction& transaction) noexcept;
  void commit_work(Work& work, WriteTransaction& writes);
  void close() noexcept;

  static void restore(port::Bulk& bulk) noexcept;

  /// Commits for all who are in the commit queue.
  void write_queued(Deadline deadline);
  void write_each(const std::vector<CommitQueue::Request*>& requests, Deadline deadline);

  /// A write transaction with its work; keeps the cache up to date with its outcome.
  struct Writing;
  /// Runs `body` in a write transaction and commits it; again where another writer's commit has
  /// changed what it read. To be called with the writer lock.
  void write_once(base::FunctionRef<void(Writing&)> body, Deadline deadline);

  // Held while the last user leaves, also if that takes long.
  base::ForkRenewed<std::mutex> users_mutex_;
  int users_ = 0;       // users_mutex_
  bool ended_ = false;  // users_mutex_
  std::atomic<bool> stopping_{false};

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Optimistic> optimistic_;  // where the backend has no interactive transactions
  port::Interactive* records_;              // of the backend, or optimistic_
  port::SharedState* state_;                // of the backend, or of optimistic_
  port::Maintenance* maintenance_;          // the backend's, or nullptr
  Activity activity_;
  cache::Share table_share_;
  cache::Share pending_share_;
  cache::Share::Part pending_part_;  // the backend's, if it has pending writes
  std::atomic<std::size_t> warm_limit_{cache::Share::kUnbounded};
  cache::Cache cache_;
  std::atomic<CommitHook*> hook_{nullptr};  // owned; usually the collector
  Ids ids_;
  Lane lane_{activity_.lane};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> syncs_begun_{0};
  std::uint64_t syncs_done_ = 0;  // the last of them that succeeded; under the writer lock
  CommitQueue queue_;
  base::ForkMutex open_mutex_{base::kForkRankStore};
  std::shared_ptr<Transaction> open_;  // the one that holds the writer lock; open_mutex_
  base::Housekeeper housekeeper_;      // after the rest, because its thread uses it
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
