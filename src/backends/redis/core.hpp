// SPDX-License-Identifier: MIT
//
// What all parts of one open Redis store share: its connections, scripts, names and the server's
// time; and how an error of the server is told.
//
// Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/redis/connections.hpp"
#include "backends/redis/layout.hpp"
#include "backends/redis/scripts.hpp"
#include "port/state_version.hpp"

namespace graven::redis {

/// The server's clock, as far as this process knows it: a lower bound, so that what is told to be
/// done before a time is not done after it.
class ServerClock {
 public:
  using Clock = std::chrono::steady_clock;

  /// Takes the reply to TIME.
  void learn(const ReplyPart& time, Clock::time_point received) noexcept;
  /// Whether it should be asked again.
  [[nodiscard]] bool old(Clock::time_point now) const noexcept;
  /// In microseconds since 1970.
  [[nodiscard]] std::int64_t at(Clock::time_point time) const noexcept;

 private:
  std::atomic<std::int64_t> ahead_{0};    // of this process's clock, in microseconds
  std::atomic<std::int64_t> learned_{0};  // by this process's clock; 0: never
};

class Core {
 public:
  explicit Core(Settings settings)
      : connections(settings), name(name_of(settings)), key_prefix(settings.key_prefix) {}

  Connections connections;
  const std::string name;
  const std::string key_prefix;
  Digests digests;
  ServerClock clock;
  std::string constant;  ///< the store's, as bytes
  bool has_waitaof = false;
  bool may_hold = true;  ///< whether the user may make commits keep what they replace
  std::atomic<bool> closed{false};

  [[nodiscard]] Names names(const port::Partition& partition) const {
    return {key_prefix, partition};
  }
  [[nodiscard]] std::string first_head() const { return names({}).head(); }
  /// Where commits are told: channels have no databases, and outlive their store.
  [[nodiscard]] std::string channel(const port::Partition& partition) const;
  void require_open() const;

  /// Asks what may be asked twice; again where the reply was lost or the server is starting.
  /// UnavailableError.
  std::vector<Reply> ask(const std::vector<Command>& commands, Deadline deadline);
  /// Runs a script that may be run twice. Throws if its answer is an error.
  Reply run(const Call& call, Deadline deadline);

  /// Throws what an error of the server means.
  [[noreturn]] void fail(const ReplyPart& error) const;
  void check(const ReplyPart& reply) const {
    if (reply.error()) fail(reply);
  }
  /// That the store is no longer there.
  [[noreturn]] void fail_gone() const;
};

/// Whether the error says that the server is no master.
bool read_only(const ReplyPart& reply) noexcept;
/// Whether the error says that the server cannot answer just now.
bool passing(const ReplyPart& reply) noexcept;

}  // namespace graven::redis
