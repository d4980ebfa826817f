// SPDX-License-Identifier: MIT
//
// A FIFO lock with deadlines: release() gives the lock directly to the longest waiter, so that a
// thread that arrives meanwhile cannot overtake.
#include "store/lane.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "base/interrupt.hpp"

namespace graven::store {

void Lane::acquire(Deadline deadline, const char* doing) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!held_) {
    held_ = true;
    waits_.record({});
  } else {
    const auto from = std::chrono::steady_clock::now();
    const auto self = std::make_shared<Waiter>();
    waiters_.push_back(self);
    try {
      base::wait_until(lock, self->ready, deadline, [&] { return self->granted; });
    } catch (...) {
      if (self->granted) {
        hand_on();
      } else {
        std::erase(waiters_, self);
      }
      throw;
    }
    waits_.record(std::chrono::steady_clock::now() - from);
    if (!self->granted) {
      std::erase(waiters_, self);
      const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - since_);
      throw BusyError(
          fmt::format("the writer lock is busy: another thread of this process has held it for {} "
                      "ms for {}; keep transactions short or raise busy_timeout",
                      age.count(), doing_));
    }
  }
  doing_ = doing;
  since_ = std::chrono::steady_clock::now();
}

void Lane::release() {
  const std::scoped_lock lock(mutex_);
  hand_on();
}

void Lane::hand_on() {
  if (waiters_.empty()) {
    held_ = false;
    return;
  }
  const std::shared_ptr<Waiter> next = std::move(waiters_.front());
  waiters_.pop_front();
  next->granted = true;
  next->ready.notify_one();
}

std::size_t Lane::waiting() {
  const std::scoped_lock lock(mutex_);
  return waiters_.size();
}

void Lane::child_after_fork() noexcept {
  // The waiters' threads do not exist here. Their records are leaked: a condition variable must not
  // be destroyed while a thread waits on it.
  new std::deque<std::shared_ptr<Waiter>>(std::move(waiters_));
  waiters_.clear();
  held_ = false;
}

}  // namespace graven::store
