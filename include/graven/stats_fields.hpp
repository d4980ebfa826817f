// SPDX-License-Identifier: MIT
//
// The fields of <graven/stats.hpp> by name, for code that converts them: to JSON, a dict, text.
//
//     graven::each_field(db.stats(), [&](std::string_view name, const auto& value) { ... });
//
// A value is a number, a bool, a std::string, a std::chrono::milliseconds, a vector of
// Histogram::Bucket or ErrorCount, or one of the structures, for which each_field() can be called.
#pragma once

#include <graven/stats.hpp>

namespace graven {

template <class Visit>
void each_field(const Histogram& of, const Visit& visit) {
  visit("count", of.count);
  visit("sum", of.sum);
  visit("p50", of.p50);
  visit("p90", of.p90);
  visit("p99", of.p99);
  visit("p999", of.p999);
  visit("max", of.max);
  visit("buckets", of.buckets);
}

template <class Visit>
void each_field(const CacheStats& of, const Visit& visit) {
  visit("hits", of.hits);
  visit("misses", of.misses);
  visit("warm_hits", of.warm_hits);
  visit("evictions", of.evictions);
  visit("drops", of.drops);
  visit("follows", of.follows);
  visit("entries", of.entries);
  visit("bytes", of.bytes);
  visit("warm_entries", of.warm_entries);
}

template <class Visit>
void each_field(const WriteStats& of, const Visit& visit) {
  visit("commits", of.commits);
  visit("failed", of.failed);
  visit("records", of.records);
  visit("bytes", of.bytes);
  visit("waiting", of.waiting);
  visit("commit", of.commit);
  visit("lane", of.lane);
}

template <class Visit>
void each_field(const TransactionStats& of, const Visit& visit) {
  visit("committed", of.committed);
  visit("rolled_back", of.rolled_back);
  visit("expired", of.expired);
  visit("conflicts", of.conflicts);
  visit("open", of.open);
}

template <class Visit>
void each_field(const FlushStats& of, const Visit& visit) {
  visit("failed", of.failed);
  visit("pending_bytes", of.pending_bytes);
  visit("time", of.time);
}

template <class Visit>
void each_field(const CollectorStats& of, const Visit& visit) {
  visit("collected", of.collected);
  visit("time", of.time);
}

template <class Visit>
void each_field(const CheckpointStats& of, const Visit& visit) {
  visit("incomplete", of.incomplete);
  visit("time", of.time);
}

template <class Visit>
void each_field(const BusyStats& of, const Visit& visit) {
  visit("waits", of.waits);
  visit("errors", of.errors);
}

template <class Visit>
void each_field(const FileStats& of, const Visit& visit) {
  visit("name", of.name);
  visit("read_only", of.read_only);
  visit("readable", of.readable);
  visit("size_bytes", of.size_bytes);
  visit("wal_bytes", of.wal_bytes);
  visit("page_bytes", of.page_bytes);
  visit("free_pages", of.free_pages);
  visit("commits", of.commits);
}

template <class Visit>
void each_field(const ProcessStats& of, const Visit& visit) {
  visit("owners", of.owners);
}

template <class Visit>
void each_field(const PoolStats& of, const Visit& visit) {
  visit("name", of.name);
  visit("limit", of.limit);
  visit("open", of.open);
  visit("active", of.active);
  visit("idle", of.idle);
  visit("waiting", of.waiting);
  visit("utilisation", of.utilisation);
  visit("leases", of.leases);
  visit("timeouts", of.timeouts);
  visit("wait", of.wait);
  visit("held", of.held);
  visit("oldest", of.oldest);
  visit("oldest_holder", of.oldest_holder);
}

template <class Visit>
void each_field(const Stats& of, const Visit& visit) {
  visit("cache", of.cache);
  visit("reads", of.reads);
  visit("writes", of.writes);
  visit("transactions", of.transactions);
  visit("flushes", of.flushes);
  visit("collector", of.collector);
  visit("checkpoints", of.checkpoints);
  visit("busy", of.busy);
  visit("file", of.file);
  visit("process", of.process);
  visit("errors", of.errors);
}

}  // namespace graven
