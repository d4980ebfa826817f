// SPDX-License-Identifier: MIT
//
// See upkeep.hpp. Any thread.
#include "backends/postgres/upkeep.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace graven::postgres {
namespace {

using port::Partition;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kBetweenNotifications{5};
constexpr std::chrono::seconds kRenewal{2};
constexpr std::chrono::seconds kForAnswer{2};
constexpr milliseconds kForConnecting{700};  // it is not ended by stop()
/// In which every process has connected anew after a fail-over.
constexpr std::chrono::seconds kUntilSettled{10};
constexpr milliseconds kForTheLast{200};
constexpr std::uint64_t kCommitsBetweenPrunings = 500;
constexpr std::int64_t kNewlyOld = 3'000;  // the log keeps 2,000; a pruning looks at 1,000
constexpr int kMostPrunings = 10;

std::int32_t lock_object(std::int64_t process) {
  return static_cast<std::int32_t>(port::mix(static_cast<std::uint64_t>(process)));
}

/// While one lives, a lent connection waits for nothing once stop() is called.
class StopsWith {
 public:
  StopsWith(Connection& connection, const std::atomic<bool>& stop) : connection_(connection) {
    connection_.stop_with(&stop);
  }
  ~StopsWith() { connection_.stop_with(nullptr); }
  StopsWith(const StopsWith&) = delete;
  StopsWith& operator=(const StopsWith&) = delete;

 private:
  Connection& connection_;
};

}  // namespace

Upkeep::Upkeep(Store& store) : store_(store), thread_([this] { return work(); }) {}

std::int32_t Upkeep::lock_class() const noexcept {
  return static_cast<std::int32_t>(port::mix(store_.lock_base()));
}

void Upkeep::committed(const Partition& partition, std::uint64_t clock) {
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    Part& part = parts_[partition];
    // By the store's clock, so that of many processes that commit little one prunes.
    if (clock != 0 && clock % kCommitsBetweenPrunings == 0) {
      part.prune_at = static_cast<std::int64_t>(clock);
    }
    first = !std::exchange(part.notify, true);
  }
  if (first) thread_.wake(Clock::now());
}

std::optional<Deadline> Upkeep::work() {
  const base::Uninterrupted whole;
  bool waiting = false;
  bool keeps = false;
  {
    const std::scoped_lock lock(mutex_);
    waiting = std::any_of(parts_.begin(), parts_.end(),
                          [](const auto& one) { return one.second.notify; });
    keeps = !processes_.empty();
  }
  const auto now = Clock::now();
  if (waiting && now >= notify_at_) {
    notify_and_prune(Clock::now() + kForAnswer);
    notify_at_ = Clock::now() + kBetweenNotifications;
    waiting = false;
  }
  if (keeps && now >= renew_at_) {
    keep_alive();
    renew_at_ = Clock::now() + kRenewal;
  }
  if (waiting) return notify_at_;
  return keeps ? std::optional(renew_at_) : std::nullopt;
}

void Upkeep::notify_and_prune(Deadline deadline) {
  std::vector<Partition> notify;
  std::vector<std::pair<Partition, std::int64_t>> old;
  {
    const std::scoped_lock lock(mutex_);
    for (auto& [partition, part] : parts_) {
      if (std::exchange(part.notify, false)) notify.push_back(partition);
      if (part.prune_at != 0) old.emplace_back(partition, std::exchange(part.prune_at, 0));
    }
  }
  if (notify.empty() && old.empty()) return;
  try {  // what fails here is made good by heartbeats, and by the next pruning
    const Connections::Lent connection =
        store_.connections.lend(std::min(deadline, Clock::now() + kForConnecting));
    const StopsWith stop(*connection, stopping_);
    for (const Partition& partition : notify) {
      Parameters parameters;
      parameters.add(std::string_view(store_.channel_of(partition)));
      // Else it would wait for the disk.
      connection->run(
          "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1::text, '')",
          parameters, deadline);
    }
    for (const auto& [partition, clock] : old) prune(*connection, partition, clock, deadline);
  } catch (const Failure&) {
  } catch (const std::exception&) {
  }
}

/// What has become old lately, and then on from where the last pruning ended, from the oldest row
/// at first, as long as there is anything to delete.
void Upkeep::prune(Connection& connection, const Partition& partition, std::int64_t clock,
                   Deadline deadline) {
  std::int64_t next = 0;
  const auto once = [&](std::int64_t from) {
    Parameters parameters;
    parameters.add(partition.number);
    parameters.add(from);
    const Result answer = connection.run("SELECT * FROM " + store_.functions.prune + "($1, $2)",
                                         parameters, deadline);
    next = answer.int64(0, 0);
    return answer.int64(0, 1) != 0;
  };
  if (clock > kNewlyOld) once(clock - kNewlyOld);
  for (int i = 0; i < kMostPrunings; ++i) {
    std::int64_t from = 0;
    {
      const std::scoped_lock lock(mutex_);
      from = parts_[partition].prune_from;
    }
    const bool deleted = once(from);
    {
      const std::scoped_lock lock(mutex_);
      parts_[partition].prune_from = next;
    }
    if (!deleted || next == 0) break;
  }
}

