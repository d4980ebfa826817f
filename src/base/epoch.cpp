// SPDX-License-Identifier: MIT
//
// The counter, the list of threads' records, and the proof. Let a writer unlink memory and get the
// stamp r, and let the counter reach r+1 or more before the records are read.
//
//  * A reader that announced e > r has loaded a counter beyond r. The writer's stamp was a
//    read-modify-write before that, so the unlinking happened before the reader's reads.
//  * A reader whose announcement the scan did not see stored it later in the single order of
//    seq_cst operations. So its second load of the counter sees the advance, with the same result.
//  * Every other reader is seen, with e <= r, and keeps the memory.
//
// Records are pushed on a list and never removed: any thread, no lock.
#include "base/epoch.hpp"

#include "base/of_thread.hpp"

namespace graven::base {

GRAVEN_NEAR_TLS constinit thread_local EpochRecord* record_of_thread = nullptr;
constinit std::atomic<std::uint64_t> epoch_counter{1};

namespace {

std::atomic<EpochRecord*> records{nullptr};

EpochRecord* unused_record() {
  for (EpochRecord* at = records.load(std::memory_order_acquire); at != nullptr; at = at->next) {
    bool free = false;
    if (!at->taken.load(std::memory_order_relaxed) &&
        at->taken.compare_exchange_strong(free, true, std::memory_order_acquire)) {
      return at;
    }
  }
  auto* made = new EpochRecord;
  made->next = records.load(std::memory_order_relaxed);
  while (!records.compare_exchange_weak(made->next, made, std::memory_order_release,
                                        std::memory_order_relaxed)) {
  }
  return made;
}

/// A thread's ownership of a record; it ends with the thread.
struct RecordClaim {
  RecordClaim() { record_of_thread = unused_record(); }
  ~RecordClaim() {
    record_of_thread->taken.store(false, std::memory_order_release);
    record_of_thread = nullptr;
  }
  RecordClaim(const RecordClaim&) = delete;
  RecordClaim& operator=(const RecordClaim&) = delete;
};

}  // namespace

EpochRecord* EpochPin::take_record() {
  of_thread<RecordClaim>();
  if (record_of_thread == nullptr) record_of_thread = unused_record();  // the thread is ending
  return record_of_thread;
}

std::uint64_t epoch_of_retirement() noexcept {
  return epoch_counter.fetch_add(0, std::memory_order_acq_rel);
}

std::uint64_t oldest_pinned_epoch() noexcept {
  std::uint64_t oldest = epoch_counter.fetch_add(1, std::memory_order_seq_cst) + 1;
  for (EpochRecord* at = records.load(std::memory_order_acquire); at != nullptr; at = at->next) {
    const std::uint64_t epoch = at->epoch.load(std::memory_order_seq_cst);
    if (epoch != 0 && epoch < oldest) oldest = epoch;
  }
  return oldest;
}

void epochs_after_fork() noexcept {
  for (EpochRecord* at = records.load(std::memory_order_acquire); at != nullptr; at = at->next) {
    if (at == record_of_thread) continue;
    at->epoch.store(0, std::memory_order_relaxed);
    at->depth = 0;
    at->taken.store(false, std::memory_order_relaxed);
  }
}

}  // namespace graven::base
