// SPDX-License-Identifier: MIT
//
// Maps on a disk that fails: at every nth call an error or none, but nothing torn and nothing
// acknowledged lost; the map goes on when the disk does. A flush in the background that fails is
// thrown by the next write, and what it was to write is kept.
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <graven/graven.hpp>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "map/core.hpp"

namespace graven::test {
namespace {

using Model = std::map<std::string, std::int64_t>;

/// A map over a store whose file layer fails when told to.
class FailingMap {
 public:
  FailingMap(const std::string& path, const MapOptions& options)
      : store(std::make_shared<store::Store>(
            sqlite::open(path, {.synchronous = sqlite::Synchronous::kFull, .vfs = faulty_vfs()}))),
        map(map::open(store, options)) {}

  std::shared_ptr<store::Store> store;
  Map map;
};

Model contents(const Map& map) {
  Model model;
  const auto cursor = map.cursor();
  Data value;
  for (std::string key; cursor->next(key, &value);) model[key] = value.get<std::int64_t>();
  return model;
}

std::vector<std::pair<std::string, Data>> batch(std::int64_t value) {
  std::vector<std::pair<std::string, Data>> entries;
  for (int i = 0; i < 30; ++i) entries.emplace_back("key " + std::to_string(i), value);
  return entries;
}

Model all(std::int64_t value) {
  Model model;
  for (int i = 0; i < 30; ++i) model["key " + std::to_string(i)] = value;
  return model;
}

class MapFaults : public ::testing::TestWithParam<int> {
 protected:
  MapFaults() {
    plan.code = GetParam();
    hourly.persist = Persist::kLazy;
    hourly.flush_interval = std::chrono::hours(1);
  }
  FaultPlan plan;
  MapOptions hourly;
  TemporaryFolder folder;
};

TEST_P(MapFaults, AWriteIsWholeOrNot) {
  for (int n = 1; n < 1000; ++n) {
    const std::string path = folder / (std::to_string(n) + ".db");
    bool happened = false;
    bool failed = false;
    {
      const FailingMap failing(path, {});
      failing.map.update(batch(1));
      plan.at = n;
      arm(plan);
      try {
        failing.map.update(batch(2));
      } catch (const UnavailableError&) {
        failed = true;
      }
      happened = fault_happened();
      disarm();
      EXPECT_EQ(contents(failing.map), all(failed ? 1 : 2)) << "call " << n;
      EXPECT_EQ(failing.map.at("key 7"), Data(failed ? 1 : 2));
      EXPECT_EQ(failing.map.size(), 30U);
    }
    EXPECT_EQ(contents(Map(path)), all(failed ? 1 : 2)) << "call " << n;
    if (!happened) {
      EXPECT_GT(n, 1);
      return;
    }
  }
  FAIL() << "the calls never ended";
}

TEST_P(MapFaults, AFlushThatFailsIsMadeUpFor) {
  for (int n = 1; n < 1000; ++n) {
    const std::string path = folder / (std::to_string(n) + ".db");
    bool happened = false;
    {
      const FailingMap failing(path, hourly);
      failing.map.update(batch(1));
      failing.map.flush();
      failing.map.update(batch(2));
      plan.at = n;
      arm(plan);
      bool failed = false;
      try {
        failing.map.flush();
      } catch (const UnavailableError&) {
        failed = true;
      }
      happened = fault_happened();
      disarm();
      EXPECT_EQ(contents(failing.map), all(2)) << "call " << n;
      EXPECT_EQ(failing.map.stats().pending, failed ? 30U : 0U);
      MapOptions reading;
      reading.read_only = true;
      EXPECT_EQ(contents(Map(path, reading)), all(failed ? 1 : 2)) << "call " << n;
      // More on top of what is still to be flushed.
      failing.map.set("key 0", 3);
      EXPECT_EQ(failing.map.size(), 30U);
      failing.map.flush();
      EXPECT_EQ(failing.map.stats().pending, 0U);
      EXPECT_EQ(failing.map.stats().failed_flushes, failed ? 1U : 0U);
    }
    Model expected = all(2);
    expected["key 0"] = 3;
    EXPECT_EQ(contents(Map(path)), expected) << "call " << n;
    if (!happened) return;
  }
  FAIL() << "the calls never ended";
}

TEST_P(MapFaults, TheBackgroundTellsTheNextWrite) {
  MapOptions often = hourly;
  often.flush_interval = std::chrono::milliseconds(2);
  const FailingMap failing(folder / "m.db", often);
  failing.map.set("first", 1);
  failing.map.flush();
  plan.at = 1;
  plan.for_good = true;
  arm(plan);
  bool told = false;
  std::int64_t last = 1;
  for (int i = 2; i < 100'000 && !told; ++i) {
    try {
      failing.map.set("first", i);
      last = i;
    } catch (const Error&) {
      told = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(told);
  EXPECT_GE(failing.map.stats().failed_flushes, 1U);
  EXPECT_EQ(failing.map.at("first"), Data(last));
  disarm();
}

INSTANTIATE_TEST_SUITE_P(Kinds, MapFaults, ::testing::Values(SQLITE_IOERR, SQLITE_FULL),
                         [](const auto& kind) {
                           return kind.param == SQLITE_FULL ? "FullDisk" : "InputOutput";
                         });

}  // namespace
}  // namespace graven::test
