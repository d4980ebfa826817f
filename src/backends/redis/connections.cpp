// SPDX-License-Identifier: MIT
//
// Lends connections, and takes them back. Connecting and closing happen without the mutex. See
// connections.hpp.
#include "backends/redis/connections.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include <fmt/format.h>

namespace graven::redis {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLongestPause{200};

Settings without_revive(Settings settings) {
  settings.revive = nullptr;
  return settings;
}

}  // namespace

/// Calls `attempt` until it returns something, with pauses while the server cannot be reached.
template <class Attempt>
std::unique_ptr<Connection> Connections::persist(Deadline deadline, const Attempt& attempt) {
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    try {
      return attempt();
    } catch (const Unreached&) {
      if (Clock::now() + pause >= deadline) throw;
    }
    base::sleep_until(Clock::now() + pause);
    std::function<void(Deadline)> revive;
    {
      const std::scoped_lock lock(mutex_);
      throw_if_closed();
      revive = revive_;
    }
    if (revive) revive(deadline);
  }
}

Connections::Connections(Settings settings)
    : settings_(without_revive(settings)), revive_(std::move(settings.revive)) {}

Connections::~Connections() = default;

Connections::Lent::~Lent() {
  if (connection_) of_->take_back(std::move(connection_), generation_);
}

void Connections::throw_if_closed() const {
  if (closed_) throw ClosedError(fmt::format("the store in {} was closed", name_of(settings_)));
}

std::unique_ptr<Connection> Connections::connected(Deadline deadline) const {
  auto connection = std::make_unique<Connection>(settings_, deadline);
  const std::string& role = connection->server().role;
  if (master_only_ && role != "master") {
    throw Unreached(fmt::format("{} is no master any more but a {}; waiting for one there",
                                name_of(settings_), role));
  }
  return connection;
}

std::unique_ptr<Connection> Connections::take_idle(std::uint64_t& generation) {
  const std::scoped_lock lock(mutex_);
  throw_if_closed();
  generation = generation_;
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> last = std::move(idle_.back());
  idle_.pop_back();
  return last;
}

Connections::Lent Connections::lend(Deadline deadline) {
  std::uint64_t generation = 0;
  auto connection = persist(deadline, [&] {
    while (auto idle = take_idle(generation)) {
      if (idle->usable()) return idle;
    }
    return connected(deadline);
  });
  return {*this, std::move(connection), generation};
}

std::unique_ptr<Connection> Connections::fresh(Deadline deadline) {
  return persist(deadline, [&] {
    {
      const std::scoped_lock lock(mutex_);
      throw_if_closed();
    }
    return connected(deadline);
  });
}

void Connections::take_back(std::unique_ptr<Connection> connection,
                            std::uint64_t generation) noexcept {
  if (!connection->usable()) return;
  try {
    const std::scoped_lock lock(mutex_);
    if (!closed_ && generation == generation_) idle_.push_back(std::move(connection));
  } catch (const std::bad_alloc&) {  // it is closed
  }
}

void Connections::renew() noexcept {
  std::vector<std::unique_ptr<Connection>> unwanted;
  const std::scoped_lock lock(mutex_);
  ++generation_;
  unwanted.swap(idle_);
}

void Connections::close() noexcept {
  std::vector<std::unique_ptr<Connection>> unwanted;
  std::function<void(Deadline)> revive;
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  unwanted.swap(idle_);
  revive.swap(revive_);
}

void Connections::child_after_fork() noexcept {
  for (const auto& connection : idle_) connection->abandon();
  idle_.clear();
}

}  // namespace graven::redis
