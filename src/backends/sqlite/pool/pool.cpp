// SPDX-License-Identifier: MIT
//
// Lends connections and takes them back. Connections are opened and closed without holding the
// mutex: both may access the disk, and a fork must not wait for that. Any thread.
#include "backends/sqlite/pool/pool.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/interrupt.hpp"
#include "base/of_thread.hpp"

namespace graven::sqlite {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

/// The thread id, as system tools show it.
std::int64_t this_thread() noexcept {
  struct Known {
    std::uint64_t generation = UINT64_MAX;
    std::int64_t number = 0;
  };
  auto& known = base::of_thread<Known>();
  if (known.generation != base::fork_generation()) {
    known = {base::fork_generation(), std::int64_t{::gettid()}};
  }
  return known.number;
}

}  // namespace

Lease::~Lease() {
  if (pool_ != nullptr && ours()) pool_->give_back(connection_);
}

Pool::Pool(Opener opener, PoolSettings settings)
    : opener_(std::move(opener)), settings_(std::move(settings)), state_(fresh_state()) {}

Pool::~Pool() = default;

std::unique_ptr<Pool::State> Pool::fresh_state() const {
  auto state = std::make_unique<State>();
  const auto limit = static_cast<std::size_t>(settings_.limit);
  state->members.reserve(limit);
  state->idle.reserve(limit);
  return state;
}

template <typename Until>
Lease Pool::take(const char* purpose, const Until& until) {
  const std::uint64_t generation = base::fork_generation();
  {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      State& state = *state_;
      if (state.closed) throw_closed();
      if (!state.idle.empty()) {
        Connection* connection = state.idle.back();
        state.idle.pop_back();
        ++state.leases;
        const auto member =
            std::find_if(state.members.begin(), state.members.end(),
                         [&](const Member& one) { return one.connection.get() == connection; });
        member->lent = true;
        member->thread = this_thread();
        member->purpose = purpose;
        member->since = Clock::now();
        return {*this, connection, generation};
      }
      if (state.open < settings_.limit || held_by_this_thread()) {
        ++state.open;
        share_caches();
        break;
      }
      wait_for_one(lock, until());
    }
  }
  return open(generation, purpose);
}

/// Waits, with the lock held, until a connection may be free; BusyError at the deadline.
void Pool::wait_for_one(std::unique_lock<std::mutex>& lock, base::Deadline deadline) {
  const auto begun = Clock::now();
  if (begun >= deadline) throw_exhausted();
  ++state_->waiting;
  try {
    base::wait_until(lock, state_->returned, deadline, [this] {
      return state_->closed || !state_->idle.empty() || state_->open < settings_.limit;
    });
  } catch (...) {
    --state_->waiting;
    state_->returned.notify_one();  // a notification may have been lost
    throw;
  }
  waits_.record(Clock::now() - begun);
  --state_->waiting;
}

Lease Pool::lease(base::Deadline deadline, const char* purpose) {
  return take(purpose, [&] { return deadline; });
}

Lease Pool::lease(milliseconds patience, const char* purpose) {
  std::optional<base::Deadline> deadline;  // computed only if there is a wait
  return take(purpose, [&] {
    if (!deadline) deadline = Clock::now() + patience;
    return *deadline;
  });
}

Lease Pool::open(std::uint64_t generation, const char* purpose) {
  try {
    std::unique_ptr<Connection> connection = opener_();
    const std::scoped_lock lock(mutex_);
    State& state = *state_;
    if (state.closed) throw_closed();
    if (const std::size_t share = cache_share(); share != 0) connection->set_cache(share);
    ++state.leases;
    Connection* lent = connection.get();
    state.idle.reserve(state.members.size() + 1);  // so that give_back() cannot fail
    state.members.push_back({std::move(connection), true, this_thread(), purpose, Clock::now()});
    return {*this, lent, generation};
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    --state_->open;
    state_->returned.notify_all();
    throw;
  }
}

void Pool::give_back(Connection* connection) noexcept {
  connection->forget_interrupt();
  const bool broken = connection->suspect() || connection->in_transaction();
  std::unique_ptr<Connection> unwanted;  // closed after releasing the mutex
  std::optional<base::Deadline> due;
  {
    const std::scoped_lock lock(mutex_);
    State& state = *state_;
    const auto member =
        std::find_if(state.members.begin(), state.members.end(),
                     [&](const Member& one) { return one.connection.get() == connection; });
    const bool surplus = state.open > settings_.limit;
    const auto now = Clock::now();
    held_.record(now - member->since);
    if (broken || surplus || state.closed) {
      unwanted = std::move(member->connection);
      state.members.erase(member);
    } else {
      if (state.open >= settings_.limit) state.returned.notify_one();
      if (const std::size_t share = cache_share(); share != 0) connection->set_cache(share);
      member->lent = false;
      member->since = now;
      state.idle.push_back(connection);
      if (wake_ && !state.woken && state.idle.size() > 1) {
        state.woken = true;
        due = member->since + settings_.keep_alive;
      }
    }
  }
  if (due) wake_(*due);
  if (!unwanted) return;
  unwanted.reset();
  const std::scoped_lock lock(mutex_);
  --state_->open;  // only now: wait_until_closed() relies on it
  state_->returned.notify_all();
}

