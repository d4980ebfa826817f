// SPDX-License-Identifier: MIT
//
// What close() leaves of a store: no descriptor, lock, thread or WAL, whatever is still referenced
// or in use elsewhere, and nothing in the way of who copies, replaces or opens the file next.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <graven/graven.hpp>
#include <graven/watch.hpp>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

namespace fs = std::filesystem;

/// What this process has open in a folder, files that only an open store has, and locks on its
/// files, in words.
std::string left_in(const fs::path& folder) {
  std::string left;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    if (target.starts_with(folder.string())) left += "open: " + target + "\n";
  }
  std::set<std::string> inodes;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) == 0) inodes.insert(std::to_string(info.st_ino));
    const std::string name = entry.path().filename().string();
    if (name.find(".db-") != std::string::npos) left += "file: " + name + "\n";
  }
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    const auto end = line.find(' ', line.rfind(':') + 1);
    const auto begin = line.rfind(':', end) + 1;
    if (inodes.contains(line.substr(begin, end - begin))) left += "lock: " + line + "\n";
  }
  return left;
}

std::size_t threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/task")) ++count;
  return count;
}

void fill(const Database& db) {
  db["small"] = {{"a", 1}, {"b", {{"c", 2}}}};
  Data many = Data::dict();
  for (int i = 0; i < 1000; ++i) {
    auto& root = many.container(std::get<Data::Index>(many.root()));
    root.keys.push_back("k" + std::to_string(i));
    root.items.emplace_back(std::string(100, 'x'));
  }
  db["large"] = many;
  db["list"] = {1, 2, {{"x", 3}}};
}

class Close : public ::testing::TestWithParam<Persist> {
 protected:
  [[nodiscard]] Options options() const {
    Options options;
    options.persist = GetParam();
    return options;
  }
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "state.db";
};

INSTANTIATE_TEST_SUITE_P(Modes, Close, ::testing::Values(Persist::kWritethrough, Persist::kLazy),
                         [](const auto& each) {
                           return each.param == Persist::kLazy ? "lazy" : "writethrough";
                         });

TEST_P(Close, LeavesNothingWhateverIsReferenced) {
  const std::size_t before = threads();
  Database db(path_, options());
  fill(db);
  Map map(path_, {.name = "m", .persist = GetParam()});
  map.set("k", 1);
  const auto map_cursor = map.cursor();
  const Database other = db.with_prefix("other");
  other["x"] = {{"y", 1}};
  const Dict large = db["large"].as_dict();
  const List list = db["list"].as_list();
  const Dict nested = other["x"].as_dict();
  const auto cursor = large.cursor();
  std::string key;
  Value value;
  EXPECT_TRUE(cursor->next(key, value));
  const auto items = list.cursor();
  Snapshot snapshot = db.snapshot();
  const Dict seen = snapshot.root().at("large").as_dict();
  const auto seen_cursor = seen.cursor();
  EXPECT_TRUE(seen_cursor->next(key, value));
  const Transactor transactor = db.transactor();
  EXPECT_EQ(transactor["small"]["a"].get<int>(), 1);
  const Watch watch(db, "small");
  const BulkImport import(db, {.cache_mb = 1});
  const auto ref = db["small"]["b"];
  db.close();
  map.close();
  EXPECT_NE(left_in(folder_.path()), "");
  EXPECT_EQ(nested.at("y").get<int>(), 1);
  other.close();
  EXPECT_EQ(left_in(folder_.path()), "");
  EXPECT_EQ(threads(), before);
  EXPECT_THROW(static_cast<void>(large.size()), ClosedError);
  EXPECT_THROW(static_cast<void>(list.at(0)), ClosedError);
  EXPECT_THROW(static_cast<void>(nested.keys()), ClosedError);
  EXPECT_THROW(static_cast<void>(seen.at("k0")), ClosedError);
  EXPECT_THROW(static_cast<void>(snapshot.count("n")), ClosedError);
  EXPECT_THROW(static_cast<void>(transactor["small"]["b"].value()), ClosedError);
  EXPECT_THROW(static_cast<void>(transactor.execute()), ClosedError);
  EXPECT_THROW(static_cast<void>(watch.next(std::chrono::milliseconds(0))), ClosedError);
  EXPECT_THROW(static_cast<void>(ref.value()), ClosedError);
  EXPECT_THROW(static_cast<void>(map.get("k")), ClosedError);
  EXPECT_THROW(map_cursor->next(key, nullptr), ClosedError);
  const auto to_the_end = [&](graph::DictCursor& one) {
    while (one.next(key, value)) {
    }
  };
  EXPECT_THROW(to_the_end(*cursor), ClosedError);
  EXPECT_THROW(to_the_end(*seen_cursor), ClosedError);
  snapshot.close();
  EXPECT_NO_THROW(import.finish());
  EXPECT_EQ(left_in(folder_.path()), "");
}

