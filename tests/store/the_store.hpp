// SPDX-License-Identifier: MIT
//
// A store in memory in a test, with a hook that notes what it is told.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "store/store.hpp"

namespace graven::test {

using port::Key;
using port::Record;
using port::Space;
using std::chrono::milliseconds;
using store::Limits;
using store::Step;
using store::Store;
using store::Work;

inline Key named(const std::string& name) { return {.space = Space::kMap, .name = name}; }

inline void put(Work& work, const std::string& name, std::int64_t value) {
  work.put(named(name), {.integers = {value}});
}

/// Notes what it is told, and may have something to write itself.
class Hook final : public store::CommitHook {
 public:
  void before_commit(Work& work) override {
    ++before;
    if (write) put(work, "hook", ++written);
    if (meanwhile) meanwhile();
    if (fail) throw UnavailableError("the hook fails");
  }
  void after_commit(bool committed) noexcept override { after.push_back(committed); }
  std::optional<base::Deadline> chore() noexcept override {
    ++chores;
    return std::nullopt;
  }

  int before = 0;
  std::vector<bool> after;
  bool write = false;
  bool fail = false;
  std::function<void()> meanwhile;
  std::int64_t written = 0;
  std::atomic<int> chores{0};
};

class TheStore : public ::testing::Test {
 protected:
  std::int64_t value(const std::string& name) {
    const auto record = store.load(named(name));
    return record ? record->integers[0] : 0;
  }
  void set(const std::string& name, std::int64_t number) {
    store.write([&](Work& work) { put(work, name, number); }, limits);
  }
  void set_in_another_thread(const std::string& name, std::int64_t number) {
    std::thread([&] { set(name, number); }).join();
  }
  std::uint64_t counted(store::Event event) { return store.activity().counts.sum(event); }
  /// In this thread's transaction.
  bool holds(const std::string& name) {
    bool there = false;
    EXPECT_TRUE(
        store.with_current([&](Work& work) { there = work.load(named(name)).has_value(); }));
    return there;
  }
  std::int64_t clock() {
    const auto record = store.load(port::clock_key());
    return record ? record->integers[0] : 0;
  }

  Limits limits{.busy = milliseconds(20'000), .transaction = milliseconds(20'000)};
  Store store{lazy::open("memory")};
  Hook& hook = static_cast<Hook&>(store.hook([] { return std::make_unique<Hook>(); }));
};

/// Waits until this thread's transaction is over its limit and rolled back.
inline void outlive(Store& store) {
  const auto deadline = soon();
  while (std::chrono::steady_clock::now() < deadline) {
    try {
      store.with_current([](Work&) {});
    } catch (const TransactionExpiredError&) {
      return;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  ADD_FAILURE() << "the transaction does not expire";
}

}  // namespace graven::test
