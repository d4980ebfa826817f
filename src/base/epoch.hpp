// SPDX-License-Identifier: MIT
//
// Epochs tell when memory may be freed that readers reach without a lock. A reader holds an
// EpochPin while it reads. A writer unlinks the memory, gets a stamp from epoch_of_retirement(),
// and may free it once the stamp is below oldest_pinned_epoch().
//
// Always holds: what was reachable when a pin was taken, or later, is not freed before that pin is
// released. A pin is one exchange and one load on a cache line of the thread's own; only a thread's
// first pin allocates. Only atomics are used, no fences, so ThreadSanitizer can follow.
//
// Any thread. Pins nest. After fork() the child forgets the pins of threads that it does not have.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/near_tls.hpp"

namespace graven::base {

/// One for each thread that has ever pinned; reused when the thread ends, never freed.
struct alignas(64) EpochRecord {
  std::atomic<std::uint64_t> epoch{0};  // 0: not pinned
  std::atomic<bool> taken{true};
  std::uint32_t depth = 0;  // used by its thread only
  EpochRecord* next = nullptr;
};

/// The record of this thread; null until its first pin.
GRAVEN_NEAR_TLS extern constinit thread_local EpochRecord* record_of_thread;
/// The number of the current epoch.
extern std::atomic<std::uint64_t> epoch_counter;

class EpochPin {
 public:
  EpochPin() : record_(record_of_thread) {
    if (record_ == nullptr) [[unlikely]]
      record_ = take_record();
    if (record_->depth++ != 0) return;
    record_->epoch.exchange(epoch_counter.load(std::memory_order_acquire),
                            std::memory_order_seq_cst);
    (void)epoch_counter.load(std::memory_order_seq_cst);
  }
  ~EpochPin() {
    if (--record_->depth == 0) record_->epoch.store(0, std::memory_order_release);
  }
  EpochPin(const EpochPin&) = delete;
  EpochPin& operator=(const EpochPin&) = delete;

 private:
  static EpochRecord* take_record();

  EpochRecord* record_;
};

/// The stamp for something that has just been unlinked.
std::uint64_t epoch_of_retirement() noexcept;

/// Begins a new epoch. Whatever has a stamp below the returned number may be freed.
std::uint64_t oldest_pinned_epoch() noexcept;

/// Called in the child of a fork(), by its only thread.
void epochs_after_fork() noexcept;

}  // namespace graven::base
