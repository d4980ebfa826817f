// SPDX-License-Identifier: MIT
//
// The hot table against absl::flat_hash_map (one thread, without any lock) and
// tbb::concurrent_hash_map, in one process. For each comparison the two take turns, and the median
// of the turns' ratios is shown, with its quartiles.
//
// Rates are operations per second of the threads' processor time, summed over threads: what
// other programs on the machine take does not count, but what they take of its caches and memory
// does. Keys of 12 bytes in random order, the same for all, values of 12 bytes; a get hashes the
// key, unless handles are used, and copies the value out.
//
//     hot_table_bench [rounds [entries]]
#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>
#include <pthread.h>
#include <tbb/concurrent_hash_map.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.hpp"
#include "store/hot_table.hpp"

using graven::store::HotHandle;
using graven::store::HotHit;
using graven::store::HotItem;
using graven::store::HotKey;
using graven::store::HotTable;

namespace {

constexpr std::size_t kKey = 12;
constexpr std::size_t kValue = 12;
constexpr std::size_t kQueries = 1U << 20U;
constexpr std::uint64_t kSeed = 7;
constexpr std::size_t kAtOnce = 512;  // of a batch

struct Query {
  char key[kKey];
  std::uint32_t index;
};

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// body(thread, first query, count) on threads of their own, after a fourth of it to warm up;
/// millions of operations a second.
double run(int threads, std::size_t first, std::size_t count,
           const std::function<void(int, std::size_t, std::size_t)>& body) {
  std::vector<double> seconds(static_cast<std::size_t>(threads));
  std::atomic<int> ready{0};
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(t, &set);
      pthread_setaffinity_np(pthread_self(), sizeof set, &set);
      ++ready;
      while (ready.load() < threads) {
      }
      const std::size_t from =
          (first + static_cast<std::size_t>(t) * (kQueries / 2 + 12345)) / kAtOnce * kAtOnce;
      body(t, from + count, count / 4);
      const double begin = cpu_seconds();
      body(t, from, count);
      seconds[static_cast<std::size_t>(t)] = cpu_seconds() - begin;
    });
  }
  for (std::thread& thread : running) thread.join();
  double rate = 0;
  for (const double s : seconds) rate += static_cast<double>(count) / s / 1e6;
  return rate;
}

std::atomic<std::uint64_t> sink;

using Body = std::function<void(int, std::size_t, std::size_t)>;

struct Case {
  int threads;
  Body body;
  bool once = false;  // a run is a whole, of `entries` operations
};

struct Comparison {
  const char* what;
  Case over;
  Case under;
  double aim;  // 0: none
  double aim_rate = 0;
};

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

std::uint64_t hash_of(const char* key) {
  return graven::base::hash(std::string_view(key, kKey), kSeed);
}

struct TbbHash {
  static std::size_t hash(const std::string& key) { return XXH3_64bits(key.data(), key.size()); }
  static bool equal(const std::string& a, const std::string& b) { return a == b; }
};

