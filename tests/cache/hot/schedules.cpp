// SPDX-License-Identifier: MIT
#include "cache/hot/schedules.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace graven::test {
namespace {

constexpr int kHopelessWaits = 10'000;

thread_local Schedules* schedules = nullptr;  // that run this thread in an order
thread_local int self_of_thread = 0;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "schedules: %s\n", why);
  std::abort();
}

}  // namespace

Schedules::Schedules(std::vector<std::function<void()>> functions)
    : functions_(std::move(functions)), threads_(functions_.size()) {
  for (std::size_t i = 0; i <= functions_.size(); ++i) turns_.emplace_back(0);
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    workers_.emplace_back([this, i] { work(static_cast<int>(i)); });
  }
}

Schedules::~Schedules() {
  stop_ = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    give_turn(static_cast<int>(i));
    workers_[i].join();
  }
}

std::size_t Schedules::run(int preemptions, const std::function<void()>& before,
                           const std::function<bool()>& after) {
  choices_.clear();
  for (std::size_t orders = 1;; ++orders) {
    before();
    made_ = 0;
    preemptions_ = preemptions;
    waits_ = 0;
    for (Thread& thread : threads_) thread = {.alive = true};
    give_turn(static_cast<int>(choose(threads_.size())));
    await_turn(kNobody);
    if (!after() || !next_order()) return orders;
  }
}

/// The last choice that has not been made in every way is made in the next one.
bool Schedules::next_order() {
  while (!choices_.empty() && choices_.back().taken + 1 == choices_.back().count) {
    choices_.pop_back();
  }
  if (choices_.empty()) return false;
  ++choices_.back().taken;
  return true;
}

std::size_t Schedules::choose(std::size_t count) {
  if (count == 1) return 0;
  if (made_ == choices_.size()) choices_.push_back({0, count});
  if (choices_[made_].count != count) give_up("a run was unlike the one before");
  return choices_[made_++].taken;
}

void Schedules::work(int self) {
  for (;;) {
    await_turn(self);
    if (stop_) return;
    schedules = this;
    self_of_thread = self;
    functions_[static_cast<std::size_t>(self)]();
    schedules = nullptr;
    finish(self);
  }
}

void Schedules::finish(int self) {
  threads_[static_cast<std::size_t>(self)].alive = false;
  std::vector<int> others;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    threads_[i].waits = false;
    if (threads_[i].alive) others.push_back(static_cast<int>(i));
  }
  give_turn(others.empty() ? kNobody : others[choose(others.size())]);
}

void Schedules::pass(int self, Point point) noexcept {
  const bool waits = point == Point::kWait;
  threads_[static_cast<std::size_t>(self)].waits = waits;
  if (waits && ++waits_ > kHopelessWaits) give_up("all threads wait for each other");
  std::vector<int> candidates;
  if (!waits) candidates.push_back(self);
  if (waits || preemptions_ > 0) {
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      const int other = static_cast<int>(i);
      if (other != self && threads_[i].alive && !threads_[i].waits) candidates.push_back(other);
    }
  }
  if (point == Point::kChange) {  // which comes before this thread's next point
    waits_ = 0;
    for (Thread& thread : threads_) thread.waits = false;
  }
  if (candidates.empty()) return;  // it may be for what it has changed itself
  const int next = candidates[choose(candidates.size())];
  if (next == self) return;
  if (!waits) --preemptions_;
  give_turn(next);
  await_turn(self);
}

void Schedules::step(bool changes) noexcept {
  if (schedules == nullptr) return;
  schedules->pass(self_of_thread, changes ? Point::kChange : Point::kRead);
}

void Schedules::wait() noexcept {
  if (schedules != nullptr) schedules->pass(self_of_thread, Point::kWait);
}

}  // namespace graven::test
