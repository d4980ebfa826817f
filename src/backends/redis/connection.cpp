// SPDX-License-Identifier: MIT
//
// Sends commands, and sorts what comes into replies and pushes. See connection.hpp.
#include "backends/redis/connection.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "backends/redis/stream.hpp"
#include "base/fork.hpp"

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRoom = std::size_t{16} << 10U;       // for one receive()
constexpr std::size_t kMuchRoom = std::size_t{256} << 10U;  // while more is coming
constexpr std::size_t kKept = std::size_t{256} << 10U;      // of a buffer, between two calls

// Waiting without sleep: for how long, how often it is tried although it did not pay off, and how
// many failures in a row end it.
constexpr std::chrono::microseconds kSpinTime{50};
constexpr unsigned kTrial = 64;
constexpr int kMostLuck = 4;

void append_size(std::string& out, char kind, std::size_t size) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, size).ptr;
  out += kind;
  out.append(digits, end);
  out += "\r\n";
}

void append(std::string& out, const Command& command) {
  append_size(out, '*', command.arguments().size());
  for (const std::string& argument : command.arguments()) {
    append_size(out, '$', argument.size());
    out += argument;
    out += "\r\n";
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// The commands whose replies are pushes; empty if this is none.
std::string confirmed_by_push(const Command& command) {
  const std::string& name = command.arguments().front();
  if (name.size() < 9 || name.size() > 12) return {};
  std::string kind = lower(name);
  return kind.ends_with("subscribe") ? kind : std::string();
}

}  // namespace

struct Connection::State {
  State(const Settings& settings, Deadline deadline)
      : name(name_of(settings)), stream(settings, deadline) {}

  /// What an exchange waits for.
  struct Exchange {
    std::span<const Command> commands;
    std::vector<Reply> replies{};
    std::size_t confirmed = 0;  // channels of the command whose reply is next
    bool sent = false;          // something may have been
    std::size_t pushes = 0;
  };

  std::optional<Reply> next() {
    try {
      return reader.next();
    } catch (const std::invalid_argument& error) {
      throw Broken{fmt::format("what it sent is no reply of a Redis server ({})", error.what())};
    }
  }

  /// Whether the push is part of the reply to the next command; then it counts it.
  bool confirms(Exchange& exchange, const ReplyPart& push, bool& last) const {
    if (exchange.replies.size() >= exchange.commands.size()) return false;
    const Command& command = exchange.commands[exchange.replies.size()];
    const std::string kind = confirmed_by_push(command);
    if (kind.empty() || push[0].text() != kind) return false;
    ++exchange.confirmed;
    const std::size_t channels = command.arguments().size() - 1;
    // Without channels all are unsubscribed; the last one leaves none.
    last = channels > 0 ? exchange.confirmed == channels : push[2].number() == 0;
    return true;
  }

  void sort(Exchange& exchange) {
    while (std::optional<Reply> got = next()) {
      const ReplyPart part = got->part();
      bool whole = !part.push();
      if (!whole && !confirms(exchange, part, whole)) {
        ++exchange.pushes;
        if (on_push) on_push(part);
      }
      if (!whole) continue;
      if (exchange.replies.size() >= exchange.commands.size()) {
        throw Broken{"it sent a reply to no command"};
      }
      exchange.replies.push_back(std::move(*got));
      exchange.confirmed = 0;
    }
  }

  /// Receives what has come; false if nothing.
  bool receive() {
    bool some = false;
    for (std::size_t least = kRoom;; least = kMuchRoom) {
      const std::span<char> room = reader.room(least);
      const std::size_t received = stream.receive(room.data(), room.size());
      reader.received(received);
      some = some || received > 0;
      if (received < room.size()) return some;
    }
  }

  void send_some(Exchange& exchange) {
    while (at < out.size()) {
      exchange.sent = exchange.sent || stream.encrypted();
      const std::size_t sent = stream.send(out.data() + at, out.size() - at);
      if (sent == 0) return;
      exchange.sent = true;
      at += sent;
    }
  }

  Socket::Woken wait(Socket::For what, Deadline deadline, int wake = -1) const {
    const auto woken = stream.wait(what, deadline, wake);
    // A check for interrupts may run a handler, and that may fork.
    if (!ours()) throw Broken{"this process was forked while it waited"};
    return woken;
  }

  /// Receives; waits a moment for it without sleep if that has paid off of late. To be woken takes
  /// longer than many a reply.
  bool spin() {
    static const bool processors = std::thread::hardware_concurrency() > 1;
    if (!processors || (luck == 0 && ++waits % kTrial != 0)) return false;
    const auto end = Clock::now() + kSpinTime;
    do {
      if (receive()) {
        luck = std::min(luck + 1, kMostLuck);
        return true;
      }
    } while (Clock::now() < end);
    luck = std::max(luck - 1, 0);
    return false;
  }

  void run(Exchange& exchange, Deadline deadline) {
    at = 0;
    out.clear();
    exchange.replies.reserve(exchange.commands.size());
    for (const Command& command : exchange.commands) append(out, command);
    send_some(exchange);
    while (exchange.replies.size() < exchange.commands.size()) {
      if (at == out.size() && spin()) {
        sort(exchange);
        continue;
      }
      const Socket::For what{.reading = true, .writing = at < out.size()};
      const auto woken = wait(what, deadline);
      if (woken == Socket::Woken::kDeadline) throw Broken{"no reply came in time"};
      send_some(exchange);
      if (receive()) sort(exchange);
      if (exchange.replies.size() < exchange.commands.size() && Clock::now() >= deadline) {
        throw Broken{"no reply came in time"};
      }
    }
    if (out.capacity() > kKept) out = {};
  }

  [[nodiscard]] bool ours() const noexcept { return generation == base::fork_generation(); }

  const std::string name;
  const std::uint64_t generation = base::fork_generation();
  Stream stream;
  ReplyReader reader{};
  std::function<void(ReplyPart)> on_push{};
  std::string out{};   // what is to be sent
  std::size_t at = 0;  // how much of it was
  bool broken = false;
  int luck = 0;        // successes of spin() less failures
  unsigned waits = 0;  // without it
};

Connection::Connection(const Settings& settings, Deadline deadline) {
  try {
    deadline = std::min(deadline, Clock::now() + settings.connect_timeout);
    state_ = std::make_unique<State>(settings, deadline);
    sign_in(settings, deadline);
  } catch (const Broken& broken) {
    throw Unreached(fmt::format("cannot reach {}: {}", name_of(settings), broken.why));
  } catch (const Lost& lost) {
    throw Unreached(lost.what());
  }
}

Connection::~Connection() {
  if (state_ && !state_->ours()) abandon();
}

std::vector<Reply> Connection::ask(std::span<const Command> commands, Deadline deadline) {
  State& state = *state_;
  if (state.broken || !state.ours()) {
    throw Unreached(fmt::format("the connection to {} {}", state.name,
                                state.broken ? "has failed before" : "is of the parent process"));
  }
  State::Exchange exchange{.commands = commands};
  state.broken = true;  // unless all goes well
  try {
    state.run(exchange, deadline);
  } catch (const Broken& broken) {
    if (!exchange.sent) {
      throw Unreached(fmt::format("cannot reach {}: {}", state.name, broken.why));
    }
    throw Lost(fmt::format("the connection to {} was lost: {}", state.name, broken.why));
  }
  state.broken = false;
  return std::move(exchange.replies);
}

Reply Connection::ask(const Command& command, Deadline deadline) {
  return std::move(ask(std::span(&command, 1), deadline).front());
}

void Connection::on_push(std::function<void(ReplyPart)> call) { state_->on_push = std::move(call); }

bool Connection::wait_for_push(Deadline deadline, int wake) {
  State& state = *state_;
  if (state.broken || !state.ours()) {
    throw Lost(fmt::format("the connection to {} has ended", state.name));
  }
  State::Exchange exchange{};
  try {
    for (;;) {
      const auto woken = state.wait({.reading = true}, deadline, wake);
      if (woken != Socket::Woken::kReady) return false;
      state.broken = true;  // unless all goes well
      if (state.receive()) state.sort(exchange);
      state.broken = false;
      if (exchange.pushes > 0) return true;
    }
  } catch (const Broken& broken) {
    state.broken = true;
    throw Lost(fmt::format("the connection to {} was lost: {}", state.name, broken.why));
  }
}

bool Connection::usable() const noexcept {
  const State& state = *state_;
  if (state.broken || !state.ours()) return false;
  switch (state.stream.incoming()) {
    case Socket::Incoming::kNothing:
      return true;
    case Socket::Incoming::kSomething:
      return state.on_push != nullptr;
    case Socket::Incoming::kEnd:
      break;
  }
  return false;
}

void Connection::abandon() noexcept {
  state_->broken = true;
  state_->stream.abandon();
}

}  // namespace graven::redis