void measure(std::size_t entries, int rounds) {
  std::vector<Query> keys(entries);
  for (std::size_t i = 0; i < entries; ++i) {
    char text[32];
    std::snprintf(text, sizeof text, "key_%08zu", i);
    std::memcpy(keys[i].key, text, kKey);
    keys[i].index = static_cast<std::uint32_t>(i);
  }
  std::mt19937_64 random(11);
  std::shuffle(keys.begin(), keys.end(), random);
  std::vector<Query> queries(kQueries);
  for (Query& query : queries) query = keys[random() % entries];

  HotTable table;
  HotTable& hot = table;
  absl::flat_hash_map<std::string, std::string> flat;
  tbb::concurrent_hash_map<std::string, std::string, TbbHash> tbb_map;
  const auto value_of = [](std::uint32_t index) {
    std::string value(kValue, 'v');
    std::memcpy(value.data(), &index, sizeof index);
    return value;
  };
  for (const Query& key : keys) {
    const std::string value = value_of(key.index);
    hot.put({key.key, kKey}, hash_of(key.key), value);
    flat.emplace(std::string(key.key, kKey), value);
    tbb_map.emplace(std::string(key.key, kKey), value);
  }
  std::vector<HotHandle> handles(kQueries);
  for (std::size_t i = 0; i < handles.size(); ++i) {
    handles[i] = hot.handle({queries[i].key, kKey}, hash_of(queries[i].key));
  }
  std::size_t wrong = 0;
  for (const Query& key : keys) {
    char out[64];
    const HotHit hit = hot.find({key.key, kKey}, hash_of(key.key), out, sizeof out);
    wrong += !hit || hit.size != kValue || std::memcmp(out, &key.index, 4) != 0;
  }
  if (wrong != 0) std::printf("WRONG: %zu\n", wrong);

  const Query* const list = queries.data();
  const auto at = [list](std::size_t q) -> const Query& { return list[q % kQueries]; };
  const auto hot_get = [&, at](int, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; ++i, ++q) {
      const char* key = at(q).key;
      sum += hot.find({key, kKey}, hash_of(key), out, sizeof out).size +
             static_cast<unsigned char>(out[0]);
    }
    sink += sum;
  };
  const auto flat_get = [&, at](int, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; ++i, ++q) {
      const auto found = flat.find(absl::string_view(at(q).key, kKey));
      if (found == flat.end()) continue;
      std::memcpy(out, found->second.data(), found->second.size());
      sum += found->second.size() + static_cast<unsigned char>(out[0]);
    }
    sink += sum;
  };
  const auto tbb_get = [&, at](int, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    std::string key;
    for (std::size_t i = 0; i < n; ++i, ++q) {
      key.assign(at(q).key, kKey);
      decltype(tbb_map)::const_accessor found;
      if (!tbb_map.find(found, key)) continue;
      std::memcpy(out, found->second.data(), found->second.size());
      sum += found->second.size() + static_cast<unsigned char>(out[0]);
    }
    sink += sum;
  };
  const auto hot_batch = [&, at](int, std::size_t q, std::size_t n) {
    alignas(64) char out[kAtOnce][HotTable::kShortBytes];
    HotKey batch[kAtOnce];
    HotHit hits[kAtOnce];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; i += kAtOnce, q += kAtOnce) {
      for (std::size_t j = 0; j < kAtOnce; ++j) {
        const char* key = at(q + j).key;
        batch[j] = {{key, kKey}, hash_of(key)};
      }
      hot.find_many(batch, out[0], sizeof out[0], hits);
      for (std::size_t j = 0; j < kAtOnce; ++j) {
        sum += hits[j].size + static_cast<unsigned char>(out[j][0]);
      }
    }
    sink += sum;
  };
  const auto hot_handle = [&](int, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; ++i, ++q) {
      sum += hot.find(handles[q % kQueries], out, sizeof out).size +
             static_cast<unsigned char>(out[0]);
    }
    sink += sum;
  };
  const auto hot_handles = [&](int, std::size_t q, std::size_t n) {
    alignas(64) char out[kAtOnce][HotTable::kShortBytes];
    HotHit hits[kAtOnce];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; i += kAtOnce, q += kAtOnce) {
      const std::size_t from = q % kQueries & ~(kAtOnce - 1);
      hot.find_many(std::span(&handles[from], kAtOnce), out[0], sizeof out[0], hits);
      for (std::size_t j = 0; j < kAtOnce; ++j)
        sum += hits[j].size + static_cast<unsigned char>(out[j][0]);
    }
    sink += sum;
  };
  char fresh[] = "valuevalueva";
  const auto hot_put = [&, at](int, std::size_t q, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i, ++q) {
      const char* key = at(q).key;
      hot.put({key, kKey}, hash_of(key), {fresh, kValue});
    }
  };
  const auto hot_put_many = [&, at](int, std::size_t q, std::size_t n) {
    HotItem batch[kAtOnce];
    for (std::size_t i = 0; i < n; i += kAtOnce, q += kAtOnce) {
      for (std::size_t j = 0; j < kAtOnce; ++j) {
        const char* key = at(q + j).key;
        batch[j] = {{key, kKey}, {fresh, kValue}, hash_of(key), 0};
      }
      hot.put_many(batch);
    }
  };
  const auto hot_mixed = [&, at](int t, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    auto coin = static_cast<std::uint32_t>(t + 1);
    for (std::size_t i = 0; i < n; ++i, ++q) {
      const char* key = at(q).key;
      coin = coin * 1664525 + 1013904223;
      if ((coin >> 31) != 0) {
        hot.put({key, kKey}, hash_of(key), {fresh, kValue});
      } else {
        sum += hot.find({key, kKey}, hash_of(key), out, sizeof out).size;
      }
    }
    sink += sum;
  };
  const auto tbb_mixed = [&, at](int t, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    auto coin = static_cast<std::uint32_t>(t + 1);
    std::string key;
    for (std::size_t i = 0; i < n; ++i, ++q) {
      key.assign(at(q).key, kKey);
      coin = coin * 1664525 + 1013904223;
      if ((coin >> 31) != 0) {
        decltype(tbb_map)::accessor found;
        if (tbb_map.find(found, key)) found->second.assign(fresh, kValue);
      } else {
        decltype(tbb_map)::const_accessor found;
        if (!tbb_map.find(found, key)) continue;
        std::memcpy(out, found->second.data(), found->second.size());
        sum += found->second.size();
      }
    }
    sink += sum;
  };
  const auto hot_insert = [&](int, std::size_t, std::size_t n) {
    HotTable grown;
    for (std::size_t i = 0; i < n; ++i) {
      const char* key = keys[i % entries].key;
      grown.put({key, kKey}, hash_of(key), {fresh, kValue});
    }
  };
  const auto flat_insert = [&](int, std::size_t, std::size_t n) {
    absl::flat_hash_map<std::string, std::string> grown;
    for (std::size_t i = 0; i < n; ++i) {
      grown.try_emplace(std::string(keys[i % entries].key, kKey), std::string(fresh, kValue));
    }
  };

  const bool big = entries >= 1000000;
  const bool middle = entries == 100000;
  const Comparison comparisons[] = {
      {"get, 1 thread / absl",
       {1, hot_get},
       {1, flat_get},
       big      ? 0.85
       : middle ? 1.0
                : 0},
      {"get, 2 threads / 1 thread", {2, hot_get}, {1, hot_get}, 1.8},
      {"get, 2 threads / tbb, 2 threads", {2, hot_get}, {2, tbb_get}, 0},
      {"batched get by key, 1 thread / absl", {1, hot_batch}, {1, flat_get}, big ? 4.0 : 0},
      {"get by handle, 1 thread / absl", {1, hot_handle}, {1, flat_get}, 0},
      {"batched get by handle, 2 threads / absl",
       {2, hot_handles},
       {1, flat_get},
       big ? 20.0 : 0,
       middle ? 100.0 : 0},
      {"half updates, half gets, 2 threads / tbb", {2, hot_mixed}, {2, tbb_mixed}, 3.0},
      {"updates in batches / one by one, 1 thread", {1, hot_put_many}, {1, hot_put}, 0},
      {"insert growing, 1 thread / absl", {1, hot_insert, true}, {1, flat_insert, true}, 0},
  };
  std::printf("\n%zu entries, %zu bytes each, %d rounds\n", entries, hot.bytes() / entries, rounds);
  std::printf("  %-42s %7s  %-14s %6s  %s\n", "", "ratio", "quartiles", "aim", "millions/s");
  for (const Comparison& comparison : comparisons) {
    std::vector<double> ratios;
    std::vector<double> rates[2];
    for (int round = 0; round < rounds; ++round) {
      double rate[2];
      for (int turn = 0; turn < 2; ++turn) {
        const int which = (turn + round) % 2;
        const Case& one = which == 0 ? comparison.over : comparison.under;
        rate[which] = one.once ? run(one.threads, 0, entries, one.body)
                               : run(one.threads, static_cast<std::size_t>(round) * 77777,
                                     std::size_t{1} << 18U, one.body);
      }
      ratios.push_back(rate[0] / rate[1]);
      for (int which = 0; which < 2; ++which) rates[which].push_back(rate[which]);
    }
    char aim[32] = "";
    if (comparison.aim != 0) std::snprintf(aim, sizeof aim, "%.2f", comparison.aim);
    if (comparison.aim_rate != 0) std::snprintf(aim, sizeof aim, "%.0f M", comparison.aim_rate);
    std::printf("  %-42s %7.2f  %5.2f .. %5.2f %6s  %.2f / %.2f\n", comparison.what,
                quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75), aim,
                quantile(rates[0], 0.5), quantile(rates[1], 0.5));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 21;
  if (argc > 2) {
    measure(static_cast<std::size_t>(std::atoll(argv[2])), rounds);
    return 0;
  }
  for (const std::size_t entries : {1000UL, 100000UL, 1000000UL}) measure(entries, rounds);
}
