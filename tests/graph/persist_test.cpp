// SPDX-License-Identifier: MIT
//
// Options::persist, through the public API: what is in the file when, which openings go together,
// maps beside a lazy graph, other processes, watches, a close() that fails.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <graven/graven.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "graph/scope.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

/// Flushed when told to, and not before.
Options lazily(milliseconds interval = std::chrono::hours(1)) {
  Options options;
  options.persist = Persist::kLazy;
  options.flush_interval = interval;
  return options;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

class PersistTest : public ::testing::Test {
 protected:
  /// What somebody else finds in the file; nothing when it is not there.
  std::optional<std::string> in_file(std::string_view key) const {
    Options reading;
    reading.read_only = true;
    const Database db(path, reading);
    const std::optional<Value> value = db.root().get(key);
    return value ? std::optional(value->get<std::string>()) : std::nullopt;
  }

  TemporaryFolder folder;
  const std::string path = folder / "state.db";
};

TEST_F(PersistTest, LazyWritesAreInTheFileAfterAFlush) {
  const Database db(path, lazily());
  db.flush();
  db["a"] = "1";
  EXPECT_EQ(db["a"].get<std::string>(), "1");
  EXPECT_EQ(in_file("a"), std::nullopt);
  db.flush();
  EXPECT_EQ(in_file("a"), "1");
  db["a"] = "2";
  EXPECT_EQ(in_file("a"), "1");
  db.close();
  EXPECT_EQ(in_file("a"), "2");
  EXPECT_EQ(Database(path)["a"].get<std::string>(), "2");
}

TEST_F(PersistTest, TheBackgroundFlushes) {
  const Database db(path, lazily(milliseconds(1)));
  db["a"] = "1";
  // Nobody can look before the root itself is in the file.
  const auto seen = [&] {
    try {
      return in_file("a");
    } catch (const KeyNotFound&) {
      return std::optional<std::string>();
    }
  };
  while (seen() != "1") std::this_thread::sleep_for(milliseconds(1));
}

TEST_F(PersistTest, TheLastHandleGoneFlushes) {
  { Database(path, lazily())["a"] = "1"; }
  EXPECT_EQ(in_file("a"), "1");
}

TEST_F(PersistTest, AFlushIsNotForTransactions) {
  const Database db(path, lazily());
  db["a"] = "1";
  db.transaction([&] {
    db["a"] = "2";
    EXPECT_THROW(db.flush(), UsageError);
    std::thread([&] { db.flush(); }).join();  // of what is committed
    EXPECT_EQ(in_file("a"), "1");
  });
  db.flush();
  EXPECT_EQ(in_file("a"), "2");
  db.close();
  EXPECT_THROW(db.flush(), ClosedError);
}

TEST_F(PersistTest, FlushingOtherStoresIsNothing) {
  Options memory;
  memory.persist = Persist::kMemory;
  Database(path).flush();
  Database("memory://").flush();
  Database(path, memory).flush();
}

TEST_F(PersistTest, InMemoryThePathIsOnlyAName) {
  Options options;
  options.persist = Persist::kMemory;
  const Database db(path, options);
  db["a"] = "1";
  EXPECT_EQ(db.name(), path);
  EXPECT_FALSE(Database(path, options)["a"].exists());
  db.close();
  EXPECT_FALSE(std::filesystem::exists(path));
  options.read_only = true;
  EXPECT_THROW(Database(path, options), UsageError);
}

// --- Openings that go together, or do not

TEST_F(PersistTest, AProcessHasALazyStoreOnce) {
  const Database db(path, lazily());
  db["a"] = "1";
  Options other = lazily();
  other.synchronous = Synchronous::kFull;
  EXPECT_EQ(Database(path, other)["a"].get<std::string>(), "1");
  const std::string text = message_of([&] { Database{path}; });
  EXPECT_NE(text.find(path), std::string::npos) << text;
  EXPECT_NE(text.find("persist=lazy"), std::string::npos) << text;
  EXPECT_NE(text.find("close it"), std::string::npos) << text;
  EXPECT_THROW(Database{path}, UsageError);
}

TEST_F(PersistTest, AnotherModeHasItsTurnAfterClose) {
  // Handles that are still about change nothing.
  const Database first(path);
  first["a"] = {{"x", "1"}};
  const Dict handle = first["a"].as_dict();
  EXPECT_THROW(Database(path, lazily()), UsageError);
  first.close();
  const Database second(path, lazily());
  second["b"] = {{"x", "2"}};
  const Dict other = second["b"].as_dict();
  EXPECT_THROW(Database{path}, UsageError);
  second.close();
  EXPECT_THROW(static_cast<void>(other["x"].get<std::string>()), ClosedError);
  const Database third(path);
  EXPECT_EQ(third["b"]["x"].get<std::string>(), "2");
  third["b"]["x"] = "3";
  third.close();
  const Database fourth(path, lazily());
  EXPECT_EQ(fourth["b"]["x"].get<std::string>(), "3");
}

TEST_F(PersistTest, OptionsAreChecked) {
  EXPECT_THROW(Database(path, lazily(milliseconds(0))), UsageError);
  Options reading = lazily();
  reading.read_only = true;
  EXPECT_THROW(Database(path, reading), UsageError);
  EXPECT_THROW(Database("sqlite:///" + path + "?mode=ro", lazily()), UsageError);
}

TEST_F(PersistTest, OtherProcessesReadTheLastCutAndDoNotWrite) {
  const Database db(path, lazily());
  db["a"] = "cut";
  db.flush();
  db["a"] = "pending";
  const std::string process = "process " + std::to_string(::getpid());
  Child child([&] {
    const Database other(path);
    if (other["a"].get<std::string>() != "cut" || in_file("a") != "cut") return false;
    const std::string written = message_of([&] { other["a"] = "mine"; });
    other.close();
    const std::string opened = message_of([&] { Database(path, lazily()); });
    return written.find(process) != std::string::npos && opened.find(process) != std::string::npos;
  });
  EXPECT_TRUE(child.succeeded());
  db.flush();
  EXPECT_EQ(in_file("a"), "pending");
}

TEST_F(PersistTest, WhoHasWrittenItElsewhereIsInTheWay) {
  Child child([&](const Reporter& reporter) {
    const Database other(path);
    other["a"] = "theirs";
    reporter.say("written");
    ::pause();
    return true;
  });
  ASSERT_EQ(child.line(), "written");
  EXPECT_THROW(Database(path, lazily()), BusyError);
  EXPECT_EQ(Database(path)["a"].get<std::string>(), "theirs");
  child.kill();
  EXPECT_EQ(Database(path, lazily())["a"].get<std::string>(), "theirs");
}

TEST_F(PersistTest, AForkedChildStartsAnew) {
  const Database db(path, lazily());
  db["a"] = {{"x", "cut"}};
  db.flush();
  const Dict handle = db["a"].as_dict();
  EXPECT_EQ(handle["x"].get<std::string>(), "cut");
  handle["x"] = "pending";
  const Map map(path);
  Child child([&] {
    bool right = true;
    const auto refused = [&](const std::function<void()>& call) {
      right = right && message_of(call).find("parent") != std::string::npos;
    };
    refused([&] { static_cast<void>(handle["x"].get<std::string>()); });
    refused([&] { handle["x"] = "mine"; });
    refused([&] { db.flush(); });
    refused([&] { db.transaction([] {}); });
    refused([&] { static_cast<void>(db.snapshot()); });
    refused([&] { map.set("k", 1); });
    const Database own(path);
    right = right && own["a"]["x"].get<std::string>() == "cut";
    right = right && !message_of([&] { own["b"] = 1; }).empty();
    right = right && !message_of([&] { Database(path, lazily()); }).empty();
    db.close();
    map.close();
    return right;
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(handle["x"].get<std::string>(), "pending");
  db["b"] = 1;
  db.close();
  map.close();
  EXPECT_EQ(Database(path)["a"]["x"].get<std::string>(), "pending");
}

// --- Maps beside it

TEST_F(PersistTest, AWritethroughMapIsInTheFileWhenItReturns) {
  const Database db(path, lazily());
  db["a"] = "before";
  MapOptions reading;
  reading.read_only = true;
  const Map map(path);
  map.set("k", 1);
  EXPECT_EQ(Map(path, reading).at("k"), Data(1));
  EXPECT_EQ(in_file("a"), "before");  // and all that was committed before
  db["a"] = "after";
  map.update({{{"k", 2}, {"l", 3}}});
  EXPECT_EQ(Map(path, reading).at("l"), Data(3));
  EXPECT_TRUE(map.erase("k"));
  EXPECT_FALSE(Map(path, reading).contains("k"));
  db["a"] = "later";
  map.wait_durable();
  EXPECT_EQ(in_file("a"), "later");
  // Inside a transaction of the lazy graph it is a part of that.
  db.transaction([&] {
    map.set("k", 4);
    db["a"] = "transaction";
  });
  EXPECT_FALSE(Map(path, reading).contains("k"));
  map.flush();
  EXPECT_EQ(Map(path, reading).at("k"), Data(4));
  EXPECT_EQ(in_file("a"), "transaction");
}

TEST_F(PersistTest, ALazyMapsFlushReachesTheFile) {
  const Database db(path, lazily());
  MapOptions options;
  options.persist = Persist::kLazy;
  options.flush_interval = std::chrono::hours(1);
  MapOptions reading;
  reading.read_only = true;
  const Map map(path, options);
  map.set("k", 1);
  map.flush();
  EXPECT_EQ(Map(path, reading).at("k"), Data(1));
  map.set("k", 2);
  map.close();
  EXPECT_EQ(Map(path, reading).at("k"), Data(2));
  // The store is the map's too: it stays lazy until both are closed.
  const Map again(path, options);
  db.close();
  EXPECT_THROW(Database{path}, UsageError);
  again.set("k", 3);
  again.close();
  EXPECT_EQ(Map(path).at("k"), Data(3));
}

TEST_F(PersistTest, ALazyMapsOwnIntervalReachesTheFile) {
  const Database db(path, lazily());
  MapOptions options;
  options.persist = Persist::kLazy;
  options.flush_interval = milliseconds(5);
  MapOptions reading;
  reading.read_only = true;
  const Map map(path, options);
  map.flush();  // there is a map for the reader
  const Map reader(path, reading);
  map.set("k", 1);
  for (int i = 0; i < 2000 && !reader.contains("k"); ++i) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_TRUE(reader.contains("k"));
}

TEST_F(PersistTest, AMapThatIsOpenKeepsTheStoreAsItIs) {
  MapOptions options;
  for (const Persist persist : {Persist::kWritethrough, Persist::kLazy}) {
    options.persist = persist;
    const Map map(path, options);
    map.set("k", 1);
    const std::string refused = message_of([&] { const Database db(path, lazily()); });
    EXPECT_NE(refused.find("opened by a map"), std::string::npos) << refused;
  }
  const Map map(path);
  EXPECT_THROW(Database(path, lazily()), UsageError);
  map.close();
  EXPECT_NO_THROW(Database(path, lazily()));
}

// --- And the rest

TEST_F(PersistTest, ASnapshotIsOfItsMomentAcrossFlushes) {
  const Database db(path, lazily());
  db["list"] = Data::list({1, 2, 3});
  db.flush();
  db["list"].as_list().push_back(4);
  const Snapshot snapshot = db.snapshot();
  db["list"] = "gone";
  db.flush();
  db["list"] = "and again";
  db.flush();
  EXPECT_EQ(snapshot["list"].materialize(), Data::list({1, 2, 3, 4}));
}

TEST_F(PersistTest, AWatchIsWokenAndAnotherProcessSeesTheCut) {
  const Database db(path, lazily());
  db["n"] = 0;
  db.flush();
  Child child([&](const Reporter& reporter) {
    Options reading;
    reading.read_only = true;
    const Database other(path, reading);
    const Watch watch(other, "n");
    reporter.say("ready");
    return watch.next(std::chrono::minutes(1))->value->get<int>() == 3;
  });
  ASSERT_EQ(child.line(), "ready");
  const Watch watch(db, "n");
  std::thread writer([&] {
    for (int i = 1; i <= 3; ++i) db["n"] = i;
  });
  int last = 0;
  while (last < 3) last = watch.next(std::chrono::minutes(1))->value->get<int>();
  writer.join();
  db.flush();
  EXPECT_TRUE(child.succeeded());
}

TEST_F(PersistTest, HousekeepingAndCheckWorkOnWhatIsPending) {
  const Database db(path, lazily());
  db["a"] = {{"b", {1, 2, {{"c", "d"}}}}};
  EXPECT_TRUE(db.check().ok());
  EXPECT_EQ(db.check().nodes, 4U);
  db["a"].erase();
  db.collect();
  EXPECT_EQ(db.check().nodes, 1U);
  db["a"] = "x";
  db.maintenance();
  EXPECT_EQ(in_file("a"), "x");
  EXPECT_GT(db.size_on_disk(), 0U);
}

TEST_F(PersistTest, ACloseThatCannotFlushLeavesItOpen) {
  auto backend = lazy::over(
      sqlite::open(path, {.synchronous = sqlite::Synchronous::kFull, .vfs = faulty_vfs()}),
      {.flush_interval = std::chrono::hours(1)});
  const Database db(graph::make_live_scope(std::make_shared<graph::Session>(
      std::make_shared<store::Store>(std::move(backend)), Options{})));
  db["a"] = "1";
  FaultPlan plan;
  plan.at = 1;
  plan.code = SQLITE_FULL;
  plan.for_good = true;
  arm(plan);
  EXPECT_THROW(db.close(), UnavailableError);
  EXPECT_FALSE(db.closed());
  EXPECT_EQ(db["a"].get<std::string>(), "1");
  disarm();
  db["a"] = "2";
  db.close();
  EXPECT_TRUE(db.closed());
  EXPECT_EQ(in_file("a"), "2");
}

}  // namespace
}  // namespace graven::test
