// SPDX-License-Identifier: MIT
//
// The cache and the change feed: of others' commits only what they changed is dropped, everything
// where that is not known; own commits are announced with all that others must drop. And the
// warm file below the cache.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"
#include "port/marked_backend.hpp"

namespace graven::test {
namespace {

class CacheFeed : public CacheRules {
 protected:
  CacheFeed() {
    backend.feed = &feed;
    for (int id = 1; id <= 3; ++id) {
      backend.records[key(id)] = record("old");
      EXPECT_EQ(read(key(id)), "old");
    }
  }

  /// What another process's cache would do for a commit, the announcement included.
  void commit_elsewhere_announced(const std::vector<Change>& changes, bool forgotten = false) {
    Cache other(backend, &backend, {});
    for (int i = 0; i < 100 && !other.attach(); ++i) {
    }
    commit_through(other, changes, forgotten);
  }

  ListedFeed feed;
};

TEST_F(CacheFeed, OnlyWhatOthersChangedIsDropped) {
  commit_elsewhere_announced({{key(2), record("new")}});
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "old");
  EXPECT_EQ(read(key(3)), "old");
  EXPECT_EQ(backend.loads, loads);
  EXPECT_EQ(read(key(2)), "new");
  EXPECT_EQ(backend.loads, loads + 1);
  EXPECT_EQ(cache.stats().follows, 1U);
  EXPECT_EQ(cache.stats().drops, 1U);  // of nothing, at the beginning
}

/// Of a few records in each of several spaces and containers.
Key any_key(Random& random) {
  const auto one = static_cast<std::int64_t>(random.below(6));
  const auto container = static_cast<std::int64_t>(50 + random.below(3));
  switch (random.below(6)) {
    case 0:
      return {.space = Space::kEntry, .a = container, .b = one};
    case 1:
      return {.space = Space::kSlot, .a = container, .b = one};
    case 2:
      return {.space = Space::kPage, .a = 100 * container + one};
    case 3:
      return {.space = Space::kEdge, .a = one, .b = container};
    case 4:
      return {.space = Space::kMap, .name = std::to_string(one)};
    default:
      return key(one);
  }
}

Record any_record(const Key& where, int step) {
  Record made = record(std::to_string(step));
  if (where.space == Space::kPage) made.integers[0] = where.a / 100;
  return made;
}

TEST_F(CacheFeed, ReadsAmidCommitsOfAllKindsAreNeverServedOld) {
  Random random;
  struct Reading {
    Key where;
    Cache::Before before;
    std::optional<Record> found;
  };
  std::vector<Reading> readings;
  int kept = 0;
  const auto begin_reading = [&] {
    const Key where = any_key(random);
    const Cache::Before before = cache.before();
    readings.push_back({where, before, backend.load(where)});
  };
  const auto end_reading = [&] {
    if (readings.empty()) return;
    std::swap(readings[random.below(readings.size())], readings.back());
    const Reading& last = readings.back();
    const bool known = cache.find(last.where).has_value();
    cache.fill(last.before, last.where, last.found);
    if (!known && cache.find(last.where)) ++kept;
    readings.pop_back();
  };
  const auto change = [&](const Key& where, int step) {
    return Change{where, random.one_in(4) ? std::nullopt : std::optional(any_record(where, step))};
  };
  for (int step = 0; step < 100'000; ++step) {
    switch (random.below(8)) {
      case 0:
      case 1:
        begin_reading();
        if (random.one_in(3)) commit({{key(1), record(std::to_string(step))}});
        break;
      case 2:
      case 3:
      case 4:
        end_reading();
        break;
      case 5: {
        const Key where = any_key(random);
        std::vector<Change> changes{change(where, step)};
        for (std::size_t more = random.below(4); more > 0; --more) {
          const Key other = any_key(random);
          if (other != where) changes = {changes.front(), change(other, step)};
        }
        if (random.one_in(20)) {  // more than is taken into the table, told, or remembered
          const Key shape = any_key(random);
          for (int i = 0; i < (random.one_in(2) ? 40 : 1500); ++i) {
            Key extra = shape;
            extra.name.empty() ? extra.a += 10'000 + i : extra.a = 0;
            if (random.one_in(2) && !schema(extra.space).b.empty()) extra.a = shape.a;
            extra.b += 10'000 + i;
            if (!extra.name.empty()) extra.name += std::to_string(i);
            changes.push_back({extra, any_record(extra, step)});
          }
        }
        const bool forgotten = random.one_in(3);
        if (random.one_in(3)) {
          commit_elsewhere_announced(changes, forgotten);
        } else {
          commit(changes, forgotten, [&] {
            if (random.one_in(2)) begin_reading();
            if (random.one_in(2)) end_reading();
          });
        }
        break;
      }
      case 6:
        if (random.one_in(100)) backend.commit_elsewhere(key(2), std::to_string(step));
        break;
      default: {
        const Key where = any_key(random);
        const auto known = cache.find(where);
        if (!known) break;
        const auto there = backend.records.find(where);
        ASSERT_EQ(known->has_value(), there != backend.records.end()) << "step " << step;
        if (*known) {
          ASSERT_EQ((*known)->body, there->second.body) << "step " << step;
        }
      }
    }
  }
  EXPECT_GT(kept, 1000) << "what nobody has changed";
}

/// A map's table that does something when it is told to forget.
class Forgetful final : public cache::ItemCache {
 public:
  std::function<void()> forgetting;
  int told = 0;  // to forget

