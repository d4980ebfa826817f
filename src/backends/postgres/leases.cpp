// SPDX-License-Identifier: MIT
//
// See leases.hpp. Any thread.
#include "backends/postgres/leases.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::postgres {
namespace {

using port::Lease;
using port::Partition;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kLease{1'000};
constexpr milliseconds kLongestPause{16};
constexpr milliseconds kGrace{250};  // for an answer that the deadline gives no time for
constexpr std::chrono::seconds kForAnswer{5};

std::uint64_t random_number() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device() | 1U;
}

std::string own_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("process {} on {}", ::getpid(), host.data());
}

}  // namespace

void RowLeases::announce(std::int64_t process) {
  upkeep_.announce(process, Clock::now() + kForAnswer);
}

bool RowLeases::alive(std::int64_t process) {
  return upkeep_.alive(process, Clock::now() + kForAnswer);
}

std::optional<Lease> RowLeases::attempt(const Partition& partition, std::uint64_t waiter,
                                        Deadline deadline, milliseconds& wait,
                                        std::string& holder) {
  return store_.ask(deadline, [&](Connection& connection) -> std::optional<Lease> {
    const std::uint64_t token = random_number();
    Parameters parameters;
    parameters.add(partition.number);
    parameters.add(store_.lock_of(partition));
    parameters.add(waiter);
    parameters.add(token);
    parameters.add(std::string_view(own_name()));
    parameters.add(static_cast<std::int64_t>(kLease.count()));
    parameters.add(connection.server_time(deadline));
    const auto asked = Clock::now();
    const Result answer = connection.run(
        "SELECT * FROM " + store_.functions.take_lease + "($1, $2, $3, $4, $5, $6, $7)", parameters,
        deadline + kGrace, Connection::Waits::kToTheEnd);
    if (answer.uint64(0, 0) == 0) {
      wait = milliseconds(answer.int64(0, 4));
      if (!answer.null(0, 5)) holder = answer.bytes(0, 5);
      return std::nullopt;
    }
    return Lease{.token = token,
                 .until = asked + kLease,
                 .state = {.clock = answer.uint64(0, 1),
                           .history = answer.uint64(0, 2),
                           .pending = answer.uint64(0, 3)}};
  });
}

Lease RowLeases::acquire(const Partition& partition, Deadline deadline) {
  const std::uint64_t waiter = random_number();
  std::string holder;
  try {
    for (milliseconds pause{1};; pause = std::min(pause * 2, kLongestPause)) {
      milliseconds wait{0};
      if (const auto lease = attempt(partition, waiter, deadline, wait, holder)) {
        const std::scoped_lock lock(mutex_);
        held_.emplace(lease->token, partition);
        return *lease;
      }
      const auto now = Clock::now();
      if (now >= deadline) break;
      base::sleep_until(std::min(deadline, now + std::max(pause, milliseconds(1))));
      store_.connections.require_open();
    }
  } catch (...) {
    leave_queue(partition, waiter);
    throw;
  }
  leave_queue(partition, waiter);
  throw BusyError(fmt::format("{}: another writer has the lease ({}); try again, or wait longer",
                              store_.facts.name, holder.empty() ? "unknown" : holder));
}

bool RowLeases::keep(const Partition& partition, std::uint64_t token, std::int64_t milliseconds,
                     Deadline deadline) {
  return store_.ask(deadline, [&](Connection& connection) {
    Parameters parameters;
    parameters.add(partition.number);
    parameters.add(store_.lock_of(partition));
    parameters.add(token);
    parameters.add(milliseconds);
    parameters.add(connection.server_time(deadline));
    return connection
        .run("SELECT " + store_.functions.keep_lease + "($1, $2, $3, $4, $5)", parameters,
             deadline + kGrace, Connection::Waits::kToTheEnd)
        .boolean(0, 0);
  });
}

bool RowLeases::renew(const Partition& partition, Lease& lease) {
  const auto asked = Clock::now();
  // Once it has run out it cannot be renewed; but an answer may say so only later.
  const Deadline deadline = std::max(lease.until, asked + kGrace);
  const bool kept = keep(partition, lease.token, kLease.count(), deadline);
  if (kept) lease.until = asked + kLease;
  return kept;
}

void RowLeases::release(const Partition& partition, const Lease& lease) noexcept {
  try {
    {
      const std::scoped_lock lock(mutex_);
      if (held_.erase(lease.token) == 0) return;
    }
    const base::Uninterrupted whole;
    keep(partition, lease.token, -1, Clock::now() + kLease);
  } catch (...) {  // then it runs out
  }
}

void RowLeases::leave_queue(const Partition& partition, std::uint64_t waiter) noexcept {
  try {
    const base::Uninterrupted whole;
    store_.ask(Clock::now() + kGrace, [&](Connection& connection) {
      Parameters parameters;
      parameters.add(partition.number);
      parameters.add(waiter);
      connection.run("SELECT " + store_.functions.leave_queue + "($1, $2)", parameters,
                     Clock::now() + kGrace);
    });
  } catch (...) {  // then its row runs out
  }
}

void RowLeases::close() noexcept {
  std::map<std::uint64_t, Partition> giving;
  {
    const std::scoped_lock lock(mutex_);
    giving.swap(held_);
  }
  for (const auto& [token, partition] : giving) {
    try {
      const base::Uninterrupted whole;
      keep(partition, token, -1, Clock::now() + kGrace);
    } catch (...) {
      return;  // they run out
    }
  }
}

}  // namespace graven::postgres
