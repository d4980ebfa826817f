// SPDX-License-Identifier: MIT
//
// The connections of this process to one server: lends them to threads, keeps those that are idle,
// and makes new ones, with growing pauses while the server cannot be reached.
//
// Any thread. A forked child starts with none: those of the parent are abandoned there.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/postgres/backend.hpp"
#include "backends/postgres/connection.hpp"
#include "base/fork.hpp"

namespace graven::postgres {

class Connections final : private base::ForkGuard {
 public:
  explicit Connections(const Settings& settings);
  ~Connections() { close(); }

  /// A connection for one thread; goes back when it is destroyed, if it is still of use.
  class Lent {
   public:
    Lent(Connections& of, std::unique_ptr<Connection> connection) noexcept
        : of_(&of), connection_(std::move(connection)) {}
    Lent(Lent&& other) noexcept = default;
    Lent& operator=(Lent&&) = delete;
    ~Lent();
    Connection* operator->() const noexcept { return connection_.get(); }
    Connection& operator*() const noexcept { return *connection_; }

   private:
    Connections* of_;
    std::unique_ptr<Connection> connection_;
  };

  /// One of at most Settings::max_connections: an idle one, or a new one; tries again while the
  /// server cannot be reached. At the deadline throws a Failure; ClosedError after close().
  Lent lend(Deadline deadline);
  /// One that is not counted, for a caller that keeps it; give_back() returns it.
  std::unique_ptr<Connection> take(Deadline deadline);
  void give_back(std::unique_ptr<Connection> connection) noexcept;
  /// A new one that is not counted; one attempt with each host, first with the one that was reached
  /// last. The Failure's state is 28000 if trying again would give the same answer.
  std::unique_ptr<Connection> fresh(Deadline deadline);

  /// Closes the idle connections; lent ones are closed when they come back.
  void close() noexcept;
  void require_open();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  void child_after_fork() noexcept override;
  std::unique_ptr<Connection> idle();
  std::unique_ptr<Connection> connect(Deadline deadline);
  void take_back(std::unique_ptr<Connection> connection, bool counted) noexcept;

  const Settings settings_;
  const Options options_;
  const std::vector<Options> hosts_;
  const std::string name_;
  const std::size_t most_;
  std::atomic<std::size_t> reached_{0};  // which of the hosts
  base::ForkMutex mutex_{base::kForkRankPool};
  base::ForkRenewed<std::condition_variable> returned_;
  bool closed_ = false;  // mutex_, as the next
  std::size_t lent_ = 0;
  std::vector<std::unique_ptr<Connection>> idle_{};
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::postgres