  std::optional<std::optional<Record>> look(const Key&) override { return std::nullopt; }
  void put(const Key&, const std::optional<Record>&, bool) override {}
  void forget(const Key&) override { once(); }
  void forget_hash(std::uint64_t) override { once(); }
  void drop() override { ++told; }
  void committed(std::uint64_t, bool) override {}

 private:
  void once() {
    ++told;
    if (forgetting) std::exchange(forgetting, {})();
  }
};

TEST_F(CacheFeed, WhatIsBeingForgottenIsNotBroughtBack) {
  constexpr std::int64_t kMap = 5;
  Forgetful items;
  cache.join(kMap, items);
  for (const bool elsewhere : {false, true}) {
    // A large commit: it only takes old records out.
    std::vector<Change> changes;
    for (int i = 0; i < 20; ++i) {
      changes.push_back({{.space = Space::kItem, .a = kMap, .name = std::to_string(i)}, Record{}});
      changes.push_back({key(100 + i), record("")});
    }
    if (elsewhere) changes.resize(20);  // no more than the feed tells
    std::thread reader;
    bool brought_back = false;
    items.forgetting = [&] {
      std::promise<void> found;
      reader = std::thread([&] {
        cache.promote(
            port::item_hash("0"),
            [&] {
              found.set_value();
              return true;
            },
            [&] { brought_back = true; });
      });
      found.get_future().wait();
    };
    if (elsewhere) {
      commit_elsewhere_announced(changes);
      EXPECT_TRUE(cache.current());
    } else {
      commit(changes);
    }
    ASSERT_TRUE(reader.joinable());
    reader.join();
    EXPECT_FALSE(brought_back);
  }
  cache.leave(kMap);
}

TEST_F(CacheFeed, ManyCommitsAreFollowedInOneGo) {
  for (int i = 0; i < 50; ++i) {
    commit_elsewhere_announced({{key(1 + i % 2), record(std::to_string(i))}});
  }
  EXPECT_EQ(read(key(1)), "48");
  EXPECT_EQ(read(key(2)), "49");
  const int loads = backend.loads;
  EXPECT_EQ(read(key(3)), "old");
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(CacheFeed, AStrangersCommitDropsEverything) {
  commit_elsewhere_announced({{key(2), record("new")}});
  backend.commit_elsewhere(key(1), "strange");
  commit_elsewhere_announced({{key(2), record("newer")}});
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "strange");
  EXPECT_EQ(read(key(2)), "newer");
  EXPECT_EQ(read(key(3)), "old");
  EXPECT_EQ(backend.loads, loads + 3);
}

TEST_F(CacheFeed, KnownAbsenceIsDroppedToo) {
  const Key entry{.space = Space::kEntry, .a = 9, .b = 1};
  EXPECT_EQ(read(entry), std::nullopt);
  commit_elsewhere_announced({{entry, record("made")}});
  EXPECT_EQ(read(entry), "made");
  commit_elsewhere_announced({{entry, std::nullopt}});
  EXPECT_EQ(read(entry), std::nullopt);
}

TEST_F(CacheFeed, AViewIsNotOfTwoStates) {
  CachedView view(cache, backend);
  EXPECT_EQ(view.load(key(1))->body, "old");
  commit_elsewhere_announced({{key(1), record("new")}, {key(2), record("new")}});
  EXPECT_EQ(read(key(3)), "old");  // catches up
  EXPECT_EQ(view.load(key(2))->body, "new");
  EXPECT_FALSE(view.holds());
}

TEST_F(CacheFeed, OwnCommitsAreAnnounced) {
  const Mark before = port::read_mark(backend.words);
  const Key entry{.space = Space::kEntry, .a = 5, .b = 1};
  const Key next{.space = Space::kEntry, .a = 5, .b = 2};
  const Key item{.space = Space::kItem, .a = 1, .name = "k"};
  commit({{key(1), record("new")}, {entry, record("e")}, {next, record("e")}, {item, Record{}}});
  ASSERT_EQ(feed.entries.size(), 1U);
  const ListedFeed::Entry& told = feed.entries[0];
  EXPECT_EQ(told.before, before);
  EXPECT_EQ(told.after, port::read_mark(backend.words));
  EXPECT_EQ(told.hashes.size(), 5U);
  const auto has = [&](std::uint64_t hash) { return std::ranges::count(told.hashes, hash) == 1; };
  EXPECT_TRUE(has(port::item_hash("k")));
  EXPECT_TRUE(has(port::container_hash(5)));
  EXPECT_EQ(told.flags, 0U);
}

TEST_F(CacheFeed, WhatIsDoomedElsewhereIsNoticed) {
  EXPECT_TRUE(cache.find_node(key(1)).has_value());
  commit_elsewhere_announced({{{.space = Space::kOrphan, .a = 0, .b = 4}, Record{}}});
  EXPECT_EQ(read(key(3)), "old");
  EXPECT_FALSE(cache.find_node(key(1)).has_value());  // until a read has told that nothing is
}

/// Of large commits: what they did not change stays where it was.
class LargeCommits : public CacheFeed {
 protected:
  static Key entry(std::int64_t container, std::int64_t at) {
    return {.space = Space::kEntry, .a = container, .b = at};
  }
  void commit_either_way(const std::vector<Change>& changes, bool elsewhere, bool forgotten) {
    for (const Key& where : {entry(5, 1), entry(6, 1), key(1)}) {
      commit({{where, record("old")}});
      EXPECT_EQ(read(where), "old");
    }
    before_ = backend.loads;
    if (elsewhere) {
      commit_elsewhere_announced(changes, forgotten);
    } else {
      commit(changes, forgotten);
    }
  }
  void was_kept(const Key& where) {
    EXPECT_EQ(read(where), "old");
    EXPECT_EQ(backend.loads, before_);
  }
  void for_each_way(const std::vector<Change>& changes, const std::function<void()>& look) {
    for (const bool elsewhere : {false, true}) {
      for (const bool forgotten : {false, true}) {
        SCOPED_TRACE(testing::Message() << elsewhere << forgotten);
        commit_either_way(changes, elsewhere, forgotten);
        look();
      }
    }
    EXPECT_EQ(cache.stats().drops, 1U);  // of nothing, at the beginning
  }