TEST_P(Close, ACopyIsTheWholeStore) {
  Database db(path_, options());
  fill(db);
  const Dict kept = db["large"].as_dict();
  const auto cursor = kept.cursor();
  db.close();
  fs::copy_file(path_, folder_ / "copy.db");
  const Database copy(folder_ / "copy.db");
  EXPECT_EQ(copy["large"].as_dict().size(), 1000U);
  EXPECT_EQ(copy["list"][2]["x"].get<int>(), 3);
  EXPECT_TRUE(copy.check().ok());
}

TEST_P(Close, AnotherFileInItsPlaceIsOpened) {
  for (int round = 0; round < 5; ++round) {
    Database db(path_, options());
    fill(db);
    const Dict kept = db["small"].as_dict();
    db.close();
    {
      const Database made(folder_ / "made.db", options());
      made["round"] = round;
      made.close();
    }
    fs::rename(folder_ / "made.db", path_);
    Database again(path_, options());
    EXPECT_EQ(again["round"].get<int>(), round);
    EXPECT_FALSE(again["small"].exists());
    again.close();
    fs::remove(path_);
    Database fresh(path_, options());
    EXPECT_TRUE(fresh.root().empty());
    fresh.close();
    fs::remove(path_);
  }
}

TEST_P(Close, ARestoreNeedsNoMoreThanIt) {
  Database db(path_, options());
  fill(db);
  db.backup(folder_ / "backup");
  db["small"] = 1;
  const Dict kept = db["large"].as_dict();
  db.close();
  restore(folder_ / "backup", path_);
  const Database again(path_, options());
  EXPECT_EQ(again["small"]["a"].get<int>(), 1);
  EXPECT_TRUE(again.check().ok());
}

TEST_P(Close, WhatOtherThreadsDoEnds) {
  for (int round = 0; round < 4; ++round) {
    Database db(path_, options());
    fill(db);
    Map map(path_, {.name = "m", .persist = GetParam()});
    for (int i = 0; i < 600; ++i) map.set("k" + std::to_string(i), i);
    const Snapshot snapshot = db.snapshot();
    std::atomic<int> begun{0};
    std::vector<std::string> wrong(8);
    std::vector<std::thread> workers;
    const auto run = [&](std::size_t which, const std::function<void()>& once) {
      workers.emplace_back([&, which, once] {
        try {
          once();
          ++begun;
          for (;;) once();
        } catch (const ClosedError&) {
        } catch (const std::exception& error) {
          wrong[which] = error.what();
        }
      });
    };
    run(0, [&] {
      for (const auto& [key, value] : db["large"].as_dict()) EXPECT_FALSE(value.is_null());
    });
    run(1, [&] {
      for (const auto& [key, value] : snapshot.root().at("large").as_dict()) {
        EXPECT_FALSE(value.is_null());
      }
    });
    run(2, [&] { static_cast<void>(db["small"].materialize()); });
    run(3, [&] { db["counter"] = 1; });
    run(4, [&] {
      std::string key;
      for (const auto cursor = map.cursor(); cursor->next(key, nullptr);) {
      }
    });
    run(5, [&] { map.set("k1", 2); });
    run(6, [&] {
      auto sql = db.read_connection();
      if (GetParam() == Persist::kLazy) return static_cast<void>(db.count("n"));
      static_cast<void>(sql.execute("SELECT count(*) FROM node a, node b").all());
    });
    run(7, [&] { static_cast<void>(db.check()); });
    while (begun.load() < 8) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    map.close();
    db.close();
    const std::string left = left_in(folder_.path());
    for (std::thread& worker : workers) worker.join();
    EXPECT_EQ(left, "");
    EXPECT_EQ(left_in(folder_.path()), "");
    for (const std::string& error : wrong) EXPECT_EQ(error, "");
  }
  EXPECT_TRUE(Database(path_).check().ok());
}

