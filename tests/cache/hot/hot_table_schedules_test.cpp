// SPDX-License-Identifier: MIT
//
// The hot table's operations on one key and its neighbours, in every order: two or three threads
// with one to four operations, another thread coming between at any access to a word of a line,
// its tags, the directory or a lock (schedules.hpp), two or three times in a run. Each run's
// results must be linearizable, no value torn, and what was put is found, or has been evicted.
//
// Which orders there are is the code's; nothing here is random.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cache/hot/hot_table.hpp"
#include "cache/hot/schedules.hpp"
#include "cache/hot/stamps.hpp"
#include "map/history.hpp"

namespace graven::cache::hot {
namespace {
bool every_access = true;  // else only where it was thought to matter most
}
void race_point() noexcept {
  if (!every_access) test::Schedules::step(true);
}
void race_access(bool changes) noexcept {
  if (every_access) test::Schedules::step(changes);
}
void race_wait() noexcept { test::Schedules::wait(); }
}  // namespace graven::cache::hot

namespace graven::test {
namespace {

using cache::HotEdit;
using cache::HotEvicted;
using cache::HotHandle;
using cache::HotHit;
using cache::HotTable;
using Kind = Operation::Kind;

// Three keys of one group with the same tags, so that a search meets the others' lines and a line
// goes from one to the other. The third is too long for a line. The first bit of the second's
// hash is another: a split moves it.
constexpr std::uint64_t kHash = 0x2345678912345678ULL;
struct HashedKey {
  std::string key;
  std::uint64_t hash;
};
const HashedKey& key_at(std::size_t i) {
  static const std::vector<HashedKey> keys{
      {"a short key", kHash},
      {"another key", kHash | 1ULL << 63U},
      {std::string(45, 'k'), kHash ^ (1ULL << 50U)},
  };
  return keys[i];
}

/// A call in a thread's list: on one key, or clear() for all.
struct Call {
  enum class What : std::uint8_t {
    kGet,
    kGetByHandle,
    kGetKept,
    kPut,
    kInsert,
    kErase,
    kExchange,
    kClear
  };
  What what;
  std::size_t key = 0;
  std::size_t size = 12;  // of the value; up to 16, up to 48 with its key, and more are kept apart
};

Call get(std::size_t key = 0) { return {Call::What::kGet, key}; }
Call get_by_handle(std::size_t key = 0) { return {Call::What::kGetByHandle, key}; }
/// What a get before has given, by whichever thread, where the table says that it still holds.
Call get_kept(std::size_t key = 0) { return {Call::What::kGetKept, key}; }
Call put(std::size_t size = 12, std::size_t key = 0) { return {Call::What::kPut, key, size}; }
Call insert(std::size_t size = 12, std::size_t key = 0) { return {Call::What::kInsert, key, size}; }
Call erase(std::size_t key = 0) { return {Call::What::kErase, key}; }
Call exchange(std::size_t size = 12, std::size_t key = 0) {
  return {Call::What::kExchange, key, size};
}
Call clear() { return {Call::What::kClear}; }

using Calls = std::vector<Call>;

struct Scenario {
  Calls first{};  // before the threads
  std::vector<Calls> threads;
  int preemptions = 2;
  std::size_t max_entries = SIZE_MAX;
  std::size_t crowd = 0;  // of other keys, before all
  bool every_access = true;
};

class Runner {
 public:
  explicit Runner(const Scenario& scenario) : scenario_(scenario) {}

  /// How many orders there were.
  std::size_t run() {
    cache::hot::every_access = scenario_.every_access;
    std::vector<std::function<void()>> bodies;
    for (std::size_t t = 0; t < scenario_.threads.size(); ++t) {
      bodies.emplace_back([this, t] { call_all(scenario_.threads[t], t + 1); });
    }
    Schedules schedules(std::move(bodies));
    // A sanitizer looks at memory, in minutes: where the order is wrong, it is without one too.
    const int most = kSlow > 2 ? 1 : scenario_.preemptions;
    return schedules.run(
        std::min(most, scenario_.preemptions), [this] { prepare(); }, [this] { return right(); });
  }