 private:
  int before_ = 0;
};

TEST_F(LargeCommits, OfOneContainerConcernNoOther) {
  std::vector<Change> changes;
  for (int i = 0; i < 1000; ++i) changes.push_back({entry(5, i), record("new")});
  for_each_way(changes, [&] {
    was_kept(key(1));
    was_kept(entry(6, 1));
    EXPECT_EQ(read(entry(5, 1)), "new");
  });
}

TEST_F(LargeCommits, OfManyContainersConcernNoNode) {
  std::vector<Change> changes;
  for (int i = 0; i < 1000; ++i) changes.push_back({entry(1000 + i, 1), record("new")});
  changes.push_back({entry(5, 1), record("new")});
  for_each_way(changes, [&] {
    was_kept(key(1));
    EXPECT_EQ(read(entry(5, 1)), "new");
  });
}

TEST_F(LargeCommits, OfAMapConcernItAndNoOther) {
  Forgetful written;
  Forgetful other;
  cache.join(5, written);
  cache.join(6, other);
  std::vector<Change> changes;
  for (int i = 0; i < 1000; ++i) {
    changes.push_back({{.space = Space::kItem, .a = 5, .name = std::to_string(i)}, Record{}});
  }
  for_each_way(changes, [&] {
    was_kept(key(1));
    EXPECT_GT(std::exchange(written.told, 0), 0);
    EXPECT_EQ(other.told, 0);
    other.told = 0;
  });
  cache.leave(5);
  cache.leave(6);
}

TEST_F(LargeCommits, OfPagesConcernTheirListOnly) {
  const auto page = [](std::int64_t list, std::int64_t id) {
    Record made = record("new");
    made.integers[0] = list;
    return Change{{.space = Space::kPage, .a = id}, made};
  };
  const Change old = page(6, 60);
  backend.records[old.key] = *old.record;
  std::vector<Change> changes;
  for (int i = 0; i < 1000; ++i) changes.push_back(page(5, 1000 + i));
  EXPECT_EQ(read(old.key), "new");
  const int loads = backend.loads;
  commit_elsewhere_announced(changes);
  EXPECT_EQ(read(old.key), "new");  // still there
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(LargeCommits, OfNewNodesConcernNobody) {
  constexpr std::uint64_t kFirst = 10'000;
  port::Touched touched;
  for (std::int64_t id = kFirst; id < 20'000; ++id) {
    touched.add(key(id), nullptr, kFirst);
    touched.add({.space = Space::kEdge, .a = 1, .b = id}, nullptr, kFirst);
  }
  EXPECT_EQ(touched.spaces(), 0U);
  touched.add({.space = Space::kEdge, .a = 1, .b = 2}, nullptr, kFirst);
  EXPECT_EQ(touched.told(32).hashes.size(), 1U);
}

TEST_F(LargeCommits, MoreThanIsRememberedAreToldByTheirScopes) {
  port::Touched touched;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(port::Touched::kSingly) + 10; ++i) {
    touched.add(entry(5, i), nullptr);
  }
  touched.add(key(1), nullptr);
  EXPECT_EQ(touched.singles(), nullptr);
  const port::Told told = touched.told(32);
  EXPECT_EQ(told.hashes, std::vector<std::uint64_t>{port::container_hash(5)});
  EXPECT_EQ(told.scopes, 1U);
  EXPECT_EQ(told.spaces, port::bit(Space::kNode));
}

TEST_F(LargeCommits, WhatFewRecordsWereChangedOfIsToldSingly) {
  port::Touched touched;
  for (int i = 0; i < 1000; ++i) touched.add(entry(5, i), nullptr);
  touched.add(entry(6, 1), nullptr);
  touched.add(key(1), nullptr);
  const port::Told told = touched.told(32);
  EXPECT_EQ(told.scopes, 1U);
  EXPECT_EQ(told.spaces, 0U);
  EXPECT_EQ(told.hashes.back(), port::container_hash(5));
  EXPECT_EQ(std::ranges::count(told.hashes, port::record_hash(entry(6, 1))), 1);
  EXPECT_EQ(std::ranges::count(told.hashes, port::record_hash(key(1))), 1);
  const std::uint64_t flags = told.flags();
  EXPECT_EQ(port::Told::scopes_of(flags), 1U);
  EXPECT_FALSE(port::Told::doomed_of(flags));
}

TEST_F(LargeCommits, WhatAnUntoldCommitChangedIsEverything) {
  ASSERT_TRUE(cache.begin_own());
  cache.prepare_own(nullptr);
  backend.records[key(1)] = record("new");
  backend.move_mark();
  const Mark after = port::read_mark(backend.words);
  cache.end_own(nullptr, &after);
  EXPECT_EQ(read(key(1)), "new");
  EXPECT_GT(feed.entries.back().hashes.size(), port::ChangeFeed::kMost);
}

TEST_F(LargeCommits, ARollbackLetsBeKeptAgain) {
  port::Touched touched;
  touched.add(key(1), nullptr);
  ASSERT_TRUE(cache.begin_own());
  cache.prepare_own(nullptr, &touched);
  EXPECT_EQ(read(key(1)), "old");
  cache.end_own(nullptr, nullptr);
  EXPECT_EQ(read(key(1)), "old");
  const int loads = backend.loads;
  EXPECT_EQ(read(key(1)), "old");
  EXPECT_EQ(backend.loads, loads);
}

TEST_F(CacheFeed, ARollbackIsNotAnnounced) {
  ASSERT_TRUE(cache.begin_own());
  cache.end_own(nullptr, nullptr);
  EXPECT_TRUE(feed.entries.empty());
}

// --- The warm file

class CacheTiers : public CacheRules {
 protected:
  CacheTiers() {
    // Enough for several segments, much more than the hot table takes.
    for (int id = 1; id <= kRecords; ++id) backend.records[key(id)] = record(std::to_string(id));
    for (int i = 0; i < 100 && !small.attach(); ++i) {
    }
  }
  static constexpr int kRecords = 5000;

