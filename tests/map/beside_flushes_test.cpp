// SPDX-License-Identifier: MIT
//
// What flushes and other large commits leave alone: what was read before, of other maps and of the
// graph, is read from memory again, in this process and in others. Counted by what was not found.
#include <graven/graven.hpp>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "map_fixture.hpp"

namespace graven::test {
namespace {

constexpr int kMany = 20'000;  // more than a work keeps, in records

/// Reads of a map and of the graph which have been in memory since they were made once.
class Reader {
 public:
  explicit Reader(const std::string& path) : db_(path), map_(path, options()) {
    for (int i = 0; i < 50; ++i) read();  // and the cache is set up
  }
  void read() const {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(map_.at(std::to_string(i)), Data(i));
      EXPECT_EQ(db_["small"][std::to_string(i)]["n"].get<int>(), i);
      EXPECT_EQ(db_["large"][std::to_string(i)].get<int>(), i);
    }
  }
  /// How many reads went past the memory, when made once more.
  [[nodiscard]] std::uint64_t missed() const {
    const auto misses = [&] { return map_.stats().misses + db_.stats().cache.misses; };
    const std::uint64_t before = misses();
    read();
    return misses() - before;
  }
  [[nodiscard]] std::uint64_t drops() const { return db_.stats().cache.drops; }

 private:
  static MapOptions options() {
    MapOptions options;
    options.name = "read";
    return options;
  }
  Database db_;
  Map map_;
};

class BesideFlushes : public MapTest {
 protected:
  BesideFlushes() {
    const Database db(path_);
    db["small"] = Data::dict();
    db["large"] = Data::dict();
    db["other"] = Data::dict();
    const Map map = open(named("read"));
    for (int i = 0; i < 20; ++i) {
      map.set(std::to_string(i), i);
      db["small"].as_dict().set(std::to_string(i), {{"n", i}});
    }
    for (int i = 0; i < 2000; ++i) db["large"].as_dict().set(std::to_string(i), i);
  }

