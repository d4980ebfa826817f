// SPDX-License-Identifier: MIT
//
// What threads and processes see of one small map is recorded, and must be linearizable
// (history.hpp): every call happens at one moment, batches whole. The map keeps next to nothing in
// memory, so that all the while entries are evicted and read again, and is flushed as often as
// that can be.
//
// GRAVEN_SECONDS sets how long it goes on, all tests together (4), GRAVEN_SEED repeats the choices.
#include <graven/graven.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"
#include "map/core.hpp"
#include "map/history.hpp"

namespace graven::test {
namespace {

using Kind = Operation::Kind;
using std::chrono::milliseconds;
using Edit = map::Core::Edit;

milliseconds share_of_time(int tests) {
  const char* text = std::getenv("GRAVEN_SECONDS");
  const std::int64_t seconds = text != nullptr ? std::strtoll(text, nullptr, 10) : 4;
  return milliseconds(seconds * 1000 / tests);
}

/// Of some the name is long, of some numbers the value is: they lie elsewhere.
std::string key_of(std::size_t key) {
  return std::string(key % 3 == 2 ? 60 : 1, static_cast<char>('a' + key));
}
Data to_data(Number number) {
  if (number % 3 == 0) return number;
  return std::to_string(number) + std::string(number % 3 == 1 ? 1 : 90, '.');
}
bool is_text(const Data& data) { return std::holds_alternative<std::string>(data.root()); }
Number to_number(const Data& data) {
  if (!is_text(data)) return data.get<std::int64_t>();
  const auto text = data.get<std::string>();
  const Number number = std::strtoll(text.c_str(), nullptr, 10);
  EXPECT_EQ(data, to_data(number)) << "torn";
  return number;
}
Number to_number(const std::optional<Data>& data) { return data ? to_number(*data) : 0; }

/// One thread's calls.
class User {
 public:
  using Clock = std::uint64_t (*)();

  /// With a database its transactions are used, too.
  User(Map map, std::optional<Database> db, std::uint32_t thread, std::uint64_t seed, Clock clock)
      : map_(std::move(map)), db_(std::move(db)), thread_(thread), random_(seed), clock_(clock) {
    for (std::size_t key = 0; key < kHistoryKeys; ++key) names_.push_back(key_of(key));
  }

  /// Calls something, of several keys only where `batches` are wanted.
  Operation step(bool batches) {
    Operation op{.thread = thread_};
    choose(op, batches);
    for (std::size_t key = 0; key < kHistoryKeys; ++key) {
      if (op.touches(key)) op.argument[key] = ++count_ * 100 + thread_;
    }
    op.begin = clock_();
    call(op);
    op.end = clock_();
    return op;
  }

 private:
  void choose(Operation& op, bool batches) {
    const std::size_t dice = random_.below(21);
    op.kind = dice < 8    ? Kind::kGet
              : dice < 13 ? Kind::kSet
              : dice < 15 ? Kind::kErase
              : dice < 16 ? Kind::kSetDefault
              : dice < 17 ? Kind::kPop
              : dice < 18 ? Kind::kInsert
                          : Kind::kExchange;
    if (batches && dice == 14) op.kind = Kind::kSize;
    if (op.kind == Kind::kSize) return;
    op.keys = 1U << random_.below(kHistoryKeys);
    const bool may_be_many = op.kind == Kind::kGet || op.kind == Kind::kSet ||
                             op.kind == Kind::kErase || (op.kind == Kind::kExchange && db_);
    if (!batches || !may_be_many || random_.one_in(2)) return;
    while ((op.keys & (op.keys - 1)) == 0) op.keys = static_cast<std::uint32_t>(random_.below(64));
  }

