// SPDX-License-Identifier: MIT
//
// The change ring between processes and threads: publishers killed at any moment, sleepers,
// fork, files that come and go. The live mark is a number in shared memory, a file lock (or a
// mutex) stands for SQLite's write lock. Nothing here measures time; kTooLong is when something
// must have got stuck.
#include "backends/sqlite/change_ring.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <linux/seccomp.h>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/change_ring_history.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/forks.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

using sqlite::ChangeRing;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kTooLong{100};
constexpr std::chrono::hours kNoLimit{1};
constexpr ::off_t kHead = 64;  // docs/format/change-ring.md
constexpr ::off_t kBell = 128;
constexpr ::uid_t kNobody = 65534;

/// What the processes of a test share besides the ring.
struct Common {
  std::atomic<std::uint64_t> live{0};  // the number of the live mark
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> whole{0};
  std::atomic<std::uint64_t> broken{0};
};

class ChangeRingProcessTest : public ::testing::Test {
 protected:
  ChangeRingProcessTest() {
    void* memory =
        ::mmap(nullptr, sizeof(Common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("mmap failed");
    common_ = new (memory) Common;
  }
  ~ChangeRingProcessTest() override { ::munmap(common_, sizeof(Common)); }

  std::unique_ptr<ChangeRing> open(bool read_only = false) const {
    return open_ring(database_, read_only);
  }
  /// Sleeps until it is woken.
  std::unique_ptr<ChangeRing> open_for_ever(bool read_only = false) const {
    return open_ring(database_, read_only, kNoLimit);
  }

  std::uint64_t word(::off_t offset) const {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    std::uint64_t value = 0;
    EXPECT_EQ(::pread(file, &value, sizeof value, offset), 8);
    ::close(file);
    return value;
  }
  bool somebody_sleeps() const { return (word(kBell) & 1U) != 0; }

  /// Follows the live mark until told to stop; whether all that was told is true.
  bool follow_live(ChangeRing& ring) const {
    std::uint64_t at = common_->live.load(std::memory_order_acquire);
    while (!common_->stop.load(std::memory_order_relaxed)) {
      const std::uint64_t to = common_->live.load(std::memory_order_acquire);
      if (to == at) continue;
      const Told told = follow(ring, at, to);
      const std::string error = wrong(told, at, to, commit);
      if (!error.empty()) {
        std::cerr << error << " from " << at << " to " << to << '\n';
        return false;
      }
      (told.whole ? common_->whole : common_->broken).fetch_add(1, std::memory_order_relaxed);
      at = to;
    }
    return true;
  }

  /// One commit, with the write lock held; a stranger tells nobody.
  void commit_one(ChangeRing& ring, bool stranger) const {
    const std::uint64_t number = common_->live.load(std::memory_order_relaxed);
    common_->live.store(number + 1, std::memory_order_release);
    if (!stranger) publish(ring, number, commit(number));
  }

  TemporaryFolder folder_;
  std::string database_ = folder_ / "a.db";
  std::string path_ = database_ + "-changes";
  Common* common_;
};

TEST_F(ChangeRingProcessTest, KilledPublishersMisleadNobody) {
  constexpr int kKills = 300;
  Random random;
  const std::string lock_path = folder_ / "lock";
  ::close(::open(lock_path.c_str(), O_CREAT | O_RDWR, 0600));
  std::vector<std::unique_ptr<Child>> followers;
  for (int i = 0; i < 2; ++i) {
    followers.push_back(std::make_unique<Child>([&](const Reporter& reporter) {
      const auto ring = open();
      reporter.say("following");
      return ring != nullptr && follow_live(*ring);
    }));
    EXPECT_EQ(followers.back()->line(), "following");
  }
  const auto publisher = [&] {
    return std::make_unique<Child>([&, seed = random.bits()] {
      Random own(seed);
      const auto ring = open();
      const int lock = ::open(lock_path.c_str(), O_RDWR | O_CLOEXEC);
      while (ring != nullptr && ::flock(lock, LOCK_EX) == 0) {
        commit_one(*ring, own.one_in(500));
        ::flock(lock, LOCK_UN);
        if (own.one_in(50)) ::usleep(static_cast<useconds_t>(own.below(200)));
      }
      return false;
    });
  };
  auto one = publisher();
  for (int kill = 0; kill < kKills; ++kill) {
    auto next = publisher();
    ::usleep(static_cast<useconds_t>(random.below(4000)));
    one->kill();
    one = std::move(next);
  }
  one->kill();
  common_->stop = true;
  for (const auto& follower : followers) EXPECT_TRUE(follower->succeeded());
  RecordProperty("commits", std::to_string(common_->live.load()));
  std::cout << common_->live << " commits, followed " << common_->whole << " times, broken "
            << common_->broken << " times" << std::endl;
  EXPECT_GT(common_->whole, 0U);
  EXPECT_GT(common_->broken, 0U);
  // Whoever lives after all that is understood.
  const auto ring = open();
  EXPECT_TRUE(std::filesystem::exists(path_) && ring != nullptr);
  publish(*ring, common_->live);
  EXPECT_TRUE(follow(*ring, common_->live, common_->live + 1).whole);
}

TEST_F(ChangeRingProcessTest, ThreadsPublishFollowAndSleep) {
  constexpr std::uint64_t kCommits = 100'000;
  std::mutex write_lock;
  const auto ours = open();
  const auto theirs = open();
  std::atomic<bool> right{true};
  std::vector<std::thread> threads;
  for (ChangeRing* ring : {ours.get(), ours.get(), theirs.get()}) {
    threads.emplace_back([&, ring] {
      if (!follow_live(*ring)) right = false;
    });
  }
  threads.emplace_back([&] {
    while (!common_->stop) {
      const std::uint32_t ticket = theirs->ticket();
      const std::uint64_t seen = common_->live;
      if (!common_->stop && common_->live == seen)
        theirs->wait(ticket, steady_clock::now() + kTooLong);
    }
  });
  std::vector<std::thread> publishers;
  for (ChangeRing* ring : {ours.get(), theirs.get()}) {
    publishers.emplace_back([&, ring] {
      for (;;) {
        const std::scoped_lock lock(write_lock);
        const std::uint64_t number = common_->live;
        if (number == kCommits) break;
        commit_one(*ring, number % 1000 == 0);
      }
    });
  }
  for (std::thread& thread : publishers) thread.join();
  common_->stop = true;
  theirs->wake();
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(right);
}

// --- Sleeping

TEST_F(ChangeRingProcessTest, TwoProcessesWakeEachOther) {
  constexpr std::uint64_t kTurns = 3000;
  const auto play = [&](std::uint64_t parity) {
    const auto ring = open_for_ever();
    for (;;) {
      const std::uint32_t ticket = ring->ticket();
      const std::uint64_t turn = common_->live;
      if (turn >= kTurns) return true;
      if (turn % 2 == parity) {
        commit_one(*ring, false);
      } else if (!ring->wait(ticket, steady_clock::now() + kTooLong)) {
        return false;
      }
    }
  };
  const auto ring = open();
  Child other([&] { return play(1); });
  EXPECT_TRUE(play(0));
  EXPECT_TRUE(other.succeeded());
}

TEST_F(ChangeRingProcessTest, ManySleepersAreWokenByOneEntry) {
  const auto ring = open();
  std::vector<std::unique_ptr<Child>> sleepers;
  for (const bool read_only : {false, true, false, true}) {
    sleepers.push_back(std::make_unique<Child>([&, read_only](const Reporter& reporter) {
      const auto own = open_for_ever(read_only);
      const std::uint32_t ticket = own->ticket();
      reporter.say("ready");
      const bool woken = own->wait(ticket, steady_clock::now() + kTooLong);
      return woken && follow(*own, 0, 1).whole;
    }));
    EXPECT_EQ(sleepers.back()->line(), "ready");
  }
  while (!somebody_sleeps()) ::usleep(100);
  publish(*ring, 0);
  for (const auto& sleeper : sleepers) EXPECT_TRUE(sleeper->succeeded());
}

TEST_F(ChangeRingProcessTest, ASleeperThatWasKilledIsForgotten) {
  const auto ring = open();
  Child sleeper([&] {
    const auto own = open_for_ever();
    return own->wait(own->ticket(), steady_clock::now() + kTooLong);
  });
  while (!somebody_sleeps()) ::usleep(100);
  sleeper.kill();
  publish(*ring, 0);
  EXPECT_FALSE(somebody_sleeps());
}

TEST_F(ChangeRingProcessTest, ASleepEnds) {
  const auto ring = open_ring(database_, false, std::chrono::milliseconds(1));
  const std::uint32_t ticket = ring->ticket();
  EXPECT_FALSE(ring->wait(ticket, steady_clock::time_point::max()));  // the longest sleep
  EXPECT_FALSE(ring->wait(ticket, steady_clock::time_point{}));
  const auto patient = open_for_ever();
  EXPECT_FALSE(patient->wait(ticket, steady_clock::now() + std::chrono::milliseconds(1)));
  publish(*ring, 0);
  EXPECT_TRUE(patient->wait(ticket, steady_clock::time_point::max()));  // it has happened before
  const std::uint32_t next = patient->ticket();
  std::thread sleeper([&] { EXPECT_TRUE(patient->wait(next, steady_clock::time_point::max())); });
  while (!somebody_sleeps()) ::usleep(100);
  patient->wake();
  sleeper.join();
}

TEST_F(ChangeRingProcessTest, WithoutSleepersAPublisherMakesNoSystemCall) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer has a thread of its own, which exit(2) leaves behind";
#endif
  Child child([&] {
    const auto ring = open();
    for (std::uint64_t i = 0; i < 2000; ++i) publish(*ring, i);
    const Commit made = small_commit(5);
    // Now every call but read, write and exit kills.
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0) return true;
    for (std::uint64_t i = 2000; i < 5000; ++i) publish(*ring, i, made);
    ::syscall(SYS_exit, 0);
    return false;
  });
  EXPECT_TRUE(child.succeeded());
}

