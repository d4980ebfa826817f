// SPDX-License-Identifier: MIT
//
// The results of Database::stats(): counts and times of this process since it opened the store, and
// figures of the file, which all processes share.
//
// Counts only grow, and each is exact; all of them are of nearly the same moment. Times are in
// seconds. The child of a fork continues its parent's counts. The names of the metrics are in
// docs/operations.md.
//
// Plain values, for any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace graven {

/// How long operations took, in seconds. Percentiles are upper bounds, at most an eighth (or 64 ns)
/// above the exact ones; 0 if nothing was measured.
struct Histogram {
  struct Bucket {
    double le = 0;            ///< seconds
    std::uint64_t count = 0;  ///< operations that took no longer than that
  };
  std::uint64_t count = 0;
  double sum = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double p999 = 0;
  double max = 0;
  std::vector<Bucket> buckets{};  ///< from 1.024 us to 68.7 s, by factors of four
};

/// What answered reads: the hot table in memory, the warm file, or the store.
struct CacheStats {
  std::uint64_t hits = 0;       ///< reads answered by the hot table
  std::uint64_t misses = 0;     ///< other reads
  std::uint64_t warm_hits = 0;  ///< those of the misses that the warm file answered
  std::uint64_t evictions = 0;  ///< entries dropped from memory to make room
  std::uint64_t drops = 0;      ///< times everything was dropped because another process committed
  std::uint64_t follows = 0;    ///< times only the records were dropped that another one changed
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t warm_entries = 0;
};

/// Commits of this process: writes of the graph and of maps, transactions and flushes.
struct WriteStats {
  std::uint64_t commits = 0;
  std::uint64_t failed = 0;  ///< not in the store, or it is not known whether they are
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;    ///< of the records' contents
  std::uint64_t waiting = 0;  ///< threads that wait for the writer lock now
  Histogram commit{};         ///< the commit itself, including a checkpoint after it
  Histogram lane{};           ///< waits for the writer lock, among threads of this process
};

struct TransactionStats {
  std::uint64_t committed = 0;
  std::uint64_t rolled_back = 0;
  std::uint64_t expired = 0;    ///< rolled back because they exceeded their time limit
  std::uint64_t conflicts = 0;  ///< of transactors
  bool open = false;            ///< whether a transaction is open now
};

/// Flushes of a lazy store.
struct FlushStats {
  std::uint64_t failed = 0;
  std::uint64_t pending_bytes = 0;  ///< bytes of unflushed writes now
  Histogram time{};                 ///< flushes that wrote something
};

struct CollectorStats {
  std::uint64_t collected = 0;  ///< nodes removed
  Histogram time{};             ///< passes in the background, and collect()
};

struct CheckpointStats {
  std::uint64_t incomplete = 0;  ///< left pages in the WAL, usually because of a reader
  Histogram time{};
};

/// Waits for the locks of other processes.
struct BusyStats {
  std::uint64_t waits = 0;
  std::uint64_t errors = 0;  ///< BusyErrors that writers of this process got
};

/// The store's files now; all processes together.
struct FileStats {
  std::string name{};
  bool read_only = false;        ///< whether this process has it open read-only
  bool readable = true;          ///< whether it could be read just now; if not, the rest is 0
  std::uint64_t size_bytes = 0;  ///< of the database and its WAL
  std::uint64_t wal_bytes = 0;
  std::uint64_t page_bytes = 0;  ///< of one page
  std::uint64_t free_pages = 0;  ///< unused pages in the database
  std::uint64_t commits = 0;     ///< of all processes, since the first of them opened the file
};

struct ProcessStats {
  std::uint64_t owners = 0;  ///< processes that hold nodes that nothing links any more
};

/// How often an error was created in this process, also if graven handled it itself.
struct ErrorCount {
  std::string_view name{};  ///< name(Errc)
  std::uint64_t count = 0;
};

/// A pool of connections to the file.
struct PoolStats {
  std::string name{};  ///< "readers" or "writer"
  int limit = 0;       ///< the most connections at a time
  int open = 0;
  int active = 0;  ///< lent
  int idle = 0;
  int waiting = 0;         ///< threads that wait for one
  double utilisation = 0;  ///< active divided by limit
  std::uint64_t leases = 0;
  std::uint64_t timeouts = 0;
  Histogram wait{};
  Histogram held{};
  std::chrono::milliseconds oldest{0};  ///< the age of the oldest lease
  std::string oldest_holder{};
};

struct Stats {
  CacheStats cache{};  ///< of the graph's records; for maps see Map::stats()
  Histogram reads{};   ///< reads that went to the file
  WriteStats writes{};
  TransactionStats transactions{};
  FlushStats flushes{};
  CollectorStats collector{};
  CheckpointStats checkpoints{};
  BusyStats busy{};
  FileStats file{};
  ProcessStats process{};
  std::vector<ErrorCount> errors{};  ///< of this process, for all stores together
};

}  // namespace graven
