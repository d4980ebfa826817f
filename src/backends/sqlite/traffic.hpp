// SPDX-License-Identifier: MIT
//
// Counts and times what all connections of a store do (reads, checkpoints, waits for locks), and
// decides when a commit needs a checkpoint. One object per backend; it outlives the connections and
// views.
//
// Any thread, except where a member says that the caller has the writer's connection.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <functional>
#include <string>

#include "base/function_ref.hpp"
#include "observe/log.hpp"
#include "observe/metrics.hpp"
#include "port/backend.hpp"
#include "port/record.hpp"

namespace graven::sqlite {

class Connection;

struct Traffic {
  enum class Event : std::uint8_t { kBusyWait, kIncompleteCheckpoint };

  observe::Counters<Event, 2> counts;
  observe::Latency reads;
  observe::Latency checkpoints;
  observe::SlowLimit slow;
  std::string name{};  // of the store
  // Wakes the thread that calls checkpoint_is_asked_for() and wal_has_grown(). Set before the first
  // commit.
  std::function<void()> wake{};
  bool asks = false;  // true: that thread does checkpoints; false: commits do
  // The current commit only writes a stamp: it is not counted and causes no checkpoint. Set by the
  // thread that has the writer's connection.
  bool stamping = false;
  // Called by a commit before it starts or asks for a checkpoint; false: no checkpoint now. And
  // called after each checkpoint.
  std::function<bool(Connection&)> before_checkpoint{};
  std::function<void()> after_checkpoint{};

  /// Runs `read`, a read of `key`, and measures it.
  template <class Read>
  auto reading(const port::Key& key, const Read& read) {
    const observe::Timed timed(reads, slow, "read", name, [&] {
      return LogField{"record", describe(key)};
    });
    return read();
  }

  struct Checkpointed {
    int code = SQLITE_BUSY;  ///< SQLite's result code
    int in_wal = -1;         ///< pages; -1 with SQLITE_BUSY: another checkpoint is running
    int moved = -1;          ///< pages of those that are in the database file
    [[nodiscard]] bool all() const noexcept { return code == SQLITE_OK && in_wal == moved; }
    /// Whether it could not even start.
    [[nodiscard]] bool kept_out() const noexcept {
      return (code & 0xff) == SQLITE_BUSY && in_wal < 0;
    }
  };
  /// Moves pages from the WAL to the database file. `mode` is SQLite's; the default mode waits for
  /// nobody.
  Checkpointed checkpoint(sqlite3* connection, int mode = SQLITE_CHECKPOINT_PASSIVE);
  /// The same, but waits until `until` while another checkpoint is running (SQLite itself does not
  /// wait for that). Calls `before` before each attempt.
  Checkpointed checkpoint(sqlite3* connection, int mode, base::Deadline until,
                          base::FunctionRef<void()> before);
  /// Installs a hook that runs after each commit of the connection. When the WAL has
  /// checkpoint_at() pages, it asks for a checkpoint by another thread, and again after each
  /// further checkpoint_at() pages. At kPatience times as many pages the commit itself starts the
  /// WAL over: while writes go on, a checkpoint by another thread never reaches the end of the WAL.
  void checkpoint_after_commits(Connection& connection);
  /// Call with the writer's connection. kNever: commits neither ask nor start the WAL over.
  void checkpoint_at(int pages) noexcept;
  static constexpr int kNever = INT_MAX;
  static constexpr int kPatience = 4;
  [[nodiscard]] bool checkpoint_is_asked_for() noexcept { return asked_.exchange(false); }
  /// Whether a commit has started the WAL over since the last call. The WAL file is still long
  /// then.
  [[nodiscard]] bool wal_has_grown() noexcept { return grown_.exchange(false); }
  /// Commits of this process so far.
  [[nodiscard]] std::uint64_t commits() const noexcept {
    return commits_.load(std::memory_order_relaxed);
  }

  static std::string describe(const port::Key& key);

 private:
  void after_commit(Connection& committed, std::int64_t pages);
  void start_over(Connection& connection);
  bool prepare_checkpoint(Connection& connection);
  [[nodiscard]] bool is_checkpointing() const noexcept;

  // In pages of the WAL; used with the writer's connection:
  std::int64_t checkpoint_at_ = 0;
  std::int64_t ask_at_ = 0;         // size that asks for the next checkpoint
  std::int64_t start_over_at_ = 0;  // size at which a commit starts the WAL over; 0: not set yet

  std::atomic<std::uint64_t> commits_{0};  // written with the writer's connection
  std::atomic<bool> asked_{false};
  std::atomic<bool> grown_{false};
  std::atomic<std::uint64_t> checkpointing_{0};  // fork generation of the running one, plus 1
};

}  // namespace graven::sqlite
