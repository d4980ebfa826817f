// SPDX-License-Identifier: MIT
//
// See connections.hpp. Any thread.
#include "backends/postgres/connections.hpp"

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "backends/postgres/settings.hpp"

namespace graven::postgres {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLongestPause{200};

/// Whether trying again would give the same answer.
bool is_final(const Failure& failure) {
  if (!failure.state.empty()) {
    // Sign-in, database, rights and names, values of options; not: starting up, too many clients.
    const std::string_view of = std::string_view(failure.state).substr(0, 2);
    return of == "28" || of == "3D" || of == "42" || of == "22";
  }
  // What libpq itself refuses has no state.
  for (const char* const sign : {"does not exist", "invalid", "certificate"}) {
    if (failure.text.find(sign) != failure.text.npos &&
        failure.text.find("No such file") == failure.text.npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

Connections::Connections(const Settings& settings)
    : settings_(settings),
      options_(options_of(settings)),
      hosts_(hosts_of(options_)),
      name_(name_of(settings)),
      most_(static_cast<std::size_t>(std::max(settings.max_connections, 1))) {}

Connections::Lent::~Lent() {
  if (connection_) of_->take_back(std::move(connection_), true);
}

void Connections::require_open() {
  const std::scoped_lock lock(mutex_);
  if (closed_) throw ClosedError(name_ + " was closed; open it again");
}

std::unique_ptr<Connection> Connections::idle() {
  while (!idle_.empty()) {
    std::unique_ptr<Connection> one = std::move(idle_.back());
    idle_.pop_back();
    if (one->idle() && !one->readable()) return one;
  }
  return nullptr;
}

std::unique_ptr<Connection> Connections::connect(Deadline deadline) {
  for (milliseconds pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    require_open();
    try {
      return fresh(deadline);
    } catch (const Failure& failure) {
      if (!failure.state.empty()) throw;
      if (Clock::now() + pause >= deadline) throw Failure{.text = failure.text};
    }
    base::sleep_until(Clock::now() + pause);
  }
}

std::unique_ptr<Connection> Connections::fresh(Deadline deadline) {
  const auto session = [this](int version) { return session_of(settings_, version); };
  const auto timeout = connect_timeout_of(options_);
  const std::size_t first = reached_ < hosts_.size() ? reached_.load() : 0;
  bool final = true;
  std::string why;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const std::size_t host = (first + i) % hosts_.size();
    const auto now = Clock::now();
    // What is left is for all that are left.
    auto slice = (deadline - now) / static_cast<int>(hosts_.size() - i);
    if (hosts_.size() > 1 && timeout) slice = std::min<Clock::duration>(slice, *timeout);
    try {
      auto made = Connection::open(hosts_[host], session, now + slice);
      if (!keeps_order(options_)) reached_ = host;
      return made;
    } catch (const Failure& failure) {
      final = final && is_final(failure);
      if (why.find(failure.text) == why.npos) why += (why.empty() ? "" : "; ") + failure.text;
    }
  }
  throw Failure{.state = final ? "28000" : "", .text = why};
}

Connections::Lent Connections::lend(Deadline deadline) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto ready = [this] { return closed_ || lent_ < most_; };
    if (!ready() && !base::wait_until(lock, *returned_, deadline, ready)) {
      throw Failure{.text = "all connections are in use"};
    }
    if (closed_) throw ClosedError(name_ + " was closed; open it again");
    ++lent_;
    if (std::unique_ptr<Connection> found = idle()) return {*this, std::move(found)};
  }
  try {
    return {*this, connect(deadline)};
  } catch (...) {
    take_back(nullptr, true);
    throw;
  }
}

std::unique_ptr<Connection> Connections::take(Deadline deadline) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) throw ClosedError(name_ + " was closed; open it again");
    if (std::unique_ptr<Connection> found = idle()) return found;
  }
  return connect(deadline);
}

void Connections::give_back(std::unique_ptr<Connection> connection) noexcept {
  take_back(std::move(connection), false);
}

void Connections::take_back(std::unique_ptr<Connection> connection, bool counted) noexcept {
  if (connection && !connection->of_this_process()) return;
  const bool useful = connection && connection->idle();
  {
    const std::scoped_lock lock(mutex_);
    if (counted) --lent_;
    if (useful && !closed_ && idle_.size() < most_) idle_.push_back(std::move(connection));
  }
  returned_->notify_one();
}

void Connections::close() noexcept {
  std::vector<std::unique_ptr<Connection>> closing;
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    closing.swap(idle_);
  }
  returned_->notify_all();
}

void Connections::child_after_fork() noexcept {
  idle_.clear();  // which tells the server nothing
  lent_ = 0;
}

}  // namespace graven::postgres