 private:
  void prepare() {
    history_.clear();
    clock_ = 0;
    if (table_ != nullptr && leaves_no_trace()) {
      for (std::size_t key = 0; key < 3; ++key) table_->erase(key_at(key).key, key_at(key).hash);
    } else {
      table_ = std::make_unique<HotTable>(
          cache::HotLimits{.max_entries = scenario_.max_entries},
          [this](const HotEvicted& evicted) { note_evicted(evicted.hash); }, true);
    }
    for (Kept& kept : kept_) kept = {};
    for (std::size_t i = 0; i < scenario_.crowd; ++i) {
      // Spread over the groups, none of the half that a split moves.
      const std::string key = "crowd " + std::to_string(i);
      table_->put(key, (hash_of(key) & ~(0x3fULL << 32U | 1ULL << 63U)) | (i % 64) << 32U, "x");
    }
    call_all(scenario_.first, 0);
    for (std::size_t key = 0; key < 3; ++key) {
      handles_[key] = table_->handle(key_at(key).key, key_at(key).hash);
    }
  }

  /// Whether a table is as new once the keys are gone. A new one costs more than a run.
  [[nodiscard]] bool leaves_no_trace() const {
    for (const Calls& calls : scenario_.threads) {
      for (const Call& call : calls) {
        if (call.what == Call::What::kClear) return false;
      }
    }
    return scenario_.max_entries == SIZE_MAX && scenario_.crowd == 0;
  }

  bool right() {
    call_all({get(0), get(1), get(2)}, 0);
    const Verdict verdict = check_history(history_);
    EXPECT_TRUE(verdict) << verdict.text;
    return static_cast<bool>(verdict);
  }

  void call_all(const Calls& calls, std::size_t thread) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      Operation op{.thread = static_cast<std::uint32_t>(thread)};
      const Call& one = calls[i];
      op.keys = 1U << one.key;
      op.begin = ++clock_;
      const std::size_t evicted = history_.size();
      call(one, op, static_cast<Number>(100 * (thread + 1) + i));
      op.end = ++clock_;
      // What was dropped on the way was so by now.
      for (std::size_t at = evicted; at < history_.size(); ++at) {
        if (history_[at].thread == op.thread && history_[at].end == 0) history_[at].end = op.end;
      }
      history_.push_back(op);
    }
  }

  void call(const Call& call, Operation& op, Number number) {
    const auto& [key, hash] = key_at(call.key);
    thread_ = op.thread;
    const std::string value = stamped(static_cast<std::uint64_t>(number), call.size);
    Number& result = op.result[call.key];
    op.argument[call.key] = number;
    const auto show = [&](std::string_view seen) { result = static_cast<Number>(stamp_of(seen)); };
    switch (call.what) {
      case Call::What::kGet:
        op.kind = Kind::kGet;
        table_->visit(key, hash, [&](std::string_view seen, std::uint8_t) { show(seen); });
        break;
      case Call::What::kGetByHandle:
        op.kind = Kind::kGet;
        if (!table_->visit(handles_[call.key],
                           [&](std::string_view seen, std::uint8_t) { show(seen); })) {
          table_->visit(key, hash, [&](std::string_view seen, std::uint8_t) { show(seen); });
        }
        break;
      case Call::What::kGetKept: {
        op.kind = Kind::kGet;
        const auto stamp = table_->stamp(hash);
        const Kept kept = kept_[call.key];
        if (kept.stamp.usable && kept.stamp == stamp) {
          result = kept.number;
          break;
        }
        if (table_->visit(key, hash, [&](std::string_view seen, std::uint8_t) { show(seen); })) {
          kept_[call.key] = {stamp, result};
        }
        break;
      }
      case Call::What::kPut:
        op.kind = Kind::kSet;
        table_->put(key, hash, value);
        break;
      case Call::What::kInsert:
        op.kind = Kind::kInsert;
        op.count = static_cast<Number>(table_->put_if_absent(key, hash, value));
        break;
      case Call::What::kErase:
        op.kind = Kind::kErase;
        op.count = static_cast<Number>(table_->erase(key, hash));
        break;
      case Call::What::kExchange:
        op.kind = Kind::kExchange;
        table_->update(key, hash, [&](HotEdit& edit) {
          if (edit.old) show(*edit.old);
          edit.action = HotEdit::Action::kStore;
          edit.value = value;
        });
        break;
      case Call::What::kClear:
        op.kind = Kind::kSet;  // to nothing
        op.keys = 7;
        op.argument = {};
        table_->clear();
        break;
    }
  }

