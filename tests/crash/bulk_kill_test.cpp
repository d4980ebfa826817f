// SPDX-License-Identifier: MIT
//
// kill -9 in bulk imports. A child does one import after another, three phases each, and says so
// after each phase and each end; the parent kills it: in the phases, just behind the last one's
// commit, in the statistics and the checkpoint at the end. Then the store has exactly the phases
// that were acknowledged, or one more, whole; check() is clean; the file keeps no setting.
//
// GRAVEN_KILLS sets the number of kills (60), GRAVEN_SEED repeats a run.
#include <graven/graven.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven {
namespace {

using test::Child;
using test::Reporter;
using test::TemporaryFolder;

constexpr std::uint64_t kPhases = 3;
constexpr std::size_t kRows = 400;
constexpr std::size_t kAtOnce = 100;
constexpr std::size_t kTags = 30;

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

/// What a phase puts, over the same rows of the one before it.
Data rows(std::uint64_t phase, std::size_t from, const std::vector<Value>& tags) {
  Data all = Data::dict();
  const auto root = std::get<Data::Index>(all.root());
  for (std::size_t i = from; i < from + kAtOnce; ++i) {
    const auto row = all.adopt(Data::dict(
        {{"phase", static_cast<std::int64_t>(phase)},
         {"tags", Data::list({tags[i % kTags].as_dict(), tags[(i + phase) % kTags].as_dict()})}}));
    all.container(root).keys.push_back("row " + std::to_string(i));
    all.container(root).items.push_back(row);
  }
  return all;
}

void import_for_ever(const std::string& path, std::uint64_t phase, const Reporter& reporter) {
  const Database db(path);
  std::vector<Value> tags;
  for (std::size_t i = 0; i < kTags; ++i) {
    tags.push_back(db["tags"].as_list().at(static_cast<std::int64_t>(i)));
  }
  reporter.say("open");
  for (;;) {
    const BulkImport bulk(db, {.cache_mb = 1});
    for (std::uint64_t last = phase + kPhases; phase < last; ++phase) {
      bulk.phase("rows", [&] {
        for (std::size_t from = 0; from < kRows; from += kAtOnce) {
          db.batch_insert(db["rows"].as_dict(), rows(phase, from, tags));
        }
        db["done"] = phase + 1;
      });
      reporter.say("did");
    }
    bulk.finish();
    reporter.say("finished");
  }
}

bool holds(const Database& db, std::uint64_t phases) {
  if (db["done"].get<std::uint64_t>() != phases) return false;
  const Data all = db["rows"].as_dict().materialize();
  const auto root = std::get<Data::Index>(all.root());
  if (all.container(root).items.size() != (phases == 0 ? 0 : kRows)) return false;
  for (const std::string& key : all.container(root).keys) {
    if (all.at(key).at("phase") != Data(phases - 1)) return false;
  }
  return true;
}

/// What SQLite keeps in the file of settings: page size, modes, cache size, vacuuming.
std::string settings_in(const std::string& path) {
  std::string header(100, '\0');
  std::ifstream(path, std::ios::binary).read(header.data(), 100);
  return header.substr(16, 8) + header.substr(48, 4) + header.substr(56, 16);
}

TEST(BulkKill, LeavesWholePhasesAndNoSetting) {
  const std::uint64_t kills = from_environment("GRAVEN_KILLS", 60);
  const std::uint64_t seed = from_environment("GRAVEN_SEED", std::random_device{}());
  std::mt19937_64 random(seed);
  SCOPED_TRACE("repeat with GRAVEN_SEED=" + std::to_string(seed));
  const TemporaryFolder folder;
  const std::string path = folder / "i.db";
  {
    const Database db(path);
    db["rows"] = Data::dict();
    db["done"] = 0;
    db["tags"] = Data::list();
    for (std::size_t i = 0; i < kTags; ++i) {
      db["tags"].as_list().push_back(Data::dict({{"tag", static_cast<std::int64_t>(i)}}));
    }
  }
  const std::string settings = settings_in(path);
  std::uint64_t phases = 0;
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    std::uint64_t acknowledged = phases;
    {
      Child child([&](const Reporter& reporter) {
        import_for_ever(path, phases, reporter);
        return true;
      });
      ASSERT_EQ(child.line(), "open");
      if (kill % 2 == 0) {  // behind the last phase of an import
        for (std::uint64_t i = 0; i < kPhases; ++i, ++acknowledged) ASSERT_EQ(child.line(), "did");
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
      }
      child.kill();
      for (std::string line = child.line(); line == "did" || line == "finished";
           line = child.line()) {
        if (line == "did") ++acknowledged;
      }
    }
    const Database db(path);
    const bool exact = holds(db, acknowledged);
    ASSERT_TRUE(exact || holds(db, acknowledged + 1))
        << "after kill " << kill << ", " << acknowledged << " phases acknowledged";
    phases = exact ? acknowledged : acknowledged + 1;
    db.collect();
    const CheckReport report = db.check();
    ASSERT_TRUE(report.ok()) << "after kill " << kill << ": " << report.problems.front().node << " "
                             << report.problems.front().what;
    db.close();
    ASSERT_EQ(settings_in(path), settings) << "after kill " << kill;
  }
}

}  // namespace
}  // namespace graven
