// SPDX-License-Identifier: MIT
//
// The hot table alone, beside tables that are nothing but memory. Keys and values of 12 bytes in
// random order, the same for all; a get hashes the key, unless handles are used, and copies the
// value out.
//
// Times are of the threads' processor time, for all of them together: what other programs on the
// machine take does not count, but what they take of its caches and memory does.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <thread>

#include "base/hash.hpp"
#include "cache/hot/hot_table.hpp"
#include "contest.hpp"
#include "memory_tables.hpp"

namespace graven::bench {

namespace {

using cache::HotHandle;
using cache::HotHit;
using cache::HotItem;
using cache::HotKey;
using cache::HotTable;

constexpr std::size_t kValueSize = 12;
constexpr std::size_t kQueries = std::size_t{1} << 20U;
constexpr std::size_t kAtOnce = 512;  // of a batch
constexpr std::string_view kFresh = "valuevalueva";

std::uint64_t hash_of(std::string_view key) { return base::hash(key, 7); }

/// kQueries keys, around again at the end; as Keys, but the compiler knows where that is.
struct Queries {
  const char* text;

  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    return {text + i % kQueries * Keys::kSize, Keys::kSize};
  }
};

/// The same entries in all of them, and what is asked of them.
struct Tables {
  explicit Tables(std::size_t entries)
      : all(0, entries, Order::kRandom),
        asked(Keys::sample(entries, kQueries, 11)),
        queries{asked[0].data()} {
    for (std::size_t i = 0; i < entries; ++i) {
      std::string value(kValueSize, 'v');
      std::memcpy(value.data(), &i, sizeof i);
      hot.put(all[i], hash_of(all[i]), value);
      flat.emplace(all[i], value);
      concurrent.emplace(all[i], value);
    }
    handles.reserve(kQueries);
    for (std::size_t i = 0; i < kQueries; ++i) {
      handles.push_back(hot.handle(queries[i], hash_of(queries[i])));
      char out[HotTable::kInlineBytes];
      const HotHit hit = hot.find(handles[i], out, sizeof out);
      if (!hit || std::string_view(out, hit.size) != *find(flat, queries[i])) {
        throw std::logic_error("the hot table gives another value than absl::flat_hash_map");
      }
    }
  }

  Keys all;
  Keys asked;
  Queries queries;
  std::vector<HotHandle> handles;  // of the queries
  HotTable hot;
  FlatTable flat;
  ConcurrentTable concurrent;
};

using Shared = std::shared_ptr<Tables>;

/// Does `count` operations, those of the queries from `first` on, and returns what depends on all
/// that was read.
using Body = std::function<std::uint64_t(std::size_t first, std::size_t count)>;

/// All queries on threads of their own, each on one processor, after a fourth of them to warm up.
std::function<Turn()> on_threads(int threads, Body body) {
  return [=] {
    std::vector<double> seconds(static_cast<std::size_t>(threads));
    std::atomic<int> ready{0};
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(t, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        ++ready;
        while (ready.load() < threads) {
        }
        const std::size_t first = static_cast<std::size_t>(t) * (kQueries / 2 + 24 * kAtOnce);
        keep(body(first, kQueries / 4));
        seconds[static_cast<std::size_t>(t)] =
            processor_time([&] { keep(body(first + kQueries / 4, kQueries)); });
      });
    }
    for (std::thread& thread : running) thread.join();
    double rate = 0;
    for (const double taken : seconds) rate += static_cast<double>(kQueries) / taken;
    return Turn{1 / rate};
  };
}

std::uint64_t touched(std::size_t size, const char* value) {
  return size + static_cast<unsigned char>(*value);
}

Body hot_get(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    char out[HotTable::kInlineBytes];
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::string_view key = queries[i];
      sum += touched(tables->hot.find(key, hash_of(key), out, sizeof out).size, out);
    }
    return sum;
  };
}

Body flat_get(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    char out[HotTable::kInlineBytes];
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::string* const value = find(tables->flat, queries[i]);
      if (value == nullptr) continue;
      std::memcpy(out, value->data(), value->size());
      sum += touched(value->size(), out);
    }
    return sum;
  };
}

