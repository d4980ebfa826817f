// SPDX-License-Identifier: MIT
//
// The change ring within one process: what a follower is told and when it is told nothing,
// entries that are damaged in every word, what becomes of the file, and a random history
// against its truth. Processes, sleepers and threads: change_ring_process_test.cpp.
#include "backends/sqlite/change_ring.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/change_ring_history.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

using sqlite::ChangeRing;

// docs/format/change-ring.md
constexpr std::size_t kFileSize = 397'312;
constexpr std::size_t kHead = 64;
constexpr std::size_t kFirstSlot = 4096;
constexpr std::size_t kSlotSize = 384;
constexpr std::size_t kHashes = 128;

class ChangeRingTest : public ::testing::Test {
 protected:
  std::unique_ptr<ChangeRing> open(bool read_only = false) const {
    return open_ring(database_, read_only);
  }

  std::uint64_t word(std::size_t offset) const {
    std::uint64_t value = 0;
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }
  void set_word(std::size_t offset, std::uint64_t value) const {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder folder_;
  std::string database_ = folder_ / "a.db";
  std::string path_ = database_ + "-changes";
};

// --- What a follower is told

TEST_F(ChangeRingTest, AFollowerIsToldEveryCommitInOrder) {
  const auto ours = open();
  const auto theirs = open();
  for (std::uint64_t i = 0; i < 5; ++i) publish(*ours, i);
  for (std::uint64_t from = 0; from <= 5; ++from) {
    for (std::uint64_t to = from; to <= 5; ++to) {
      const Told told = follow(*theirs, from, to);
      EXPECT_TRUE(told.whole);
      EXPECT_EQ(wrong(told, from, to, small_commit), "");
    }
  }
  EXPECT_TRUE(follow(*ours, 0, 5).whole);  // and so is the publisher
}

TEST_F(ChangeRingTest, HowMuchAnEntryTells) {
  const auto ring = open();
  const Commit none{{}, 1};
  const Commit full{std::vector<std::uint64_t>(ChangeRing::kMost, 7), 2};
  const Commit more{std::vector<std::uint64_t>(ChangeRing::kMost + 1, 7), 3};
  publish(*ring, 0, none);
  publish(*ring, 1, full);
  publish(*ring, 2, more);
  publish(*ring, 3, none);
  EXPECT_EQ(follow(*ring, 0, 1).commits, std::vector{none});
  EXPECT_EQ(follow(*ring, 1, 2).commits, std::vector{full});
  EXPECT_FALSE(follow(*ring, 2, 3).whole);
  EXPECT_TRUE(follow(*ring, 2, 3).commits.empty());
  EXPECT_FALSE(follow(*ring, 1, 4).whole);
  EXPECT_TRUE(follow(*ring, 3, 4).whole);
}

TEST_F(ChangeRingTest, ChainsBreak) {
  const auto ring = open();
  EXPECT_FALSE(follow(*ring, 0, 1).whole);  // nobody published
  publish(*ring, 0);
  publish(*ring, 1);
  publish(*ring, 5);  // a stranger made 2 to 4
  EXPECT_TRUE(follow(*ring, 0, 2).whole);
  EXPECT_FALSE(follow(*ring, 0, 3).whole);
  EXPECT_FALSE(follow(*ring, 0, 6).whole);
  EXPECT_FALSE(follow(*ring, 3, 6).whole);
  EXPECT_TRUE(follow(*ring, 5, 6).whole);
  EXPECT_FALSE(follow(*ring, 6, 5).whole);
}

TEST_F(ChangeRingTest, WhatChangesNothingIsNoEntry) {
  const auto ring = open();
  publish(*ring, 0);
  const std::uint32_t ticket = ring->ticket();
  ring->publish(mark(1), mark(1), {}, 0);
  EXPECT_EQ(word(kHead), 1U);
  EXPECT_EQ(ring->ticket(), ticket);
}

TEST_F(ChangeRingTest, RemembersSoMuchAndNoMore) {
  const auto ours = open();
  const auto theirs = open();
  for (std::uint64_t i = 0; i <= ChangeRing::kEntries; ++i) publish(*ours, i);
  const std::uint64_t last = ChangeRing::kEntries + 1;
  EXPECT_FALSE(follow(*theirs, 0, last).whole);
  const Told told = follow(*theirs, 1, last);
  EXPECT_TRUE(told.whole);
  EXPECT_EQ(wrong(told, 1, last, small_commit), "");
}

TEST_F(ChangeRingTest, TheNewestOfTwoEntriesFromOneMarkCounts) {
  const auto ring = open();
  ring->publish(mark(1), mark(2), {}, 1);
  ring->publish(mark(1), mark(3), {}, 2);
  const auto other = open();
  EXPECT_FALSE(follow(*other, 1, 2).whole);
  EXPECT_TRUE(follow(*other, 1, 3).whole);
}

// --- Damage

TEST_F(ChangeRingTest, ADamagedEntryIsNotTold) {
  const auto ring = open();
  publish(*ring, 0, {{1, 2, 3}, 4});
  publish(*ring, 1);
  for (std::size_t offset = 0; offset < kSlotSize; offset += 8) {
    const std::size_t at = kFirstSlot + offset;
    const std::uint64_t right = word(at);
    for (const std::uint64_t bit : {0, 1, 31, 63}) {
      set_word(at, right ^ std::uint64_t{1} << bit);
      const Told told = follow(*ring, 0, 2);
      const bool used = offset < kHashes + 3 * 8;
      EXPECT_EQ(told.whole, !used) << offset;
      EXPECT_EQ(told.commits.empty(), used) << offset;
    }
    set_word(at, right);
    EXPECT_TRUE(follow(*ring, 0, 2).whole);
  }
}

TEST_F(ChangeRingTest, APublisherThatDiedSpoilsItsOwnEntryOnly) {
  const auto ring = open();
  publish(*ring, 0);
  set_word(kHead, 2);  // it had advanced the counter
  publish(*ring, 2);
  EXPECT_FALSE(follow(*ring, 0, 3).whole);
  EXPECT_TRUE(follow(*ring, 2, 3).whole);
  set_word(kHead, 4);
  set_word(kFirstSlot + 3 * kSlotSize, 7);  // it had begun to write
  EXPECT_FALSE(follow(*ring, 3, 4).whole);
  publish(*ring, 4);
  EXPECT_TRUE(follow(*ring, 4, 5).whole);
  EXPECT_TRUE(follow(*ring, 0, 1).whole);
}

TEST_F(ChangeRingTest, ACounterOfNoSenseIsGoneOnFrom) {
  for (const std::uint64_t head : {std::uint64_t{0}, ~std::uint64_t{0} / 2, ~std::uint64_t{0}}) {
    const auto ring = open();
    for (std::uint64_t i = 0; i < 10; ++i) publish(*ring, i);
    set_word(kHead, head);
    for (std::uint64_t i = 10; i < 3000; ++i) {
      publish(*ring, i);
      const Told told = follow(*ring, i, i + 1);
      EXPECT_EQ(wrong(told, i, i + 1, small_commit), "");
      EXPECT_TRUE(told.whole || head != 0);
    }
  }
}

// --- The file

TEST_F(ChangeRingTest, TheLastToCloseRemovesTheFile) {
  auto one = open();
  auto other = open();
  EXPECT_EQ(std::filesystem::file_size(path_), kFileSize);
  one.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
  other.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ChangeRingTest, ReplacedUnderItsUsersItOnlyBreaksChains) {
  auto old = open();
  publish(*old, 0);
  std::filesystem::remove(path_);
  const auto fresh = open();
  publish(*old, 1);
  publish(*fresh, 2);
  EXPECT_FALSE(follow(*fresh, 0, 3).whole);
  EXPECT_FALSE(follow(*old, 0, 3).whole);
  EXPECT_TRUE(follow(*fresh, 2, 3).whole);
  old.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));  // it is not the one that old had
  EXPECT_TRUE(follow(*open(), 2, 3).whole);
}

