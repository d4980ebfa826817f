// SPDX-License-Identifier: MIT
//
// When what waits in memory is flushed: after an interval, or earlier where much waits; after
// another one where that failed, which the next write is told. Who would write waits while too much
// does. What is written, and where, is its owner's.
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

namespace graven::store {

using base::Deadline;

class Flusher final : public base::Housekeeper {
 public:
  /// `flush` says when to be called again. `what`, a "store" or a "map", and `name` are for the
  /// log.
  Flusher(const char* what, const std::string& name, std::chrono::milliseconds interval,
          std::size_t limit, std::function<std::optional<Deadline>()> flush);
  ~Flusher() { stop(); }

  // What waits, in bytes.
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.load(); }
  void add(std::size_t bytes) noexcept { pending_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove(std::size_t bytes) noexcept { pending_.fetch_sub(bytes); }
  /// So many have been written: writers may go on.
  void flushed(std::size_t bytes);
  /// Writers wait while there are more; so many are flushed before the interval is over.
  void bound(std::size_t bytes) noexcept { limit_.store(bytes); }
  void bound_early(std::size_t bytes) noexcept { early_from_.store(bytes); }

  /// Whether a write may go on at once.
  [[nodiscard]] bool ready() const noexcept {
    return pending_.load(std::memory_order_relaxed) <= limit_ && !failed_;
  }
  /// Returns when one may, or nothing is flushed any more; false: not until the deadline. Throws,
  /// once, what a flush in the background has met.
  bool wait_until_ready(Deadline deadline);
  /// After a write.
  void wake() { Housekeeper::wake(later()); }
  void flush_early() {
    if (pending_.load(std::memory_order_relaxed) < early_from_) return;
    if (early_.load(std::memory_order_relaxed) || early_.exchange(true)) return;
    Housekeeper::wake(std::chrono::steady_clock::now());
  }
  [[nodiscard]] Deadline later() const { return std::chrono::steady_clock::now() + interval_; }

  /// Runs a flush of everything, whose caller is told of what goes wrong.
  void run(base::FunctionRef<void()> flush);
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_.load(); }

 private:
  /// Whoever waits in the child, called from a wait, does not go on waiting.
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
  std::atomic<bool> early_{false};   // a flush before its time is under way, or about to be
  std::atomic<bool> failed_{false};  // error_ is set
  std::exception_ptr error_;         // not told yet; mutex_
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace graven::store