void Upkeep::lock_processes(Connection& connection, const std::set<std::int64_t>& processes) {
  const Deadline deadline = Clock::now() + kForAnswer;
  for (const std::int64_t process : processes) {
    Parameters parameters;
    parameters.add(lock_class());
    parameters.add(lock_object(process));
    connection.run("SELECT pg_advisory_lock_shared($1::int, $2::int)", parameters, deadline);
  }
}

void Upkeep::announce(std::int64_t process, Deadline deadline) {
  store_.ask(deadline, [&](Connection& connection) {
    Parameters parameters;
    parameters.add(process);
    connection.run(fmt::format("INSERT INTO {}.processes (process, seen) VALUES ($1, "
                               "clock_timestamp()) ON CONFLICT (process) DO UPDATE SET seen = "
                               "excluded.seen",
                               store_.schema),
                   parameters, deadline);
  });
  {
    const std::scoped_lock lock(mutex_);
    processes_.insert(process);
  }
  try {
    const base::Uninterrupted whole;
    const std::scoped_lock lock(*holding_);
    if (!hold(deadline)) lock_processes(*holder_, {process});
  } catch (const Failure&) {  // tried again with the next renewal
  }
  thread_.wake(Clock::now());
}

/// With holding_. Whether the connection is new: then all locks are taken.
bool Upkeep::hold(Deadline deadline) {
  if (holder_ && holder_->idle() && !holder_->readable()) return false;
  std::set<std::int64_t> processes;
  {
    const std::scoped_lock lock(mutex_);
    processes = processes_;
  }
  holder_.reset();
  std::unique_ptr<Connection> made =
      store_.connections.fresh(std::min(deadline, Clock::now() + kForConnecting));
  made->stop_with(&stopping_);
  lock_processes(*made, processes);
  holder_ = std::move(made);
  held_since_ = Clock::now();
  return true;
}

void Upkeep::keep_alive() {
  std::set<std::int64_t> processes;
  {
    const std::scoped_lock lock(mutex_);
    processes = processes_;
  }
  const Deadline deadline = Clock::now() + kForAnswer;
  try {
    const std::scoped_lock lock(*holding_);
    hold(deadline);
    const std::vector<std::int64_t> numbers(processes.begin(), processes.end());
    Parameters parameters;
    parameters.add(std::span<const std::int64_t>(numbers));
    holder_->run(fmt::format("INSERT INTO {}.processes (process, seen) SELECT p, clock_timestamp() "
                             "FROM unnest($1::bigint[]) p ON CONFLICT (process) DO UPDATE SET seen "
                             "= excluded.seen",
                             store_.schema),
                 parameters, deadline);
  } catch (const Failure&) {
  } catch (const std::exception&) {
  }
}

bool Upkeep::alive(std::int64_t process, Deadline deadline) {
  return store_.again(deadline, [&] {
    store_.connections.require_open();
    const base::Uninterrupted whole;
    const std::scoped_lock lock(*holding_);
    hold(deadline);
    Parameters parameters;
    parameters.add(process);
    parameters.add(lock_class());
    parameters.add(lock_object(process));
    parameters.add(std::int32_t{Clock::now() - held_since_ >= kUntilSettled ? 1 : 0});
    return holder_
        ->run("SELECT " + store_.functions.alive + "($1, $2, $3, $4::int <> 0)", parameters,
              std::min(deadline, Clock::now() + kForAnswer))
        .boolean(0, 0);
  });
}

void Upkeep::stop() noexcept {
  stopping_ = true;
  thread_.stop();
  stopping_ = false;
  try {  // a process that lives shortly only has this time for it
    const base::Uninterrupted whole;
    notify_and_prune(Clock::now() + kForTheLast);
  } catch (const std::exception&) {
  }
  stopping_ = true;  // who asks alive() with holder_ waits no longer
  std::set<std::int64_t> processes;
  {
    const std::scoped_lock lock(mutex_);
    processes.swap(processes_);
  }
  const std::scoped_lock lock(*holding_);
  if (holder_ && !holder_->of_this_process()) holder_.reset();
  if (!processes.empty()) {
    try {
      const base::Uninterrupted whole;
      const Deadline deadline = Clock::now() + kForTheLast;
      const std::vector<std::int64_t> numbers(processes.begin(), processes.end());
      Parameters parameters;
      parameters.add(std::span<const std::int64_t>(numbers));
      const Connections::Lent connection = store_.connections.lend(deadline);
      connection->run(fmt::format("DELETE FROM {}.processes t WHERE t.process = ANY ($1::bigint[])",
                                  store_.schema),
                      parameters, deadline);
    } catch (const Failure&) {
    } catch (const std::exception&) {
    }
  }
  holder_.reset();
}

void Upkeep::child_after_fork() noexcept {
  processes_.clear();
  parts_.clear();
  static_cast<void>(holder_.release());  // a thread of the parent may be using it
}

}  // namespace graven::postgres