  /// Has this process and another read, and looks what they miss after each round of `write`.
  template <class Write>
  void unmissed(const Write& write) {
    int go[2] = {-1, -1};
    ASSERT_EQ(::pipe(go), 0);
    Child other([&](const Reporter& reporter) {
      ::close(go[1]);
      const Reader reader(path_);
      reporter.say("ready");
      char byte = 0;
      for (std::uint64_t drops = 0; ::read(go[0], &byte, 1) == 1;) {
        if (byte == 'r') {
          reader.read();  // what is lost by what came before
          drops = reader.drops();
          reporter.say("read");
        } else {
          const std::uint64_t missed = reader.missed();
          reporter.say(std::to_string(missed) + " missed, " +
                       std::to_string(reader.drops() - drops) + " drops");
        }
      }
      return true;
    });
    ::close(go[0]);
    const auto ask = [&](const char* what) {
      EXPECT_EQ(::write(go[1], what, 1), 1);
      return other.line();
    };
    EXPECT_EQ(other.line(), "ready");
    const Reader reader(path_);
    write(0);  // from here on this process tells the other
    for (int round = 1; round <= 3; ++round) {
      EXPECT_EQ(ask("r"), "read");
      reader.read();
      const std::uint64_t drops = reader.drops();
      write(round);
      EXPECT_EQ(reader.missed(), 0U);
      EXPECT_EQ(reader.drops(), drops);
      EXPECT_EQ(ask("m"), "0 missed, 0 drops");
    }
    ::close(go[1]);
    EXPECT_TRUE(other.succeeded());
  }
};

TEST_F(BesideFlushes, ALazyMapsAreItsOwn) {
  // Not opened before the other process is forked, for it is this one's.
  std::optional<Map> map;
  unmissed([&](int round) {
    if (!map) {
      MapOptions options = lazy();
      options.name = "lazy";
      map = open(options);
    }
    for (int i = 0; i < kMany; ++i) map->set(std::to_string(i), round);
    map->flush();
  });
}

TEST_F(BesideFlushes, ManyItemsOfOneMapAreItsOwn) {
  std::optional<Map> map;
  unmissed([&](int round) {
    if (!map) map = open(named("written"));
    std::vector<std::pair<std::string, Data>> items;
    for (int i = 0; i < kMany; ++i) items.emplace_back(std::to_string(i), Data(round));
    map->update(items);
  });
}

TEST_F(BesideFlushes, AWalThatIsCutOffConcernsNobody) {
  const auto large_wal = [&](int round) {
    const Map map = open(named("written"));
    for (int batch = 0; batch < 40; ++batch) {
      std::vector<std::pair<std::string, Data>> items;
      for (int i = 0; i < 500; ++i) {
        items.emplace_back(std::to_string(batch * 500 + i), Data(std::string(700, 'a' + round)));
      }
      map.update(items);
    }
    EXPECT_GT(std::filesystem::file_size(path_ + "-wal"), 8U << 20U);
  };
  const auto is_cut_off = [&] { return std::filesystem::file_size(path_ + "-wal") < 4096; };
  unmissed([&](int round) {
    large_wal(round);
    if (round == 2) {
      EXPECT_EQ(Database(path_).maintenance(), "");
      EXPECT_TRUE(is_cut_off());
    }
    wait_until(is_cut_off);  // by whoever has it open, once it is quiet
  });
}

TEST_F(BesideFlushes, ManyNewNodesConcernTheirContainer) {
  std::optional<Database> db;
  unmissed([&](int round) {
    if (!db) db.emplace(path_);
    db->transaction([&] {
      for (int i = 0; i < kMany; ++i) {
        (*db)["other"].as_dict().set(std::to_string(round * kMany + i), {{"n", i}});
      }
    });
  });
}

TEST_F(BesideFlushes, WhatIsTakenBackIsToo) {
  std::optional<Database> db;
  unmissed([&](int round) {
    if (!db) db.emplace(path_);
    db->transaction([&] {
      (*db)["other"].as_dict().set("kept", round);
      EXPECT_THROW(db->transaction([&] {
        (*db)["other"].as_dict().set("not kept", round);
        throw std::runtime_error("taken back");
      }),
                   std::runtime_error);
    });
  });
}

TEST_F(BesideFlushes, OfALazyStoreTellOthersWhatTheyChanged) {
  int go[2] = {-1, -1};
  ASSERT_EQ(::pipe(go), 0);
  Child other([&](const Reporter& reporter) {
    ::close(go[1]);
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) return false;  // who only reads makes no file to be told by
    Options options;
    options.read_only = true;
    const Database db(path_, options);
    const auto read = [&] {
      for (int i = 0; i < 20; ++i) {
        if (db["large"][std::to_string(i)].get<int>() != i) return false;
      }
      return true;
    };
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(read());
    reporter.say("ready");
    for (Stats before = db.stats(); ::read(go[0], &byte, 1) == 1;) {
      EXPECT_TRUE(read());
      if (byte == 'r') {
        (void)db["other"]["seen"].get<int>();  // a miss of its own
        before = db.stats();
      }
      const Stats now = db.stats();
      reporter.say(std::to_string(now.cache.misses - before.cache.misses) + " missed, " +
                   std::to_string(now.cache.drops - before.cache.drops) + " drops, seen " +
                   std::to_string(db["other"]["seen"].get<int>()));
    }
    return true;
  });
  ::close(go[0]);
  Options options;
  options.persist = Persist::kLazy;
  options.flush_interval = std::chrono::hours(1);
  const Database db(path_, options);
  db["other"].as_dict().set("seen", -1);
  db.flush();
  EXPECT_EQ(::write(go[1], "o", 1), 1);
  EXPECT_EQ(other.line(), "ready");
  for (int round = 0; round < 4; ++round) {
    if (round > 0) {
      EXPECT_EQ(::write(go[1], "r", 1), 1);
      EXPECT_EQ(other.line(), "0 missed, 0 drops, seen " + std::to_string(round - 1));
    }
    db["other"].as_dict().set("seen", round);
    for (int i = 0; i < (round == 3 ? 2000 : 5); ++i) {
      db["other"].as_dict().set(std::to_string(i), round);
    }
    db.flush();
    if (round == 0) continue;
    EXPECT_EQ(::write(go[1], "m", 1), 1);
    EXPECT_EQ(other.line(), "0 missed, 0 drops, seen " + std::to_string(round));
  }
  ::close(go[1]);
  EXPECT_TRUE(other.succeeded());
}

}  // namespace
}  // namespace graven::test