  void call(Operation& op) {
    std::size_t key = 0;
    while (op.keys != 0 && !op.touches(key)) ++key;
    const bool many = (op.keys & (op.keys - 1)) != 0;
    switch (op.kind) {
      case Kind::kGet:
        return many ? get_many(op) : get(op, key);
      case Kind::kSet:
        return many ? update(op) : set(op, key);
      case Kind::kErase:
        op.count = many ? static_cast<Number>(map_.erase_many(names_of(op)))
                        : static_cast<Number>(map_.erase(names_[key]));
        return;
      case Kind::kSetDefault:
        op.result[key] = to_number(map_.setdefault(names_[key], to_data(op.argument[key])));
        return;
      case Kind::kPop:
        op.result[key] = to_number(map_.pop(names_[key]));
        return;
      case Kind::kInsert:
        op.count = static_cast<Number>(map_.add(names_[key], to_data(op.argument[key])));
        return;
      case Kind::kExchange:
        if (db_ && (many || random_.one_in(3))) return transact(op);
        return random_.one_in(2) ? edit(op, key) : update_with(op, key);
      case Kind::kSize:
        op.count = static_cast<Number>(map_.size());
        return;
    }
  }

  [[nodiscard]] std::vector<Map::Key> names_of(const Operation& op) const {
    std::vector<Map::Key> names;
    for (std::size_t key = 0; key < kHistoryKeys; ++key) {
      if (op.touches(key)) names.emplace_back(names_[key]);
    }
    return names;
  }

  void get(Operation& op, std::size_t key) {
    Number& number = op.result[key];
    if (random_.one_in(3)) return get_kept(number, key);
    if (random_.one_in(2)) {
      const auto there = map_.peek(
          names_[key], [&](const MapValue& value) { number = to_number(value.to_data()); });
      if (there) return;
    }
    number = to_number(map_.get(names_[key]));
  }

  void get_kept(Number& number, std::size_t key) {
    if (peek_kept(number, key)) return;
    kept_[key] = {{}, to_number(map_.get(names_[key]))};
    number = kept_[key].number;
  }

  /// What was shown before, where that still holds; false if the store would have to be asked.
  bool peek_kept(Number& number, std::size_t key) {
    Kept& kept = kept_[key];
    const std::uint64_t hash = Map::hash(names_[key]);
    number = kept.number;
    if (kept.stamp.usable && map_.unchanged(hash, kept.stamp)) return true;
    number = 0;
    const bool known =
        map_.peek(names_[key], hash, kept.stamp,
                  [&](const MapValue& value) { number = to_number(value.to_data()); })
            .has_value();
    kept.number = number;
    return known;
  }

  /// The same of many, if they are of one state.
  bool peek_many_kept(Operation& op) {
    const std::optional<std::uint64_t> state = map_.state();
    if (!state) return false;
    for (std::size_t key = 0; key < kHistoryKeys; ++key) {
      if (op.touches(key) && !peek_kept(op.result[key], key)) return false;
    }
    return map_.state() == state;
  }

  void get_many(Operation& op) {
    if (random_.one_in(3) && peek_many_kept(op)) return;
    const std::vector<Map::Key> names = names_of(op);
    std::vector<Number> numbers(names.size());
    const auto shown = [&](std::size_t i, const MapValue* value) {
      if (i == SIZE_MAX) {
        std::fill(numbers.begin(), numbers.end(), 0);
      } else {
        numbers[i] = value != nullptr ? to_number(value->to_data()) : 0;
      }
    };
    if (random_.one_in(2) || !map_.peek_many(names, shown)) {
      std::fill(numbers.begin(), numbers.end(), 0);
      map_.read_many(names, shown);
    }
    std::size_t at = 0;
    for (std::size_t key = 0; key < kHistoryKeys; ++key) {
      if (op.touches(key)) op.result[key] = numbers[at++];
    }
  }

  void set(const Operation& op, std::size_t key) {
    const Data value = to_data(op.argument[key]);
    if (is_text(value) && random_.one_in(2)) {
      const auto text = value.get<std::string>();
      if (map_.try_set_value(names_[key], {MapValue::Kind::kText, text})) return;
    }
    map_.set(names_[key], value);
  }

