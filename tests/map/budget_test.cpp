// SPDX-License-Identifier: MIT
//
// memory_mb: however much is read and written, and however fast, the memory of the process (what is
// anonymous of it, less what it was at open) stays within the bound and a fifth.
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <graven/error.hpp>
#include <graven/graven.hpp>
#include <malloc.h>
#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20U;

/// Bytes of memory that no file backs.
std::size_t anonymous() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
  }
  return 0;
}

/// The greatest growth while `body` runs, in MiB.
std::size_t growth(const std::function<void()>& body) {
  malloc_trim(0);
  const std::size_t before = anonymous();
  std::atomic<std::size_t> most{0};
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    while (!done.load()) {
      most = std::max(most.load(), anonymous());
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  body();
  done = true;
  watcher.join();
  return (std::max(most.load(), before) - before) / kMebibyte;
}

std::string key(std::size_t i) { return "key " + std::to_string(i * 2654435761U % 10'000'000); }

class Budget : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
  static constexpr std::size_t kBound = 48;
  static constexpr std::size_t kAllowed = kBound + kBound / 5;
};

// Three times the bound of pending writes a second or more, were they let in.
TEST_F(Budget, HoldsUnderALazyWriterFasterThanTheDisk) {
  const std::size_t grown = growth([&] {
    const Map map(path_, {.persist = Persist::kLazy, .memory_mb = kBound});
    const std::string value(200, 'v');
    for (std::size_t i = 0; i < 200'000; ++i) map.set(key(i), value);
    map.flush();
    for (std::size_t i = 0; i < 200'000; i += 20) ASSERT_EQ(map.get(key(i)), Data(value));
  });
  RecordProperty("mebibytes", static_cast<int>(grown));
  EXPECT_LE(grown, kAllowed);
}

TEST_F(Budget, HoldsForManyReadersOfSeveralMapsAndAGraph) {
  {
    const Database db(path_);
    Data items = Data::list();
    for (int i = 0; i < 20'000; ++i) {
      items.container(std::get<Data::Index>(items.root()))
          .items.emplace_back(std::string(200, 'x'));
    }
    db["items"] = items;
    for (const char* name : {"one", "two"}) {
      const Map map(path_, {.name = name});
      std::vector<std::pair<std::string, Data>> entries;
      for (std::size_t i = 0; i < 150'000; ++i) entries.emplace_back(key(i), std::string(300, 'v'));
      map.update(entries);
    }
  }
  const std::size_t grown = growth([&] {
    const Database db(path_, {.memory_mb = kBound});
    const Map one(path_, {.name = "one"});
    const Map two(path_, {.name = "two"});
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t);
        const List items = db["items"].as_list();
        for (int i = 0; i < 20'000; ++i) {
          (void)(i % 2 == 0 ? one : two).get(key(random() % 150'000));
          if (i % 4 == 0) (void)items.at(static_cast<std::int64_t>(random() % 20'000));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  RecordProperty("mebibytes", static_cast<int>(grown));
  EXPECT_LE(grown, kAllowed);
}

TEST_F(Budget, HoldsForALazyGraphAndOneLargeBatch) {
  const std::size_t grown = growth([&] {
    const Database db(path_, {.persist = Persist::kLazy, .memory_mb = kBound});
    db["list"] = Data::list();
    const List list = db["list"].as_list();
    for (int i = 0; i < 40'000; ++i) list.push_back(std::string(500, 'x'));
    db.flush();
    EXPECT_EQ(list.size(), 40'000U);
  });
  RecordProperty("mebibytes", static_cast<int>(grown));
  EXPECT_LE(grown, kAllowed);
}

TEST_F(Budget, RefusesWhatCannotBe) {
  EXPECT_THROW(Map(path_, {.memory_mb = 3}), UsageError);
  EXPECT_THROW(Database(path_, {.memory_mb = std::size_t{1} << 40U}), UsageError);
  EXPECT_THROW(Map("memory://", {.persist = Persist::kMemory, .memory_mb = 64}), UsageError);
}

}  // namespace
}  // namespace graven::test
