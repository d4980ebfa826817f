// SPDX-License-Identifier: MIT
//
// An open transaction of one thread: its steps, one within the other, and the write they share.
//
// Always holds: a step ends once. What ends it before its time (the time limit, close(), the end of
// its thread, another thread) rolls it back, with all steps inside it, at once or, while a
// statement of its thread runs, when that is done; an outermost step takes the lane with it. Until
// its block is left, its thread is told why by everything it does on the store, so nothing of the
// rest of the block is committed by itself; where another thread has left the block, once. What is
// being committed is not ended.
//
// use(), begin() and committing are the thread's that began it; everything else is any thread's.
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
  /// Why a step has ended before its time.
  enum class End : std::uint8_t { kNone, kLimit, kClosed, kThread, kElsewhere, kFailed, kOuter };

  /// The number of the outermost step.
  static constexpr std::uint64_t kOutermost = 1;
  /// Begins that. With the lane held, which it releases when it ends.
  Transaction(Store& store, const Limits& limits, const void* owner, Deadline deadline);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  [[nodiscard]] const Store* store() const noexcept { return &store_; }
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }
  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }
  [[nodiscard]] Deadline expires() const noexcept { return expires_; }
  /// False in the child of a fork: it is the parent's.
  [[nodiscard]] bool own() const noexcept { return generation_ == base::fork_generation(); }
  [[nodiscard]] bool in_its_thread() const noexcept {
    return !own() || thread_ == std::this_thread::get_id();
  }
  /// No step is left to be ended: the thread has none.
  [[nodiscard]] bool over() const noexcept { return over_.load(std::memory_order_acquire); }
  /// It was ended by another thread, and its own has yet to be told. Its store may be gone.
  [[nodiscard]] bool abandoned() const noexcept {
    return abandoned_.load(std::memory_order_acquire);
  }
  /// Whether what the thread does on the store is a part of it, or is told of its end.
  [[nodiscard]] bool is_of(const Store& store) const noexcept;

  /// Another step, inside the innermost one: a savepoint. The number it is ended by.
  std::uint64_t begin(const void* owner);
  /// Throws why the innermost step has ended, should it have, also where that was meanwhile.
  void require_open() {
    use([](Work&) {});
  }
  void use(base::FunctionRef<void(Work&)> body);
  /// Of the outermost commit.
  void make_durable() noexcept { durable_ = true; }

  /// Ends a step. If it cannot be committed it is rolled back, and the error says why.
  void commit(std::uint64_t step, bool durable);
  void rollback(std::uint64_t step) noexcept;
  /// Ends all steps, or the outermost one of this owner and those in it; whether there was any.
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
  std::optional<Store::Writing> writing_;  // empty once it is committed or rolled back
  Steps steps_;                            // outermost first
  std::uint64_t numbers_ = kOutermost;
  std::size_t depth_ = 1;  // steps that are in the work
  std::size_t keep_ = 1;   // and those that are to stay there
  int statements_ = 0;     // under way
  bool committing_ = false;
  End last_ = End::kNone;  // why keep_ was lowered
  bool durable_ = false;   // to be, by a commit inside it
};

/// The calling thread's open transactions, one per store at most. Those it still has when it ends
/// are rolled back.
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
  /// The one on the store of this identity, whatever settings that was opened with; or nullptr.
  [[nodiscard]] Transaction* on_store(const std::string& identity) const noexcept;
  /// The one on the file, or on a store in memory that was given it for a name; or nullptr.
  [[nodiscard]] Transaction* at(const std::string& file) const;
  /// Drops those that are over.
  void forget_over() noexcept;

 private:
  std::vector<std::shared_ptr<Transaction>> list_;
};

}  // namespace graven::store