Body concurrent_get(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    char out[HotTable::kInlineBytes];
    std::string key;
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      key.assign(queries[i]);
      ConcurrentTable::const_accessor found;
      if (!tables->concurrent.find(found, key)) continue;
      std::memcpy(out, found->second.data(), found->second.size());
      sum += touched(found->second.size(), out);
    }
    return sum;
  };
}

Body hot_get_many(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    alignas(64) char out[kAtOnce][HotTable::kShortBytes];
    HotKey keys[kAtOnce];
    HotHit hits[kAtOnce];
    std::uint64_t sum = 0;
    for (std::size_t from = first; from < first + count; from += kAtOnce) {
      for (std::size_t i = 0; i < kAtOnce; ++i) {
        const std::string_view key = queries[from + i];
        keys[i] = {key, hash_of(key)};
      }
      tables->hot.find_many(keys, out[0], sizeof out[0], hits);
      for (std::size_t i = 0; i < kAtOnce; ++i) sum += touched(hits[i].size, out[i]);
    }
    return sum;
  };
}

Body hot_get_by_handle(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    char out[HotTable::kInlineBytes];
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      const HotHandle& handle = tables->handles[i % kQueries];
      sum += touched(tables->hot.find(handle, out, sizeof out).size, out);
    }
    return sum;
  };
}

Body hot_get_many_by_handle(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    alignas(64) char out[kAtOnce][HotTable::kShortBytes];
    HotHit hits[kAtOnce];
    std::uint64_t sum = 0;
    for (std::size_t from = first; from < first + count; from += kAtOnce) {
      const std::span handles(&tables->handles[from % kQueries], kAtOnce);
      tables->hot.find_many(handles, out[0], sizeof out[0], hits);
      for (std::size_t i = 0; i < kAtOnce; ++i) sum += touched(hits[i].size, out[i]);
    }
    return sum;
  };
}

/// What memory and processor give at most: one word of each entry's line, fetched ahead, and
/// nothing checked or copied.
Body touch_lines(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    constexpr std::size_t kAhead = 64;
    const HotHandle* const handles = tables->handles.data();
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      __builtin_prefetch(handles[(i + kAhead) % kQueries].line, 0, 2);
      sum += handles[i % kQueries].line->words[0].load(std::memory_order_relaxed);
    }
    return sum;
  };
}

Body hot_put(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::string_view key = queries[i];
      tables->hot.put(key, hash_of(key), kFresh);
    }
    return count;
  };
}

Body hot_put_many(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    HotItem items[kAtOnce];
    for (std::size_t from = first; from < first + count; from += kAtOnce) {
      for (std::size_t i = 0; i < kAtOnce; ++i) {
        const std::string_view key = queries[from + i];
        items[i] = {key, kFresh, hash_of(key), 0};
      }
      tables->hot.put_many(items);
    }
    return count;
  };
}

/// Every other operation, by chance, is an update, the others are reads.
class Coin {
 public:
  explicit Coin(std::size_t seed) : state_(static_cast<std::uint32_t>(seed)) {}
  bool operator()() {
    state_ = state_ * 1664525 + 1013904223;
    return (state_ >> 31U) != 0;
  }

 private:
  std::uint32_t state_;
};

Body hot_update_and_get(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    char out[HotTable::kInlineBytes];
    Coin coin(first);
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::string_view key = queries[i];
      if (coin()) {
        tables->hot.put(key, hash_of(key), kFresh);
      } else {
        sum += touched(tables->hot.find(key, hash_of(key), out, sizeof out).size, out);
      }
    }
    return sum;
  };
}