  void update(const Operation& op) const {
    std::vector<std::pair<std::string, Data>> entries;
    for (std::size_t key = 0; key < kHistoryKeys; ++key) {
      if (op.touches(key)) entries.emplace_back(names_[key], to_data(op.argument[key]));
    }
    map_.update(entries);
  }

  void edit(Operation& op, std::size_t key) const {
    map_.session()->core().edit(names_[key], [&](const map::Item* old) {
      op.result[key] = old != nullptr ? to_number(map::value_of(*old).to_data()) : 0;
      Edit edit{.action = Edit::Action::kPut};
      edit.item.kind = map::encode(to_data(op.argument[key]), names_[key], edit.item.bytes);
      return edit;
    });
  }

  void update_with(Operation& op, std::size_t key) const {
    const auto exchange = [&](const Data& old) {
      op.result[key] = std::holds_alternative<std::nullptr_t>(old.root()) ? 0 : to_number(old);
      return to_data(op.argument[key]);
    };
    map_.update_with(names_[key], exchange, nullptr);
  }

  void transact(Operation& op) const {
    db_->transaction([&] {
      for (std::size_t key = 0; key < kHistoryKeys; ++key) {
        if (op.touches(key)) op.result[key] = to_number(map_.get(names_[key]));
      }
      update(op);
    });
  }

  const Map map_;
  const std::optional<Database> db_;
  const std::uint32_t thread_;
  Random random_;
  const Clock clock_;
  std::vector<std::string> names_;
  struct Kept {
    MapStamp stamp;
    Number number = 0;
  };
  Kept kept_[kHistoryKeys];
  Number count_ = 0;
};

/// Threads of one process: every call of it is before or after any other, and no two equal.
std::uint64_t tick() {
  static std::atomic<std::uint64_t> ticks{1};
  return ticks.fetch_add(1);
}

/// Processes: the same for all of them.
std::uint64_t monotonic_nanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

struct Setup {
  const char* name;
  Persist persist;
  std::size_t capacity = 2;
  Synchronous synchronous = Synchronous::kOff;
  TemporaryFolder::Place place = TemporaryFolder::Place::kDisk;  // with a warm file
};

class MapHistory : public testing::TestWithParam<Setup> {
 protected:
  static constexpr int kTests = 12;
  static constexpr std::uint32_t kThreads = 3;
  static constexpr int kRounds = 20;
  static constexpr int kCallsPerRound = 15;

  [[nodiscard]] Map open() const {
    MapOptions options;
    options.persist = GetParam().persist;
    options.synchronous = GetParam().synchronous;
    options.hot_capacity = GetParam().capacity;
    options.warm_bytes = 1U << 20U;
    options.flush_interval = milliseconds(1);
    options.stamps = true;
    return Map(folder_ / "m.db", options);
  }

  /// Histories of threads that meet after every few calls, until time is up.
  void run(bool batches) const {
    Random random;
    // In memory each handle is a map of its own.
    const bool one_handle = GetParam().persist == Persist::kMemory;
    const Map map = open();
    std::optional<Database> db;
    if (GetParam().persist == Persist::kWritethrough) {
      db.emplace(folder_ / "m.db", Options{.synchronous = GetParam().synchronous});
    }
    const auto end = std::chrono::steady_clock::now() + share_of_time(kTests);
    int histories = 0;
    for (; histories == 0 || std::chrono::steady_clock::now() < end; ++histories) {
      map.clear();
      std::vector<std::vector<Operation>> recorded(kThreads);
      std::barrier meeting(kThreads);
      std::atomic<std::uint32_t> running{kThreads};
      std::vector<std::thread> threads;
      for (std::uint32_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t, seed = random.bits()] {
          User user(one_handle || t == 0 ? map : open(), db, t, seed, tick);
          for (int round = 0; round < kRounds; ++round) {
            meeting.arrive_and_wait();
            for (int i = 0; i < kCallsPerRound; ++i) recorded[t].push_back(user.step(batches));
          }
          --running;
        });
      }
      threads.emplace_back([&] {
        while (running > 0) {
          map.flush();
          std::this_thread::yield();
        }
      });
      for (std::thread& thread : threads) thread.join();
      std::vector<Operation> all;
      for (const auto& one : recorded) all.insert(all.end(), one.begin(), one.end());
      const Verdict verdict = check_history(all);
      ASSERT_TRUE(verdict) << "history " << histories << ": " << verdict.text;
    }
    std::cout << histories << " histories of " << kThreads * kRounds * kCallsPerRound
              << " operations\n";
  }

