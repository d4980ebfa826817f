// SPDX-License-Identifier: MIT
//
// What the cases of map_bench share: a contest is a few contestants that do the same work in
// turns, one of them graven's. A turn says how long one operation took; medians, ratios and
// verdicts are made from the turns by bench/figures.py.
//
// Used by one thread.
#pragma once

#include <graven/graven.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace graven::bench {

struct Turn {
  double seconds = 0;  ///< per operation
  double share = 0;    ///< of two processes, how often the busier one's turn came to the other's
};

/// Whose time the bar compares ours with: that of the fastest rival.
enum class Role : std::uint8_t { kOurs, kRival, kShown };

struct Contestant {
  Role role;
  std::string name;
  std::function<Turn()> turn;
};

enum class Order : std::uint8_t { kRising, kRandom };

/// What one case has otherwise than another; each reads what concerns it.
struct Terms {
  std::size_t entries = 0;  ///< there before the first turn
  std::size_t count = 0;    ///< operations of a turn
  Order order = Order::kRandom;
  Synchronous synchronous = Synchronous::kNormal;
  int threads = 1;
  bool busy = false;  ///< another thread commits all the while
};

struct Bar {
  enum Kind : std::uint8_t { kNone, kAtLeast, kAtMost, kWithin };
  /// kAtLeast: so many times the rival's rate. kAtMost: so many times the rival's time. kWithin: so
  /// many seconds, whatever the others take.
  Kind kind = kNone;
  double value = 0;
  double share = 0;  ///< of Turn::share, at most; 0: not asked for
};

/// `folder` is empty and there until the contestants are gone.
using Make = std::vector<Contestant> (*)(const Terms& terms, const std::string& folder);

struct Case {
  std::string name;
  Bar bar;
  Make make;
  Terms terms;
};

/// 12-byte keys "key_00000000" … in rising or in a random order that is the same in every run.
class Keys {
 public:
  static constexpr std::size_t kSize = 12;
  Keys(std::size_t first, std::size_t count, Order order);
  /// `count` random ones of keys [0, among), some of them more than once.
  static Keys sample(std::size_t among, std::size_t count, std::uint64_t seed);
  [[nodiscard]] std::size_t size() const noexcept { return text_.size() / kSize; }
  /// Around again at the end.
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    return {text_.data() + i % size() * kSize, kSize};
  }

 private:
  Keys() = default;
  std::string text_;
};

std::string key(std::size_t number);

/// Seconds a body took: by the clock, or of the processor time of the calling thread, which
/// leaves out what other programs on the machine take.
double elapsed(const std::function<void()>& body);
double processor_time(const std::function<void()>& body);
double monotonic_seconds();

/// Keeps the compiler from leaving out what computed it.
void keep(std::uint64_t value);

// The rows of map_bench.cpp's table, by file.
std::vector<Contestant> table_get(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_get_many(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_get_by_handle(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_get_many_by_handle(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_threads(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_update(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_update_many(const Terms& terms, const std::string& folder);
std::vector<Contestant> table_insert(const Terms& terms, const std::string& folder);
std::vector<Contestant> hot_hit(const Terms& terms, const std::string& folder);
std::vector<Contestant> hot_hit_in_memory_tables(const Terms& terms, const std::string& folder);
std::vector<Contestant> counted_map_hit(const Terms& terms, const std::string& folder);
std::vector<Contestant> counted_graph_hit(const Terms& terms, const std::string& folder);
std::vector<Contestant> graph_small(const Terms& terms, const std::string& folder);
std::vector<Contestant> graph_large(const Terms& terms, const std::string& folder);
std::vector<Contestant> put_per_call(const Terms& terms, const std::string& folder);
std::vector<Contestant> put_lazily(const Terms& terms, const std::string& folder);
std::vector<Contestant> larger_than_memory(const Terms& terms, const std::string& folder);
std::vector<Contestant> shared_counter(const Terms& terms, const std::string& folder);
std::vector<Contestant> warm_against_cold(const Terms& terms, const std::string& folder);
std::vector<Contestant> import_in_phases(const Terms& terms, const std::string& folder);
std::vector<Contestant> import_beside_raw(const Terms& terms, const std::string& folder);
std::vector<Contestant> batch_beside_single(const Terms& terms, const std::string& folder);
std::vector<Contestant> updates_of_a_large_store(const Terms& terms, const std::string& folder);
std::vector<Contestant> cold_read_p99(const Terms& terms, const std::string& folder);
std::vector<Contestant> hot_map_read_p99(const Terms& terms, const std::string& folder);
std::vector<Contestant> hot_graph_read_p99(const Terms& terms, const std::string& folder);
std::vector<Contestant> write_p99_beside_a_backup(const Terms& terms, const std::string& folder);

/// What processes started by shared_counter and cold_read_p99 do.
int count_in_child(const std::string& what, const std::string& path, double start, double seconds);
int commit_in_child(const std::string& path, std::size_t among);

/// A map with keys [0, entries) and values of `value_size` bytes.
void fill(const Map& map, std::size_t entries, std::size_t value_size);

}  // namespace graven::bench
