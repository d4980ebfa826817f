// SPDX-License-Identifier: MIT
//
// See local_leases.hpp. Any thread.
#include "port/local_leases.hpp"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <random>
#include <utility>

#include <graven/error.hpp>

namespace graven::port {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t random_token() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device() | 1U;
}

}  // namespace

class LocalLeases::Table {
 public:
  struct Part {
    Lease lease{};
    const LocalLeases* holder = nullptr;
    std::list<const LocalLeases*> waiting{};

    [[nodiscard]] bool taken() const { return lease.token != 0 && Clock::now() < lease.until; }
  };

  explicit Table(std::chrono::milliseconds lease) : duration(lease) {}

  const std::chrono::milliseconds duration;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<Partition, Part> parts;
  std::multimap<const LocalLeases*, std::int64_t> processes;
};

std::shared_ptr<LocalLeases::Table> LocalLeases::make_table(std::chrono::milliseconds lease) {
  return std::make_shared<Table>(lease);
}

LocalLeases::LocalLeases(std::shared_ptr<Table> table, std::string name, Newest newest)
    : table_(std::move(table)), name_(std::move(name)), newest_(std::move(newest)) {}

void LocalLeases::require_open() const {
  if (closed_) throw ClosedError(name_ + " was closed; open it again");
}

void LocalLeases::announce(std::int64_t process) {
  const std::scoped_lock lock(table_->mutex);
  require_open();
  table_->processes.emplace(this, process);
}

bool LocalLeases::alive(std::int64_t process) {
  const std::scoped_lock lock(table_->mutex);
  require_open();
  return std::any_of(table_->processes.begin(), table_->processes.end(),
                     [&](const auto& one) { return one.second == process; });
}

Lease LocalLeases::acquire(const Partition& partition, base::Deadline deadline) {
  std::unique_lock lock(table_->mutex);
  require_open();
  Table::Part& part = table_->parts[partition];
  const auto place = part.waiting.insert(part.waiting.end(), this);
  const auto leave = [&] {
    part.waiting.erase(place);
    table_->changed.notify_all();
  };
  const auto ready = [&] { return closed_ || (part.waiting.begin() == place && !part.taken()); };
  try {
    while (!ready() && Clock::now() < deadline) {
      const base::Deadline until = part.taken() ? std::min(deadline, part.lease.until) : deadline;
      base::wait_until(lock, table_->changed, until, ready);
    }
    require_open();
    if (!ready()) {
      throw BusyError(name_ + ": another writer has the lease; try again, or wait longer");
    }
  } catch (...) {
    leave();
    throw;
  }
  leave();
  part.holder = this;
  part.lease = {.token = random_token(), .until = Clock::now() + table_->duration};
  Lease lease = part.lease;
  lock.unlock();
  lease.state = newest_(partition);
  return lease;
}

bool LocalLeases::renew(const Partition& partition, Lease& lease) {
  const std::scoped_lock lock(table_->mutex);
  require_open();
  Table::Part& part = table_->parts[partition];
  if (!part.taken() || part.lease.token != lease.token) return false;
  part.lease.until = lease.until = Clock::now() + table_->duration;
  return true;
}

void LocalLeases::release(const Partition& partition, const Lease& lease) noexcept {
  const std::scoped_lock lock(table_->mutex);
  const auto at = table_->parts.find(partition);
  if (at == table_->parts.end() || at->second.lease.token != lease.token) return;
  at->second.lease = {};
  table_->changed.notify_all();
}

CommitResult LocalLeases::admit(const Batch& batch) {
  const std::scoped_lock lock(table_->mutex);
  require_open();
  const Table::Part& part = table_->parts[batch.partition];
  const bool taken = part.taken();
  if (batch.fence != 0) {
    if (taken && part.lease.token == batch.fence) return {};
    return {.outcome = Outcome::kNotDone, .reason = Reason::kFenced};
  }
  if (!taken || !writes(batch)) return {};
  const auto left = part.lease.until - Clock::now();
  return {.outcome = Outcome::kNotDone,
          .reason = Reason::kLeased,
          .wait = std::chrono::ceil<std::chrono::milliseconds>(left)};
}

void LocalLeases::close() noexcept {
  const std::scoped_lock lock(table_->mutex);
  closed_ = true;
  table_->processes.erase(this);
  for (auto& [partition, part] : table_->parts) {
    if (part.holder == this) part.lease = {};
  }
  table_->changed.notify_all();
}

}  // namespace graven::port
