// SPDX-License-Identifier: MIT
//
// What a store's connections have done together: reads, checkpoints, waits for locks. One for
// each backend, which outlives its connections and views. Any thread.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstdint>
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
  std::string name{};     // of the store
  int checkpoint_at = 0;  // pages in the WAL; whoever has the writer

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
  /// Has the connection's commits checkpoint once `checkpoint_at` pages are in the WAL, as SQLite's
  /// automatic checkpoint would, which tells nobody.
  void checkpoint_after_commits(sqlite3* connection);

  static std::string describe(const store::Key& key);
};

}  // namespace graven::sqlite
