// SPDX-License-Identifier: MIT
//
// What a store has done and how it stands, as Database::stats() tells it: counts and times of
// this process since it opened the store, and figures of the file, which are everybody's.
//
// Counts only grow, and each is exact; together they are of nearly one moment. Times are in
// seconds. The child of a fork goes on from its parent's counts. What a figure is called where a
// program is watched: docs/operations.md.
//
// Plain values: copy them, keep them, hand them to another thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace graven {

/// How long things took. Percentiles are upper bounds, never more than an eighth (or 64 ns) above
/// the exact ones; 0 where nothing was measured.
struct Histogram {
  struct Bucket {
    double le = 0;            ///< seconds
    std::uint64_t count = 0;  ///< of all that took no longer than that
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

/// What answered reads: the cache in memory, the warm file, or the store below.
struct CacheStats {
  std::uint64_t hits = 0;       ///< from memory
  std::uint64_t misses = 0;     ///< had to go below it
  std::uint64_t warm_hits = 0;  ///< of those, from the warm file
  std::uint64_t evictions = 0;  ///< entries dropped from memory to make room
  std::uint64_t drops = 0;      ///< times all was forgotten because another process had written
  std::uint64_t follows = 0;    ///< times just what another process had changed was
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t warm_entries = 0;
};

/// Commits of this process: of a graph's writes, maps' writes, transactions and flushes.
struct WriteStats {
  std::uint64_t commits = 0;
  std::uint64_t failed = 0;  ///< of which nothing is in the store, or it cannot be told
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;    ///< of the records' contents
  std::uint64_t waiting = 0;  ///< threads that wait for the write lane now
  Histogram commit{};         ///< the commit itself, a checkpoint after it included
  Histogram lane{};           ///< waits of this process's writers for each other
};

struct TransactionStats {
  std::uint64_t committed = 0;
  std::uint64_t rolled_back = 0;
  std::uint64_t expired = 0;    ///< rolled back because they outlived their limit
  std::uint64_t conflicts = 0;  ///< of transactors
  bool open = false;            ///< one is, now
};

/// What lazy stores do in the background.
struct FlushStats {
  std::uint64_t failed = 0;
  std::uint64_t pending_bytes = 0;  ///< that wait now
  Histogram time{};                 ///< of those that wrote something
};

struct CollectorStats {
  std::uint64_t collected = 0;  ///< nodes removed
  Histogram time{};             ///< of passes in the background, and of collect()
};

struct CheckpointStats {
  std::uint64_t incomplete = 0;  ///< left pages in the WAL, as a rule for somebody's reading
  Histogram time{};
};

/// Waits for the locks of other processes.
struct BusyStats {
  std::uint64_t waits = 0;
  std::uint64_t errors = 0;  ///< BusyErrors that writers of this process got
};

/// The store's files now, whoever has written them.
struct FileStats {
  std::string name{};
  bool read_only = false;        ///< as this process has it open
  bool readable = true;          ///< whether looking at it just now worked; if not, zeros follow
  std::uint64_t size_bytes = 0;  ///< of the database and its WAL
  std::uint64_t wal_bytes = 0;
  std::uint64_t page_bytes = 0;  ///< of one page
  std::uint64_t free_pages = 0;  ///< in the database, to be used again
  std::uint64_t commits = 0;     ///< of all processes, since the first of them opened the file
};

struct ProcessStats {
  std::uint64_t owners = 0;  ///< processes that hold nodes nothing links any more
};

/// How often an error was made in this process, whether graven itself dealt with it or not.
struct ErrorCount {
  std::string_view name{};  ///< as name(Errc) has it
  std::uint64_t count = 0;
};

/// A pool of connections to the file.
struct PoolStats {
  std::string name{};  ///< "readers" or "writer"
  int limit = 0;       ///< at most so many at a time
  int open = 0;
  int active = 0;  ///< lent out
  int idle = 0;
  int waiting = 0;         ///< threads that wait for one
  double utilisation = 0;  ///< active of limit
  std::uint64_t leases = 0;
  std::uint64_t timeouts = 0;
  Histogram wait{};
  Histogram held{};
  std::chrono::milliseconds oldest{0};  ///< for how long the oldest lease has been out
  std::string oldest_holder{};
};

struct Stats {
  CacheStats cache{};  ///< of the graph's records; a map's own: Map::stats()
  Histogram reads{};   ///< reads that went to the file
  WriteStats writes{};
  TransactionStats transactions{};
  FlushStats flushes{};
  CollectorStats collector{};
  CheckpointStats checkpoints{};
  BusyStats busy{};
  FileStats file{};
  ProcessStats process{};
  std::vector<ErrorCount> errors{};  ///< of this process, all stores together
};

}  // namespace graven
