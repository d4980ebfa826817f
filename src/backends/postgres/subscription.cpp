// SPDX-License-Identifier: MIT
//
// See subscription.hpp.
#include "backends/postgres/subscription.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include <graven/error.hpp>

#include "backends/postgres/log_request.hpp"

namespace graven::postgres {

using port::LogEntry;
using port::LogListener;
using port::Partition;
using port::StateVersion;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kBeat{500};
constexpr milliseconds kBetween{2};  // two questions for the log
constexpr milliseconds kLongestPause{200};
constexpr std::chrono::seconds kLongestPauseOfTheRefused{30};
constexpr std::chrono::seconds kForAnswer{2};
constexpr milliseconds kForConnecting{700};  // it is not ended by stop()

}  // namespace

class Follower {
 public:
  Follower(Store& store, const Partition& partition, LogListener& listener, StateVersion from)
      : store_(store), partition_(partition), listener_(listener), reached_(from) {
    bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell_ < 0)
      throw UnavailableError("no file descriptor is free: raise the limit (ulimit -n)");
    thread_ = new std::thread([this] { run(); });
  }
  ~Follower() {
    stop();
    ::close(bell_);
  }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  [[nodiscard]] const Partition& partition() const noexcept { return partition_; }

  void ring() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(bell_, &one, sizeof one);
  }

  void stop() noexcept {
    if (generation_ != base::fork_generation()) return;  // its thread is the parent's
    stopping_ = true;
    ring();
    const std::scoped_lock lock(joining_);
    if (thread_ == nullptr) return;
    thread_->join();
    delete thread_;
    thread_ = nullptr;
  }

 private:
  void run() noexcept {
    const base::Uninterrupted whole;
    milliseconds pause{1};
    milliseconds refused{1'000};
    bool before = false;  // whether it was connected
    while (!stopping_) {
      try {
        if (!connection_) {
          store_.connections.require_open();
          connection_ = store_.connections.fresh(Clock::now() + kForConnecting);
          connection_->stop_with(&stopping_);
          listen();
          if (std::exchange(before, true)) listener_.interrupted();
        }
        tell();
        pause = milliseconds(1);
        refused = std::chrono::seconds(1);
        sleep(Clock::now() + kBetween, false);
        sleep(Clock::now() + kBeat, true);
      } catch (const Failure& failure) {
        connection_.reset();
        if (failure.state.starts_with("28")) {  // asking often would fill the server's log
          rest(Clock::now() + refused);
          refused = std::min<milliseconds>(refused * 2, kLongestPauseOfTheRefused);
        } else {
          rest(Clock::now() + pause);
          pause = std::min(pause * 2, kLongestPause);
        }
      } catch (const ClosedError&) {
        break;
      } catch (const std::exception&) {
        connection_.reset();
        rest(Clock::now() + kLongestPause);
      }
    }
    connection_.reset();
  }

  void listen() {
    try {
      connection_->script("LISTEN " + store_.channel_of(partition_), Clock::now() + kForAnswer);
    } catch (const Failure& failure) {
      if (failure.state.empty()) throw;  // else it is refused, as on a standby: heartbeats do
    }
  }

  void tell() {
    std::optional<std::vector<LogEntry>> entries;
    Deadline asked;
    for (const bool again : {false, true}) {
      asked = Clock::now();
      entries = log_after(store_, *connection_, partition_, reached_, asked + kForAnswer);
      if (Clock::now() - asked <= kBeat) break;
      // This process was stopped, or the server is slow: there may be newer commits, and the
      // listener must not take these for the last ones.
      listener_.interrupted();
      if (again) asked = {};  // always slow: what it told is true, but not fresh
    }
    if (!entries) {
      asked = Clock::now();
      reached_ = newest(store_, *connection_, partition_, asked + kForAnswer);
      listener_.interrupted();
    } else {
      for (const LogEntry& entry : *entries) {
        if (stopping_) return;
        reached_ = entry.state;
        listener_.committed(entry);
      }
    }
    const auto now = Clock::now();
    if (entries && now < next_beat_) return;
    if (now - asked > kBeat) return;
    next_beat_ = now + kBeat - milliseconds(20);
    listener_.heartbeat(reached_);
  }

  /// Until a time, or a stop.
  void rest(Deadline until) {
    for (auto now = Clock::now(); now < until && !stopping_; now = Clock::now()) {
      pollfd end{.fd = bell_, .events = POLLIN, .revents = 0};
      const auto left = std::chrono::ceil<milliseconds>(until - now).count();
      ::poll(&end, 1, static_cast<int>(left));
      std::uint64_t rings = 0;
      [[maybe_unused]] const auto taken = ::read(bell_, &rings, sizeof rings);
    }
  }

  /// Until a time, or somebody rings; `notified`: or the server notifies.
  void sleep(Deadline until, bool notified) {
    for (auto now = Clock::now(); now < until && !stopping_; now = Clock::now()) {
      const auto left = std::chrono::ceil<milliseconds>(until - now).count();
      pollfd ends[2] = {{.fd = bell_, .events = POLLIN, .revents = 0},
                        {.fd = -1, .events = POLLIN, .revents = 0}};
      if (notified) {
        if (connection_->take_notifications()) return;
        ends[1].fd = connection_->descriptor();
      } else {
        ends[0].fd = stopping_ ? bell_ : -1;  // a stop waits for so short a time
      }
      ::poll(ends, 2, static_cast<int>(left));
      std::uint64_t rings = 0;
      if (notified && ::read(bell_, &rings, sizeof rings) > 0) return;
    }
  }

  Store& store_;
  const Partition partition_;
  LogListener& listener_;
  const std::uint64_t generation_ = base::fork_generation();
  StateVersion reached_;  // of the thread, as the next two
  std::unique_ptr<Connection> connection_{};
  Deadline next_beat_{};
  int bell_ = -1;
  std::atomic<bool> stopping_{false};
  std::mutex joining_;
  std::thread* thread_ = nullptr;  // joining_; leaked in a forked child
};

namespace {

class Subscribed final : public port::Subscription {
 public:
  explicit Subscribed(std::shared_ptr<Follower> follower) : follower_(std::move(follower)) {}
  ~Subscribed() override { follower_->stop(); }

 private:
  const std::shared_ptr<Follower> follower_;
};

}  // namespace

std::unique_ptr<port::Subscription> Followers::add(const Partition& partition,
                                                   LogListener& listener) {
  const Deadline deadline = Clock::now() + std::chrono::seconds(5);
  const StateVersion from = store_.ask(deadline, [&](Connection& connection) {
    return newest(store_, connection, partition, deadline);
  });
  auto made = std::make_shared<Follower>(store_, partition, listener, from);
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(all_, [](const auto& one) { return one.use_count() == 1; });
    all_.push_back(made);
  }
  return std::make_unique<Subscribed>(std::move(made));
}

void Followers::committed(const Partition& partition) noexcept {
  const std::scoped_lock lock(mutex_);
  for (const auto& one : all_) {
    if (one->partition() == partition) one->ring();
  }
}

void Followers::close() noexcept {
  std::vector<std::shared_ptr<Follower>> ending;
  {
    const std::scoped_lock lock(mutex_);
    ending.swap(all_);
  }
  for (const auto& one : ending) one->stop();
}

}  // namespace graven::postgres