std::optional<base::Deadline> Pool::close_idle(base::Deadline now) {
  std::vector<std::unique_ptr<Connection>> unwanted;
  const std::scoped_lock lock(mutex_);
  State& state = *state_;
  std::optional<base::Deadline> next;
  for (auto member = state.members.begin(); member != state.members.end();) {
    const bool last = state.members.size() == 1;
    if (member->lent || last) {
      ++member;
    } else if (member->since + settings_.keep_alive > now) {
      const base::Deadline due = member->since + settings_.keep_alive;
      next = next ? std::min(*next, due) : due;
      ++member;
    } else {
      std::erase(state.idle, member->connection.get());
      unwanted.push_back(std::move(member->connection));
      member = state.members.erase(member);
      --state.open;
    }
  }
  state.woken = next.has_value();
  return next;
}

const Pool::Member* Pool::longest_held() const noexcept {
  const Member* found = nullptr;
  for (const Member& member : state_->members) {
    if (member.lent && (found == nullptr || member.since < found->since)) found = &member;
  }
  return found;
}

bool Pool::held_by_this_thread() const noexcept {
  return std::any_of(state_->members.begin(), state_->members.end(), [](const Member& member) {
    return member.lent && member.thread == this_thread();
  });
}

void Pool::throw_exhausted() {
  ++state_->timeouts;
  std::string holder = "they are being opened";
  if (const Member* member = longest_held()) {
    holder =
        fmt::format("thread {} has held {} for {} ms, for {}", member->thread,
                    settings_.limit == 1 ? "it" : "one",
                    std::chrono::duration_cast<milliseconds>(Clock::now() - member->since).count(),
                    member->purpose);
  }
  throw BusyError(settings_.limit == 1
                      ? fmt::format("the {} connection to {} is in use: {}; {}", settings_.role,
                                    settings_.name, holder, settings_.remedy)
                      : fmt::format("all {} {} connections to {} are in use: {}; {}",
                                    settings_.limit, settings_.role, settings_.name, holder,
                                    settings_.remedy));
}

PoolFigures Pool::figures() const {
  const std::scoped_lock lock(mutex_);
  const State& state = *state_;
  PoolFigures figures{.limit = settings_.limit,
                      .open = state.open,
                      .active = state.open - static_cast<int>(state.idle.size()),
                      .idle = static_cast<int>(state.idle.size()),
                      .waiting = state.waiting,
                      .leases = state.leases,
                      .timeouts = state.timeouts,
                      .wait = waits_.snapshot(),
                      .held = held_.snapshot()};
  if (const Member* member = longest_held()) {
    figures.oldest = std::chrono::duration_cast<milliseconds>(Clock::now() - member->since);
    figures.oldest_holder = fmt::format("thread {}, for {}", member->thread, member->purpose);
  }
  return figures;
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
  for (Connection* connection : state_->idle) connection->set_cache(share);
}

void Pool::throw_closed() const {
  throw ClosedError(settings_.name + " was closed; open it again");
}

void Pool::interrupt() noexcept {
  const std::scoped_lock lock(mutex_);
  for (const Member& member : state_->members) {
    if (member.lent) sqlite3_interrupt(member.connection->handle());
  }
}

bool Pool::wait_until_closed(base::Deadline until) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  return state_->returned.wait_until(lock, until,
                                     [&] { return state_->open == 0 || held_by_this_thread(); });
}

void Pool::close() noexcept {
  std::vector<std::unique_ptr<Connection>> unwanted;
  const std::scoped_lock lock(mutex_);
  State& state = *state_;
  state.closed = true;
  state.returned.notify_all();
  state.open -= static_cast<int>(state.idle.size());
  state.idle.clear();
  for (Member& member : state.members) {
    if (!member.lent) unwanted.push_back(std::move(member.connection));
  }
  std::erase_if(state.members, [](const Member& member) { return !member.connection; });
}

void Pool::child_after_fork() noexcept {
  auto fresh = fresh_state();
  fresh->cache_bytes = state_->cache_bytes;
  fresh->cache_most = state_->cache_most;
  fresh->closed = state_->closed;
  state_.swap(fresh);
  static_cast<void>(fresh.release());  // leaked with its connections, on purpose
}

}  // namespace graven::sqlite