TEST_P(Close, TheOrderInWhichThingsGoDoesNotMatter) {
  const char* given = std::getenv("GRAVEN_SEED");
  const auto seed =
      given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  SCOPED_TRACE("GRAVEN_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<void>> things;
    const auto keep = [&](auto thing) {
      things.push_back(std::make_shared<decltype(thing)>(std::move(thing)));
    };
    Database db(path_, options());
    fill(db);
    Map map(path_, {.name = "m", .persist = GetParam()});
    map.set("k", 1);
    const Database other = db.with_prefix("other");
    keep(db["large"].as_dict());
    keep(db["large"].as_dict().cursor());
    keep(db["list"].as_list().begin());
    keep(db.snapshot());
    keep(db.snapshot().root().at("large").as_dict().begin());
    keep(db.transactor().root().at("small"));
    keep(Watch(db, ""));
    keep(map.cursor());
    keep(db.connection());
    keep(Database(other));
    keep(Database(db));
    keep(Map(map));
    db.close();
    other.close();
    map.close();
    EXPECT_EQ(left_in(folder_.path()), "");
    std::shuffle(things.begin(), things.end(), random);
    const std::size_t gone_before = random() % things.size();
    things.resize(things.size() - gone_before);
    const Database again(path_, options());
    EXPECT_EQ(again["small"]["a"].get<int>(), 1);
    things.clear();
    EXPECT_EQ(again["small"]["b"]["c"].get<int>(), 2);
    again.close();
    EXPECT_EQ(left_in(folder_.path()), "");
  }
}

// What a process that was killed has left is swept in the background, unless another one writes.
TEST(CloseBesideOthers, WaitsForNoTransactionOfTheirsNorForgetsWhatIsLeft) {
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  Child killed([&] {
    auto* db = new Database(path);
    (*db)["a"] = {{"b", {{"c", 1}}}};
    auto* held = new Dict((*db)["a"].as_dict());
    static_cast<void>(held->size());
    db->root().erase("a");
    return true;  // without a destructor
  });
  ASSERT_TRUE(killed.succeeded());
  const auto go_on = [&](int round) { return folder / ("go on " + std::to_string(round)); };
  // Returns false if it is not told while it has its transaction.
  const auto hold = [&](int round, const Reporter& reporter) {
    auto* db = new Database(path);
    auto* transaction = new Transaction(db->begin());
    (*db)["z"] = 1;
    reporter.say("holds");
    const auto until = soon();
    while (transaction != nullptr && std::chrono::steady_clock::now() < until) {
      if (fs::exists(go_on(round))) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  const auto left = [](const Database& db) {
    return !records_of(*store_of(db).view(), Space::kOrphan).empty();
  };
  constexpr auto kUntilItSweeps = std::chrono::milliseconds(800);
  {
    Child holder([&](const Reporter& reporter) { return hold(1, reporter); });
    ASSERT_EQ(holder.line(), "holds");
    const Database db(path);
    EXPECT_TRUE(left(db));
    std::this_thread::sleep_for(kUntilItSweeps);
    db.close();
    std::ofstream(go_on(1)) << "";
    EXPECT_TRUE(holder.succeeded());
  }
  Child holder([&](const Reporter& reporter) { return hold(2, reporter); });
  ASSERT_EQ(holder.line(), "holds");
  const Database db(path);
  std::this_thread::sleep_for(kUntilItSweeps + std::chrono::milliseconds(200));
  EXPECT_TRUE(left(db));
  std::ofstream(go_on(2)) << "";
  EXPECT_TRUE(holder.succeeded());
  const auto until = soon();
  while (left(db) && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(left(db));
}

}  // namespace
}  // namespace graven::test
