// SPDX-License-Identifier: MIT
//
// Iterating while dicts, lists and maps change: over one state, whoever changes them, and an error
// for the thread that changes what it goes through.
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>
#include <graven/watch.hpp>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

Data numbered(int count) {
  Data data = Data::dict();
  auto& root = data.container(std::get<Data::Index>(data.root()));
  for (int i = 0; i < count; ++i) {
    root.keys.push_back("k" + std::to_string(i));
    root.items.emplace_back(std::int64_t{i});
  }
  return data;
}

std::size_t count(const Dict& dict) {
  std::size_t found = 0;
  for ([[maybe_unused]] const auto& entry : dict) ++found;
  return found;
}

/// With a small dict and a large one.
class Iteration : public ::testing::TestWithParam<int> {
 protected:
  Iteration() { db["d"] = numbered(GetParam()); }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(GetParam()); }

  TemporaryFolder folder_;
  const Database db{folder_ / "state.db"};
};
INSTANTIATE_TEST_SUITE_P(Sizes, Iteration, ::testing::Values(10, 1000));

TEST_P(Iteration, OfAViewDoesNotMindChanges) {
  const Snapshot snapshot = db.snapshot();
  const Transactor transactor = db.transactor();
  const Dict seen = snapshot.root().at("d").as_dict();
  const Dict mine = transactor.root().at("d").as_dict();
  const Dict live = db["d"].as_dict();
  std::size_t found = 0;
  for (const auto& [key, value] : seen) {
    live.set("new" + key, 1);
    EXPECT_TRUE(value.is<std::int64_t>());
    ++found;
  }
  EXPECT_EQ(found, size());
  found = 0;
  for (const auto& [key, value] : mine) {
    live.erase(key);
    ++found;
  }
  EXPECT_EQ(found, size());
  EXPECT_THROW(
      {
        for (const auto& [key, value] : mine) mine.set("x" + key, 1);
      },
      UsageError);
}

TEST_P(Iteration, OfOnesOwnChangesIsAnError) {
  const Dict live = db["d"].as_dict();
  EXPECT_THROW(
      {
        for (const auto& [key, value] : live) live.set("new" + key, 1);
      },
      UsageError);
  EXPECT_THROW(
      {
        for (const auto& [key, value] : live) live.erase(key);
      },
      UsageError);
  for (const auto& [key, value] : live) live.set(key, 2);
  db.transaction([&] {
    EXPECT_THROW(
        {
          for (const auto& [key, value] : live) live.erase(key);
        },
        UsageError);
  });
}

TEST_P(Iteration, OthersChangesAreNotSeen) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    const Dict live = db["d"].as_dict();
    for (int i = 0; !stop.load(); ++i) {
      live.set("extra" + std::to_string(i % 50), {{"text", std::string(2000, 'x')}});
      live.set("blob", std::string(3000, static_cast<char>('a' + i % 26)));
      live.erase("extra" + std::to_string((i + 25) % 50));
    }
  });
  const Snapshot snapshot = db.snapshot();
  const std::size_t before = count(snapshot.root().at("d").as_dict());
  std::string wrong;
  try {
    for (int round = 0; round < 100; ++round) {
      const std::size_t found = count(db["d"].as_dict());
      EXPECT_GE(found, size());
      EXPECT_LE(found, size() + 52);
      EXPECT_EQ(count(snapshot.root().at("d").as_dict()), before);
      EXPECT_EQ(db.transactor().root().at("d").as_dict().keys().size() > 0, true);
      const Watch watch(db, "d");
      static_cast<void>(watch.next(std::chrono::milliseconds(1)));
    }
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  stop = true;
  writer.join();
  EXPECT_EQ(wrong, "");
}

TEST_P(Iteration, OfAListIsOverOneStateButForOnesOwnChanges) {
  db["l"] = Data::list();
  const List list = db["l"].as_list();
  for (int i = 0; i < GetParam(); ++i) list.push_back(i);
  std::size_t found = 0;
  for (const Value& value : list) {
    EXPECT_EQ(value.get<std::size_t>(), found);
    if (found == 2) std::thread([&] { list.insert(0, -1); }).join();
    ++found;
  }
  EXPECT_EQ(found, size());
  found = 0;
  for (const Value& value : list) {
    if (found++ == 2) list.push_back(1000);
    if (found == size() + 2) {
      EXPECT_EQ(value.get<int>(), 1000);
    }
  }
  EXPECT_EQ(found, size() + 2);
  std::vector<int> reversed;
  Value value;
  for (const auto cursor = list.cursor(true); cursor->next(value);) {
    reversed.push_back(value.get<int>());
    if (reversed.size() == 2) std::thread([&] { list.erase(0); }).join();
  }
  EXPECT_EQ(reversed.size(), size() + 2);
  EXPECT_EQ(reversed.back(), -1);
}

