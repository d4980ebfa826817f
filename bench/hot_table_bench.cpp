// SPDX-License-Identifier: MIT
//
// The hot table against absl::flat_hash_map (one thread, unsynchronised) and
// tbb::concurrent_hash_map, in one process and in alternating rounds; medians and ratios.
//
// Rates are operations per second of the threads' processor time, summed over threads: what
// other programs on the machine take does not count. Keys of 12 bytes in random order, values
// of 12 bytes; ours hashes inside the measured loop unless handles are used.
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
#include <map>
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

struct Query {
  char key[kKey];
  std::uint32_t index;
};

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// body(thread, first query, count); millions of operations a second.
double run(int threads, std::size_t count,
           const std::function<void(int, std::size_t, std::size_t)>& body) {
  std::vector<double> seconds(static_cast<std::size_t>(threads));
  std::atomic<int> ready{0};
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(t, &set);
      if (std::getenv("BENCH_PIN") != nullptr)
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
      ++ready;
      while (ready.load() < threads) {
      }
      const double begin = cpu_seconds();
      body(t, static_cast<std::size_t>(t) * (kQueries / 2 + 12345) / 64 * 64, count);
      seconds[static_cast<std::size_t>(t)] = cpu_seconds() - begin;
    });
  }
  for (std::thread& thread : running) thread.join();
  double rate = 0;
  for (const double s : seconds) rate += static_cast<double>(count) / s / 1e6;
  return rate;
}

std::atomic<std::uint64_t> sink;

