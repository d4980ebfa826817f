// SPDX-License-Identifier: MIT
//
// Follows the log of a partition, and gives its store the facet SharedState by it: the newest state
// that is known stands in memory, and the last commits are kept as an invalidation log.
//
// Always holds: commits are followed in order and none is left out, except where the store itself
// has no longer the log of them, or has lost commits: then there is a jump, which the invalidation
// log cannot tell (follow() is false). An entry follows if its `previous` is the history that was
// reached. Other entries wait for those before them; if these do not come, the store is asked for
// its log. A state that reach() was given is not followed by an older one. A store that tells
// nobody of commits is asked for its log now and then.
//
// Entries say nothing about when they were sent, so they do not count as being heard of: heartbeats
// do, and answers to questions, by the time of the question.
//
// The state version is {clock, history, pending, the store's constant, 0, a checksum}. While the
// store has not been heard of for longer than `freshness`, the fifth word is another one: so a
// cache finds no state there that it knows, and everything is read from the store.
//
// Any thread. Its methods may ask the store, except those that are noexcept. A forked child starts
// over with a subscription of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bell.hpp"
#include "base/fork.hpp"
#include "base/housekeeper.hpp"
#include "port/backend.hpp"
#include "port/change_feed.hpp"

namespace graven::store {

class FollowedLog final : public port::SharedState,
                          private port::ChangeFeed,
                          private base::ForkGuard {
 public:
  static constexpr std::size_t kRemembered = 1024;  // commits

  explicit FollowedLog(port::Backend& backend, port::Partition partition = {},
                       std::chrono::milliseconds freshness = std::chrono::seconds(2));
  ~FollowedLog();

  /// Ends the subscription. Nothing is followed after that.
  void stop() noexcept;

  /// The state that was reached.
  port::StateVersion state();
  /// Whether nodes are listed as pending deletion in the state that live_mark() shows.
  [[nodiscard]] bool pending() const noexcept {
    return words_[2].load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] port::Mark mark_of(const port::StateVersion& state) const noexcept;

  /// Returns when this state was reached or passed: call it after a read of that state, before
  /// anything else is read from the cache. If the store cannot be asked for what is missing, it
  /// counts as not heard of.
  void reach(const port::StateVersion& state);
  void reach(const port::StateVersion& state, port::Deadline deadline);
  /// A commit of this process, as its reply tells it; the log may tell it too, before or after.
  void own(const port::LogEntry& entry);

  [[nodiscard]] bool expires() const noexcept override { return true; }
  /// Whether the store was heard of not too long ago. Reads a coarse clock, no more, while all is
  /// well.
  bool fresh() noexcept override {
    return coarse_now() - heard_.load(std::memory_order_acquire) <= freshness_ || expire();
  }

  // port::SharedState
  /// Never nullptr. If the store cannot be reached, its state is not known yet.
  const port::MarkWords* live_mark() override;
  [[nodiscard]] bool distinctive(const port::Mark& mark) const override;
  [[nodiscard]] bool commit_between(const port::Mark& before,
                                    const port::Mark& after) const override {
    return before.words[0] != after.words[0] || before.words[1] != after.words[1];
  }
  port::ChangeFeed* changes() override { return this; }

 private:
  class Ears;
  /// A commit that was followed.
  struct Step {
    port::StateVersion before;
    port::StateVersion after;
    std::vector<std::uint64_t> hashes;
    std::uint64_t flags = 0;
  };
  /// An entry whose predecessor has not come.
  struct Early {
    port::LogEntry entry;
    std::uint64_t event;
  };
  enum class Known : std::uint8_t { kYes, kNo, kTooOld };

  // port::ChangeFeed
  void publish(const port::Mark&, const port::Mark&, Hashes, std::uint64_t) noexcept override {}
  bool follow(const port::Mark& from, const port::Mark& to, Each each) override;
  [[nodiscard]] std::uint32_t ticket() const noexcept override { return bell_.ticket(); }
  bool wait(std::uint32_t ticket, std::chrono::steady_clock::time_point until) noexcept override;
  void wake() noexcept override { bell_.ring(); }

  void child_after_fork() noexcept override;

  // What the listener is told.
  void committed(const port::LogEntry& entry) noexcept;
  void heartbeat(const port::StateVersion& state) noexcept;
  void interrupted() noexcept;

  static std::int64_t coarse_now() noexcept;
  bool expire() noexcept;
  void start(port::Deadline deadline);
  void ask(port::Deadline deadline, const port::StateVersion* wanted);
  port::StateVersion newest(port::Deadline deadline);
  void ask_soon() noexcept;
  std::optional<port::Deadline> tend() noexcept;

  // Under mutex_:
  [[nodiscard]] bool passed(const port::StateVersion& state) const noexcept {
    return started_ && (state_.clock > state.clock || state_ == state);
  }
  [[nodiscard]] Known known(const port::StateVersion& state) const;
  [[nodiscard]] bool behind() const noexcept {
    return !started_ || doubt_ != 0 || !early_.empty() || ahead_ > state_.clock;
  }
  void take(const port::LogEntry& entry);
  void step(const port::LogEntry& entry);
  void step_on();
  void jump(const port::StateVersion& state);
  void settle(std::uint64_t event, std::int64_t asked);
  void doubt() noexcept { doubt_ = ++events_; }
  void hear(std::int64_t at) noexcept;
  void lose() noexcept;
  void show() noexcept;

  port::Backend& backend_;
  const port::Partition partition_;
  const std::int64_t freshness_;  // ns
  port::MarkWords words_{};
  std::atomic<std::int64_t> heard_;  // when; written under mutex_
  base::Bell bell_;

  base::ForkMutex mutex_{base::kForkRankFollowed};
  // mutex_:
  bool started_ = false;
  bool stopped_ = false;
  std::atomic<bool> polls_{false};  // the store tells nobody of commits
  port::StateVersion state_;
  std::deque<Step> steps_;                // the last ones
  std::map<std::uint64_t, Early> early_;  // by clock
  std::uint64_t events_ = 0;              // that have made it doubt whether entries are missing
  std::uint64_t doubt_ = 0;               // the last of these that is not settled; 0: none
  std::uint64_t ahead_ = 0;               // the clock that a heartbeat has told of
  std::uint64_t ahead_event_ = 0;
  std::uint64_t beat_ = 0;  // the clock reached at the last heartbeat
  bool lost_ = true;        // not heard of for too long, or never

  base::ForkRenewed<std::timed_mutex> asking_;  // the store; taken before mutex_
  std::unique_ptr<Ears> ears_;                  // asking_, as the next. Leaked in a forked child
  std::unique_ptr<port::Subscription> subscription_;
  base::Housekeeper housekeeper_{[this] { return tend(); }};
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::store
