// SPDX-License-Identifier: MIT
//
// Publishes and reads the log, and waits for commits. See feed.hpp.
#include "backends/lazy/feed.hpp"

#include <new>

namespace graven::lazy {

void Feed::notify() noexcept {
  const std::scoped_lock lock(mutex_);
  ++state_->ticket;
  state_->changed.notify_all();
}

void Feed::publish(const port::Mark& before, const port::Mark& after, Hashes hashes,
                   std::uint64_t flags) noexcept {
  if (hashes.size() > kMost) return;
  const std::scoped_lock lock(mutex_);
  Told& told = state_->told[after.words[0] % kRemembered];
  try {
    told.hashes.assign(hashes.begin(), hashes.end());
    told.before = before.words[0];
    told.after = after.words[0];
    told.flags = flags;
  } catch (const std::bad_alloc&) {
    told.after = 0;  // a gap
  }
}

bool Feed::follow(const port::Mark& from, const port::Mark& to, Each each) {
  const std::scoped_lock lock(mutex_);
  for (std::uint64_t at = from.words[0]; at < to.words[0]; ++at) {
    const Told& told = state_->told[(at + 1) % kRemembered];
    if (told.before != at || told.after != at + 1) return false;
    each(told.hashes, told.flags);
  }
  return from.words[0] <= to.words[0];
}

std::uint32_t Feed::ticket() const noexcept {
  const std::scoped_lock lock(mutex_);
  return state_->ticket;
}

bool Feed::wait(std::uint32_t ticket, std::chrono::steady_clock::time_point until) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  return state_->changed.wait_until(lock, until, [&] { return state_->ticket != ticket; });
}

void Feed::child_after_fork() noexcept {
  const State* inherited = state_.release();
  state_ = std::make_unique<State>();
  state_->ticket = inherited->ticket + 1;
}

}  // namespace graven::lazy