  const TemporaryFolder folder_{GetParam().place};
};

TEST_P(MapHistory, CallsOfOneKeyAreLinearizable) { run(false); }

TEST_P(MapHistory, CallsOfSeveralKeysAreLinearizable) { run(true); }

INSTANTIATE_TEST_SUITE_P(
    Modes, MapHistory,
    testing::Values(Setup{"Writethrough", Persist::kWritethrough},
                    Setup{"WritethroughInMemory", Persist::kWritethrough, 1000},
                    Setup{"WritethroughShared", Persist::kWritethrough, 2, Synchronous::kFull,
                          TemporaryFolder::Place::kAnywhere},
                    Setup{"Lazy", Persist::kLazy}, Setup{"LazyInMemory", Persist::kLazy, 1000},
                    Setup{"Memory", Persist::kMemory}),
    [](const auto& setup) { return std::string(setup.param.name); });

/// What two processes leave each other, in memory that they share.
struct Recorded {
  static constexpr std::uint32_t kThreads = 2;  // of each process
  static constexpr std::size_t kCalls = 400;

  std::atomic<std::uint32_t> ready{0};
  Operation operations[2][kThreads][kCalls];
};

void call_and_record(Recorded& recorded, std::uint32_t process, const std::string& path,
                     std::uint64_t seed) {
  MapOptions options;
  options.hot_capacity = 3;
  options.stamps = true;
  options.synchronous = Synchronous::kOff;
  const Map map(path, options);
  const Database db(path, Options{.synchronous = Synchronous::kOff});
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < Recorded::kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::uint32_t thread = process * Recorded::kThreads + t;
      User user(map, db, thread, seed + t, monotonic_nanoseconds);
      recorded.ready.fetch_add(1);
      while (recorded.ready.load() < 2 * Recorded::kThreads) std::this_thread::yield();
      for (Operation& op : recorded.operations[process][t]) op = user.step(true);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(MapHistoryOfProcesses, AChildsCallsAndOursAreLinearizable) {
  Random random;
  void* memory =
      ::mmap(nullptr, sizeof(Recorded), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const auto end = std::chrono::steady_clock::now() + 2 * share_of_time(12);
  int histories = 0;
  for (; histories == 0 || std::chrono::steady_clock::now() < end; ++histories) {
    const TemporaryFolder folder;
    const std::string path = folder / "m.db";
    auto* recorded = new (memory) Recorded;
    const std::uint64_t seed = random.bits();
    Child child([&] {
      call_and_record(*recorded, 1, path, seed + 10);
      return true;
    });
    call_and_record(*recorded, 0, path, seed);
    ASSERT_TRUE(child.succeeded());
    std::vector<Operation> all;
    for (const auto& process : recorded->operations) {
      for (const auto& thread : process) {
        all.insert(all.end(), std::begin(thread), std::end(thread));
      }
    }
    const Verdict verdict = check_history(all);
    ASSERT_TRUE(verdict) << "history " << histories << ": " << verdict.text;
  }
  std::cout << histories << " histories\n";
  ::munmap(memory, sizeof(Recorded));
}

}  // namespace
}  // namespace graven::test
