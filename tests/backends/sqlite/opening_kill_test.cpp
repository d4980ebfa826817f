// SPDX-License-Identifier: MIT
//
// A process that writes, checkpoints and is killed at any moment, and then what people do with the
// files: each opening afterwards has every acknowledged commit, or is exactly the file that was put
// there, or is refused. Every commit changes rows together, so a blend shows.
//
// GRAVEN_ROUNDS sets how many kills (60), GRAVEN_SEED repeats a run's choices.
#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

namespace fs = std::filesystem;
using Random = std::mt19937;

constexpr int kRows = 40;
constexpr std::array kSuffixes{"", "-wal", "-shm", "-owners"};

int rounds() {
  const char* text = std::getenv("GRAVEN_ROUNDS");
  return text != nullptr ? std::atoi(text) : 60;
}

unsigned seed() {
  const char* text = std::getenv("GRAVEN_SEED");
  const unsigned value = text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10))
                                         : std::random_device{}();
  std::cout << "repeat with GRAVEN_SEED=" << value << '\n';
  return value;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Over a file, or in its place.
void put(const std::string& bytes, const std::string& path, bool rename) {
  std::ofstream(rename ? path + ".new" : path, std::ios::binary | std::ios::trunc) << bytes;
  if (rename) fs::rename(path + ".new", path);
}

std::string row_name(int row) { return "row" + std::to_string(row); }

/// Every row says the commit that wrote it last, and one how they sum up.
struct Content {
  std::int64_t commit = 0;
  std::int64_t sum = 0;
  std::int64_t rows = 0;

  [[nodiscard]] bool sound() const { return sum == rows; }
  friend bool operator==(const Content&, const Content&) = default;
};

Content content_of(const std::string& path) {
  const Opened store = sqlite::open(path);
  EXPECT_TRUE(store->check().empty());
  const auto view = store->view();
  const auto at = [&](const std::string& name) {
    const auto record = view->load(counter_key(name));
    return record ? record->integers[0] : 0;
  };
  Content content{at("commit"), at("sum"), 0};
  for (int row = 0; row < kRows; ++row) content.rows += at(row_name(row));
  return content;
}

void commit(port::Backend& store, Random& random, std::int64_t number) {
  const auto transaction = records(store).begin(soon());
  const auto at = [&](const std::string& name) {
    const auto record = transaction->load(counter_key(name));
    return record ? record->integers[0] : 0;
  };
  std::int64_t sum = at("sum");
  std::vector<port::Change> changes;
  const auto set = [&](const std::string& name, std::int64_t value) {
    changes.push_back({counter_key(name), counter_record(0, value)});
  };
  const int first = static_cast<int>(random() % kRows);
  for (int row = first; row < std::min(kRows, first + 5); ++row) {
    sum += number - at(row_name(row));
    set(row_name(row), number);
  }
  set("sum", sum);
  set("commit", number);
  changes.push_back({node_key(static_cast<std::int64_t>(random() % 200) + 1),
                     node_record(0, std::string(random() % 3000, 'x'))});
  write(*transaction, std::move(changes));
}

/// Says each commit once it was acknowledged; ends by itself, or is killed.
bool work(const Reporter& reporter, const std::string& path, unsigned seed) {
  Random random(seed);
  const Opened store = sqlite::open(path, {.checkpoint_pages = 60});
  std::int64_t number = 0;
  if (const auto record = store->load(counter_key("commit"))) number = record->integers[0];
  reporter.say("0");
  const unsigned many = 20 + random() % 400;
  for (unsigned i = 0; i < many; ++i) {
    commit(*store, random, ++number);
    reporter.say(std::to_string(number));
    if (random() % 25 == 0) static_cast<void>(store->end_bulk(soon()));  // a checkpoint
  }
  return true;
}

/// Runs it for so many commits at most, kills it, and tells the last that was acknowledged.
std::int64_t run_and_kill(const std::string& path, Random& random) {
  const unsigned value = random();
  Child child([&](const Reporter& reporter) { return work(reporter, path, value); });
  const unsigned least = random() % 150;
  std::int64_t last = 0;
  std::string line = child.line();
  for (unsigned i = 0; i < least && !line.empty(); ++i) {
    last = std::max<std::int64_t>(last, std::stoll(line));
    line = child.line();
  }
  child.kill();
  for (; !line.empty(); line = child.line()) {
    last = std::max<std::int64_t>(last, std::stoll(line));
  }
  return last;
}

enum class What { kNothing, kOther, kEarlier, kBase, kMoved, kNoIndex, kNoise, kCount };

TEST(OpeningKill, WhatIsThereIsWholeWhateverWasDoneToTheFiles) {
  Random random(seed());
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  const std::string other = folder / "other.db";
  {
    const Opened store = sqlite::open(other);
    for (int i = 1; i <= 30; ++i) commit(*store, random, i);
  }
  std::vector<std::string> earlier;  // the store, closed, at some times
  std::int64_t acknowledged = 0;
  std::map<std::string, int> told;
  for (int round = 0; round < rounds(); ++round) {
    static_cast<void>(content_of(path));  // closed, without a WAL
    const std::string base = bytes_of(path);
    if (random() % 4 == 0) earlier.push_back(base);
    acknowledged = std::max(acknowledged, run_and_kill(path, random));
    const auto what = static_cast<What>(random() % static_cast<unsigned>(What::kCount));
    std::string put_there;
    if (what == What::kOther) put_there = bytes_of(other);
    if (what == What::kEarlier && !earlier.empty()) put_there = earlier[random() % earlier.size()];
    if (what == What::kBase) put_there = base;
    if (what == What::kMoved) {
      fs::create_directory(folder / "moved");
      for (const char* suffix : kSuffixes) {
        if (fs::exists(path + suffix)) {
          fs::rename(path + suffix, folder / ("moved/state.db" + std::string(suffix)));
        }
      }
      EXPECT_GE(content_of(folder / "moved/state.db").commit, acknowledged);
      fs::rename(folder / "moved/state.db", path);
      fs::remove_all(folder / "moved");
    }
    if (what == What::kNoIndex) fs::remove(path + "-shm");
    if (what == What::kNoise) put(std::string(40000, '\x5a'), path + "-shm", false);
    if (put_there.empty()) {
      const Content content = content_of(path);
      EXPECT_TRUE(content.sound()) << round;
      EXPECT_GE(content.commit, acknowledged) << round << ' ' << static_cast<int>(what);
      ++told["all there"];
      continue;
    }
    put(put_there, folder / "expected.db", false);
    const Content expected = content_of(folder / "expected.db");
    put(put_there, path, random() % 2 == 0);
    try {
      const Content content = content_of(path);
      EXPECT_TRUE(content == expected) << round << ' ' << static_cast<int>(what);
      ++told["as it was put there"];
    } catch (const UnavailableError&) {
      for (const char* suffix : {"-wal", "-shm"}) fs::remove(path + suffix);
      EXPECT_TRUE(content_of(path) == expected) << round << ' ' << static_cast<int>(what);
      ++told["refused"];
    }
    acknowledged = expected.commit;
    if (what == What::kOther) {  // another store's counts say nothing of this one's
      for (const char* suffix : kSuffixes) fs::remove(path + suffix);
      acknowledged = 0;
      earlier.clear();
    }
  }
  for (const auto& [what, count] : told) std::cout << count << ' ' << what << '\n';
}

}  // namespace
}  // namespace graven::test
