// SPDX-License-Identifier: MIT
//
// Lending and taking back. Connections are opened and closed with the mutex released: both
// reach the disk, and nobody who forks should wait for that.
// Any thread.
#include "sqlite/pool.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <utility>

namespace graven::sqlite {

Lease::~Lease() {
  if (pool_ != nullptr && ours()) pool_->give_back(connection_);
}

Pool::Pool(Opener opener, int limit, std::string exhausted)
    : opener_(std::move(opener)),
      limit_(limit),
      exhausted_(std::move(exhausted)),
      state_(std::make_unique<State>()) {
  state_->idle.reserve(static_cast<std::size_t>(limit));
}

Pool::~Pool() = default;

template <typename Wait>
Lease Pool::take(const Wait& wait) {
  const std::uint64_t generation = base::fork_generation();
  {
    std::unique_lock lock(mutex_);
    for (;;) {
      State& state = *state_;
      if (!state.idle.empty()) {
        Connection* connection = state.idle.back().release();
        state.idle.pop_back();
        return {*this, connection, generation};
      }
      if (state.open < limit_) {
        ++state.open;
        share_caches();
        break;
      }
      if (!wait(state.returned, lock)) throw BusyError(exhausted_);
    }
  }
  return open(generation);
}

Lease Pool::lease(store::Deadline deadline) {
  return take([&](std::condition_variable& returned, std::unique_lock<std::mutex>& lock) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    returned.wait_until(lock, deadline);
    return true;
  });
}

Lease Pool::lease(std::chrono::milliseconds patience) {
  std::optional<store::Deadline> deadline;  // the clock is not read where nobody waits
  return take([&](std::condition_variable& returned, std::unique_lock<std::mutex>& lock) {
    const auto now = std::chrono::steady_clock::now();
    if (!deadline) deadline = now + patience;
    if (now >= *deadline) return false;
    returned.wait_until(lock, *deadline);
    return true;
  });
}

Lease Pool::open(std::uint64_t generation) {
  try {
    std::unique_ptr<Connection> connection = opener_();
    std::size_t share = 0;
    {
      const std::scoped_lock lock(mutex_);
      share = cache_share();
    }
    if (share != 0) connection->set_cache(share);
    return {*this, connection.release(), generation};
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    --state_->open;
    state_->returned.notify_one();
    throw;
  }
}

void Pool::give_back(Connection* connection) noexcept {
  const bool broken = connection->suspect() || connection->in_transaction();
  std::unique_ptr<Connection> unwanted;  // closed after the mutex is released
  const std::scoped_lock lock(mutex_);
  State& state = *state_;
  if (broken) {
    unwanted.reset(connection);
    --state.open;
  } else {
    if (const std::size_t share = cache_share(); share != 0) connection->set_cache(share);
    state.idle.emplace_back(connection);
  }
  if (state.open >= limit_ || broken) state.returned.notify_one();
}

void Pool::bound_caches(std::size_t bytes, std::size_t most) {
  const std::scoped_lock lock(mutex_);
  state_->cache_bytes = bytes;
  state_->cache_most = most;
  share_caches();
}

std::size_t Pool::cache_share() const noexcept {
  if (state_->cache_bytes == 0) return 0;
  return std::min(state_->cache_most,
                  state_->cache_bytes / static_cast<std::size_t>(std::max(state_->open, 1)));
}

void Pool::share_caches() noexcept {
  const std::size_t share = cache_share();
  if (share == 0) return;
  for (const auto& connection : state_->idle) connection->set_cache(share);
}

void Pool::clear() noexcept {
  std::vector<std::unique_ptr<Connection>> unwanted;
  const std::scoped_lock lock(mutex_);
  unwanted.swap(state_->idle);
  state_->open -= static_cast<int>(unwanted.size());
  state_->idle.reserve(static_cast<std::size_t>(limit_));
}

void Pool::prepare_fork() noexcept { mutex_.lock(); }

void Pool::parent_after_fork() noexcept { mutex_.unlock(); }

void Pool::child_after_fork() noexcept {
  auto fresh = std::make_unique<State>();
  fresh->idle.reserve(static_cast<std::size_t>(limit_));
  fresh->cache_bytes = state_->cache_bytes;
  fresh->cache_most = state_->cache_most;
  state_.swap(fresh);
  static_cast<void>(fresh.release());  // leaked on purpose, connections and all
  mutex_.unlock();
}

}  // namespace graven::sqlite
