// SPDX-License-Identifier: MIT
//
// Mutexes and what threads wait for, across fork(): whole and free in the child, whatever the
// parent's threads were at. The children leave with _exit; one that hangs is killed.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/fork.hpp"
#include "base/forks.hpp"
#include "base/interrupt.hpp"

namespace graven::base {
namespace {

using Calls = std::vector<std::string>;

/// Forks; returns whether `child` was true in the child, within a minute.
bool holds_in_child(const std::function<bool()>& child) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(60);
    ::_exit(child() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Says when it is locked.
struct Recorder {
  void lock() { calls->push_back("lock " + name); }
  void unlock() { calls->push_back("unlock " + name); }
  Calls* calls = nullptr;
  std::string name{};
};

using Recorded = ForkLocked<Recorder>;

std::unique_ptr<Recorded> recorded(int rank, std::string name, Calls& calls) {
  auto made = std::make_unique<Recorded>(rank);
  made->calls = &calls;
  made->name = std::move(name);
  return made;
}

TEST(ForkMutex, TheyAreTakenByRankThenAsTheyWereMade) {
  Calls calls;
  const auto pool = recorded(kForkRankPool, "pool", calls);
  const auto store = recorded(kForkRankStore, "store", calls);
  auto gone = recorded(kForkRankStore, "gone", calls);
  const auto other_store = recorded(kForkRankStore, "other store", calls);
  const auto log = recorded(kForkRankLog, "log", calls);
  gone.reset();
  const Calls expected{"lock store", "lock other store", "lock pool",          "lock log",
                       "unlock log", "unlock pool",      "unlock other store", "unlock store"};
  EXPECT_TRUE(holds_in_child([&] { return calls == expected; }));
  EXPECT_EQ(calls, expected);
}

TEST(ForkMutex, IsFreeInTheChildAndWhatItGuardsIsWhole) {
  GRAVEN_FORKS_AMID_THREADS();
  struct Guarded {
    explicit Guarded(int rank) : mutex(rank) {}
    ForkMutex mutex;
    std::uint64_t first = 0;
    std::uint64_t second = 0;
  };
  std::vector<std::unique_ptr<Guarded>> all;  // in the order in which they are taken
  for (int i = 0; i < 24; ++i) all.push_back(std::make_unique<Guarded>(1 + i / 3));
  const auto whole = [&] {
    for (auto& one : all) {
      const std::scoped_lock lock(one->mutex);
      if (one->first != one->second) return false;
      one->second = ++one->first;
    }
    return true;
  };
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      std::minstd_rand random(thread + 1);
      while (!stop) {
        std::vector<std::unique_lock<std::mutex>> locks;
        for (auto& one : all) {
          if (random() % 6 == 0) continue;
          locks.emplace_back(one->mutex);
          ++one->first;
          if (random() % 64 == 0) std::this_thread::yield();
          ++one->second;
          if (random() % 2 == 0) locks.pop_back();
        }
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(holds_in_child([&] { return whole() && holds_in_child(whole); })) << i;
  }
  EXPECT_TRUE(whole());
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(ForkMutex, TheyComeAndGoWhileOthersFork) {
  GRAVEN_FORKS_AMID_THREADS();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::minstd_rand random(thread + 1);
      std::array<std::unique_ptr<ForkMutex>, 8> mutexes;
      while (!stop) {
        auto& one = mutexes[random() % mutexes.size()];
        if (one == nullptr) {
          one = std::make_unique<ForkMutex>(static_cast<int>(random() % 4));
          const std::scoped_lock lock(*one);
        } else {
          one.reset();
        }
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(holds_in_child([] {
      ForkMutex made(1);
      const std::scoped_lock lock(made);
      return true;
    }));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(ForkMutex, TheyAreFreeWhenTheChildDropsThings) {
  struct Dropping final : ForkGuard {
    void child_after_fork() noexcept override {
      const std::scoped_lock lock(early, late);
      dropped = true;
    }
    ForkMutex early{kForkRankRegistry};
    bool dropped = false;
    ForkEnrolment enrolment{*this};
    ForkMutex late{kForkRankLog};
  } guard;
  EXPECT_TRUE(holds_in_child([&] { return guard.dropped; }));
  EXPECT_FALSE(guard.dropped);
}

TEST(ForkMutex, AConditionWaitsOnIt) {
  ForkMutex mutex(kForkRankStore);
  ForkRenewed<std::condition_variable> changed;
  bool ready = false;
  bool waits = false;
  const auto wait = [&] {
    std::unique_lock<std::mutex> lock(mutex);
    waits = true;
    return base::wait_until(lock, *changed,
                            std::chrono::steady_clock::now() + std::chrono::minutes(1),
                            [&] { return ready; });
  };
  const auto make_ready = [&] {
    const std::scoped_lock lock(mutex);
    ready = true;
    changed->notify_all();
  };
  std::thread waiter([&] { EXPECT_TRUE(wait()); });
  for (bool there = false; !there; std::this_thread::yield()) {
    const std::scoped_lock lock(mutex);
    there = waits;
  }
  EXPECT_TRUE(holds_in_child([&] {
    std::unique_lock<std::mutex> lock(mutex);
    const bool woken = changed->wait_for(lock, std::chrono::milliseconds(1), [&] { return ready; });
    lock.unlock();
    make_ready();
    return !woken && wait();
  }));
  make_ready();
  waiter.join();
}

TEST(ForkRenewed, TheChildHasANewOne) {
  ForkRenewed<std::timed_mutex> mutex;
  ForkRenewed<std::vector<int>> numbers;
  numbers->push_back(7);
  std::atomic<bool> held{false};
  std::atomic<bool> go_on{false};
  std::thread holder([&] {
    const std::scoped_lock lock(*mutex);
    held = true;
    while (!go_on) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  EXPECT_TRUE(holds_in_child([&] {
    const std::unique_lock lock(*mutex, std::try_to_lock);
    return lock.owns_lock() && numbers->empty();
  }));
  EXPECT_FALSE(std::unique_lock(*mutex, std::try_to_lock).owns_lock());
  EXPECT_EQ(*numbers, std::vector<int>{7});
  go_on = true;
  holder.join();
}

}  // namespace
}  // namespace graven::base