TEST_F(ChangeRingTest, HasTheModeOfTheDatabase) {
  const ::mode_t mask = ::umask(027);
  for (const ::mode_t mode : {0600U, 0640U, 0666U}) {
    std::ofstream(database_) << "x";
    ASSERT_EQ(::chmod(database_.c_str(), mode), 0);
    const auto ring = open();
    struct stat info {};
    ASSERT_EQ(::stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, mode);
  }
  ::umask(mask);
  std::filesystem::remove(database_);
  const auto ring = open();
  ASSERT_NE(ring, nullptr);
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(ChangeRingTest, WhatIsNoRingIsLeftAlone) {
  const std::string long_text(kFileSize, 'x');
  for (const std::string& text :
       {std::string("x"), std::string(64, 'x'), long_text, std::string(kFileSize + 1, '\0')}) {
    std::ofstream(path_, std::ios::binary) << text;
    EXPECT_EQ(open(), nullptr);
    EXPECT_EQ(open(true), nullptr);
    EXPECT_EQ(text_of(path_), text);
    std::filesystem::remove(path_);
  }
  std::filesystem::create_directory(path_);
  EXPECT_EQ(open(), nullptr);
  EXPECT_EQ(open(true), nullptr);
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(open(), nullptr);
  EXPECT_EQ(open(true), nullptr);
  std::filesystem::remove(path_);
  std::ofstream(folder_ / "other") << "";
  std::filesystem::create_symlink(folder_ / "other", path_);
  EXPECT_EQ(open(), nullptr);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "other"), 0U);
  EXPECT_EQ(open_ring(folder_ / "no such folder/a.db", false), nullptr);
}

TEST_F(ChangeRingTest, AHalfMadeFileIsFinished) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, kFileSize}) {
    std::ofstream(path_, std::ios::binary) << std::string(size, '\0');
    EXPECT_EQ(open(true), nullptr);
    const auto ring = open();
    ASSERT_NE(ring, nullptr);
    EXPECT_EQ(std::filesystem::file_size(path_), kFileSize);
    publish(*ring, 0);
    EXPECT_TRUE(follow(*ring, 0, 1).whole);
  }
}

