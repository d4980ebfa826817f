// SPDX-License-Identifier: MIT
//
// Backups while several threads and another process write without a pause: each, restored, is
// sound and one moment of the history: every writer's part is what a plain model has after as
// many steps as the part says, and steps only grow from one backup to the next.
#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "backends/sqlite/child.hpp"
#include "integrity/backup_under_test.hpp"

namespace graven::test {
namespace {

constexpr int kThreads = 3;
constexpr int kKeys = 40;

std::uint64_t seed() {
  if (const char* given = std::getenv("GRAVEN_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

/// One writer's steps, a transaction each; the same seed gives the same steps.
class Steps {
 public:
  explicit Steps(std::uint64_t seed) : random_(seed) {}
  template <class Put, class Erase>
  void next(const Put& put, const Erase& erase) {
    for (int i = 0; i < 3; ++i) {
      const std::string key = "k" + std::to_string(random_() % kKeys);
      if (random_() % 4 == 0) {
        erase(key);
      } else {
        put(key, std::string(random_() % 900, static_cast<char>('a' + random_() % 26)));
      }
    }
  }

 private:
  std::mt19937_64 random_;
};

void write_on(const Database& db, const std::string& name, std::uint64_t seed,
              const std::function<bool()>& stop) {
  Steps steps(seed);
  for (std::int64_t step = 1; !stop(); ++step) {
    db.transaction([&] {
      const Dict mine = db[name].get<Dict>();
      steps.next([&](const std::string& key, const std::string& text) { mine[key] = text; },
                 [&](const std::string& key) { mine.erase(key); });
      db["steps"][name] = step;
    });
  }
}

std::map<std::string, std::string> model_after(std::uint64_t seed, std::int64_t count) {
  std::map<std::string, std::string> model;
  Steps steps(seed);
  for (std::int64_t i = 0; i < count; ++i) {
    steps.next([&](const std::string& key, const std::string& text) { model[key] = text; },
               [&](const std::string& key) { model.erase(key); });
  }
  return model;
}

TEST(BackupUnderLoad, IsOneMomentOfTheHistory) {
  const std::uint64_t first = seed();
  SCOPED_TRACE("GRAVEN_SEED=" + std::to_string(first));
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  std::vector<std::string> names;
  for (int i = 0; i <= kThreads; ++i) names.push_back("w" + std::to_string(i));
  {
    const Database db(path);
    db["steps"] = Data::dict();
    for (const std::string& name : names) db[name] = Data::dict();
    for (const std::string& name : names) db["steps"][name] = 0;
    fill(db, 2000);
  }
  Child other([&] {
    const Database db(path);
    write_on(db, names[kThreads], first + kThreads, [] { return false; });
    return true;
  });
  const Database db(path);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      write_on(db, names[i], first + static_cast<unsigned>(i), [&] { return over.load(); });
    });
  }
  std::map<std::string, std::int64_t> before;
  for (int round = 0; round < 6; ++round) {
    for (const std::string& name : names) {
      while (db["steps"][name].get<std::int64_t>() < before[name] + 5) std::this_thread::yield();
    }
    const std::string copy = folder / ("copy" + std::to_string(round) + ".db");
    db.backup(copy, {.pages_per_step = 16, .pause = std::chrono::milliseconds(1)});
    const std::string back = folder / "back.db";
    restore(copy, back, {.keep_replaced = false});
    const Database restored(back);
    EXPECT_TRUE(restored.check().ok());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto steps = restored["steps"][names[i]].get<std::int64_t>();
      EXPECT_GE(steps, before[names[i]] + 5);
      before[names[i]] = steps;
      std::map<std::string, std::string> found;
      const Dict part = restored[names[i]].get<Dict>();
      for (const auto& key : part.keys()) found[key] = part[key].get<std::string>();
      EXPECT_TRUE(found == model_after(first + i, steps)) << names[i] << " after " << steps;
    }
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  other.kill();
  EXPECT_TRUE(db.check().ok());
}

}  // namespace
}  // namespace graven::test
