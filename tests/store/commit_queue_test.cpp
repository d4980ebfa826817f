// SPDX-License-Identifier: MIT
//
// The queue of commits: every write is in exactly one of them and returns after it, one leads at a
// time, each gets its own error, those asleep are woken, and a forked child starts afresh.
#include "store/commit_queue.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/interrupt.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/interrupt.hpp"
#include "base/random.hpp"
#include "store/work.hpp"

namespace graven::test {
namespace {

using std::chrono::microseconds;
using store::CommitQueue;
using store::Work;

class TheCommitQueue : public ::testing::Test {
 protected:
  /// Leads: makes the mutations of all who are there, in a commit that takes so long.
  std::size_t commit(microseconds takes) {
    EXPECT_FALSE(leading_.exchange(true));
    const auto& batch = queue_.take();
    for (CommitQueue::Request* request : batch) {
      try {
        request->mutation(work_);
      } catch (...) {
        request->error = std::current_exception();
      }
    }
    if (takes.count() != 0) std::this_thread::sleep_for(takes);
    const std::size_t size = batch.size();
    EXPECT_TRUE(leading_.exchange(false));
    return size;
  }

  Opened backend_ = lazy::open("memory");
  std::unique_ptr<port::WriteTransaction> writes_ = backend_->begin(soon());
  store::Ids ids_;
  Work work_{*writes_, ids_, nullptr};
  CommitQueue queue_;
  std::atomic<bool> leading_{false};
};

TEST_F(TheCommitQueue, EveryWriteIsInOneCommitAndReturnsAfterIt) {
  constexpr int kThreads = 6;
  constexpr int kWrites = 1500;
  std::atomic<int> begun{0};
  std::atomic<int> in_commits{0};
  std::atomic<int> commits{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Random random(thread);
      for (int i = 0; i < kWrites; ++i) {
        int made = 0;  // on whichever thread, before this one goes on
        const bool fails = random.one_in(5);
        // Commits that are waited for awake, and some that are slept through.
        const microseconds takes(random.one_in(50) ? 1000 : random.below(3) * 20);
        ++begun;
        bool failed = false;
        try {
          queue_.write(
              [&](Work&) {
                ++made;
                if (fails) throw std::runtime_error(std::to_string(thread));
              },
              [&] {
                in_commits += static_cast<int>(commit(takes));
                ++commits;
              });
        } catch (const std::runtime_error& error) {
          failed = true;
          ASSERT_EQ(error.what(), std::to_string(thread));
        }
        ASSERT_EQ(failed, fails);
        ASSERT_EQ(made, 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(begun, kThreads * kWrites);
  EXPECT_EQ(in_commits, kThreads * kWrites);
  EXPECT_LT(commits, kThreads * kWrites);
}

TEST_F(TheCommitQueue, WhoComesDuringACommitIsInTheNextTogether) {
  std::atomic<bool> first_taken{false};
  std::atomic<int> waiting{0};
  std::vector<std::size_t> sizes;  // by leaders
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    queue_.write([](Work&) {},
                 [&] {
                   sizes.push_back(commit({}));
                   first_taken = true;
                   while (waiting != 5) std::this_thread::yield();
                   std::this_thread::sleep_for(std::chrono::milliseconds(50));
                 });
  });
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&] {
      while (!first_taken) std::this_thread::yield();
      ++waiting;
      queue_.write([](Work&) {}, [&] { sizes.push_back(commit({})); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 5}));
}

TEST_F(TheCommitQueue, ACommitThatFailsFailsForAllWhoWereInIt) {
  std::atomic<bool> first_taken{false};
  std::atomic<int> waiting{0};
  std::atomic<int> told{0};
  const auto fail = [&] {
    commit({});
    throw std::runtime_error("no disk");
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    queue_.write([](Work&) {},
                 [&] {
                   commit({});
                   first_taken = true;
                   while (waiting != 3) std::this_thread::yield();
                   std::this_thread::sleep_for(std::chrono::milliseconds(50));
                 });
  });
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!first_taken) std::this_thread::yield();
      ++waiting;
      EXPECT_THROW(queue_.write([](Work&) {}, fail), std::runtime_error);
      ++told;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told, 3);
  // Nobody was taken: it is the leader's alone.
  EXPECT_THROW(queue_.write([](Work&) {}, [] { throw std::runtime_error("no lane"); }),
               std::runtime_error);
  queue_.write([](Work&) {}, [&] { EXPECT_EQ(commit({}), 1U); });
}

// --- Interrupted while it is being committed

std::atomic<bool> check_throws{false};

class InterruptedCommit : public TheCommitQueue {
 protected:
  /// Writes in a thread that `run` calls it in, as the second of two in a commit that takes so long
  /// as `meanwhile` does and then some more checks. What it throws, in words.
  std::string write(const std::function<void(const std::function<void()>&)>& run,
                    const std::function<void()>& meanwhile) {
    std::atomic<int> stage{0};
    std::thread first([&] {
      queue_.write([](Work&) {},
                   [&] {
                     commit({});
                     stage = 1;
                     while (stage != 3) std::this_thread::yield();
                     std::this_thread::sleep_for(std::chrono::milliseconds(50));
                   });
    });
    while (stage != 1) std::this_thread::yield();
    std::thread second([&] {
      stage = 2;
      queue_.write([](Work&) {},
                   [&] {
                     EXPECT_EQ(commit({}), 2U);
                     meanwhile();
                     std::this_thread::sleep_for(std::chrono::milliseconds(200));
                   });
    });
    while (stage != 2) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it is in the queue
    std::string thrown;
    std::thread third([&] {
      try {
        run([&] {
          stage = 3;
          queue_.write([&](Work&) { ++made_; }, [] { ADD_FAILURE() << "it leads"; });
        });
      } catch (const std::exception& error) {
        thrown = error.what();
      }
    });
    for (std::thread* thread : {&first, &second, &third}) thread->join();
    return thrown;
  }

  int made_ = 0;
};

TEST_F(InterruptedCommit, ReturnsAndTheNextWaitIsCancelled) {
  Cancellation cancellation;
  EXPECT_EQ(
      write([&](const auto& body) { cancellation.run(body); }, [&] { cancellation.cancel(); }), "");
  EXPECT_EQ(made_, 1);
  EXPECT_THROW(cancellation.run([] { base::check_interrupt(); }), AbortedError);
}

TEST_F(InterruptedCommit, ThrowsAfterwardsWhatTheProgramsCheckHasThrown) {
  set_interrupt_check([] {
    if (check_throws.exchange(false)) throw std::runtime_error("interrupted");
  });
  EXPECT_EQ(write([](const auto& body) { body(); }, [] { check_throws = true; }), "interrupted");
  set_interrupt_check(nullptr);
  EXPECT_EQ(made_, 1);
}

TEST_F(TheCommitQueue, IsEmptyInAForkedChild) {
  std::atomic<bool> led{false};
  std::atomic<bool> go_on{false};
  const auto lead = [&] {
    commit({});
    led = true;
    while (!go_on) std::this_thread::yield();
  };
  std::thread leader([&] { queue_.write([](Work&) {}, lead); });
  while (!led) std::this_thread::yield();
  Child child([this] {
    std::size_t size = 0;
    queue_.write([](Work&) {}, [&] { size = commit({}); });
    return size == 1;
  });
  EXPECT_TRUE(child.succeeded());
  go_on = true;
  leader.join();
}

}  // namespace
}  // namespace graven::test
