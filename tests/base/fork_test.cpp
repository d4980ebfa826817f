// SPDX-License-Identifier: MIT
//
// What fork() calls, in which order, and what a child counts. The children only
// compare and leave with _exit, so that nothing of the test program runs twice.
#include "base/fork.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/forks.hpp"

namespace graven::base {
namespace {

using Calls = std::vector<std::string>;

class Guard final : public ForkGuard {
 public:
  Guard(int rank, std::string name, Calls& calls)
      : name_(std::move(name)), calls_(calls), enrolment_(*this, rank) {}

  void prepare_fork() noexcept override { calls_.push_back("prepare " + name_); }
  void parent_after_fork() noexcept override { calls_.push_back("parent " + name_); }
  void child_after_fork() noexcept override { calls_.push_back("child " + name_); }

 private:
  std::string name_;
  Calls& calls_;
  ForkEnrolment enrolment_;
};

/// Forks; returns whether `child` was true in the child.
bool holds_in_child(const std::function<bool()>& child) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Fork, HandlersRunByRankAndBack) {
  Calls calls;
  const Guard store(kForkRankStore, "store", calls);
  const Guard sqlite(kForkRankSqlite, "sqlite", calls);
  const Guard registry(kForkRankRegistry, "registry", calls);
  const Guard pool(kForkRankPool, "pool", calls);
  const Guard second_pool(kForkRankPool, "second pool", calls);
  const Calls before{"prepare registry", "prepare store", "prepare pool", "prepare second pool",
                     "prepare sqlite"};
  const auto expected = [&](const std::string& side) {
    Calls all = before;
    for (const char* name : {"sqlite", "second pool", "pool", "store", "registry"}) {
      all.push_back(side + " " + name);
    }
    return all;
  };
  EXPECT_TRUE(holds_in_child([&] { return calls == expected("child"); }));
  EXPECT_EQ(calls, expected("parent"));
}

TEST(Fork, HandlersAreForgottenWithTheirGuard) {
  Calls calls;
  auto gone = std::make_unique<Guard>(1, "gone", calls);
  const Guard stays(2, "stays", calls);
  gone.reset();
  EXPECT_TRUE(holds_in_child([&] { return calls == Calls{"prepare stays", "child stays"}; }));
  EXPECT_EQ(calls, (Calls{"prepare stays", "parent stays"}));
}

TEST(Fork, GuardsCanBeMadeAndForgottenInAChild) {
  Calls calls;
  auto inherited = std::make_unique<Guard>(1, "inherited", calls);
  EXPECT_TRUE(holds_in_child([&] {
    inherited.reset();
    calls.clear();
    const Guard made(2, "made", calls);
    return holds_in_child([&] {
             return calls == Calls{"prepare made", "child made"};
           }) &&
           calls == Calls{"prepare made", "parent made"};
  }));
}

TEST(Fork, GuardsComeAndGoInAnotherThreadMeanwhile) {
  GRAVEN_FORKS_AMID_THREADS();
  struct Locked final : ForkGuard {
    void prepare_fork() noexcept override { mutex.lock(); }
    void parent_after_fork() noexcept override { mutex.unlock(); }
    void child_after_fork() noexcept override { mutex.unlock(); }
    std::mutex mutex;
    ForkEnrolment enrolment{*this, kForkRankStore};
  };
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      Locked guard;
      const std::scoped_lock lock(guard.mutex);
    }
  });
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(holds_in_child([] { return true; }));
  stop = true;
  other.join();
}

TEST(Fork, GenerationGrowsInChildrenOnly) {
  const std::uint64_t here = fork_generation();
  EXPECT_GE(here, 1U);
  EXPECT_TRUE(holds_in_child([&] {
    return fork_generation() == here + 1 &&
           holds_in_child([&] { return fork_generation() == here + 2; }) &&
           fork_generation() == here + 1;
  }));
  EXPECT_EQ(fork_generation(), here);
}

TEST(Fork, GenerationIsKnownToHandlersOfTheChild) {
  struct Reader final : ForkGuard {
    void prepare_fork() noexcept override { seen = fork_generation(); }
    void parent_after_fork() noexcept override { seen = fork_generation(); }
    void child_after_fork() noexcept override { seen = fork_generation(); }
    std::uint64_t seen = 0;
    ForkEnrolment enrolment{*this, kForkRankStore};
  } reader;
  const std::uint64_t here = fork_generation();
  EXPECT_TRUE(holds_in_child([&] { return reader.seen == here + 1; }));
  EXPECT_EQ(reader.seen, here);
}

}  // namespace
}  // namespace graven::base