struct Case {
  std::string name;
  int threads;
  std::function<void(int, std::size_t, std::size_t)> body;
};

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
  std::vector<Query> queries(kQueries + 64);
  for (Query& query : queries) query = keys[random() % entries];
  std::memcpy(&queries[kQueries], &queries[0], 64 * sizeof(Query));

  HotTable hot;
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
  std::vector<HotHandle> handles(kQueries + 64);
  std::vector<std::uint64_t> hashes(kQueries + 64);
  for (std::size_t i = 0; i < handles.size(); ++i) {
    hashes[i] = hash_of(queries[i].key);
    handles[i] = hot.handle({queries[i].key, kKey}, hashes[i]);
  }
  std::size_t wrong = 0;
  for (const Query& key : keys) {
    char out[64];
    const HotHit hit = hot.find({key.key, kKey}, hash_of(key.key), out, sizeof out);
    wrong += !hit || hit.size != kValue || std::memcmp(out, &key.index, 4) != 0;
  }
  if (wrong != 0) std::printf("WRONG: %zu\n", wrong);

  const auto at = [&](std::size_t q) -> const Query& { return queries[q % kQueries]; };
  const auto hot_get = [&](int, std::size_t q, std::size_t n) {
    char out[64];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; ++i, ++q) {
      const char* key = at(q).key;
      sum += hot.find({key, kKey}, hash_of(key), out, sizeof out).size +
             static_cast<unsigned char>(out[0]);
    }
    sink += sum;
  };
  const auto flat_get = [&](int, std::size_t q, std::size_t n) {
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
  const auto tbb_get = [&](int, std::size_t q, std::size_t n) {
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
  const auto hot_batch = [&](int, std::size_t q, std::size_t n) {
    constexpr std::size_t kAtOnce = 256;
    alignas(64) char out[kAtOnce][48];
    HotKey batch[kAtOnce];
    HotHit hits[kAtOnce];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; i += kAtOnce, q += kAtOnce) {
      for (std::size_t j = 0; j < kAtOnce; ++j) {
        const char* key = at(q + j).key;
        batch[j] = {{key, kKey}, hash_of(key)};
      }
      hot.find_many(batch, out[0], 48, hits);
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
    constexpr std::size_t kAtOnce = 256;
    alignas(64) char out[kAtOnce][48];
    HotHit hits[kAtOnce];
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; i += kAtOnce, q += kAtOnce) {
      const std::size_t from = q % kQueries & ~(kAtOnce - 1);
      hot.find_many(std::span(&handles[from], kAtOnce), out[0], 48, hits);
      for (std::size_t j = 0; j < kAtOnce; ++j)
        sum += hits[j].size + static_cast<unsigned char>(out[j][0]);
    }
    sink += sum;
  };
  char fresh[] = "valuevalueva";
  const auto hot_put = [&](int, std::size_t q, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i, ++q) {
      const char* key = at(q).key;
      hot.put({key, kKey}, hash_of(key), {fresh, kValue});
    }
  };
  const auto hot_put_many = [&](int, std::size_t q, std::size_t n) {
    constexpr std::size_t kAtOnce = 256;
    HotItem batch[kAtOnce];
    for (std::size_t i = 0; i < n; i += kAtOnce, q += kAtOnce) {
      for (std::size_t j = 0; j < kAtOnce; ++j) {
        const char* key = at(q + j).key;
        batch[j] = {{key, kKey}, {fresh, kValue}, hash_of(key), 0};
      }
      hot.put_many(batch);
    }
  };
  const auto hot_mixed = [&](int t, std::size_t q, std::size_t n) {
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
  const auto tbb_mixed = [&](int t, std::size_t q, std::size_t n) {
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

  std::vector<Case> cases = {
      {"absl get", 1, flat_get},
      {"hot get", 1, hot_get},
      {"hot get", 2, hot_get},
      {"tbb get", 1, tbb_get},
      {"tbb get", 2, tbb_get},
      {"hot find_many", 1, hot_batch},
      {"hot find_many", 2, hot_batch},
      {"hot handle", 1, hot_handle},
      {"hot handle", 2, hot_handle},
      {"hot handles many", 1, hot_handles},
      {"hot handles many", 2, hot_handles},
      {"hot put in place", 1, hot_put},
      {"hot put in place", 2, hot_put},
      {"hot put_many", 1, hot_put_many},
      {"hot put_many", 2, hot_put_many},
      {"hot 50/50", 2, hot_mixed},
      {"tbb 50/50", 2, tbb_mixed},
      {"hot insert", 1, hot_insert},
      {"absl insert", 1, flat_insert},
  };
  std::vector<std::vector<double>> rates(cases.size());
  for (int round = 0; round <= rounds; ++round) {
    for (std::size_t c = 0; c < cases.size(); ++c) {
      const bool insert = cases[c].name.find("insert") != std::string::npos;
      const std::size_t n = insert ? entries : (1U << 19U);
      // Once to bring back into the caches what the case before has pushed out, for each alike.
      if (!insert) run(cases[c].threads, n, cases[c].body);
      const double rate = run(cases[c].threads, n, cases[c].body);
      if (round != 0) rates[c].push_back(rate);  // the first warms up
    }
  }
  std::map<std::string, double> median;
  std::printf("\n%zu entries, %d rounds; %zu bytes an entry\n", entries, rounds,
              hot.bytes() / entries);
  for (std::size_t c = 0; c < cases.size(); ++c) {
    std::sort(rates[c].begin(), rates[c].end());
    const double middle = rates[c][rates[c].size() / 2];
    median[cases[c].name + "/" + std::to_string(cases[c].threads)] = middle;
    std::printf("  %-18s %d thread%s %8.2f M/s  (%.2f .. %.2f)\n", cases[c].name.c_str(),
                cases[c].threads, cases[c].threads == 1 ? " " : "s", middle, rates[c].front(),
                rates[c].back());
  }
  const auto ratio = [&](const char* what, const char* over, const char* under) {
    std::printf("  %-52s %6.2f x\n", what, median[over] / median[under]);
  };
  ratio("get, 1 thread, to absl", "hot get/1", "absl get/1");
  ratio("get, 2 threads to 1", "hot get/2", "hot get/1");
  ratio("batched get by key, 1 thread, to absl get", "hot find_many/1", "absl get/1");
  ratio("batched get by handle, 2 threads, to absl get", "hot handles many/2", "absl get/1");
  ratio("update/read 50/50, 2 threads, to tbb", "hot 50/50/2", "tbb 50/50/2");
  ratio("insert growing, 1 thread, to absl", "hot insert/1", "absl insert/1");
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  if (argc > 2) {
    measure(static_cast<std::size_t>(std::atoll(argv[2])), rounds);
    return 0;
  }
  for (const std::size_t entries : {1000UL, 100000UL, 1000000UL}) measure(entries, rounds);
}
