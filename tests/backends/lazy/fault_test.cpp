// SPDX-License-Identifier: MIT
//
// A lazy store over a disk that fails: a flush that fails has done nothing or all of it, says so,
// and is made up for by the next; in the background it tells the next writer, once.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <graven/error.hpp>
#include <graven/log.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using port::Change;
using std::chrono::milliseconds;

constexpr std::int64_t kNodes = 200;

std::vector<Change> all_as(const std::string& body) {
  std::vector<Change> changes;
  for (std::int64_t id = 1; id <= kNodes; ++id) {
    changes.push_back({node_key(id), node_record(0, body + std::string(200, '.'))});
  }
  return changes;
}

/// What every node is, if they are all the same.
std::string of_all(port::View& view) {
  const auto rows = view.scan({.space = port::Space::kNode}, SIZE_MAX);
  if (rows.size() != kNodes) return std::to_string(rows.size()) + " nodes";
  for (const port::Row& row : rows) {
    if (row.record.body != rows[0].record.body) return "a mixture";
  }
  return rows[0].record.body.substr(0, rows[0].record.body.find('.'));
}

class LazyFaults : public ::testing::TestWithParam<int> {
 protected:
  LazyFaults() { plan.code = GetParam(); }
  Opened open(const std::string& path, milliseconds interval) {
    return lazy::over(
        sqlite::open(path, {.synchronous = sqlite::Synchronous::kFull, .vfs = faulty_vfs()}),
        {.flush_interval = interval});
  }
  FaultPlan plan;
  TemporaryFolder folder;
};
INSTANTIATE_TEST_SUITE_P(Kinds, LazyFaults, ::testing::Values(SQLITE_IOERR, SQLITE_FULL),
                         [](const auto& kind) {
                           return kind.param == SQLITE_FULL ? "FullDisk" : "InputOutput";
                         });

TEST_P(LazyFaults, AFlushThatFailsIsMadeUpFor) {
  for (const int times : {1, 2}) {
    bool happened = true;
    for (int n = 1; happened; ++n) {
      ASSERT_LT(n, 1000) << "the calls never ended";
      const std::string path = folder / (std::to_string(times) + "." + std::to_string(n) + ".db");
      {
        const Opened lazy = open(path, std::chrono::hours(1));
        write(*lazy, all_as("old"));
        lazy->flush();
        write(*lazy, all_as("new"));
        const auto held = lazy->view();
        EXPECT_EQ(of_all(*held), "new");
        bool failed = false;
        for (int i = 0; i < times; ++i) {
          plan.at = n;
          arm(plan);
          try {
            lazy->flush();
          } catch (const UnavailableError&) {
            failed = true;
          }
          happened = fault_happened();
          disarm();
          EXPECT_EQ(of_all(*lazy->view()), "new") << "call " << n;
          const Opened reader = sqlite::open(path, {.read_only = true});
          EXPECT_EQ(of_all(*reader->view()), failed ? "old" : "new") << "call " << n;
          if (!failed) break;
          failed = false;
          // More on top of what is still to be flushed; as quickly as can be.
          write(*lazy, {{node_key(1), std::nullopt}});
          write(*lazy, all_as("new"));
        }
        lazy->flush();
        {
          const Opened reader = sqlite::open(path, {.read_only = true});
          EXPECT_EQ(of_all(*reader->view()), "new") << "call " << n;
        }
        EXPECT_EQ(of_all(*held), "new");
        write(*lazy, all_as("newer"));
        EXPECT_EQ(of_all(*held), "new");
      }
      const Opened reopened = sqlite::open(path);
      EXPECT_EQ(of_all(*reopened->view()), "newer") << "call " << n;
      EXPECT_TRUE(reopened->check().empty());
    }
  }
}

TEST_P(LazyFaults, TheLastFlushOfWhatNobodyClosedIsLogged) {
  const std::string path = folder / "store.db";
  std::vector<std::string> lines;
  set_log_sink([&](const LogRecord& record) { lines.push_back(to_string(record)); });
  Opened lazy = open(path, std::chrono::hours(1));
  write(*lazy, all_as("old"));
  lazy->flush();
  write(*lazy, all_as("new"));
  plan.at = 1;
  plan.for_good = true;
  arm(plan);
  lazy.reset();
  disarm();
  set_log_sink({});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("flush_failed error=")) << lines[0];
  EXPECT_NE(lines[0].find(" store=" + path), std::string::npos) << lines[0];
  EXPECT_EQ(of_all(*Opened(sqlite::open(path))->view()), "old");
}

TEST_P(LazyFaults, TheBackgroundTellsTheNextWriterOnce) {
  const std::string path = folder / "store.db";
  {
    const Opened lazy = open(path, milliseconds(5));
    write(*lazy, all_as("old"));
    lazy->flush();
    plan.at = 1;
    plan.for_good = true;
    arm(plan);
    int told = 0;
    std::string acknowledged = "old";
    for (int i = 0; told == 0; ++i) {
      ASSERT_LT(i, 100'000);
      try {
        write(*lazy, all_as("v" + std::to_string(i)));
        acknowledged = "v" + std::to_string(i);
      } catch (const Error&) {
        ++told;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_EQ(of_all(*lazy->view()), acknowledged);
    EXPECT_THROW(lazy->flush(), Error);
    disarm();
    // It goes on as soon as the disk does, by itself too.
    while (of_all(*Opened(sqlite::open(path, {.read_only = true}))->view()) != acknowledged) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    lazy->flush();
    write(*lazy, all_as("last"));
  }
  EXPECT_EQ(of_all(*Opened(sqlite::open(path))->view()), "last");
}

}  // namespace
}  // namespace graven::test
