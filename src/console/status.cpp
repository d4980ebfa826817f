// SPDX-License-Identifier: MIT
//
// The figures under their names in <graven/stats.hpp>. Pure; any thread.
#include "console/status.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <string_view>
#include <type_traits>

namespace graven::console {
namespace {

void append_quoted(std::string& json, std::string_view text) {
  json += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(json), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  json += '"';
}

/// Writes one object; ends it when it goes.
class Object {
 public:
  explicit Object(std::string& json) : json_(json) { json_ += '{'; }
  ~Object() { json_ += '}'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  template <class T>
  void put(std::string_view name, const T& value) {
    key(name);
    if constexpr (std::is_same_v<T, Histogram>) {
      put_histogram(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      json_ += value ? "true" : "false";
    } else if constexpr (std::is_arithmetic_v<T>) {
      fmt::format_to(std::back_inserter(json_), "{}", value);
    } else {
      append_quoted(json_, value);
    }
  }
  template <class Fill>
  void object(std::string_view name, const Fill& fill) {
    key(name);
    Object inner(json_);
    fill(inner);
  }
  void key(std::string_view name) {
    if (any_) json_ += ", ";
    any_ = true;
    append_quoted(json_, name);
    json_ += ": ";
  }

 private:
  void put_histogram(const Histogram& value) {
    Object inner(json_);
    inner.put("count", value.count);
    inner.put("sum", value.sum);
    inner.put("p50", value.p50);
    inner.put("p90", value.p90);
    inner.put("p99", value.p99);
    inner.put("p999", value.p999);
    inner.put("max", value.max);
  }

  std::string& json_;
  bool any_ = false;
};

void put_pool(std::string& json, const PoolStats& pool) {
  Object one(json);
  one.put("name", pool.name);
  one.put("limit", pool.limit);
  one.put("open", pool.open);
  one.put("active", pool.active);
  one.put("idle", pool.idle);
  one.put("waiting", pool.waiting);
  one.put("utilisation", pool.utilisation);
  one.put("leases", pool.leases);
  one.put("timeouts", pool.timeouts);
  one.put("wait", pool.wait);
  one.put("held", pool.held);
  one.put("oldest", std::chrono::duration<double>(pool.oldest).count());
  one.put("oldest_holder", pool.oldest_holder);
}

void put_work(Object& all, const Stats& stats) {
  all.object("cache", [&](Object& one) {
    one.put("hits", stats.cache.hits);
    one.put("misses", stats.cache.misses);
    one.put("warm_hits", stats.cache.warm_hits);
    one.put("evictions", stats.cache.evictions);
    one.put("drops", stats.cache.drops);
    one.put("follows", stats.cache.follows);
    one.put("entries", stats.cache.entries);
    one.put("bytes", stats.cache.bytes);
    one.put("warm_entries", stats.cache.warm_entries);
  });
  all.put("reads", stats.reads);
  all.object("writes", [&](Object& one) {
    one.put("commits", stats.writes.commits);
    one.put("failed", stats.writes.failed);
    one.put("records", stats.writes.records);
    one.put("bytes", stats.writes.bytes);
    one.put("waiting", stats.writes.waiting);
    one.put("commit", stats.writes.commit);
    one.put("lane", stats.writes.lane);
  });
  all.object("transactions", [&](Object& one) {
    one.put("committed", stats.transactions.committed);
    one.put("rolled_back", stats.transactions.rolled_back);
    one.put("expired", stats.transactions.expired);
    one.put("conflicts", stats.transactions.conflicts);
    one.put("open", stats.transactions.open);
  });
}

}  // namespace

std::string to_json(const Stats& stats, const std::vector<PoolStats>& pools) {
  std::string json;
  {
    Object all(json);
    put_work(all, stats);
    all.object("flushes", [&](Object& one) {
      one.put("failed", stats.flushes.failed);
      one.put("pending_bytes", stats.flushes.pending_bytes);
      one.put("time", stats.flushes.time);
    });
    all.object("collector", [&](Object& one) {
      one.put("collected", stats.collector.collected);
      one.put("time", stats.collector.time);
    });
    all.object("checkpoints", [&](Object& one) {
      one.put("incomplete", stats.checkpoints.incomplete);
      one.put("time", stats.checkpoints.time);
    });
    all.object("busy", [&](Object& one) {
      one.put("waits", stats.busy.waits);
      one.put("errors", stats.busy.errors);
    });
    all.object("file", [&](Object& one) {
      one.put("name", stats.file.name);
      one.put("read_only", stats.file.read_only);
      one.put("size_bytes", stats.file.size_bytes);
      one.put("wal_bytes", stats.file.wal_bytes);
      one.put("page_bytes", stats.file.page_bytes);
      one.put("free_pages", stats.file.free_pages);
      one.put("commits", stats.file.commits);
    });
    all.object("process", [&](Object& one) { one.put("owners", stats.process.owners); });
    all.object("errors", [&](Object& one) {
      for (const ErrorCount& error : stats.errors) one.put(error.name, error.count);
    });
    all.key("connections");
    json += '[';
    for (const PoolStats& pool : pools) {
      if (&pool != &pools.front()) json += ", ";
      put_pool(json, pool);
    }
    json += ']';
  }
  return json;
}

std::string shown_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string shown_time(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

std::string to_text(const Stats& stats, const std::vector<PoolStats>& pools) {
  std::string text;
  const auto line = [&text](std::string_view label, const std::string& value) {
    text += fmt::format("{:<14}{}\n", label, value);
  };
  const auto times = [](const Histogram& histogram) {
    if (histogram.count == 0) return std::string("none");
    return fmt::format("{}, p50 {}, p99 {}, longest {}", histogram.count, shown_time(histogram.p50),
                       shown_time(histogram.p99), shown_time(histogram.max));
  };
  const FileStats& file = stats.file;
  line("file", file.name + (file.read_only ? " (read-only here)" : ""));
  line("size",
       fmt::format("{}, WAL {} of it", shown_bytes(file.size_bytes), shown_bytes(file.wal_bytes)));
  line("pages", fmt::format("{} bytes each, {} free", file.page_bytes, file.free_pages));
  line("all commits", fmt::format("{} by all processes since the first opened it", file.commits));
  line("owners", fmt::format("{} processes hold unlinked nodes", stats.process.owners));
  line("cache", fmt::format("{} entries, {}; {} hits, {} misses, {} from the warm file",
                            stats.cache.entries, shown_bytes(stats.cache.bytes), stats.cache.hits,
                            stats.cache.misses, stats.cache.warm_hits));
  line("reads", times(stats.reads));
  line("commits", times(stats.writes.commit));
  line("lane waits", times(stats.writes.lane));
  line("transactions", fmt::format("{} committed, {} rolled back, {} expired, {} conflicts",
                                   stats.transactions.committed, stats.transactions.rolled_back,
                                   stats.transactions.expired, stats.transactions.conflicts));
  line("checkpoints", times(stats.checkpoints.time) +
                          fmt::format("; {} incomplete", stats.checkpoints.incomplete));
  line("collector", fmt::format("{} nodes", stats.collector.collected));
  line("busy", fmt::format("{} waits, {} errors", stats.busy.waits, stats.busy.errors));
  for (const PoolStats& pool : pools) {
    line(pool.name,
         fmt::format("{} of {} connections in use, {} open", pool.active, pool.limit, pool.open));
  }
  return text;
}

}  // namespace graven::console
