// SPDX-License-Identifier: MIT
//
// The figures, with their names in <graven/stats.hpp>. Pure functions; any thread.
#include "serve/status.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <iterator>
#include <string_view>
#include <type_traits>

#include <graven/stats_fields.hpp>

#include "base/text.hpp"

namespace graven::serve {
namespace {

/// Writes one JSON object; the destructor ends it.
class Object {
 public:
  explicit Object(std::string& json) : json_(json) { json_ += '{'; }
  ~Object() { json_ += '}'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  void key(std::string_view name) {
    if (any_) json_ += ", ";
    any_ = true;
    base::append_json(json_, name);
    json_ += ": ";
  }
  template <class T>
  void put(std::string_view name, const T& value) {
    key(name);
    if constexpr (std::is_same_v<T, bool>) {
      json_ += value ? "true" : "false";
    } else if constexpr (std::is_arithmetic_v<T>) {
      fmt::format_to(std::back_inserter(json_), "{}", value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      base::append_json(json_, value);
    } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
      fmt::format_to(std::back_inserter(json_), "{}", std::chrono::duration<double>(value).count());
    } else if constexpr (std::is_same_v<T, std::vector<ErrorCount>>) {
      Object inner(json_);
      for (const ErrorCount& error : value) inner.put(error.name, error.count);
    } else {
      Object inner(json_);
      inner.put_fields(value);
    }
  }
  // Histogram buckets are only in /metrics.
  void put(std::string_view, const std::vector<Histogram::Bucket>&) {}
  template <class T>
  void put_fields(const T& of) {
    each_field(of, [this](std::string_view name, const auto& value) { put(name, value); });
  }

 private:
  std::string& json_;
  bool any_ = false;
};

}  // namespace

std::string to_json(const Stats& stats, const std::vector<PoolStats>& pools) {
  std::string json;
  {
    Object all(json);
    all.put_fields(stats);
    all.key("connections");
    json += '[';
    for (const PoolStats& pool : pools) {
      if (&pool != &pools.front()) json += ", ";
      Object(json).put_fields(pool);
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
  const bool in_file = file.page_bytes != 0 || !file.readable;
  line(in_file ? "file" : "store", file.name + (file.read_only ? " (read-only here)" : ""));
  if (in_file) {
    line("size", fmt::format("{}, WAL {} of it", shown_bytes(file.size_bytes),
                             shown_bytes(file.wal_bytes)));
    line("pages", fmt::format("{} bytes each, {} free", file.page_bytes, file.free_pages));
    line("all commits", fmt::format("{} by all processes since the first opened it", file.commits));
    line("owners", fmt::format("{} processes hold unlinked nodes", stats.process.owners));
  }
  line("cache", fmt::format("{} entries, {}; {} hits, {} misses, {} from the warm file",
                            stats.cache.entries, shown_bytes(stats.cache.bytes), stats.cache.hits,
                            stats.cache.misses, stats.cache.warm_hits));
  line("reads", times(stats.reads));
  line("commits", times(stats.writes.commit));
  line("writer queue", times(stats.writes.lane));
  line("transactions", fmt::format("{} committed, {} rolled back, {} expired, {} conflicts",
                                   stats.transactions.committed, stats.transactions.rolled_back,
                                   stats.transactions.expired, stats.transactions.conflicts));
  if (in_file) {
    line("checkpoints", times(stats.checkpoints.time) +
                            fmt::format("; {} incomplete", stats.checkpoints.incomplete));
  }
  line("collector", fmt::format("{} nodes", stats.collector.collected));
  line("busy", fmt::format("{} waits, {} errors", stats.busy.waits, stats.busy.errors));
  for (const PoolStats& pool : pools) {
    line(pool.name,
         fmt::format("{} of {} connections in use, {} open", pool.active, pool.limit, pool.open));
  }
  return text;
}

}  // namespace graven::serve
