// SPDX-License-Identifier: MIT
//
// A connection to a PostgreSQL server: runs one statement at a time and waits for its answer until
// a deadline, without blocking in libpq. Statements are prepared when they are first used.
//
// Always holds: after a lost connection or a missed deadline it is broken and of no further use. In
// a forked child it is abandoned: the child's descriptor is closed, the server is told nothing.
//
// One thread at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/postgres/parameters.hpp"
#include "backends/postgres/result.hpp"
#include "base/fork.hpp"
#include "base/interrupt.hpp"

namespace graven::postgres {

using base::Deadline;

/// A server's time: microseconds since 2000.
using ServerTime = std::int64_t;

/// Options for libpq, by name.
using Options = std::vector<std::pair<std::string, std::string>>;

class Connection {
 public:
  enum class Waits : std::uint8_t {
    kInterruptible,  ///< ends with an interrupt, and the statement with it
    kToTheEnd,       ///< what was sent is waited for
  };

  /// Gives the SQL to begin a session with, for a server of that version (150004: 15.4).
  using Settings = std::function<std::string(int version)>;

  /// Begins a session; the settings may be empty. Throws a Failure: its state is the server's,
  /// 28P01 where a password is missing, or empty.
  static std::unique_ptr<Connection> open(const Options& options, const Settings& settings,
                                          Deadline deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs a statement, prepared. Throws a Failure.
  Result run(const std::string& text, const Parameters& parameters, Deadline deadline,
             Waits waits = Waits::kInterruptible);
  /// Runs statements without parameters, not prepared; gives the answer to the last, as text.
  Result script(const std::string& text, Deadline deadline);

  /// No answer is waited for any longer once `stop` is set, until another one is named, or none.
  void stop_with(const std::atomic<bool>* stop) noexcept { stop_ = stop; }

  /// Whether it can be used for the next statement, outside of a transaction.
  [[nodiscard]] bool idle() const noexcept;
  [[nodiscard]] bool of_this_process() const noexcept {
    return generation_ == base::fork_generation();
  }
  /// Whether anything came without being asked for: for an idle one, its end.
  [[nodiscard]] bool readable() const noexcept;
  /// Takes notifications that have come; whether there were any. Throws a Failure.
  bool take_notifications();
  [[nodiscard]] int descriptor() const noexcept;
  [[nodiscard]] int server_version() const noexcept;
  /// Host, port and database, for messages.
  [[nodiscard]] std::string place() const;

  /// Tells which time it was at the server at most when an answer came.
  void learn_time(ServerTime at) noexcept;
  /// A deadline in the server's time, at the latest.
  [[nodiscard]] ServerTime server_time(Deadline deadline) const noexcept;

 private:
  explicit Connection(PGconn* connection) noexcept : connection_(connection) {}
  void connect(Deadline deadline);
  void send(bool accepted);
  Result wait(Deadline deadline, Waits waits);
  bool wait_for(short events, Deadline deadline, Waits waits);
  [[noreturn]] void refused();
  [[noreturn]] void lose(const std::string& text, bool sent);
  void cancel() noexcept;

  PGconn* connection_;
  const std::uint64_t generation_ = base::fork_generation();
  int socket_ = -1;
  bool broken_ = false;
  const std::atomic<bool>* stop_ = nullptr;
  std::unordered_map<std::string, std::string> prepared_{};  // text: name
  ServerTime time_ = 0;
  std::chrono::steady_clock::time_point time_at_{};
};

}  // namespace graven::postgres
