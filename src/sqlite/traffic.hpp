// SPDX-License-Identifier: MIT
//
// What a store's connections have done together: reads, checkpoints, waits for locks. One for
// each backend, which outlives its connections and views. Any thread.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "store/record.hpp"

namespace graven::sqlite {

struct Traffic {
  enum class Event : std::uint8_t { kBusyWait, kIncompleteCheckpoint };

  base::Counters<Event, 2> counts;
  base::Latency reads;
  base::Latency checkpoints;
  base::SlowLimit slow;
  std::string name{};  // of the store
  // Whoever has the writer:
  int checkpoint_at = 0;  // pages in the WAL
  int ask_at = 0;         // the same, from which on the next is asked for
  // Asks for a checkpoint by another thread, which calls checkpoint_asked_for(). Before the first
  // commit; without it commits do it themselves.
  std::function<void()> ask{};

  /// Runs `read`, which is about `key`, as one read.
  template <class Read>
  auto reading(const store::Key& key, const Read& read) {
    const base::Timed timed(reads, slow, "read", name, [&] {
      return LogField{"record", describe(key)};
    });
    return read();
  }

  /// Moves what can be moved from the WAL to the database, as far as SQLite's `mode` goes: by
  /// default waiting for nobody. SQLite's code.
  int checkpoint(sqlite3* connection, int mode = SQLITE_CHECKPOINT_PASSIVE);
  /// Once `checkpoint_at` pages are in the WAL has the connection's commits ask for a checkpoint,
  /// again after as many pages more, and do it themselves when they are kPatience times as many:
  /// with writes going on, another thread's never gets to the end, where the WAL starts over.
  void checkpoint_after_commits(sqlite3* connection);
  [[nodiscard]] bool checkpoint_is_asked_for() noexcept { return asked_.exchange(false); }
  static constexpr int kPatience = 4;

  static std::string describe(const store::Key& key);

 private:
  void after_commit(sqlite3* committed, int pages);

  std::atomic<bool> asked_{false};
  std::atomic<std::uint64_t> checkpointing_{0};  // one more than the fork generation it is of
};

}  // namespace graven::sqlite
