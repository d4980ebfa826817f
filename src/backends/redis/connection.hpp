// SPDX-License-Identifier: MIT
//
// A connection to a Redis or Valkey server, in RESP3: connects and signs in, sends commands and
// waits for their replies, and takes what the server pushes.
//
// Always holds: no error names a password. After an error within ask() or wait_for_push() the
// connection is of no more use. Waits end at the deadline, and can be interrupted
// (base/interrupt.hpp), which leaves it unknown whether the commands were done: a commit is asked
// for under base::Uninterrupted.
//
// Used by one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <graven/error.hpp>

#include "backends/redis/reply.hpp"
#include "backends/redis/settings.hpp"
#include "base/interrupt.hpp"

namespace graven::redis {

using base::Deadline;

/// The server could not be reached, or refused the connection; nothing was sent.
class Unreached final : public UnavailableError {
 public:
  using UnavailableError::UnavailableError;
};
/// The connection broke, or the deadline passed, after something was sent: it may have been done.
class Lost final : public UnavailableError {
 public:
  using UnavailableError::UnavailableError;
};

class Connection {
 public:
  /// Connects, signs in and selects the database. Unreached, or UsageError if the server refuses
  /// the user, the password, TLS or RESP3.
  Connection(const Settings& settings, Deadline deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Sends the commands together, and returns their replies, in order. An error that is the reply
  /// to a command is returned, not thrown. The reply to a SUBSCRIBE (or UNSUBSCRIBE, …) is the push
  /// that confirms its last channel. Unreached, Lost.
  std::vector<Reply> ask(std::span<const Command> commands, Deadline deadline);
  Reply ask(const Command& command, Deadline deadline);

  /// Gets every push from now on. Called within ask() and wait_for_push(); must neither use the
  /// connection nor throw.
  void on_push(std::function<void(ReplyPart)> call);
  /// Waits until pushes have come, and returns true; false at the deadline, or when `wake` (a file
  /// descriptor; -1: none) can be read. Neither that nor an interrupt harms the connection. Lost.
  bool wait_for_push(Deadline deadline, int wake = -1);

  /// Whether it can still be used, as far as is known here: false once the server has closed it, or
  /// has sent what nobody asked for, or in the child of a fork.
  [[nodiscard]] bool usable() const noexcept;
  /// Closes the descriptor, without a word to the server: for the child of a fork.
  void abandon() noexcept;

  /// What the server said of itself when the connection was made.
  struct Server {
    std::string name{};     ///< "redis" or "valkey"
    std::string version{};  ///< such as "7.0.15"
    std::string role{};     ///< "master" or "replica"
    std::string mode{};     ///< "standalone" or "cluster"
  };
  [[nodiscard]] const Server& server() const noexcept { return server_; }

 private:
  struct State;
  void sign_in(const Settings& settings, Deadline deadline);

  std::unique_ptr<State> state_;
  Server server_;
};

}  // namespace graven::redis
