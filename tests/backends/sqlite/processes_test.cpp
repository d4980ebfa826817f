// SPDX-License-Identifier: MIT
//
// Several processes, each with the store opened for itself: who waits for whom, fairly and
// with the right words, who creates, who is alive.
#include <graven/error.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

class Processes : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
};

TEST_F(Processes, TwoCountTogetherAndNeitherStarves) {
  constexpr int kEach = 30'000;  // a second or so, long beside a process's wait for a processor
  const auto work = [&](const Reporter& reporter, const std::string& own,
                        const std::string& other) {
    const Opened backend = sqlite::open(path_);
    reporter.say("open");
    while (count(*backend, "go") == 0) ::usleep(100);
    for (int i = 0; i < kEach; ++i) {
      auto transaction = backend->begin(soon());
      const auto next = [&](const std::string& name) {
        const auto record = transaction->load(counter_key(name));
        return counter_record(0, (record ? record->integers[0] : 0) + 1);
      };
      write(*transaction, {{counter_key(own), next(own)}, {counter_key("both"), next("both")}});
      transaction.reset();
      // The race begins when both are at it, however late one of them was given a processor.
      while (i == 0 && count(*backend, other) == 0) ::usleep(100);
    }
    // How far the other had come when this one was done.
    reporter.say(std::to_string(count(*backend, other)));
    reporter.say(std::to_string(backend->stats().checkpoints.time.count));
    return true;
  };
  Child first([&](const Reporter& reporter) { return work(reporter, "first", "second"); });
  Child second([&](const Reporter& reporter) { return work(reporter, "second", "first"); });
  EXPECT_EQ(first.line(), "open");
  EXPECT_EQ(second.line(), "open");
  const Opened backend = sqlite::open(path_);
  increment(*backend, "go");
  // Whoever was done first has left the other its share: about as much as it had itself, on a
  // machine with time for both. A starved one would have stood at a handful.
  const int share = std::min(std::stoi(first.line()), std::stoi(second.line()));
  EXPECT_GE(share, kEach / 20);
  // A commit that finds the WAL full starts it over, though the other process commits all the time:
  // some two pages each, so 4,000 are full 30 times.
  const int checkpoints = std::stoi(first.line()) + std::stoi(second.line());
  EXPECT_LE(checkpoints, 90);
  EXPECT_TRUE(first.succeeded());
  EXPECT_TRUE(second.succeeded());
  EXPECT_EQ(count(*backend, "first"), kEach);
  EXPECT_EQ(count(*backend, "second"), kEach);
  EXPECT_EQ(count(*backend, "both"), 2 * kEach);
  EXPECT_TRUE(backend->check().empty());
}

TEST_F(Processes, BusyNamesTheProcessThatHoldsTheLock) {
  Child child([&](const Reporter& reporter) {
    const Opened backend = sqlite::open(path_);
    const auto transaction = backend->begin(soon());
    reporter.say("begun");
    ::pause();
    return true;
  });
  EXPECT_EQ(child.line(), "begun");
  const Opened backend = sqlite::open(path_);
  std::string message;
  try {
    backend->begin(in(milliseconds(20)));
  } catch (const BusyError& error) {
    message = error.what();
  }
  EXPECT_NE(message.find("process " + std::to_string(child.pid()) + " ("), std::string::npos)
      << message;
  EXPECT_NE(message.find(path_), std::string::npos) << message;
  // Reading goes on, and the lock dies with its holder.
  EXPECT_EQ(backend->load(node_key(1)), std::nullopt);
  child.kill();
  increment(*backend, "n");
  EXPECT_EQ(count(*backend, "n"), 1);
}

TEST_F(Processes, BusyWithinOneProcessSaysSo) {
  const Opened first = sqlite::open(path_);
  const Opened second = sqlite::open(path_);
  const auto transaction = first->begin(soon());
  std::string message;
  try {
    second->begin(in(milliseconds(20)));
  } catch (const BusyError& error) {
    message = error.what();
  }
  EXPECT_NE(message.find("this process"), std::string::npos) << message;
}

TEST_F(Processes, CreatingAtOnceMakesOneStore) {
  for (int round = 0; round < 20; ++round) {
    const std::string path = folder_ / (std::to_string(round) + ".db");
    int go[2];
    ASSERT_EQ(::pipe(go), 0);
    const auto work = [&](const Reporter& reporter) {
      ::close(go[1]);
      char byte = 0;
      if (::read(go[0], &byte, 1) != 0) return false;  // until the parent closes its end
      const Opened backend = sqlite::open(path);
      reporter.say(std::to_string(backend->facts().constant));
      for (int i = 0; i < 10; ++i) increment(*backend, "n");
      return true;
    };
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 3; ++i) children.push_back(std::make_unique<Child>(work));
    ::close(go[0]);
    ::close(go[1]);
    const std::string constant = children[0]->line();
    EXPECT_FALSE(constant.empty());
    for (std::size_t i = 1; i < children.size(); ++i) EXPECT_EQ(children[i]->line(), constant);
    for (const auto& child : children) EXPECT_TRUE(child->succeeded());
    const Opened backend = sqlite::open(path);
    EXPECT_EQ(count(*backend, "n"), 30);
    EXPECT_TRUE(backend->check().empty());
  }
}