// --- fork

TEST_F(ChangeRingProcessTest, AChildDoesNotInheritTheRing) {
  auto ring = open();
  publish(*ring, 0);
  Child child([&](const Reporter& reporter) {
    bool right = !follow(*ring, 0, 1).whole && !follow(*ring, 1, 1).whole;
    publish(*ring, 1);
    right = right && !ring->wait(ring->ticket(), steady_clock::now());
    ring->wake();
    ring.reset();
    right = right && std::filesystem::exists(path_) && word(kHead) == 1;
    ring = open();
    right = right && follow(*ring, 0, 1).whole;
    publish(*ring, 1);
    reporter.say("published");
    while (!common_->stop) ::usleep(100);
    return right;
  });
  EXPECT_EQ(child.line(), "published");
  EXPECT_TRUE(follow(*ring, 0, 2).whole);
  common_->stop = true;
  EXPECT_TRUE(child.succeeded());
}

TEST_F(ChangeRingProcessTest, AChildHoldsNoLock) {
  auto one = open();
  auto other = open();
  Child child([&](const Reporter& reporter) {
    reporter.say("alive");
    while (!common_->stop) ::usleep(100);
    return true;
  });
  EXPECT_EQ(child.line(), "alive");
  // The second would find the lock of the first still held through the child's copy.
  one.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
  other.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
  common_->stop = true;
  EXPECT_TRUE(child.succeeded());
}

