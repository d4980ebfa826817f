// SPDX-License-Identifier: MIT
//
// Decides when buffered writes are flushed: after an interval, or earlier when many bytes are
// pending. A failed flush is tried again after another interval, and its error is thrown at the
// next write. A writer waits while too many bytes are pending. The class that owns a Flusher
// decides what is written and where.
//
// Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

#include "base/function_ref.hpp"
#include "base/housekeeper.hpp"

namespace graven::port {

using base::Deadline;

class Flusher final : public base::Housekeeper {
 public:
  /// `flush` returns when it is to be called again. `what` (a "store" or a "map") and `name` are
  /// for the log.
  Flusher(const char* what, const std::string& name, std::chrono::milliseconds interval,
          std::size_t limit, std::function<std::optional<Deadline>()> flush);
  ~Flusher() { stop(); }

  // How many bytes are pending.
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.load(); }
  void add(std::size_t bytes) noexcept { pending_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove(std::size_t bytes) noexcept { pending_.fetch_sub(bytes); }
  /// So many bytes have been flushed: wakes writers that wait.
  void flushed(std::size_t bytes);
  /// Writers wait while more bytes than `bound` are pending; from `bound_early` on, flush_early()
  /// flushes before the interval is over.
  void bound(std::size_t bytes) noexcept { limit_.store(bytes); }
  void bound_early(std::size_t bytes) noexcept { early_from_.store(bytes); }

  /// Whether a write may go on at once.
  [[nodiscard]] bool ready() const noexcept {
    return pending_.load(std::memory_order_relaxed) <= limit_ && !failed_;
  }
  /// Returns true when a write may go on, or when no flush will run any more; false when the
  /// deadline has passed. Throws, once, the error of a failed background flush.
  bool wait_until_ready(Deadline deadline);
  /// Called after a write.
  void wake() { Housekeeper::wake(later()); }
  void flush_early() {
    if (pending_.load(std::memory_order_relaxed) < early_from_) return;
    if (early_.load(std::memory_order_relaxed) || early_.exchange(true)) return;
    Housekeeper::wake(std::chrono::steady_clock::now());
  }
  [[nodiscard]] Deadline later() const { return std::chrono::steady_clock::now() + interval_; }

  /// Runs a flush of everything; its errors are thrown to the caller.
  void run(base::FunctionRef<void()> flush);
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_.load(); }

 private:
  /// In the child nothing is flushed, so writers no longer wait.
  void child_after_fork() noexcept override {
    Housekeeper::child_after_fork();
    bound(SIZE_MAX);
  }

  std::optional<Deadline> turn() noexcept;
  void set_error(std::exception_ptr error);

  const char* const what_;
  const std::string& name_;
  const std::chrono::milliseconds interval_;
  const std::function<std::optional<Deadline>()> flush_;
  std::atomic<std::size_t> pending_{0};
  std::atomic<std::size_t> limit_;
  std::atomic<std::size_t> early_from_{SIZE_MAX};
  std::atomic<bool> early_{false};   // an early flush is under way, or about to be
  std::atomic<bool> failed_{false};  // error_ is set
  std::exception_ptr error_;         // not thrown yet; mutex_
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace graven::port
