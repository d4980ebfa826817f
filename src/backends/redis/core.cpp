// SPDX-License-Identifier: MIT
//
// See core.hpp. Any thread.
#include "backends/redis/core.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kOld{5};

std::int64_t microseconds(Clock::time_point time) noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

/// Calls `attempt` until it returns true; pauses where it is false or the reply was lost.
template <class Attempt>
void persist(Deadline deadline, const Attempt& attempt) {
  for (milliseconds pause{1};; pause = std::min(2 * pause, milliseconds(200))) {
    try {
      if (attempt(Clock::now() + pause >= deadline)) return;
    } catch (const Lost&) {
      if (Clock::now() + pause >= deadline) throw;
    }
    base::sleep_until(Clock::now() + pause);
  }
}

}  // namespace

void ServerClock::learn(const ReplyPart& time, Clock::time_point received) noexcept {
  if (time.size() != 2) return;
  const std::int64_t server = time[0].number() * 1'000'000 + time[1].number();
  ahead_ = server - microseconds(received);
  learned_ = microseconds(received);
}

bool ServerClock::old(Clock::time_point now) const noexcept {
  const std::int64_t learned = learned_;
  return learned == 0 || microseconds(now) - learned > std::chrono::microseconds(kOld).count();
}

std::int64_t ServerClock::at(Clock::time_point time) const noexcept {
  constexpr auto kMost = std::int64_t{1} << 52;  // Lua reads it exactly
  const std::int64_t own = microseconds(time);
  return own > kMost ? kMost : std::min(kMost, own + ahead_);
}

std::string Core::channel(const port::Partition& partition) const {
  return fmt::format("{}:{}:{:x}", names(partition).channel(), connections.settings().database,
                     decoded(constant));
}

void Core::require_open() const {
  if (closed) throw ClosedError(fmt::format("the store in {} was closed; open it again", name));
}

std::vector<Reply> Core::ask(const std::vector<Command>& commands, Deadline deadline) {
  std::vector<Reply> replies;
  persist(deadline, [&](bool last) {
    require_open();
    replies = connections.lend(deadline)->ask(commands, deadline);
    if (std::any_of(replies.begin(), replies.end(),
                    [](const Reply& reply) { return read_only(reply.part()); })) {
      connections.renew();
    }
    return last || std::none_of(replies.begin(), replies.end(),
                                [](const Reply& reply) { return passing(reply.part()); });
  });
  return replies;
}

Reply Core::run(const Call& call, Deadline deadline) {
  std::vector<Reply> replies = ask({digests.command(call)}, deadline);
  if (no_script(replies.front().part())) {
    replies = ask({digests.command(call, true)}, deadline);
  }
  check(replies.front().part());
  return std::move(replies.front());
}

void Core::fail(const ReplyPart& error) const {
  const std::string_view text = error.text();
  const auto says = [&](std::string_view kind) {
    return text.starts_with(kind) || text.find(fmt::format("-{}", kind)) != text.npos;
  };
  if (says("GONE ")) fail_gone();
  if (says("NOPERM")) {
    throw UsageError(fmt::format("{}: the user lacks a right that graven needs: {}", name, text));
  }
  if (says("WRONGTYPE")) {
    throw ForeignFileError(fmt::format("{}: a key that begins with \"{}\" is not graven's: {}",
                                       name, key_prefix, text));
  }
  throw UnavailableError(fmt::format("{} answers: {}", name, text));
}

void Core::fail_gone() const {
  throw UnavailableError(
      fmt::format("the store with the key prefix \"{}\" in {} was deleted while it was open, or "
                  "another one was made in its place; open it again",
                  key_prefix, name));
}

bool read_only(const ReplyPart& reply) noexcept {
  return reply.error() && (reply.text().starts_with("READONLY") ||
                           reply.text().find("-READONLY") != std::string_view::npos);
}

bool passing(const ReplyPart& reply) noexcept {
  if (!reply.error()) return false;
  constexpr std::array<std::string_view, 4> kKinds{"LOADING", "BUSY ", "MASTERDOWN", "TRYAGAIN"};
  return std::any_of(kKinds.begin(), kKinds.end(),
                     [&](std::string_view kind) { return reply.text().starts_with(kind); });
}

}  // namespace graven::redis
