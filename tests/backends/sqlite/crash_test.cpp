// SPDX-License-Identifier: MIT
//
// kill -9 at random moments of commits, small and large, by one process and by two. Whatever
// was acknowledged is there, nothing is there in part, and the file is sound.
#include <graven/error.hpp>

#include <algorithm>

#include <gtest/gtest.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Space;

class Crash : public ::testing::Test {
 protected:
  /// Commits on and on: number n puts node n, erases node n - 3 and its edge, and sets two
  /// counters to n; `size` bytes of body. Says each number when its commit has returned.
  static void write_on(port::Backend& backend, const Reporter& reporter, const std::string& who,
                       std::int64_t base, std::size_t size) {
    std::int64_t n = count(backend, who);
    for (;;) {
      ++n;
      const std::int64_t id = base + n;
      std::vector<Change> changes{
          {node_key(id), node_record(0, std::string(size, static_cast<char>('a' + n % 26)))},
          {node_key(id - 3), std::nullopt},
          {{.space = Space::kEdge, .a = id, .b = n}, port::Record{.integers = {1}}},
          {{.space = Space::kEdge, .a = id - 3, .b = n - 3}, std::nullopt},
          {counter_key(who), counter_record(0, n)},
          {counter_key(who + " again"), counter_record(0, n)}};
      write(backend, changes);
      reporter.say(std::to_string(n));
    }
  }

  static void verify(port::Backend& backend, const std::string& who, std::int64_t base,
                     std::int64_t acknowledged) {
    const auto view = records(backend).view();
    const auto record = view->load(counter_key(who));
    const std::int64_t n = record ? record->integers[0] : 0;
    ASSERT_GE(n, acknowledged);
    ASSERT_LE(n, acknowledged + 1);  // at most the one commit whose answer was not heard
    const auto again = view->load(counter_key(who + " again"));
    ASSERT_EQ(again ? again->integers[0] : 0, n);
    const std::int64_t first = std::max<std::int64_t>(1, n - 2);
    const auto nodes =
        view->scan({.space = Space::kNode, .from = base + 1, .to = base + 999'999}, 100);
    ASSERT_EQ(nodes.size(), static_cast<std::size_t>(n - first + 1));
    for (std::int64_t i = first; i <= n; ++i) {
      const auto& row = nodes[static_cast<std::size_t>(i - first)];
      ASSERT_EQ(row.key.a, base + i);
      ASSERT_EQ(row.record.body,
                std::string(row.record.body.size(), static_cast<char>('a' + i % 26)));
      ASSERT_TRUE(view->load({.space = Space::kEdge, .a = base + i, .b = i}));
    }
  }

  /// The last number a killed child said.
  static std::int64_t last_number(Child& child, std::int64_t before) {
    std::int64_t last = before;
    for (std::string line = child.line(); !line.empty(); line = child.line())
      last = std::stoll(line);
    return last;
  }

  Random random_;
  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
};

TEST_F(Crash, OneWriterIsKilled) {
  std::int64_t acknowledged = 0;
  for (int kills = 0; kills < 200; ++kills) {
    const std::size_t size = std::vector<std::size_t>{20, 3000, 200'000}[random_.below(3)];
    Child child([&](const Reporter& reporter) {
      write_on(*sqlite::open(path_), reporter, "one", 0, size);
      return true;
    });
    ::usleep(static_cast<useconds_t>(random_.below(12'000)));
    child.kill();
    acknowledged = last_number(child, acknowledged);
    const Opened backend = sqlite::open(path_);
    ASSERT_NO_FATAL_FAILURE(verify(*backend, "one", 0, acknowledged)) << kills << " kills";
    if (kills % 10 == 0) {
      ASSERT_TRUE(backend->check().empty());
    }
    acknowledged = count(*backend, "one");
  }
  EXPECT_GT(acknowledged, 200);
}

TEST_F(Crash, OneOfTwoWritersIsKilled) {
  constexpr std::int64_t kBase = 1'000'000;
  Child steady([&](const Reporter& reporter) {
    write_on(*sqlite::open(path_), reporter, "steady", kBase, 500);
    return true;
  });
  ASSERT_FALSE(steady.line().empty());
  std::int64_t acknowledged = 0;
  const Opened reader = sqlite::open(path_);
  for (int kills = 0; kills < 60; ++kills) {
    Child child([&](const Reporter& reporter) {
      // The reader's connections are the parent's; this child opens its own.
      write_on(*sqlite::open(path_), reporter, "killed", 0, random_.one_in(2) ? 100 : 100'000);
      return true;
    });
    ::usleep(static_cast<useconds_t>(random_.below(20'000)));
    child.kill();
    acknowledged = last_number(child, acknowledged);
    ASSERT_NO_FATAL_FAILURE(verify(*reader, "killed", 0, acknowledged)) << kills << " kills";
    acknowledged = count(*reader, "killed");
  }
  const std::int64_t before = count(*reader, "steady");
  steady.kill();
  const std::int64_t last = last_number(steady, before);
  ASSERT_NO_FATAL_FAILURE(verify(*reader, "steady", kBase, last));
  EXPECT_TRUE(reader->check().empty());
}

TEST_F(Crash, AStoreIsKilledWhileItIsMade) {
  for (int kills = 0; kills < 60; ++kills) {
    const std::string path = folder_ / (std::to_string(kills) + ".db");
    Child child([&](const Reporter& reporter) {
      reporter.say("now");
      increment(*sqlite::open(path), "n");
      ::pause();
      return true;
    });
    ASSERT_EQ(child.line(), "now");
    ::usleep(static_cast<useconds_t>(random_.below(4'000)));
    child.kill();
    const Opened backend = sqlite::open(path);
    EXPECT_LE(count(*backend, "n"), 1);
    increment(*backend, "n");
    EXPECT_TRUE(backend->check().empty());
  }
}

}  // namespace
}  // namespace graven::test
