// SPDX-License-Identifier: MIT
//
// Histories of one key of the hot table, recorded by two and three threads and checked for
// linearizability: every order of the operations that fits what each thread saw is tried.
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cache/hot/hot_table.hpp"
#include "cache/hot/stamps.hpp"

namespace graven::test {
namespace {

using cache::HotEdit;
using cache::HotHandle;
using cache::HotHit;
using cache::HotTable;

enum class Kind : std::uint8_t { kGet, kPut, kErase, kPutIfAbsent, kUpdate, kClear };

struct Operation {
  Kind kind;
  std::uint64_t argument;  // stamp to put
  std::uint64_t result;    // stamp seen, 0 for none; erase, put_if_absent: whether
  std::uint64_t begin;
  std::uint64_t end;
};

/// Whether some order of the operations, each between its begin and end, explains the results.
bool linearizable(const std::vector<Operation>& history, std::uint32_t done, std::uint64_t state) {
  const std::uint32_t all = (1U << history.size()) - 1;
  if (done == all) return true;
  std::uint64_t first_end = ~0ULL;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if ((done >> i & 1) == 0) first_end = std::min(first_end, history[i].end);
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Operation& op = history[i];
    if ((done >> i & 1) != 0 || op.begin > first_end) continue;
    std::uint64_t next = state;
    bool fits = true;
    switch (op.kind) {
      case Kind::kGet:
        fits = op.result == state;
        break;
      case Kind::kPut:
        next = op.argument;
        break;
      case Kind::kErase:
        fits = (op.result != 0) == (state != 0);
        next = 0;
        break;
      case Kind::kPutIfAbsent:
        fits = (op.result != 0) == (state == 0);
        if (state == 0) next = op.argument;
        break;
      case Kind::kUpdate:
        fits = op.result == state;
        next = op.argument;
        break;
      case Kind::kClear:
        next = 0;
        break;
    }
    if (fits && linearizable(history, done | 1U << i, next)) return true;
  }
  return false;
}

std::string text(const std::vector<Operation>& history) {
  static constexpr const char* kNames[] = {"get", "put", "erase", "absent", "update", "clear"};
  std::string lines;
  for (const Operation& op : history) {
    lines += std::string(kNames[static_cast<int>(op.kind)]) + " " + std::to_string(op.argument) +
             " -> " + std::to_string(op.result) + "  [" + std::to_string(op.begin) + ", " +
             std::to_string(op.end) + "]\n";
  }
  return lines;
}

/// A barrier that spins: the threads of a round must start within a few hundred nanoseconds.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}
  void wait() {
    const int round = round_.load();
    if (arrived_.fetch_add(1) + 1 == threads_) {
      arrived_.store(0);
      round_.fetch_add(1);
      return;
    }
    for (int spins = 0; round_.load() == round; ++spins) {
      if (spins > 2000) std::this_thread::yield();
    }
  }

 private:
  const int threads_;
  std::atomic<int> arrived_{0};
  std::atomic<int> round_{0};
};

/// Three threads, four operations each, on one key among `crowd` that make it move.
void check_histories(std::uint64_t seed, int rounds, bool with_clear, bool by_handle) {
  constexpr int kThreads = 3;
  constexpr int kEach = 4;
  HotTable table;
  const std::string short_key = "key";
  const std::string long_key(45, 'k');
  std::atomic<std::uint64_t> clock{1};
  std::array<std::vector<Operation>, kThreads> histories;
  Barrier barrier(kThreads);
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + static_cast<std::uint64_t>(t));
      HotHandle handle;
      for (int round = 0; round < rounds; ++round) {
        const std::string& key = round % 3 == 0 ? long_key : short_key;
        const std::uint64_t hash = hash_of(key);
        histories[static_cast<std::size_t>(t)].clear();
        barrier.wait();
        for (int i = 0; i < kEach; ++i) {
          Operation op{};
          const auto dice = random() % 16;
          op.kind = dice < 6    ? Kind::kGet
                    : dice < 10 ? Kind::kPut
                    : dice < 12 ? Kind::kErase
                    : dice < 14 ? Kind::kPutIfAbsent
                                : Kind::kUpdate;
          if (with_clear && dice == 12) op.kind = Kind::kClear;
          op.argument = (static_cast<std::uint64_t>(round) << 16) +
                        static_cast<std::uint64_t>(t * kEach + i) + 1;
          const std::string value = stamped(op.argument, 8 + random() % 3 * 30);
          op.begin = clock.fetch_add(1);
          switch (op.kind) {
            case Kind::kGet: {
              if (by_handle) {
                char out[128];
                HotHit hit = table.find(handle, out, sizeof out);
                if (hit.state == cache::HotState::kStale || handle.hash != hash) {
                  handle = table.handle(key, hash);
                  hit = table.find(key, hash, out, sizeof out);
                }
                if (hit) op.result = stamp_of({out, hit.size});
              } else {
                table.visit(key, hash, [&](std::string_view seen, std::uint8_t) {
                  op.result = stamp_of(seen);
                });
              }
              break;
            }
            case Kind::kPut:
              table.put(key, hash, value);
              break;
            case Kind::kErase:
              op.result = table.erase(key, hash) ? 1 : 0;
              break;
            case Kind::kPutIfAbsent:
              op.result = table.put_if_absent(key, hash, value) ? 1 : 0;
              break;
            case Kind::kUpdate:
              table.update(key, hash, [&](HotEdit& edit) {
                op.result = edit.old ? stamp_of(*edit.old) : 0;
                edit.action = HotEdit::Action::kStore;
                edit.value = value;
              });
              break;
            case Kind::kClear:
              table.clear();
              break;
          }
          op.end = clock.fetch_add(1);
          histories[static_cast<std::size_t>(t)].push_back(op);
        }
        barrier.wait();
        if (t == 0) {
          std::vector<Operation> all;
          for (const auto& history : histories)
            all.insert(all.end(), history.begin(), history.end());
          if (!linearizable(all, 0, 0)) {
            ADD_FAILURE() << "seed " << seed << " round " << round << "\n" << text(all);
            failed.store(true);
          }
          // Other keys come, so that this one moves to another segment now and then.
          if (round % 50 == 0 && table.size() > 20000) table.clear();
          for (int i = 0; i < 40; ++i) {
            const std::string other = std::to_string(round) + "/" + std::to_string(i);
            table.put(other, hash_of(other), "x");
          }
          table.erase(short_key, hash_of(short_key));
          table.erase(long_key, hash_of(long_key));
        }
        barrier.wait();
        if (failed.load()) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(HotTableThreads, HistoriesOfAKeyAreLinearizable) {
  check_histories(seed_of_test(), 20000 / kSlow, false, false);
}

TEST(HotTableThreads, HistoriesWithClearAreLinearizable) {
  check_histories(seed_of_test(), 20000 / kSlow, true, false);
}

TEST(HotTableThreads, HistoriesThroughHandlesAreLinearizable) {
  check_histories(seed_of_test(), 20000 / kSlow, true, true);
}

}  // namespace
}  // namespace graven::test
