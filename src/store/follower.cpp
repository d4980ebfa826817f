// SPDX-License-Identifier: MIT
//
// See follower.hpp. One thread waits.
#include "store/follower.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace graven::store {
namespace {

// Where there is no feed to sleep on.
constexpr auto kLook = std::chrono::milliseconds(10);

}  // namespace

Follower::Follower(Store& store) : store_(store), live_(store.backend().live_mark()) {
  commits_ = store_.commits();
  if (live_ != nullptr) seen_ = read_mark(*live_);
}

bool Follower::moved(std::span<const std::uint64_t> interests) {
  if (live_ == nullptr) {
    const std::uint64_t commits = store_.commits();
    return std::exchange(commits_, commits) != commits;
  }
  const Mark now = read_mark(*live_);
  if (now == seen_) return false;
  store_.cache().settle();  // or who looks now might be shown the state before
  Backend& backend = store_.backend();
  if (!backend.distinctive(now)) {
    // Half written, or one that may come again: who looks now sees what there is, and so again
    // until it is whole.
    seen_ = Mark{};
    return true;
  }
  ChangeFeed* feed = backend.changes();
  bool touched = false;
  const bool followed =
      feed != nullptr && backend.distinctive(seen_) &&
      feed->follow(seen_, now, [&](ChangeFeed::Hashes hashes, std::uint64_t) {
        touched = touched || std::ranges::find_first_of(hashes, interests) != hashes.end();
      });
  seen_ = now;
  return touched || !followed;
}

bool Follower::wait(std::span<const std::uint64_t> interests, Deadline until) {
  for (;;) {
    if (stopped_.load()) return false;
    ChangeFeed* feed = live_ != nullptr ? store_.backend().changes() : nullptr;
    const std::uint32_t ticket = feed != nullptr ? feed->ticket() : 0;
    if (moved(interests)) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return false;
    if (feed != nullptr) {
      feed->wait(ticket, until);
    } else {
      std::this_thread::sleep_until(std::min<Deadline>(until, now + kLook));
    }
  }
}

void Follower::stop() noexcept {
  stopped_.store(true);
  if (live_ == nullptr) return;
  if (ChangeFeed* feed = store_.backend().changes()) feed->wake();
}

}  // namespace graven::store
