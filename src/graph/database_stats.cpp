// SPDX-License-Identifier: MIT
//
// Statistics of a Database: figures of the store, its cache and its backend together, also in
// Prometheus' text format. Any thread.
#include <graven/database.hpp>
#include <graven/version.hpp>

#include "base/error_counts.hpp"
#include "graph/scope.hpp"
#include "observe/prometheus.hpp"

namespace graven {
namespace {

using observe::Exposition;
using store::Event;

CacheStats cache_stats(const cache::Cache::Stats& cache) {
  return {.hits = cache.hits,
          .misses = cache.misses,
          .warm_hits = cache.warm_hits,
          .evictions = cache.evictions,
          .drops = cache.drops,
          .follows = cache.follows,
          .entries = cache.entries,
          .bytes = cache.bytes,
          .warm_entries = cache.warm_entries};
}

Stats collect_stats(graph::Heap& heap, port::BackendStats&& below) {
  store::Store& store = heap.store();
  const store::Activity& activity = store.activity();
  const auto count = [&](Event event) { return activity.counts.sum(event); };
  Stats stats;
  stats.cache = cache_stats(store.cache().stats());
  stats.reads = std::move(below.reads);
  stats.writes = {.commits = count(Event::kCommits),
                  .failed = count(Event::kFailedCommits),
                  .records = count(Event::kRecords),
                  .bytes = count(Event::kBytes),
                  .waiting = store.waiting(),
                  .commit = activity.commit.snapshot(),
                  .lane = activity.lane.snapshot()};
  stats.transactions = {.committed = count(Event::kCommitted),
                        .rolled_back = count(Event::kRolledBack),
                        .expired = count(Event::kExpired),
                        .conflicts = count(Event::kConflicts),
                        .open = store.transaction_open()};
  stats.flushes = std::move(below.flushes);
  stats.collector = {.collected = heap.removed(), .time = activity.collection.snapshot()};
  stats.checkpoints = std::move(below.checkpoints);
  stats.busy = {.waits = below.busy_waits, .errors = count(Event::kBusy)};
  stats.file = std::move(below.file);
  stats.process.owners = below.owners;
  stats.errors = base::error_counts();
  return stats;
}

void expose_cache(Exposition& out, const CacheStats& cache) {
  out.counter("graven_cache_hits_total", "Reads of records answered from memory.", cache.hits);
  out.counter("graven_cache_misses_total", "Reads of records that were not in memory.",
              cache.misses);
  out.counter("graven_cache_warm_hits_total", "Misses that the warm file answered.",
              cache.warm_hits);
  out.counter("graven_cache_evictions_total",
              "Entries dropped from memory to make room for others.", cache.evictions);
  out.counter("graven_cache_drops_total",
              "Times the whole cache was dropped because another process had committed.",
              cache.drops);
  out.counter(
      "graven_cache_follows_total",
      "Times only the records that another process had changed were dropped from the cache.",
      cache.follows);
  out.gauge("graven_cache_entries", "Entries in memory.", cache.entries);
  out.gauge("graven_cache_bytes", "Bytes that the entries in memory take up.", cache.bytes);
  out.gauge("graven_cache_warm_entries", "Entries in the warm file.", cache.warm_entries);
}

void expose_work(Exposition& out, const Stats& stats) {
  out.histogram("graven_read_seconds", "Durations of reads from the file.", stats.reads);
  const WriteStats& writes = stats.writes;
  out.counter("graven_commits_total", "Commits of this process.", writes.commits);
  out.counter("graven_commits_failed_total", "Commits of this process that failed.", writes.failed);
  out.counter("graven_commit_records_total", "Records written by commits.", writes.records);
  out.counter("graven_commit_written_bytes_total", "Bytes of the records written by commits.",
              writes.bytes);
  out.histogram("graven_commit_seconds", "Durations of commits, with the checkpoints after them.",
                writes.commit);
  out.histogram("graven_lane_wait_seconds",
                "Durations of the waits for this process's writer lock.", writes.lane);
  out.gauge("graven_lane_waiting", "Threads in the writer queue.", writes.waiting);
  constexpr std::string_view kTransactions = "graven_transactions_total";
  out.family(kTransactions, "Transactions of this process that ended, by result.", "counter");
  out.sample(kTransactions, {{"result", "committed"}}, stats.transactions.committed);
  out.sample(kTransactions, {{"result", "rolled_back"}}, stats.transactions.rolled_back);
  out.sample(kTransactions, {{"result", "expired"}}, stats.transactions.expired);
  out.gauge("graven_transaction_open", "Whether a transaction of this process is open.",
            std::uint64_t{stats.transactions.open});
  out.counter("graven_transactor_conflicts_total", "Transactors that met a conflict.",
              stats.transactions.conflicts);
  out.histogram("graven_flush_seconds", "Durations of the flushes of a lazy store.",
                stats.flushes.time);
  out.counter("graven_flushes_failed_total", "Flushes of a lazy store that failed.",
              stats.flushes.failed);
  out.gauge("graven_pending_bytes", "Bytes written to a lazy store that are not in the file yet.",
            stats.flushes.pending_bytes);
  out.counter("graven_collected_nodes_total", "Dicts and lists that this process collected.",
              stats.collector.collected);
  out.histogram("graven_collection_seconds",
                "Durations of the collector's passes outside of commits.", stats.collector.time);
  out.histogram("graven_checkpoint_seconds", "Durations of the checkpoints by this process.",
                stats.checkpoints.time);
  out.counter("graven_checkpoints_incomplete_total",
              "Checkpoints that left pages in the WAL, usually because of a reader.",
              stats.checkpoints.incomplete);
  out.counter("graven_busy_waits_total", "Waits for locks of other processes.", stats.busy.waits);
  out.counter("graven_busy_errors_total", "Writers that did not get the lock in time.",
              stats.busy.errors);
}

void expose_file(Exposition& out, const Stats& stats) {
  const FileStats& file = stats.file;
  out.gauge("graven_file_size_bytes", "Size of the database and its WAL.", file.size_bytes);
  out.gauge("graven_file_wal_bytes", "Size of the WAL.", file.wal_bytes);
  out.gauge("graven_file_page_bytes", "Size of a page.", file.page_bytes);
  out.gauge("graven_file_free_pages", "Pages of the database that are free.", file.free_pages);
  out.counter("graven_file_commits_total",
              "Commits of all processes since the first of them opened the file.", file.commits);
  out.gauge("graven_file_read_only", "Whether this process has the file open read-only.",
            std::uint64_t{file.read_only});
  out.gauge("graven_file_readable", "Whether the file could be read just now.",
            std::uint64_t{file.readable});
  out.gauge("graven_owners", "Processes that hold dicts and lists which nothing links any more.",
            stats.process.owners);
  constexpr std::string_view kErrors = "graven_errors_total";
  out.family(kErrors, "Errors created in this process, handled or not, all stores together.",
             "counter");
  for (const ErrorCount& error : stats.errors) {
    out.sample(kErrors, {{"code", error.name}}, error.count);
  }
}

void expose_pools(Exposition& out, const std::vector<PoolStats>& pools) {
  const auto each = [&](std::string_view name, std::string_view help, std::string_view type,
                        auto value) {
    out.family(name, help, type);
    for (const PoolStats& pool : pools) out.sample(name, {{"pool", pool.name}}, value(pool));
  };
  const auto number = [](int figure) { return static_cast<std::uint64_t>(figure); };
  each("graven_pool_limit", "Largest number of connections of the pool.", "gauge",
       [&](const PoolStats& pool) { return number(pool.limit); });
  each("graven_pool_open", "Open connections of the pool.", "gauge",
       [&](const PoolStats& pool) { return number(pool.open); });
  each("graven_pool_active", "Connections in use.", "gauge",
       [&](const PoolStats& pool) { return number(pool.active); });
  each("graven_pool_idle", "Open connections that are not in use.", "gauge",
       [&](const PoolStats& pool) { return number(pool.idle); });
  each("graven_pool_waiting", "Threads that wait for a connection.", "gauge",
       [&](const PoolStats& pool) { return number(pool.waiting); });
  each("graven_pool_utilisation_ratio", "Connections in use, divided by the limit.", "gauge",
       [](const PoolStats& pool) { return pool.utilisation; });
  each("graven_pool_leases_total", "Connections lent out.", "counter",
       [](const PoolStats& pool) { return pool.leases; });
  each("graven_pool_timeouts_total", "Waits for a connection that timed out.", "counter",
       [](const PoolStats& pool) { return pool.timeouts; });
  each("graven_pool_wait_seconds", "Durations of the waits for a connection.", "histogram",
       [](const PoolStats& pool) -> const Histogram& { return pool.wait; });
  each("graven_pool_held_seconds", "Durations for which connections were in use.", "histogram",
       [](const PoolStats& pool) -> const Histogram& { return pool.held; });
  each("graven_pool_oldest_lease_seconds", "Age of the oldest lease.", "gauge",
       [](const PoolStats& pool) { return std::chrono::duration<double>(pool.oldest).count(); });
}

}  // namespace

Stats Database::stats() const {
  graph::Heap& heap = scope_->session().heap();
  return collect_stats(heap, heap.backend().stats());
}

std::vector<PoolStats> Database::connection_stats() const {
  return scope_->session().heap().backend().stats().pools;
}

std::string Database::metrics() const {
  graph::Heap& heap = scope_->session().heap();
  port::BackendStats below = heap.backend().stats();
  const std::vector<PoolStats> pools = std::move(below.pools);
  const Stats stats = collect_stats(heap, std::move(below));
  Exposition out(Exposition::Labels{{"store", stats.file.name}});
  out.family("graven_build_info", "The version of graven.", "gauge");
  out.sample("graven_build_info", {{"version", version()}}, std::uint64_t{1});
  expose_cache(out, stats.cache);
  expose_work(out, stats);
  expose_file(out, stats);
  if (!pools.empty()) expose_pools(out, pools);
  return out.take();
}

}  // namespace graven
