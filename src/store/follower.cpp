// SPDX-License-Identifier: MIT
//
// See follower.hpp. One thread waits at a time.
#include "store/follower.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace graven::store {

using port::ChangeFeed;

namespace {

// How often it looks where there is no log to sleep on.
constexpr auto kLook = std::chrono::milliseconds(10);
// The spaces whose records a user may wait for.
constexpr port::Spaces kWatched = port::bit(Space::kNode) | port::bit(Space::kEntry) |
                                  port::bit(Space::kSlot) | port::bit(Space::kPage) |
                                  port::bit(Space::kItem);

}  // namespace

Follower::Follower(Store& store)
    : store_(store), live_(store.state() != nullptr ? store.state()->live_mark() : nullptr) {
  commits_ = store_.commits();
  if (live_ != nullptr) seen_ = port::read_mark(*live_);
}

std::optional<Changed> Follower::moved(std::span<const std::uint64_t> interests) {
  const Changed anything{.anything = true};
  if (live_ == nullptr) {
    const std::uint64_t commits = store_.commits();
    if (std::exchange(commits_, commits) == commits) return std::nullopt;
    return anything;
  }
  const port::Mark now = port::read_mark(*live_);
  if (now == seen_) return std::nullopt;
  store_.cache().settle();  // else a read after this could still see the previous state
  port::SharedState& state = *store_.state();
  if (!state.distinctive(now)) {
    // The version is half written, or one that may occur again: the user looks at what is there
    // now, and again until the version is complete.
    seen_ = port::Mark{};
    return anything;
  }
  ChangeFeed* feed = state.changes();
  Changed changed;
  const auto add = [&](ChangeFeed::Hashes hashes, std::uint64_t flags) {
    const auto among = [&](ChangeFeed::Hashes some) {
      return std::ranges::find_first_of(some, interests) != some.end();
    };
    const std::size_t scopes = std::min(hashes.size(), port::Told::scopes_of(flags));
    changed.anything = changed.anything || (port::Told::spaces_of(flags) & kWatched) != 0 ||
                       among(hashes.last(scopes));
    if (among(hashes)) changed.hashes.insert(changed.hashes.end(), hashes.begin(), hashes.end());
  };
  const bool followed =
      feed != nullptr && state.distinctive(seen_) && feed->follow(seen_, now, add);
  seen_ = now;
  if (!followed) return anything;
  return changed.anything || !changed.hashes.empty() ? std::optional(changed) : std::nullopt;
}

std::optional<Changed> Follower::wait(std::span<const std::uint64_t> interests, Deadline until) {
  for (;;) {
    if (stopped_.load()) return std::nullopt;
    ChangeFeed* feed = live_ != nullptr ? store_.state()->changes() : nullptr;
    const std::uint32_t ticket = feed != nullptr ? feed->ticket() : 0;
    if (std::optional<Changed> changed = moved(interests)) return changed;
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return std::nullopt;
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
  if (ChangeFeed* feed = store_.state()->changes()) feed->wake();
}

}  // namespace graven::store
