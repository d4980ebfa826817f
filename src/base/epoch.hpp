// SPDX-License-Identifier: MIT
//
// Epochs: when may memory be freed that readers reach without a lock? A reader holds an
// EpochPin while it looks; a writer unlinks, asks epoch_of_retirement() for a stamp, and may
// free once the stamp is below oldest_pinned_epoch().
//
// Always holds: what was reachable when a pin was taken, or later, is not freed before the pin
// goes. A pin is one exchange and one load on a cache line of the thread's own; nothing is
// allocated but a thread's first time. Only atomics, no fences, so ThreadSanitizer can follow.
//
// Any thread. Pins nest. After fork() the child forgets the pins of threads it does not have.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/near_tls.hpp"

namespace graven::base {

/// One per thread that ever pinned; recycled when the thread ends, never freed.
struct alignas(64) EpochRecord {
  std::atomic<std::uint64_t> epoch{0};  // 0: not pinned
  std::atomic<bool> taken{true};
  std::uint32_t depth = 0;  // the owner's alone
  EpochRecord* next = nullptr;
};

/// This thread's; null until it pins for the first time.
GRAVEN_NEAR_TLS extern constinit thread_local EpochRecord* record_of_thread;
/// The number of the present epoch.
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

/// Begins a new epoch; whatever carries a smaller stamp than the answer may be freed.
std::uint64_t oldest_pinned_epoch() noexcept;

/// In the child of a fork(), by the only thread there is.
void epochs_after_fork() noexcept;

}  // namespace graven::base