class MapIteration : public ::testing::TestWithParam<Persist> {};
INSTANTIATE_TEST_SUITE_P(Modes, MapIteration,
                         ::testing::Values(Persist::kWritethrough, Persist::kLazy,
                                           Persist::kMemory));

TEST_P(MapIteration, EndsWhereItsThreadAddsKeys) {
  const TemporaryFolder folder;
  const Map map(folder / "state.db", {.name = "m", .persist = GetParam()});
  for (int i = 0; i < 600; ++i) map.set("k" + std::to_string(i), i);
  map.flush();
  const auto adding = [&](const std::function<void(const std::string&)>& add) {
    std::string key;
    for (const auto cursor = map.cursor(); cursor->next(key, nullptr);) add(key);
  };
  EXPECT_THROW(adding([&](const std::string& key) { map.set(key + "x", 1); }), UsageError);
  EXPECT_THROW(adding([&](const std::string& key) { map.setdefault(key + "y", 1); }), UsageError);
  EXPECT_THROW(adding([&](const std::string& key) {
                 const std::vector<std::pair<std::string, Data>> some{{key, 1}, {key + "z", 1}};
                 map.update(some);
               }),
               UsageError);
  EXPECT_THROW(adding([&](const std::string& key) {
                 if (!map.try_set_value(key + "w", {})) map.set(key + "w", 1);
               }),
               UsageError);
  std::size_t found = 0;
  adding([&](const std::string& key) {
    map.set(key, "changed");
    ++found;
  });
  EXPECT_EQ(found, map.size());
  adding([&](const std::string& key) { map.erase(key); });
  EXPECT_EQ(map.size(), 0U);
  for (int i = 0; i < 3; ++i) map.set("k" + std::to_string(i), i);
  found = 0;
  adding([&](const std::string& key) {
    std::thread([&] { map.set("a" + key, 1); }).join();
    ++found;
  });
  EXPECT_EQ(found, 3U);
  map.set("after", 1);
}

// --- Where writes of several threads are committed together, by one of them

class IterationAndSharedCommits : public ::testing::Test {
 protected:
  /// Runs `body` while other threads call `others`, with a number of theirs, again and again.
  static void beside(const std::function<void(int)>& others, const std::function<void()>& body) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int number = 0; number < 3; ++number) {
      threads.emplace_back([&, number] {
        while (!stop) others(number);
      });
    }
    body();
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }

  TemporaryFolder folder_;
  const Database db{folder_ / "state.db", {.synchronous = Synchronous::kFull}};
};

TEST_F(IterationAndSharedCommits, OthersChangesAreNotSeen) {
  db["d"] = numbered(20);
  db["e"] = Data::dict();
  const Dict dict = db["d"].as_dict();
  const Dict mine = db["e"].as_dict();
  beside(
      [&](int number) {
        const std::string key = "n" + std::to_string(number);
        dict.set(key, 1);
        dict.erase(key);
      },
      [&] {
        for (int round = 0; round < 50; ++round) {
          EXPECT_NO_THROW({
            for (const auto& [key, value] : dict) mine.set(key, round);
          });
        }
      });
  db["l"] = Data::list();
  const List list = db["l"].as_list();
  beside([&](int) { list.push_back(0); },
         [&] {
           for (int round = 0; round < 50; ++round) {
             list.clear();
             list.extend({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
             std::size_t found = 0;
             List::Iterator each = list.begin();
             const std::size_t size = list.size();
             for (; each != list.end(); ++each, ++found) mine.set("l", round);
             EXPECT_LE(found, size);
           }
         });
}

TEST_F(IterationAndSharedCommits, OnesOwnChangesAre) {
  beside([&](int number) { db["w" + std::to_string(number)] = 1; },
         [&] {
           for (int round = 0; round < 50; ++round) {
             db["d"] = numbered(10);
             const Dict dict = db["d"].as_dict();
             EXPECT_THROW(
                 {
                   for (const auto& [key, value] : dict) dict.set(key + "x", 1);
                 },
                 UsageError);
             db["l"] = {1, 2, 3};
             const List list = db["l"].as_list();
             int found = 0;
             for ([[maybe_unused]] const Value& value : list) {
               if (++found <= 3) list.push_back(0);
             }
             EXPECT_EQ(found, 6);
           }
         });
}

}  // namespace
}  // namespace graven::test
