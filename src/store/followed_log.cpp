// SPDX-License-Identifier: MIT
//
// Entries come from the listener, from replies to own commits (own()) and from the store's log
// (ask()), in any order and more than once; take() puts them in order. One thread at a time asks
// the store, and holds `asking_` meanwhile, never `mutex_`. See followed_log.hpp.
#include "store/followed_log.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

#include <graven/error.hpp>

#include "base/interrupt.hpp"
#include "observe/log.hpp"
#include "port/encoded_key.hpp"

namespace graven::store {
namespace {

using port::Deadline;
using port::LogEntry;
using port::Mark;
using port::StateVersion;

using Clock = std::chrono::steady_clock;
constexpr auto kOnItsWay = std::chrono::milliseconds(1);     // an entry that was committed
constexpr auto kUntilAsking = std::chrono::milliseconds(2);  // after a gap was seen
constexpr auto kAgain = std::chrono::milliseconds(100);      // after the store could not be asked
constexpr auto kPatience = std::chrono::seconds(5);          // of the store's answer, for a reader
constexpr auto kBeside = std::chrono::seconds(1);            // the same, where nobody waits
constexpr int kPollsWhileFresh = 4;  // where the store tells nobody of commits
constexpr std::size_t kMostEarly = 256;
constexpr int kRounds = 4;

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min() / 2;
constexpr std::uint64_t kUnheard = 0x756e6865617264ULL;  // the fifth word

std::uint64_t checksum(const StateVersion& state) noexcept {
  return port::mix(port::mix(port::mix(state.clock) + state.history) + state.pending);
}

}  // namespace

/// The listener. It outlives its owner in a forked child, where the subscription is the parent's.
class FollowedLog::Ears final : public port::LogListener {
 public:
  explicit Ears(FollowedLog& owner) : owner_(&owner) {}

  void committed(const LogEntry& entry) noexcept override {
    if (FollowedLog* owner = owner_.load()) owner->committed(entry);
  }
  void heartbeat(const StateVersion& state) noexcept override {
    if (FollowedLog* owner = owner_.load()) owner->heartbeat(state);
  }
  void interrupted() noexcept override {
    if (FollowedLog* owner = owner_.load()) owner->interrupted();
  }
  void deafen() noexcept { owner_.store(nullptr); }

 private:
  std::atomic<FollowedLog*> owner_;
};

FollowedLog::FollowedLog(port::Backend& backend, port::Partition partition,
                         std::chrono::milliseconds freshness)
    : backend_(backend),
      partition_(partition),
      freshness_(std::chrono::nanoseconds(freshness).count()),
      heard_(kNever) {
  show();
}

FollowedLog::~FollowedLog() { stop(); }

void FollowedLog::stop() noexcept {
  housekeeper_.stop();
  const base::Uninterrupted whole;
  const auto asking = base::lock(*asking_);
  subscription_.reset();
  ears_.reset();
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  lose();
}

// --- The state version

Mark FollowedLog::mark_of(const StateVersion& state) const noexcept {
  return {
      {state.clock, state.history, state.pending, backend_.facts().constant, 0, checksum(state)}};
}

bool FollowedLog::distinctive(const Mark& mark) const {
  return mark ==
         mark_of({.clock = mark.words[0], .history = mark.words[1], .pending = mark.words[2]});
}

/// Readers may see a mixture of this and the one before: the checksum tells.
void FollowedLog::show() noexcept {
  Mark mark = mark_of(state_);
  if (lost_) mark.words[4] = kUnheard;
  if (mark != port::read_mark(words_)) port::write_mark(words_, mark);
}

const port::MarkWords* FollowedLog::live_mark() {
  {
    const std::scoped_lock lock(mutex_);
    if (started_ || stopped_) return &words_;
  }
  try {
    const base::Uninterrupted whole;
    ask(Clock::now() + kPatience, nullptr);
  } catch (const Error&) {
    ask_soon();
  }
  return &words_;
}

StateVersion FollowedLog::state() {
  live_mark();
  const std::scoped_lock lock(mutex_);
  return state_;
}

// --- Freshness

std::int64_t FollowedLog::coarse_now() noexcept {
  struct timespec now {};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  constexpr std::int64_t kSecond = 1'000'000'000;
  return now.tv_sec * kSecond + now.tv_nsec;
}

bool FollowedLog::expire() noexcept {
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    if (coarse_now() - heard_.load(std::memory_order_relaxed) <= freshness_) return true;
    first = !lost_;
    lose();
  }
  // The program's sink may read the store.
  if (first) observe::log(LogLevel::kWarning, "store_silent", {{"store", backend_.facts().name}});
  return false;
}