TEST_F(ChangeRingTest, AnotherLayoutIsReplacedOnceNobodyUsesIt) {
  for (const std::uint64_t by :
       {std::uint64_t{1}, UINT64_MAX}) {  // a newer one, and that before there were scopes
    auto user = open();
    const std::uint64_t layout = word(8);
    EXPECT_EQ(layout & 0xffffffffU, 2U);
    EXPECT_EQ(layout >> 32, ChangeRing::kEntries);
    publish(*user, 0);
    set_word(8, layout + by);
    EXPECT_EQ(open(), nullptr);
    EXPECT_TRUE(std::filesystem::exists(path_));
    // What a crash of its user leaves behind.
    std::filesystem::copy_file(path_, folder_ / "left");
    user.reset();
    std::filesystem::rename(folder_ / "left", path_);
    EXPECT_EQ(open(true), nullptr);
    const auto ring = open();
    ASSERT_NE(ring, nullptr);
    EXPECT_EQ(word(8), layout);
    EXPECT_EQ(word(kHead), 0U);
  }
}

TEST_F(ChangeRingTest, WhatACrashLeavesIsUsedAgain) {
  auto user = open();
  publish(*user, 0);
  std::filesystem::copy_file(path_, folder_ / "left");
  user.reset();
  std::filesystem::rename(folder_ / "left", path_);
  user = open();
  EXPECT_TRUE(follow(*user, 0, 1).whole);  // true for ever
  publish(*user, 1);
  EXPECT_TRUE(follow(*user, 0, 2).whole);
  user.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ChangeRingTest, AReadOnlyStoreFollowsAndSaysNothing) {
  EXPECT_EQ(open(true), nullptr);
  EXPECT_FALSE(std::filesystem::exists(path_));
  auto writer = open();
  auto reader = open(true);
  ASSERT_NE(reader, nullptr);
  publish(*writer, 0);
  publish(*reader, 1);
  EXPECT_EQ(word(kHead), 1U);
  EXPECT_TRUE(follow(*reader, 0, 1).whole);
  EXPECT_FALSE(follow(*reader, 0, 2).whole);
}

// --- A random history

TEST_F(ChangeRingTest, RandomHistoriesAreToldAsTheyWere) {
  struct Follower {
    std::unique_ptr<ChangeRing> ring;
    std::size_t lag;  // about how many commits it lets pass
    std::uint64_t at = 0;
    std::uint64_t whole = 0;
    std::uint64_t broken = 0;
  };
  Random random;
  std::vector<std::unique_ptr<ChangeRing>> publishers;
  for (int i = 0; i < 3; ++i) publishers.push_back(open());
  std::vector<Follower> followers;
  for (const std::size_t lag : {1, 2, 10, 300, 1000, 1100, 3000}) {
    followers.push_back({open(random.one_in(2)), lag});
  }
  std::vector<Commit> truth;
  std::vector<std::uint64_t> entries{0};  // published before commit i
  std::vector<bool> told;                 // commit i has an entry that tells what changed
  const auto made = [&](std::uint64_t number) { return truth[number]; };
  std::size_t strangers = 0;  // one commit in so many; 0: none
  for (int step = 0; step < 100'000; ++step) {
    if (step % 1000 == 0) strangers = random.one_in(2) ? 0 : 1 + random.below(3000);
    const std::uint64_t number = truth.size();
    Commit next{std::vector<std::uint64_t>(random.below(8)), random.bits()};
    if (strangers != 0 && random.one_in(strangers)) next.hashes.resize(40);
    for (std::uint64_t& hash : next.hashes) hash = random.bits();
    truth.push_back(next);
    const bool silent = strangers != 0 && random.one_in(strangers);
    if (!silent) publish(*publishers[random.below(publishers.size())], number, next);
    entries.push_back(entries.back() + (silent ? 0 : 1));
    told.push_back(!silent && next.hashes.size() <= ChangeRing::kMost);
    if (random.one_in(2000)) {
      auto& publisher = publishers[random.below(publishers.size())];
      publisher.reset();
      publisher = open();
    }
    for (Follower& follower : followers) {
      if (!random.one_in(follower.lag)) continue;
      const std::uint64_t from = follower.at;
      // Usually to the newest state, sometimes not so far.
      const std::uint64_t to =
          random.one_in(10) ? from + random.below(number + 2 - from) : number + 1;
      const Told heard = follow(*follower.ring, from, to);
      ASSERT_EQ(wrong(heard, from, to, made), "");
      const bool possible =
          entries.back() - entries[from] <= ChangeRing::kEntries &&
          std::all_of(told.begin() + static_cast<std::ptrdiff_t>(from),
                      told.begin() + static_cast<std::ptrdiff_t>(to), [](bool is) { return is; });
      ASSERT_EQ(heard.whole, possible || from == to) << from << " to " << to;
      ++(heard.whole ? follower.whole : follower.broken);
      follower.at = to;
    }
  }
  for (const Follower& follower : followers) {
    EXPECT_TRUE(follower.whole > 0 || follower.lag > 1000) << follower.lag;
    EXPECT_GT(follower.broken, 0U) << follower.lag;
  }
}

}  // namespace
}  // namespace graven::test
