// SPDX-License-Identifier: MIT
//
// One write of a store: the writer lock, the backend's transaction with the work on it, and the
// update of the cache with its outcome.
//
// One thread at a time.
#pragma once

#include <memory>
#include <optional>

#include <graven/error.hpp>

#include "store/store.hpp"

namespace graven::store {

/// Takes the writer lock (Lane) and releases it in the destructor, unless keep() was called.
class LaneHold {
 public:
  LaneHold(Lane& lane, Activity& activity, Deadline deadline, const char* doing) : lane_(&lane) {
    try {
      lane.acquire(deadline, doing);
    } catch (const BusyError&) {
      activity.counts.add(Event::kBusy);
      throw;
    }
  }
  ~LaneHold() {
    if (lane_ != nullptr) lane_->release();
  }
  LaneHold(const LaneHold&) = delete;
  LaneHold& operator=(const LaneHold&) = delete;
  void keep() noexcept { lane_ = nullptr; }

 private:
  Lane* lane_;
};

struct Store::Writing {
  /// `alone`: keeps other processes out, also where transactions are optimistic.
  Writing(Store& store, Deadline deadline, bool alone) {
    const bool watched = store.cache_.attach();
    try {
      writes = alone && store.optimistic_ ? store.optimistic_->begin_alone(deadline)
                                          : store.records_->begin(deadline);
    } catch (const BusyError&) {
      store.activity_.counts.add(Event::kBusy);
      throw;
    }
    bool own = false;
    if (watched && store.optimistic_) {
      writes->when_released([this, &store](const port::Mark* after) {
        if (after == nullptr) return;
        work->take_sums();
        store.cache_.committed(work->changes(), *after);
      });
      own = store.cache_.current();
    } else if (watched) {
      writes->when_released([this, &store](const port::Mark* after) {
        const bool committed = after != nullptr;
        store.cache_.end_own(committed ? work->changes() : nullptr, after,
                             committed ? &work->touched() : nullptr);
      });
      own = store.cache_.begin_own();
    }
    work.emplace(*writes, store.ids_, own ? &store.cache_ : nullptr);
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  std::unique_ptr<WriteTransaction> writes;
  std::optional<Work> work;
};

}  // namespace graven::store
