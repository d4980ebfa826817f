// SPDX-License-Identifier: MIT
//
// See leases.hpp; lease.lua decides. Any thread.
#include "backends/redis/leases.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <random>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;
using port::Lease;
using port::Partition;
using std::chrono::milliseconds;

constexpr milliseconds kLease{1'000};
constexpr milliseconds kAlive{20'000};  // a process that is not heard of is dead
constexpr milliseconds kSaidEvery{4'000};
constexpr milliseconds kTurn{3};            // between two questions of who is next
constexpr milliseconds kLongestPause{100};  // of those behind; lease.lua forgets who asks too late
constexpr milliseconds kForLeaving{500};

std::uint64_t random_token() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device() | 1U;
}

/// Host and process, for those who wait for it.
std::string own_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("process {} on {}", ::getpid(), host.data());
}

}  // namespace

RedisLeases::RedisLeases(std::shared_ptr<Core> core, std::function<void()> announced)
    : core_(std::move(core)), announced_(std::move(announced)) {}

void RedisLeases::child_after_fork() noexcept {
  processes_.clear();
  held_.clear();
}

void RedisLeases::announce(std::int64_t process) {
  core_->require_open();
  const std::string key = core_->names({}).process(process);
  const Command set =
      Command("SET").add(key).add(own_name()).add("PX").add(std::int64_t{kAlive.count()});
  const auto replies =
      core_->ask({set}, Clock::now() + core_->connections.settings().connect_timeout);
  core_->check(replies.front().part());
  {
    const std::scoped_lock lock(mutex_);
    processes_.insert(process);
  }
  announced_();
}

bool RedisLeases::alive(std::int64_t process) {
  core_->require_open();
  const Command exists = Command("EXISTS").add(core_->names({}).process(process));
  const auto replies =
      core_->ask({exists}, Clock::now() + core_->connections.settings().connect_timeout);
  core_->check(replies.front().part());
  return replies.front().part().number() == 1;
}

std::optional<Deadline> RedisLeases::tend() noexcept {
  std::vector<Command> commands;
  try {
    {
      const std::scoped_lock lock(mutex_);
      if (processes_.empty() || core_->closed) return std::nullopt;
      for (const std::int64_t process : processes_) {
        commands.push_back(Command("SET")
                               .add(core_->names({}).process(process))
                               .add(own_name())
                               .add("PX")
                               .add(std::int64_t{kAlive.count()}));
      }
    }
    core_->ask(commands, Clock::now() + std::chrono::seconds(1));
  } catch (const std::exception&) {  // the server cannot be reached: soon again
    return Clock::now() + milliseconds(500);
  }
  return Clock::now() + kSaidEvery;
}

Reply RedisLeases::call(const Partition& partition, const char* what, std::uint64_t token,
                        Deadline deadline) {
  return core_->run({.script = Script::kLease,
                     .keys = {core_->names(partition).head(), core_->first_head()},
                     .arguments = {core_->constant, what, encoded(token), own_name(),
                                   std::to_string(std::chrono::microseconds(kLease).count())}},
                    deadline);
}

Lease RedisLeases::acquire(const Partition& partition, Deadline deadline) {
  const std::uint64_t token = random_token();
  {
    const std::scoped_lock lock(mutex_);
    held_.emplace(partition, token);  // close() gives it back, whatever happens here
  }
  try {
    for (;;) {
      core_->require_open();
      const auto sent = Clock::now();
      const Reply reply = call(partition, "take", token, std::max(deadline, sent + kForLeaving));
      if (reply[0].number() == 1) {
        return {.token = token, .until = sent + kLease, .state = decoded_state(reply[2].text())};
      }
      if (Clock::now() >= deadline) {
        throw BusyError(fmt::format(
            "{}: another writer has the store for itself ({}); try again, or wait longer",
            core_->name, reply[3].text().empty() ? "others wait too" : reply[3].text()));
      }
      const auto left =
          std::chrono::ceil<milliseconds>(std::chrono::microseconds(reply[1].number()));
      const milliseconds turn = kTurn * std::max<std::int64_t>(reply[2].number(), 1);
      const milliseconds pause = std::min({turn, kLongestPause, std::max(left, milliseconds(1))});
      base::sleep_until(std::min(Clock::now() + pause, deadline));
    }
  } catch (...) {
    forget(partition, token);
    try {
      const base::Uninterrupted uninterrupted;
      if (!core_->closed) call(partition, "leave", token, Clock::now() + kForLeaving);
    } catch (const std::exception&) {  // it runs out
    }
    throw;
  }
}

bool RedisLeases::renew(const Partition& partition, Lease& lease) {
  core_->require_open();
  const auto sent = Clock::now();
  const Reply reply = call(partition, "renew", lease.token, sent + kLease);
  if (reply[0].number() != 1) return false;
  lease.until = sent + kLease;
  return true;
}

void RedisLeases::forget(const Partition& partition, std::uint64_t token) noexcept {
  const std::scoped_lock lock(mutex_);
  held_.erase({partition, token});
}

void RedisLeases::release(const Partition& partition, const Lease& lease) noexcept {
  forget(partition, lease.token);
  try {
    const base::Uninterrupted uninterrupted;
    if (!core_->closed) call(partition, "release", lease.token, Clock::now() + kForLeaving);
  } catch (const std::exception&) {  // it runs out
  }
}

void RedisLeases::close() noexcept {
  try {
    const base::Uninterrupted uninterrupted;
    decltype(held_) held;
    decltype(processes_) processes;
    {
      const std::scoped_lock lock(mutex_);
      held.swap(held_);
      processes.swap(processes_);
    }
    const auto until = Clock::now() + kForLeaving;
    for (const auto& [partition, token] : held) call(partition, "leave", token, until);
    if (processes.empty()) return;
    Command del("DEL");
    for (const std::int64_t process : processes) del.add(core_->names({}).process(process));
    core_->ask({del}, until);
  } catch (const std::exception&) {  // all of it runs out
  }
}

}  // namespace graven::redis