TEST_F(ChangeRingProcessTest, ForksWhileThreadsUseAndOpenIt) {
  GRAVEN_FORKS_AMID_THREADS();
  const auto ring = open();
  std::thread user([&] {
    for (std::uint64_t i = 0; !common_->stop; ++i) {
      publish(*ring, i);
      EXPECT_TRUE(follow(*ring, i, i + 1).whole);
    }
  });
  std::thread opener([&] {
    while (!common_->stop) EXPECT_NE(open_ring(folder_ / "b.db", false), nullptr);
  });
  for (int i = 0; i < 50; ++i) {
    Child child([&] {
      const auto own = open();
      return !follow(*ring, 0, 1).whole && own != nullptr;
    });
    EXPECT_TRUE(child.succeeded());
  }
  common_->stop = true;
  user.join();
  opener.join();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "b.db-changes"));
}

// --- The file

TEST_F(ChangeRingProcessTest, WhoOpensMeetsWhoHasIt) {
  std::vector<std::unique_ptr<Child>> children;
  for (std::uint64_t child = 0; child < 4; ++child) {
    children.push_back(std::make_unique<Child>([&, child] {
      for (std::uint64_t i = 0; i < 300; ++i) {
        auto one = open();
        auto other = open();
        if (one == nullptr || other == nullptr) return false;
        const std::uint64_t number = child * 1'000'000 + 2 * i;
        publish(*one, number);
        if (!follow(*other, number, number + 1).whole) return false;
        if (i % 2 == 0) one.reset();
      }
      return true;
    }));
  }
  for (const auto& child : children) EXPECT_TRUE(child->succeeded());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ChangeRingProcessTest, TheFileOutlivesAKilledUserAndIsUsedAgain) {
  Child child([&](const Reporter& reporter) {
    const auto ring = open();
    publish(*ring, 0);
    reporter.say("published");
    ::pause();
    return true;
  });
  EXPECT_EQ(child.line(), "published");
  child.kill();
  EXPECT_TRUE(std::filesystem::exists(path_));
  auto ring = open();
  EXPECT_TRUE(follow(*ring, 0, 1).whole);
  ring.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ChangeRingProcessTest, AFullDiskMeansNoRing) {
  Child child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit { 100'000, 100'000 };
    return ::setrlimit(RLIMIT_FSIZE, &limit) == 0 && open() == nullptr &&
           !std::filesystem::exists(path_);
  });
  EXPECT_TRUE(child.succeeded());
}

TEST_F(ChangeRingProcessTest, WhoMayOnlyReadTheFileFollowsAndSleeps) {
  ::chmod(folder_.path().c_str(), 0755);
  const auto ring = open();
  ::chmod(path_.c_str(), 0444);
  publish(*ring, 0);
  Child child([&](const Reporter& reporter) {
    if (::geteuid() == 0 && ::seteuid(kNobody) != 0) return false;
    if (open() != nullptr) return false;
    auto own = open_for_ever(true);
    if (own == nullptr || !follow(*own, 0, 1).whole) return false;
    const std::uint32_t ticket = own->ticket();
    own->wake();
    if (!own->wait(ticket, steady_clock::now() + kTooLong)) return false;
    const std::uint32_t next = own->ticket();
    reporter.say("sleeping");
    if (!own->wait(next, steady_clock::now() + kTooLong)) return false;
    const bool whole = follow(*own, 0, 2).whole;
    own.reset();
    return whole && std::filesystem::exists(path_);
  });
  EXPECT_EQ(child.line(), "sleeping");
  publish(*ring, 1);
  EXPECT_TRUE(child.succeeded());
}

}  // namespace
}  // namespace graven::test