/// The store has told, at this time or later, that nothing is missing.
void FollowedLog::hear(std::int64_t at) noexcept {
  if (coarse_now() - at <= freshness_) lost_ = false;
  show();
  if (at > heard_.load(std::memory_order_relaxed)) heard_.store(at, std::memory_order_release);
}

void FollowedLog::lose() noexcept {
  heard_.store(kNever, std::memory_order_release);
  lost_ = true;
  show();
}

// --- Following

/// Whether this state was one of those followed lately.
FollowedLog::Known FollowedLog::known(const StateVersion& state) const {
  if (state.clock >= state_.clock) return state == state_ ? Known::kYes : Known::kNo;
  const auto later = std::upper_bound(
      steps_.begin(), steps_.end(), state.clock,
      [](std::uint64_t clock, const Step& one) { return clock < one.after.clock; });
  if (later == steps_.end()) return Known::kTooOld;
  // Its predecessor's `after` is this step's `before`.
  if (later->before == state) return Known::kYes;
  return later == steps_.begin() && state.clock < later->before.clock ? Known::kTooOld : Known::kNo;
}

void FollowedLog::take(const LogEntry& entry) {
  if (started_ && entry.state.clock <= state_.clock) {
    if (known(entry.state) == Known::kNo) doubt();  // the store has lost commits
  } else if (started_ && entry.previous == state_.history) {
    step(entry);
    step_on();
  } else if (early_.size() < kMostEarly) {
    early_.insert_or_assign(entry.state.clock, Early{entry, ++events_});
  } else {
    doubt();
  }
}

void FollowedLog::step(const LogEntry& entry) {
  if (steps_.size() == kRemembered) steps_.pop_front();
  steps_.push_back({state_, entry.state, entry.hashes, entry.flags});
  state_ = entry.state;
  show();
  bell_.ring();
}

/// Takes the entries that were early.
void FollowedLog::step_on() {
  while (!early_.empty()) {
    const auto first = early_.begin();
    if (first->first > state_.clock && first->second.entry.previous != state_.history) return;
    const Early early = std::move(early_.extract(first).mapped());
    if (early.entry.state.clock > state_.clock) step(early.entry);
  }
}

void FollowedLog::jump(const StateVersion& state) {
  steps_.clear();
  state_ = state;
  beat_ = 0;
  started_ = true;
  show();
  bell_.ring();
}

/// The store was asked after this event, at this time: what was doubtful is known.
void FollowedLog::settle(std::uint64_t event, std::int64_t asked) {
  std::erase_if(early_, [&](const auto& one) {
    return one.second.event <= event || one.first <= state_.clock;
  });
  if (doubt_ <= event) doubt_ = 0;
  if (ahead_event_ <= event) ahead_ = 0;
  step_on();
  if (!behind()) hear(asked);
}

// --- What the listener is told. It must not use the store.

void FollowedLog::committed(const LogEntry& entry) noexcept { own(entry); }

void FollowedLog::own(const LogEntry& entry) {
  bool gap = false;
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return;
    try {
      take(entry);
    } catch (const std::bad_alloc&) {
      doubt();
    }
    gap = behind();
  }
  if (gap) ask_soon();
}

void FollowedLog::heartbeat(const StateVersion& state) noexcept {
  bool gap = false;
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return;
    if (started_ && state.clock > state_.clock) {
      ahead_ = std::max(ahead_, state.clock);
      ahead_event_ = ++events_;
    } else if (started_ && (known(state) != Known::kYes || state.clock < beat_)) {
      // Older than what was reached at the last heartbeat: the store has lost commits, unless both
      // were on their way for long.
      doubt();
    }
    beat_ = state_.clock;
    gap = behind();
    if (!gap) hear(coarse_now());
  }
  if (gap) ask_soon();
}

void FollowedLog::interrupted() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    doubt();
  }
  ask_soon();
}

// --- Asking the store

void FollowedLog::ask_soon() noexcept {
  try {
    housekeeper_.wake(Clock::now() + kUntilAsking);
  } catch (const std::exception&) {
    // No thread: the next heartbeat or reader tries again.
  }
}

std::optional<Deadline> FollowedLog::tend() noexcept {
  try {
    {
      const std::scoped_lock lock(mutex_);
      if (polls_) doubt();
      if (stopped_ || !behind()) return std::nullopt;
    }
    ask(Clock::now() + kBeside, nullptr);
    const std::scoped_lock lock(mutex_);
    if (!behind()) {
      if (!polls_) return std::nullopt;
      return Clock::now() + std::chrono::nanoseconds(freshness_ / kPollsWhileFresh);
    }
  } catch (...) {
    // Not reachable at the moment.
  }
  return Clock::now() + kAgain;
}

