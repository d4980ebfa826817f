// SPDX-License-Identifier: MIT
//
// What a store's connections have done together: reads, checkpoints, waits for locks. One for
// each backend, which outlives its connections and views. Any thread.
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

  base::Counters<Event, 2> counts;
  base::Latency reads;
  base::Latency checkpoints;
  base::SlowLimit slow;
  std::string name{};  // of the store
  // Wakes another thread, which then calls checkpoint_is_asked_for() and wal_has_grown(). Before
  // the first commit.
  std::function<void()> wake{};
  bool asks = false;  // commits leave checkpoints to that thread; else they do them themselves
  // The commit under way is a stamp's: not counted, and no reason for a checkpoint. Whoever has the
  // writer.
  bool stamping = false;
  // What a commit does before it has something moved; false: it is not to be moved now. And what is
  // to be done once something was.
  std::function<bool(Connection&)> before_checkpoint{};
  std::function<void()> after_checkpoint{};

  /// Runs `read`, which is about `key`, as one read.
  template <class Read>
  auto reading(const store::Key& key, const Read& read) {
    const base::Timed timed(reads, slow, "read", name, [&] {
      return LogField{"record", describe(key)};
    });
    return read();
  }

  struct Checkpointed {
    int code = SQLITE_BUSY;  ///< SQLite's
    int in_wal = -1;         ///< pages; -1 and SQLITE_BUSY: somebody else is at a checkpoint
    int moved = -1;          ///< of those
    [[nodiscard]] bool all() const noexcept { return code == SQLITE_OK && in_wal == moved; }
    /// Whether it did not even begin.
    [[nodiscard]] bool kept_out() const noexcept {
      return (code & 0xff) == SQLITE_BUSY && in_wal < 0;
    }
  };
  /// Moves what can be moved from the WAL to the database, as far as SQLite's `mode` goes: by
  /// default waiting for nobody.
  Checkpointed checkpoint(sqlite3* connection, int mode = SQLITE_CHECKPOINT_PASSIVE);
  /// The same, where somebody else is at one after him, for whom SQLite does not wait: until then.
  /// Calls `before` each time that it tries.
  Checkpointed checkpoint(sqlite3* connection, int mode, store::Deadline until,
                          base::FunctionRef<void()> before);
  /// Has the connection's commits ask for a checkpoint once so many pages are in the WAL as
  /// checkpoint_at() says, again after as many more, and start the WAL over themselves when they
  /// are kPatience times as many: with writes going on, another thread's never gets to the end.
  void checkpoint_after_commits(Connection& connection);
  /// With the writer's connection in hand; kNever: commits do neither.
  void checkpoint_at(int pages) noexcept;
  static constexpr int kNever = INT_MAX;
  static constexpr int kPatience = 4;
  [[nodiscard]] bool checkpoint_is_asked_for() noexcept { return asked_.exchange(false); }
  /// Whether a commit has started the WAL over since this was asked: the file is as long as it was.
  [[nodiscard]] bool wal_has_grown() noexcept { return grown_.exchange(false); }
  /// By this process, so far.
  [[nodiscard]] std::uint64_t commits() const noexcept {
    return commits_.load(std::memory_order_relaxed);
  }

  static std::string describe(const store::Key& key);

 private:
  void after_commit(Connection& committed, std::int64_t pages);
  void start_over(Connection& connection);
  bool prepare_checkpoint(Connection& connection);
  [[nodiscard]] bool is_checkpointing() const noexcept;

  // Pages in the WAL; whoever has the writer:
  std::int64_t checkpoint_at_ = 0;
  std::int64_t ask_at_ = 0;         // from here on the next checkpoint is asked for
  std::int64_t start_over_at_ = 0;  // from here on a commit does it; 0: to be set

  std::atomic<std::uint64_t> commits_{0};  // counted by whoever has the writer
  std::atomic<bool> asked_{false};
  std::atomic<bool> grown_{false};
  std::atomic<std::uint64_t> checkpointing_{0};  // one more than the fork generation it is of
};

}  // namespace graven::sqlite
