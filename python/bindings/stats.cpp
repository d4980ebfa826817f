// SPDX-License-Identifier: MIT
//
// Figures to dicts. Called with the GIL held.
#include "stats.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

namespace graven::python {
namespace {

nb::dict to_dict(const Histogram& histogram) {
  nb::dict out;
  out["count"] = histogram.count;
  out["sum"] = histogram.sum;
  out["p50"] = histogram.p50;
  out["p90"] = histogram.p90;
  out["p99"] = histogram.p99;
  out["p999"] = histogram.p999;
  out["max"] = histogram.max;
  nb::list buckets;
  for (const Histogram::Bucket& bucket : histogram.buckets) {
    buckets.append(nb::make_tuple(bucket.le, bucket.count));
  }
  out["buckets"] = buckets;
  return out;
}

nb::dict to_dict(const CacheStats& cache) {
  nb::dict out;
  out["hits"] = cache.hits;
  out["misses"] = cache.misses;
  out["warm_hits"] = cache.warm_hits;
  out["evictions"] = cache.evictions;
  out["drops"] = cache.drops;
  out["follows"] = cache.follows;
  out["entries"] = cache.entries;
  out["bytes"] = cache.bytes;
  out["warm_entries"] = cache.warm_entries;
  return out;
}

nb::dict to_dict(const WriteStats& writes) {
  nb::dict out;
  out["commits"] = writes.commits;
  out["failed"] = writes.failed;
  out["records"] = writes.records;
  out["bytes"] = writes.bytes;
  out["waiting"] = writes.waiting;
  out["commit"] = to_dict(writes.commit);
  out["lane"] = to_dict(writes.lane);
  return out;
}

nb::dict to_dict(const TransactionStats& transactions) {
  nb::dict out;
  out["committed"] = transactions.committed;
  out["rolled_back"] = transactions.rolled_back;
  out["expired"] = transactions.expired;
  out["conflicts"] = transactions.conflicts;
  out["open"] = transactions.open;
  return out;
}

nb::dict to_dict(const FlushStats& flushes) {
  nb::dict out;
  out["failed"] = flushes.failed;
  out["pending_bytes"] = flushes.pending_bytes;
  out["time"] = to_dict(flushes.time);
  return out;
}

nb::dict to_dict(const FileStats& file) {
  nb::dict out;
  out["name"] = file.name;
  out["read_only"] = file.read_only;
  out["size_bytes"] = file.size_bytes;
  out["wal_bytes"] = file.wal_bytes;
  out["page_bytes"] = file.page_bytes;
  out["free_pages"] = file.free_pages;
  out["commits"] = file.commits;
  return out;
}

nb::dict to_dict(const PoolStats& pool) {
  nb::dict out;
  out["name"] = pool.name;
  out["limit"] = pool.limit;
  out["open"] = pool.open;
  out["active"] = pool.active;
  out["idle"] = pool.idle;
  out["waiting"] = pool.waiting;
  out["utilisation"] = pool.utilisation;
  out["leases"] = pool.leases;
  out["timeouts"] = pool.timeouts;
  out["wait"] = to_dict(pool.wait);
  out["held"] = to_dict(pool.held);
  out["oldest"] = std::chrono::duration<double>(pool.oldest).count();
  out["oldest_holder"] = pool.oldest_holder;
  return out;
}

}  // namespace

nb::dict to_python(const Stats& stats) {
  nb::dict out;
  out["cache"] = to_dict(stats.cache);
  out["reads"] = to_dict(stats.reads);
  out["writes"] = to_dict(stats.writes);
  out["transactions"] = to_dict(stats.transactions);
  out["flushes"] = to_dict(stats.flushes);
  nb::dict collector;
  collector["collected"] = stats.collector.collected;
  collector["time"] = to_dict(stats.collector.time);
  out["collector"] = collector;
  nb::dict checkpoints;
  checkpoints["incomplete"] = stats.checkpoints.incomplete;
  checkpoints["time"] = to_dict(stats.checkpoints.time);
  out["checkpoints"] = checkpoints;
  nb::dict busy;
  busy["waits"] = stats.busy.waits;
  busy["errors"] = stats.busy.errors;
  out["busy"] = busy;
  out["file"] = to_dict(stats.file);
  nb::dict process;
  process["owners"] = stats.process.owners;
  out["process"] = process;
  nb::dict errors;
  for (const ErrorCount& error : stats.errors) {
    errors[nb::str(error.name.data(), error.name.size())] = error.count;
  }
  out["errors"] = errors;
  return out;
}

nb::dict to_python(const std::vector<PoolStats>& pools) {
  nb::dict out;
  for (const PoolStats& pool : pools) out[nb::str(pool.name.c_str())] = to_dict(pool);
  return out;
}

}  // namespace graven::python