Body concurrent_update_and_get(const Shared& tables) {
  return [tables](std::size_t first, std::size_t count) {
    const Queries queries = tables->queries;
    char out[HotTable::kInlineBytes];
    Coin coin(first);
    std::string key;
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      key.assign(queries[i]);
      if (coin()) {
        ConcurrentTable::accessor found;
        if (tables->concurrent.find(found, key)) found->second.assign(kFresh);
      } else {
        ConcurrentTable::const_accessor found;
        if (!tables->concurrent.find(found, key)) continue;
        std::memcpy(out, found->second.data(), found->second.size());
        sum += touched(found->second.size(), out);
      }
    }
    return sum;
  };
}

std::vector<Contestant> against_flat(const Terms& terms, const Shared& tables,
                                     Body (*ours)(const Shared&)) {
  return {{Role::kOurs, "graven, hot table", on_threads(terms.threads, ours(tables))},
          {Role::kRival, "absl::flat_hash_map, unsynchronised, one thread",
           on_threads(1, flat_get(tables))}};
}

}  // namespace

std::vector<Contestant> table_get(const Terms& terms, const std::string& /*folder*/) {
  return against_flat(terms, std::make_shared<Tables>(terms.entries), hot_get);
}

std::vector<Contestant> table_get_many(const Terms& terms, const std::string& /*folder*/) {
  return against_flat(terms, std::make_shared<Tables>(terms.entries), hot_get_many);
}

std::vector<Contestant> table_get_by_handle(const Terms& terms, const std::string& /*folder*/) {
  return against_flat(terms, std::make_shared<Tables>(terms.entries), hot_get_by_handle);
}

std::vector<Contestant> table_get_many_by_handle(const Terms& terms,
                                                 const std::string& /*folder*/) {
  const auto tables = std::make_shared<Tables>(terms.entries);
  std::vector<Contestant> all = against_flat(terms, tables, hot_get_many_by_handle);
  all.push_back({Role::kShown, "one word of each line, nothing checked",
                 on_threads(terms.threads, touch_lines(tables))});
  return all;
}

std::vector<Contestant> table_threads(const Terms& terms, const std::string& /*folder*/) {
  const auto tables = std::make_shared<Tables>(terms.entries);
  return {{Role::kOurs, "graven, hot table", on_threads(terms.threads, hot_get(tables))},
          {Role::kRival, "graven, hot table, one thread", on_threads(1, hot_get(tables))},
          {Role::kShown, "tbb::concurrent_hash_map",
           on_threads(terms.threads, concurrent_get(tables))}};
}

std::vector<Contestant> table_update(const Terms& terms, const std::string& /*folder*/) {
  const auto tables = std::make_shared<Tables>(terms.entries);
  return {{Role::kOurs, "graven, hot table", on_threads(terms.threads, hot_update_and_get(tables))},
          {Role::kRival, "tbb::concurrent_hash_map",
           on_threads(terms.threads, concurrent_update_and_get(tables))}};
}

std::vector<Contestant> table_update_many(const Terms& terms, const std::string& /*folder*/) {
  const auto tables = std::make_shared<Tables>(terms.entries);
  return {
      {Role::kOurs, "graven, hot table", on_threads(terms.threads, hot_put_many(tables))},
      {Role::kShown, "graven, hot table, one by one", on_threads(terms.threads, hot_put(tables))}};
}

std::vector<Contestant> table_insert(const Terms& terms, const std::string& /*folder*/) {
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const auto turn = [count = terms.entries](auto insert_all) {
    return [=] { return Turn{processor_time(insert_all) / static_cast<double>(count)}; };
  };
  const auto hot = [keys] {
    HotTable table;
    for (std::size_t i = 0; i < keys->size(); ++i) {
      table.put((*keys)[i], hash_of((*keys)[i]), kFresh);
    }
    keep(table.bytes());
  };
  const auto flat = [keys] {
    FlatTable table;
    for (std::size_t i = 0; i < keys->size(); ++i) {
      table.try_emplace(std::string((*keys)[i]), std::string(kFresh));
    }
    keep(table.size());
  };
  return {{Role::kOurs, "graven, hot table", turn(hot)},
          {Role::kShown, "absl::flat_hash_map, unsynchronised, one thread", turn(flat)}};
}

}  // namespace graven::bench