StateVersion FollowedLog::newest(Deadline deadline) {
  return backend_.read(
      partition_, {}, [](std::size_t, std::span<port::Row>, std::uint64_t) {}, deadline);
}

/// Under asking_.
void FollowedLog::start(Deadline deadline) {
  if (!subscription_ && !polls_) {
    if (!ears_) ears_ = std::make_unique<Ears>(*this);
    subscription_ = backend_.subscribe(partition_, *ears_);
  }
  {
    const std::scoped_lock lock(mutex_);
    if (started_) return;
    polls_ = subscription_ == nullptr;
  }
  const StateVersion now = newest(deadline);
  const std::scoped_lock lock(mutex_);
  jump(now);
  if (polls_) ask_soon();
}

/// Asks for what is missing, until nothing is, or until `wanted` was passed meanwhile.
void FollowedLog::ask(Deadline deadline, const StateVersion* wanted) {
  const auto asking = base::lock(*asking_);
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_ || (wanted != nullptr ? passed(*wanted) : !behind())) return;
  }
  start(deadline);
  for (int round = 0; round < kRounds; ++round) {
    StateVersion from;
    std::uint64_t event = 0;
    const std::int64_t asked = coarse_now();
    {
      const std::scoped_lock lock(mutex_);
      from = state_;
      event = events_;
    }
    const auto take_each = [this](const LogEntry& entry) {
      const std::scoped_lock lock(mutex_);
      take(entry);
    };
    std::optional<StateVersion> instead;
    if (!backend_.log(partition_, from, take_each, deadline)) instead = newest(deadline);
    const std::scoped_lock lock(mutex_);
    // The listener may have told of it meanwhile; but what is older than `from` is another history.
    if (instead && (instead->clock < from.clock || known(*instead) != Known::kYes)) jump(*instead);
    settle(event, asked);
    if (!behind()) return;
  }
}

void FollowedLog::reach(const StateVersion& state) { reach(state, Clock::now() + kPatience); }

void FollowedLog::reach(const StateVersion& state, Deadline deadline) {
  const auto reached = [&] {
    const std::scoped_lock lock(mutex_);
    return passed(state);
  };
  for (const Deadline soon = Clock::now() + kOnItsWay;;) {
    const std::uint32_t ticket = bell_.ticket();
    if (reached()) return;
    const auto rest = soon - Clock::now();
    if (rest.count() <= 0) break;
    bell_.wait_for(ticket, rest);
  }
  const auto forsake = [&] {
    {
      const std::scoped_lock lock(mutex_);
      if (passed(state)) return;
      doubt();
      lose();
    }
    ask_soon();
  };
  try {
    ask(deadline, &state);
  } catch (const base::Cancelled&) {
    forsake();
    throw;
  } catch (const Error&) {
    forsake();
  } catch (...) {
    forsake();
    throw;
  }
}

// --- The invalidation log

bool FollowedLog::follow(const Mark& from, const Mark& to, Each each) {
  if (!distinctive(from) || !distinctive(to)) return false;
  if (from == to) return true;
  const std::scoped_lock lock(mutex_);
  const auto is = [](const StateVersion& state, const Mark& mark) {
    return state.clock == mark.words[0] && state.history == mark.words[1];
  };
  const auto first = std::lower_bound(
      steps_.begin(), steps_.end(), from.words[0],
      [](const Step& one, std::uint64_t clock) { return one.before.clock < clock; });
  if (first == steps_.end() || !is(first->before, from)) return false;
  const auto last = std::lower_bound(
      first, steps_.end(), to.words[0],
      [](const Step& one, std::uint64_t clock) { return one.after.clock < clock; });
  if (last == steps_.end() || !is(last->after, to)) return false;
  for (auto step = first;; ++step) {
    each(step->hashes, step->flags);
    if (step == last) return true;
  }
}

bool FollowedLog::wait(std::uint32_t ticket, Clock::time_point until) noexcept {
  const auto rest = base::interrupt_slice(until) - Clock::now();
  if (bell_.ticket() == ticket && rest.count() > 0) bell_.wait_for(ticket, rest);
  return bell_.ticket() != ticket;
}

// --- fork()

void FollowedLog::child_after_fork() noexcept {
  // The subscription is on the parent's connection.
  if (ears_) ears_->deafen();
  static_cast<void>(ears_.release());
  static_cast<void>(subscription_.release());
  started_ = false;
  polls_ = false;
  state_ = {};
  steps_.clear();
  early_.clear();
  doubt_ = 0;
  ahead_ = 0;
  beat_ = 0;
  lose();
}

}  // namespace graven::store