  /// The table drops it from here on, until the operation that made it do so has returned.
  void note_evicted(std::uint64_t hash) {
    for (std::size_t key = 0; key < 3; ++key) {
      if (key_at(key).hash != hash) continue;
      history_.push_back({.kind = Kind::kErase,
                          .thread = thread_,
                          .keys = 1U << key,
                          .count = 1,
                          .begin = ++clock_});
    }
  }
  static thread_local std::uint32_t thread_;
  const Scenario scenario_;
  std::unique_ptr<HotTable> table_;
  HotHandle handles_[3];
  struct Kept {
    HotTable::Stamp stamp;
    Number number = 0;
  };
  Kept kept_[3];
  // One thread at a time:
  std::vector<Operation> history_;
  std::uint64_t clock_ = 0;
};

thread_local std::uint32_t Runner::thread_ = 0;

void in_every_order(const Scenario& scenario) {
  Runner runner(scenario);
  const std::size_t orders = runner.run();
  std::cout << orders << " orders\n";
  EXPECT_GT(orders, 10U);
}

constexpr std::size_t kSizes[] = {12, 35, 100};

TEST(HotTableSchedules, AGetDuringAPutOfAnySizes) {
  for (const std::size_t before : kSizes) {
    for (const std::size_t after : kSizes) {
      in_every_order(
          {.first = {put(before)}, .threads = {{get()}, {put(after)}}, .preemptions = 3});
    }
  }
}

TEST(HotTableSchedules, TwoGetsDuringTwoPuts) {
  for (const std::size_t size : kSizes) {
    in_every_order({.first = {put()}, .threads = {{get(), get()}, {put(size), put(12)}}});
  }
}

TEST(HotTableSchedules, ALineGoesToAnotherKeyAndBack) {
  in_every_order({.first = {put()}, .threads = {{get(), get(1)}, {erase(), put(12, 1)}}});
  in_every_order({.first = {put()}, .threads = {{get(), get(2)}, {erase(), put(12, 2)}}});
  in_every_order({.first = {put()}, .threads = {{get()}, {erase(), put(12, 1), erase(1), put()}}});
  in_every_order({.first = {put(100)}, .threads = {{get()}, {erase(), put(100, 1)}}});
}

TEST(HotTableSchedules, GetsThroughHandles) {
  in_every_order({.first = {put()}, .threads = {{get_by_handle()}, {put(), put(35)}}});
  in_every_order(
      {.first = {put()}, .threads = {{get_by_handle()}, {erase(), put(12, 1), erase(1), put()}}});
  in_every_order({.first = {put(100)}, .threads = {{get_by_handle()}, {put(100), erase()}}});
}

TEST(HotTableSchedules, WhatWasKeptIsUsedOnlyWhileItHolds) {
  const std::vector<Calls> writers{{put()},         {put(35)}, {put(100)},         {erase(), put()},
                                   {exchange(100)}, {clear()}, {clear(), insert()}};
  for (const Calls& writer : writers) {
    // Whoever has seen the new one is not given the old one any more.
    in_every_order({.first = {put(), get_kept()}, .threads = {{get(), get_kept()}, writer}});
    in_every_order({.first = {put()}, .threads = {{get_kept(), get_kept()}, writer}});
    in_every_order({.first = {put(), get_kept()}, .threads = {{get_kept(), get_kept()}, writer}});
  }
  in_every_order({.first = {put(), get_kept()},
                  .threads = {{get_kept(), get_kept()}, {put()}},
                  .preemptions = 3});
  for (const std::size_t size : kSizes) {
    in_every_order({.first = {put(size), get_kept()},
                    .threads = {{get_kept(), get_kept(1)}, {put(size, 1), get_kept()}},
                    .max_entries = 1});
  }
  in_every_order({.first = {put()}, .threads = {{get_kept()}, {get_kept()}, {put()}}});
  in_every_order({.first = {put()}, .threads = {{get(), get_kept()}, {put(), put(35)}}});
  in_every_order({.first = {put(), get_kept()}, .threads = {{get_kept()}, {put()}, {exchange()}}});
}

