// SPDX-License-Identifier: MIT
//
// What is done in the background: other processes are notified of commits, a few commits with one
// notification (it takes a lock of the whole server's, so it is not part of a commit); old rows of
// the log are deleted; processes that were announced are kept alive.
//
// Any thread. A forked child announces anew.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "backends/postgres/store.hpp"
#include "base/housekeeper.hpp"

namespace graven::postgres {

class Upkeep final : private base::ForkGuard {
 public:
  explicit Upkeep(Store& store);
  ~Upkeep() { stop(); }

  /// This process has committed to a partition, whose clock is now that, or not known (0).
  void committed(const port::Partition& partition, std::uint64_t clock);
  /// Keeps a row and a lock for the process with this number.
  void announce(std::int64_t process, Deadline deadline);
  /// Whether somebody does. Asks on the connection that the own locks are held by: after a
  /// fail-over all processes must connect anew, so for a while who has a row counts as alive.
  bool alive(std::int64_t process, Deadline deadline);
  /// Ends all of it; the processes are gone.
  void stop() noexcept;

 private:
  struct Part {
    bool notify = false;
    std::int64_t prune_at = 0;  // the clock when it has to be pruned; 0: it has not
    std::int64_t prune_from = 0;
  };
  void child_after_fork() noexcept override;
  std::optional<Deadline> work();
  void notify_and_prune(Deadline deadline);
  void prune(Connection& connection, const port::Partition& partition, std::int64_t clock,
             Deadline deadline);
  void keep_alive();
  bool hold(Deadline deadline);
  void lock_processes(Connection& connection, const std::set<std::int64_t>& processes);
  [[nodiscard]] std::int32_t lock_class() const noexcept;

  Store& store_;
  std::atomic<bool> stopping_{false};
  base::ForkMutex mutex_{base::kForkRankReads};
  std::map<port::Partition, Part> parts_{};  // mutex_, as the next
  std::set<std::int64_t> processes_{};
  base::ForkRenewed<std::mutex> holding_;
  std::unique_ptr<Connection> holder_{};  // of the processes' locks; holding_, as the next
  Deadline held_since_{};
  Deadline notify_at_{};  // of the thread, as the next
  Deadline renew_at_{};
  base::Housekeeper thread_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::postgres
