// SPDX-License-Identifier: MIT
//
// Which containers a thread is iterating over, so that its own changes to them are noticed by the
// iteration: a loop that changes what it goes through is a mistake, which an iteration over one
// state would hide. What other threads and processes change is no mistake, and is not noticed.
//
// Always holds: while nobody iterates, a change costs one comparison.
//
// Any thread. Outlives what begin() gives.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace graven::store {

class Iterations {
 public:
  struct Iteration {
    std::atomic<std::int64_t> size{0};  ///< how its thread has changed the size since the start
    std::atomic<std::uint64_t> changes{0};
  };

  /// One of the calling thread, until it is let go of, by whichever thread.
  [[nodiscard]] std::shared_ptr<Iteration> begin(std::int64_t container) {
    const Place place{std::this_thread::get_id(), container};
    const std::scoped_lock lock(mutex_);
    std::weak_ptr<Iteration>& slot = open_[place];
    std::shared_ptr<Iteration> shared = slot.lock();
    if (!shared) {
      shared = std::shared_ptr<Iteration>(new Iteration, [this, place](Iteration* iteration) {
        end(place);
        delete iteration;
      });
      slot = shared;
      active_.fetch_add(1, std::memory_order_relaxed);
    }
    return shared;
  }

  [[nodiscard]] bool any() const noexcept { return active_.load(std::memory_order_relaxed) != 0; }
  /// The calling thread is iterating over the container.
  [[nodiscard]] bool mine(std::int64_t container) { return find(container) != nullptr; }
  /// The calling thread has changed it.
  void changed(std::int64_t container, std::int64_t size_by) {
    if (!any()) return;
    if (const std::shared_ptr<Iteration> iteration = find(container)) {
      iteration->size.fetch_add(size_by, std::memory_order_relaxed);
      iteration->changes.fetch_add(1, std::memory_order_relaxed);
    }
  }

 private:
  using Place = std::pair<std::thread::id, std::int64_t>;

  std::shared_ptr<Iteration> find(std::int64_t container) {
    const std::scoped_lock lock(mutex_);
    const auto at = open_.find({std::this_thread::get_id(), container});
    return at != open_.end() ? at->second.lock() : nullptr;
  }
  void end(const Place& place) {
    const std::scoped_lock lock(mutex_);
    const auto at = open_.find(place);
    if (at != open_.end() && at->second.expired()) open_.erase(at);
    active_.fetch_sub(1, std::memory_order_relaxed);
  }

  std::atomic<std::size_t> active_{0};
  std::mutex mutex_;
  std::map<Place, std::weak_ptr<Iteration>> open_;  // mutex_
};

}  // namespace graven::store
