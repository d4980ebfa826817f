// SPDX-License-Identifier: MIT
//
// Copies of pages: found as they were kept, gone with the state they were taken in, never more of
// them than there is room for.
#include "backends/sqlite/vfs/page_copies.hpp"

#include <cstdint>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace graven::test {
namespace {

using sqlite::PageCopies;

constexpr std::size_t kPage = 512;

PageCopies::Place at(std::int64_t page, bool wal = false, std::size_t size = kPage) {
  return {wal, page * static_cast<std::int64_t>(size), size};
}

std::string found(PageCopies& copies, const PageCopies::Place& place) {
  const unsigned char* page = copies.find(place);
  return page == nullptr ? "" : std::string(reinterpret_cast<const char*>(page), place.size);
}

TEST(PageCopies, AreFoundUntilTheStateIsAnother) {
  PageCopies copies;
  copies.bound(std::size_t{1} << 20);
  const std::string page(kPage, 'a');
  for (const PageCopies::State state : {PageCopies::State{1, 0}, {1, 5}, {2, 5}, {2, 0}, {1, 0}}) {
    copies.begin(state);
    EXPECT_EQ(found(copies, at(3)), "");
    copies.keep(at(3), page.data());
    copies.begin(state);
    EXPECT_EQ(found(copies, at(3)), page);
    EXPECT_EQ(found(copies, at(3, true)), "") << "the same place of the other file";
  }
}

TEST(PageCopies, OfAnotherSizeTakeThePlaceOfThoseThereAre) {
  PageCopies copies;
  copies.bound(std::size_t{1} << 16);
  copies.keep(at(1), std::string(kPage, 'a').data());
  const std::string large(4096, 'b');
  copies.keep(at(2, false, 4096), large.data());
  EXPECT_EQ(found(copies, at(1)), "");
  EXPECT_EQ(found(copies, at(2, false, 4096)), large);
}

TEST(PageCopies, WithoutRoomThereAreNone) {
  PageCopies copies;
  copies.keep(at(1), std::string(kPage, 'a').data());
  EXPECT_EQ(found(copies, at(1)), "");
  copies.bound(2 * kPage - 1);
  copies.keep(at(1), std::string(kPage, 'a').data());
  EXPECT_EQ(found(copies, at(1)), "");
}

TEST(PageCopies, AreTheLastOnesKeptAndNoMoreThanThereIsRoomFor) {
  Random random;
  PageCopies copies;
  constexpr std::size_t kRoom = 64;
  copies.bound(kRoom * kPage);
  std::map<std::pair<bool, std::int64_t>, std::string> kept;
  std::uint64_t hits = 0;
  for (int step = 0; step < 50'000; ++step) {
    if (random.one_in(2000)) {
      copies.begin({random.below(1'000'000), static_cast<std::uint32_t>(random.below(9))});
      kept.clear();
    }
    const bool wal = random.one_in(2);
    const auto page = static_cast<std::int64_t>(random.below(100));
    const std::string there = found(copies, at(page, wal));
    if (!there.empty()) {
      ++hits;
      ASSERT_TRUE(kept.contains({wal, page})) << "step " << step;
      ASSERT_EQ(there, kept.at({wal, page})) << "step " << step;
    } else {
      kept[{wal, page}] = std::string(kPage, static_cast<char>('a' + random.below(26)));
      copies.keep(at(page, wal), kept.at({wal, page}).data());
    }
    if (step % 1000 == 0) {
      std::size_t all = 0;
      for (const auto& [place, bytes] : kept) {
        all += found(copies, at(place.second, place.first)).empty() ? 0 : 1;
      }
      ASSERT_LE(all, kRoom);
    }
  }
  EXPECT_GT(hits, 50'000U / 10) << "about a third are there";
}

}  // namespace
}  // namespace graven::test
