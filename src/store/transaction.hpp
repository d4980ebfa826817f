// SPDX-License-Identifier: MIT
//
// An open transaction of one thread: its steps, one inside another, and the write that they share.
//
// Always holds: a step ends once. It can be ended early by the time limit, close(), the end of its
// thread or another thread. That rolls it back with all steps inside it: at once, or when the
// running statement of its thread is done. An outermost step then also releases the writer lock.
// Until the thread leaves the step's block, everything it does on the store throws the reason, so
// that the rest of the block is not committed by itself; where another thread has left the block,
// it throws once. A commit in progress is not ended.
//
// use(), begin() and commit() belong to the thread that began the transaction; everything else may
// be called by any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/fork.hpp"
#include "store/store.hpp"
#include "store/writing.hpp"

namespace graven::store {

class Transaction {
 public:
  /// Why a step has ended early.
  enum class End : std::uint8_t { kNone, kLimit, kClosed, kThread, kElsewhere, kFailed, kOuter };

  /// The number of the outermost step.
  static constexpr std::uint64_t kOutermost = 1;
  /// Begins the outermost step. The writer lock is held; the transaction releases it when it ends.
  Transaction(Store& store, const Limits& limits, const void* owner, Deadline deadline);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  [[nodiscard]] const Store* store() const noexcept { return &store_; }
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }
  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }
  [[nodiscard]] Deadline expires() const noexcept { return expires_; }
  /// False in the child of a fork: the transaction belongs to the parent.
  [[nodiscard]] bool own() const noexcept { return generation_ == base::fork_generation(); }
  [[nodiscard]] bool in_its_thread() const noexcept {
    return !own() || thread_ == std::this_thread::get_id();
  }
  /// No step is left to be ended: the thread has no transaction.
  [[nodiscard]] bool over() const noexcept { return over_.load(std::memory_order_acquire); }
  /// Another thread has ended it, and its own thread has not been told yet. Its store may be gone.
  [[nodiscard]] bool abandoned() const noexcept {
    return abandoned_.load(std::memory_order_acquire);
  }
  /// Whether what the thread does on the store is a part of it, or throws the reason of its end.
  [[nodiscard]] bool is_of(const Store& store) const noexcept;

  /// Begins another step, a savepoint, inside the innermost one. Returns its number.
  std::uint64_t begin(const void* owner);
  /// If the innermost step has ended early, throws the reason.
  void require_open() {
    use([](Work&) {});
  }
  void use(base::FunctionRef<void(Work&)> body);
  /// Makes the outermost commit wait until it is durable.
  void make_durable() noexcept { durable_ = true; }

  /// Ends a step. If it cannot be committed it is rolled back, and the error says why.
  void commit(std::uint64_t step, bool durable);
  void rollback(std::uint64_t step) noexcept;
  /// Ends all steps, or the outermost one of this owner and those in it. Returns whether there was
  /// any.
  bool end_all(End why) noexcept;
  bool end_of(const void* owner) noexcept;

 private:
  struct One {
    std::uint64_t number;
    const void* owner;
    End ended = End::kNone;
    bool abandoned = false;
  };
  class Statement;
  using Steps = std::vector<One>;

  Steps::iterator find(std::uint64_t step) noexcept;
  void end_from(Steps::iterator at, End why) noexcept;
  void settle() noexcept;
  void forget_from(Steps::iterator at) noexcept;
  void abandon(Steps::iterator at) noexcept;
  void forget_abandoned() noexcept;
  void commit_outermost(std::unique_lock<std::mutex>& lock);
  [[noreturn]] void refuse(End why) const;

  Store& store_;
  const std::string identity_;  // the backend's
  const std::uint64_t generation_ = base::fork_generation();
  const std::thread::id thread_ = std::this_thread::get_id();
  const std::chrono::milliseconds limit_;
  const std::chrono::milliseconds busy_;
  const Deadline expires_;
  std::atomic<bool> over_{false};
  std::atomic<bool> abandoned_{false};

  std::mutex mutex_;
  // Guarded by mutex_; a statement uses `writing_` without it:
  std::optional<Store::Writing> writing_;  // empty once it has been committed or rolled back
  Steps steps_;                            // outermost first
  std::uint64_t numbers_ = kOutermost;
  std::size_t depth_ = 1;  // how many steps the work still has
  std::size_t keep_ = 1;   // how many of them are to stay
  int statements_ = 0;     // running
  bool committing_ = false;
  End last_ = End::kNone;  // why keep_ was lowered
  bool durable_ = false;   // an inner commit asked for a durable one
};

/// The calling thread's open transactions, one per store at most. When the thread ends, its open
/// transactions are rolled back.
class ThreadTransactions {
 public:
  static ThreadTransactions& get();
  ThreadTransactions() = default;
  ThreadTransactions(const ThreadTransactions&) = delete;
  ThreadTransactions& operator=(const ThreadTransactions&) = delete;
  ~ThreadTransactions();

  void add(std::shared_ptr<Transaction> transaction);
  [[nodiscard]] Transaction* find(const Store& store) noexcept;
  [[nodiscard]] std::shared_ptr<Transaction> shared(const Transaction& one) const;
  /// The one on the store of this identity, whatever settings the store was opened with; or
  /// nullptr.
  [[nodiscard]] Transaction* on_store(const std::string& identity) const noexcept;
  /// The one on the file, or on a store in memory that has the file's path as its name; or nullptr.
  [[nodiscard]] Transaction* at(const std::string& file) const;
  /// Drops those that are over.
  void forget_over() noexcept;

 private:
  std::vector<std::shared_ptr<Transaction>> list_;
};

}  // namespace graven::store
