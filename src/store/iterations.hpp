// SPDX-License-Identifier: MIT
//
// Records which containers a thread iterates over, so that an iteration notices when its own thread
// changes the container. A loop that changes what it iterates over is a mistake, and an iteration
// over one state of the store would hide it. Changes by other threads and processes are no mistake
// and are not noticed.
//
// Always holds: while nobody iterates, a change costs one comparison.
//
// Any thread. Outlives what begin() returns.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/fork.hpp"

namespace graven::store {

class Iterations {
 public:
  struct Iteration {
    std::atomic<std::int64_t> size{0};  ///< by how much its own thread has changed the size
    std::atomic<std::uint64_t> changes{0};
  };

  /// An iteration of the calling thread, until the last copy is destroyed, in any thread.
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
  /// Whether the calling thread iterates over the container.
  [[nodiscard]] bool mine(std::int64_t container) { return find(container) != nullptr; }
  /// Called when the calling thread has changed the container.
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
  base::ForkMutex mutex_{base::kForkRankIterations};
  std::map<Place, std::weak_ptr<Iteration>> open_;  // mutex_
};

}  // namespace graven::store