TEST_F(Processes, OwnersAreAliveWhileTheirProcessIs) {
  const Opened backend = sqlite::open(path_);
  EXPECT_FALSE(backend->leases().alive(5));
  std::vector<std::unique_ptr<Child>> children;
  for (std::int64_t owner = 1; owner <= 4; ++owner) {
    children.push_back(std::make_unique<Child>([&, owner](const Reporter& reporter) {
      const Opened own = sqlite::open(path_);
      own->leases().announce(owner);
      reporter.say("held");
      ::pause();
      return true;
    }));
  }
  for (const auto& child : children) EXPECT_EQ(child->line(), "held");
  for (std::int64_t owner = 1; owner <= 4; ++owner) EXPECT_TRUE(backend->leases().alive(owner));
  children[1]->kill();
  EXPECT_FALSE(backend->leases().alive(2));
  EXPECT_TRUE(backend->leases().alive(1));
  EXPECT_TRUE(backend->leases().alive(3));
  backend->leases().announce(2);  // the number is free again
  EXPECT_THROW(backend->leases().announce(3), UsageError);
}

TEST_F(Processes, TwoStoresOfOneProcessSeeEachOthersOwners) {
  Opened first = sqlite::open(path_);
  const Opened second = sqlite::open(path_);
  first->leases().announce(1);
  second->leases().announce(2);
  EXPECT_TRUE(second->leases().alive(1));
  EXPECT_TRUE(first->leases().alive(2));
  first.reset();
  EXPECT_FALSE(second->leases().alive(1));
  EXPECT_TRUE(second->leases().alive(2));
}

// The file of locks goes with the last owner, while others come: nobody may hold a lock in a
// file that the others no longer see.
TEST_F(Processes, OwnersComeAndGoWithoutLosingEachOther) {
  const auto work = [&](std::int64_t base) {
    for (std::int64_t i = 0; i < 150; ++i) {
      const Opened own = sqlite::open(path_);
      own->leases().announce(base + i);
      if (!own->leases().alive(base + i)) return false;
      if (!sqlite::open(path_)->leases().alive(base + i)) return false;
    }
    return true;
  };
  sqlite::open(path_);
  std::vector<std::unique_ptr<Child>> children;
  for (std::int64_t i = 0; i < 3; ++i) {
    children.push_back(std::make_unique<Child>([&, i] { return work(1000 * (i + 1)); }));
  }
  for (const auto& child : children) EXPECT_TRUE(child->succeeded());
  // Two that close at the same moment leave the file to the next.
  Opened last = sqlite::open(path_);
  last->leases().announce(1);
  last.reset();
  EXPECT_FALSE(std::filesystem::exists(path_ + "-owners"));
}

TEST_F(Processes, AViewSurvivesWhatAnotherProcessWrites) {
  const Opened backend = sqlite::open(path_);
  write(*backend, {{node_key(1), node_record(0, "before")}});
  const auto view = backend->view();
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  Child child([&] {
    const Opened own = sqlite::open(path_);
    for (int round = 0; round < 3; ++round) {
      write(*own, {{node_key(1), node_record(0, std::string(20 << 20, 'x'))}});
      own->maintain();
    }
    return true;
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  EXPECT_EQ(backend->load(node_key(1))->body.size(), std::size_t{20} << 20);
}

TEST_F(Processes, TheEndOfAnImportIsToldAsAChangeOfNothing) {
  const Opened backend = sqlite::open(path_);
  const port::MarkWords* live = backend->live_mark();
  ASSERT_NE(live, nullptr);
  ASSERT_NE(backend->changes(), nullptr);
  backend->begin_bulk(std::size_t{1} << 20);
  std::vector<port::Change> nodes;
  for (int i = 1; i <= 1000; ++i) nodes.push_back({node_key(i), node_record(0, "imported")});
  write(*backend, std::move(nodes));
  const auto view = backend->view();
  EXPECT_TRUE(view->load(node_key(1)));
  write(*backend, {{node_key(1), node_record(0, "again")}});
  const port::Mark before = port::read_mark(*live);
  EXPECT_FALSE(backend->end_bulk(in(milliseconds(50))));  // the view is in its way
  const port::Mark after = port::read_mark(*live);
  EXPECT_TRUE(backend->commit_between(before, after));
  EXPECT_TRUE(backend->changes()->follow(before, after, [](auto hashes, auto flags) {
    EXPECT_TRUE(hashes.empty());
    EXPECT_EQ(flags, 0U);
  }));
}

}  // namespace
}  // namespace graven::test