  std::optional<std::string> read_small(int id) {
    if (const auto known = small.find(key(id))) {
      return *known ? std::optional((*known)->body) : std::nullopt;
    }
    const Cache::Before before = small.before();
    const auto found = backend.load(key(id));
    small.fill(before, key(id), found, false);
    return found ? std::optional(found->body) : std::nullopt;
  }

  TemporaryFolder folder_;
  Cache small{backend, &backend, {.max_entries = 200}, folder_ / "warm", std::size_t{8} << 20U};
};

TEST_F(CacheTiers, WhatIsDroppedIsReadBack) {
  for (int round = 0; round < 2; ++round) {
    for (int id = 1; id <= kRecords; ++id) ASSERT_EQ(read_small(id), std::to_string(id));
  }
  const int loads = backend.loads;
  for (int id = 1; id <= kRecords; ++id) ASSERT_EQ(read_small(id), std::to_string(id));
  EXPECT_EQ(backend.loads, loads);
  EXPECT_GT(small.stats().warm_hits, 1000U);
  EXPECT_LE(small.stats().entries, 200U);
}

TEST_F(CacheTiers, NothingOldComesUpAgain) {
  for (int round = 0; round < 2; ++round) {
    for (int id = 1; id <= kRecords; ++id) ASSERT_EQ(read_small(id), std::to_string(id));
  }
  // An own commit of few changes, one of many, and a foreign one.
  const auto commit_small = [&](int from, int to, const std::string& body) {
    ASSERT_TRUE(small.begin_own());
    std::vector<Change> changes;
    for (int id = from; id < to; ++id) changes.push_back({key(id), record(body)});
    small.prepare_own(&changes);
    for (const Change& change : changes) backend.records[change.key] = *change.record;
    backend.move_mark();
    const Mark after = port::read_mark(backend.words);
    small.end_own(&changes, &after);
  };
  commit_small(10, 20, "few");
  commit_small(100, 200, "many");
  for (int id = 300; id <= kRecords; ++id) read_small(id);  // pushes all else out
  for (int id = 10; id < 20; ++id) ASSERT_EQ(read_small(id), "few");
  for (int id = 100; id < 200; ++id) ASSERT_EQ(read_small(id), "many");
  backend.commit_elsewhere(key(50), "foreign");
  ASSERT_EQ(read_small(50), "foreign");
  for (int id = 300; id <= kRecords; ++id) ASSERT_EQ(read_small(id), std::to_string(id));
}

TEST_F(CacheTiers, WithoutRoomThereIsNoWarmFile) {
  Cache cramped{backend,
                &backend,
                {.max_entries = 200},
                folder_ / "missing/folder/warm",
                std::size_t{8} << 20U};
  for (int i = 0; i < 100 && !cramped.attach(); ++i) {
  }
  for (int round = 0; round < 2; ++round) {
    for (int id = 1; id <= kRecords; ++id) {
      if (cramped.find(key(id))) continue;
      const Cache::Before before = cramped.before();
      cramped.fill(before, key(id), backend.load(key(id)), false);
    }
  }
  EXPECT_EQ(cramped.stats().warm_entries, 0U);
  EXPECT_EQ(cramped.find(key(kRecords)).value()->body, std::to_string(kRecords));
}

}  // namespace
}  // namespace graven::test
