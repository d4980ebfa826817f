// SPDX-License-Identifier: MIT
//
// Lazy databases killed at random moments. The file holds a state the database once had: all of
// the first n transactions, whole, and nothing of later ones, n no less than what a flush() had
// returned for; and check() finds nothing wrong. The next child goes on from there, so later kills
// hit a store that has survived many.
//
// GRAVEN_KILLS sets the number of kills (300), GRAVEN_SEED repeats a run.
#include <graven/graven.hpp>

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// What the child tells as it goes on.
struct Told {
  std::atomic<std::int64_t> acknowledged;
  std::atomic<std::int64_t> flushed;
};

constexpr int kPlaces = 9;

std::string place(std::int64_t i) { return "p" + std::to_string(i % kPlaces); }

/// Transaction number i, from 1: several places, a list, a counter, nodes that come and go, links
/// from one place to another.
void step(const Database& db, std::int64_t i) {
  const Dict root = db.root();
  db.transaction([&] {
    root.set("n", i);
    root.set(place(i), {{"i", i}, {"inner", {{"i", i}}}});
    if (i % 3 == 0) root.set("link", root[place(i - 1)].as_dict());
    if (i % 5 == 0) root.erase(place(i + 4));
    const List list = root.setdefault("list", Data::list()).as_list();
    list.push_back(i);
    if (list.size() > 100) list.splice(0, 60, Data::list());
    db.incr("steps");
  });
}

/// The same without a database: which i each place has, and the link.
struct Model {
  std::map<std::string, std::int64_t> places;
  std::int64_t link = 0;
  std::vector<std::int64_t> list;

  explicit Model(std::int64_t steps) {
    for (std::int64_t i = 1; i <= steps; ++i) {
      places[place(i)] = i;
      if (i % 3 == 0) link = places.at(place(i - 1));
      if (i % 5 == 0) places.erase(place(i + 4));
      list.push_back(i);
      if (list.size() > 100) list.erase(list.begin(), list.begin() + 60);
    }
  }
};

void expect_state(const Database& db, std::int64_t steps) {
  if (steps == 0) {
    EXPECT_TRUE(db.root().empty());
    return;
  }
  const Model model(steps);
  EXPECT_EQ(db.count("steps"), steps);
  for (int i = 0; i < kPlaces; ++i) {
    const auto found = model.places.find(place(i));
    ASSERT_EQ(db[place(i)].exists(), found != model.places.end()) << place(i);
    if (found == model.places.end()) continue;
    EXPECT_EQ(db[place(i)]["i"].get<std::int64_t>(), found->second);
    EXPECT_EQ(db[place(i)]["inner"]["i"].get<std::int64_t>(), found->second);
  }
  if (model.link != 0) {
    EXPECT_EQ(db["link"]["inner"]["i"].get<std::int64_t>(), model.link);
  }
  std::vector<std::int64_t> list;
  for (const Value& value : db["list"].as_list()) list.push_back(value.get<std::int64_t>());
  EXPECT_EQ(list, model.list);
}

TEST(LazyKill, TheFileIsAStateTheDatabaseHad) {
  const std::uint64_t kills = from_environment("GRAVEN_KILLS", 300);
  const std::uint64_t seed = from_environment("GRAVEN_SEED", std::random_device{}());
  std::mt19937_64 random(seed);
  SCOPED_TRACE("repeat with GRAVEN_SEED=" + std::to_string(seed));
  void* shared =
      ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* told = new (shared) Told;

  std::optional<TemporaryFolder> folder;
  std::int64_t steps = 0;
  std::uint64_t written = 0;
  std::uint64_t lost = 0;
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    if (steps > 1500 || !folder) {  // the model is walked from its start
      folder.emplace();
      steps = 0;
    }
    const std::string path = *folder / "state.db";
    Options options;
    options.persist = Persist::kLazy;
    options.flush_interval = std::chrono::milliseconds(1 + random() % 5);
    told->acknowledged = steps;
    told->flushed = steps;
    {
      Child child([&](const Reporter& reporter) {
        const Database db(path, options);
        reporter.say("open");
        for (std::int64_t i = steps + 1;; ++i) {
          step(db, i);
          told->acknowledged = i;
          if (i % 29 == 0) {
            db.flush();
            told->flushed = i;
          }
        }
        return true;
      });
      ASSERT_EQ(child.line(), "open");
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 15'000));
      child.kill();
    }
    const Database db(path);
    const std::optional<Value> n = db.root().get("n");
    const std::int64_t count = n ? n->get<std::int64_t>() : 0;
    SCOPED_TRACE("after kill " + std::to_string(kill) + ": " + std::to_string(count) + " of " +
                 std::to_string(told->acknowledged) + " acknowledged");
    ASSERT_GE(count, told->flushed);
    ASSERT_LE(count, told->acknowledged + 1);
    ASSERT_NO_FATAL_FAILURE(expect_state(db, count));
    const CheckReport report = db.check();
    ASSERT_TRUE(report.ok()) << report.problems.front().node << " " << report.problems.front().what;
    ASSERT_FALSE(HasFailure());
    db.close();
    written += static_cast<std::uint64_t>(told->acknowledged - steps);
    lost += static_cast<std::uint64_t>(std::max<std::int64_t>(told->acknowledged - count, 0));
    steps = count;
  }
  EXPECT_GT(written, kills * 5) << "the kills came too early to test anything";
  EXPECT_GT(lost, 0U) << "nothing was ever pending when a kill came";
  ::munmap(shared, sizeof(Told));
}

}  // namespace
}  // namespace graven::test