TEST(HotTableSchedules, WritersOfOneKey) {
  in_every_order({.first = {put()}, .threads = {{put()}, {put()}}, .preemptions = 3});
  in_every_order({.threads = {{put(), get()}, {put(35), get()}}});
  in_every_order({.threads = {{insert(), get()}, {insert(35), get()}}});
  in_every_order({.first = {put()}, .threads = {{erase(), insert()}, {put(100), get()}}});
  in_every_order({.first = {put()}, .threads = {{erase(), insert()}, {erase(), insert()}}});
  in_every_order({.first = {put()}, .threads = {{exchange()}, {exchange(35)}}, .preemptions = 3});
  in_every_order({.first = {put()}, .threads = {{exchange(), exchange()}, {put(), exchange(100)}}});
}

TEST(HotTableSchedules, FourOperationsEach) {
  in_every_order({.threads = {{put(), get(), erase(), get()}, {insert(35), get(), put(), get()}}});
  in_every_order({.threads = {{put(100), erase(), exchange(), get()},
                              {put(12, 1), exchange(35), erase(1), get()}}});
  in_every_order({.first = {put()},
                  .threads = {{erase(), put(12, 1), erase(1), put()},
                              {put(35), get(1), insert(12, 1), get()}}});
}

TEST(HotTableSchedules, ThreeThreads) {
  in_every_order({.first = {put()}, .threads = {{get()}, {put()}, {put(35)}}});
  in_every_order({.first = {put()}, .threads = {{get()}, {put()}, {erase()}}});
  in_every_order({.first = {put()}, .threads = {{exchange()}, {put()}, {insert()}}});
  in_every_order({.threads = {{insert()}, {insert()}, {get(), get()}}});
}

TEST(HotTableSchedules, EvictionOfAllButOne) {
  for (const std::size_t size : kSizes) {
    in_every_order(
        {.first = {put(size)}, .threads = {{get(), get(1)}, {put(size, 1)}}, .max_entries = 1});
  }
  in_every_order({.threads = {{put(), get()}, {put(12, 1), get(1)}}, .max_entries = 1});
  in_every_order({.first = {put()}, .threads = {{put(), get()}, {put(12, 1)}}, .max_entries = 1});
  in_every_order({.first = {put()}, .threads = {{exchange()}, {put(12, 1)}}, .max_entries = 1});
}

TEST(HotTableSchedules, ClearDuringGetsAndPuts) {
  in_every_order({.first = {put()}, .threads = {{get(), get()}, {clear()}}});
  in_every_order({.first = {put()}, .threads = {{get_by_handle(), get()}, {clear(), put()}}});
  in_every_order({.first = {put()}, .threads = {{put(), get()}, {clear()}}});
  in_every_order({.first = {put()}, .threads = {{insert(), get()}, {clear(), get()}}});
}

TEST(HotTableSchedules, ASplitMovesTheKeyThatIsReadOrWritten) {
  const std::size_t crowd = cache::hot::kFullSegment - 2;
  const Calls first{put(12, 1), put()};
  const Calls splits{put(12, 2)};
  const std::vector<Calls> others{
      {get(1)}, {get_by_handle(1)}, {put(12, 1)}, {erase(1)}, {exchange(100, 1)}};
  for (const Calls& other : others) {
    Scenario scenario{.first = first, .threads = {other, splits}, .crowd = crowd};
    scenario.threads[0].push_back(get(1));
    scenario.every_access = false;
    scenario.preemptions = 3;
    in_every_order(scenario);
  }
  for (const Calls& other : {Calls{get(1), get(1)}, Calls{put(12, 1), get(1)}}) {
    // Of all accesses there are many.
    in_every_order({.first = first, .threads = {other, splits}, .preemptions = 1, .crowd = crowd});
  }
}

}  // namespace
}  // namespace graven::test
