// SPDX-License-Identifier: MIT
//
// Bulk imports and batch_insert, through the public API: phases that are committed, rolled back and
// aborted, what the store is set to meanwhile and afterwards, readers beside; and that rows put
// together are what they would be put one by one.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

class Import : public testing::Test {
 protected:
  [[nodiscard]] Database open() const { return Database(path); }
  [[nodiscard]] std::uintmax_t wal_size() const {
    std::error_code none;
    const auto size = std::filesystem::file_size(path + "-wal", none);
    return none ? 0 : size;
  }
  static Data rows(int from, int count) {
    Data all = Data::dict();
    const auto root = std::get<Data::Index>(all.root());
    for (int i = from; i < from + count; ++i) {
      const auto row = all.adopt(Data::dict({{"number", i}, {"text", std::string(100, 'x')}}));
      all.container(root).keys.push_back("row " + std::to_string(i));
      all.container(root).items.push_back(row);
    }
    return all;
  }

  const TemporaryFolder folder;
  const std::string path = folder / "i.db";
};

TEST_F(Import, PhasesAreCommittedOneByOneAndTheWalIsEmptyAtTheEnd) {
  const Database db = open();
  db["rows"] = Data::dict();
  std::vector<std::string> reports;
  BulkImport bulk(db, {.cache_mb = 16, .progress = [&](auto phase, auto done, auto total) {
                         reports.push_back(std::string(phase) + " " + std::to_string(done) + "/" +
                                           std::to_string(total));
                       }});
  bulk.phase("first", [&] {
    for (int i = 0; i < 5000; i += 500) {
      ASSERT_TRUE(bulk.advance(static_cast<std::uint64_t>(i), 5000));
      db["rows"].as_dict().update(rows(i, 500));
      if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(60));
    }
    ASSERT_TRUE(bulk.advance(5000, 5000));
  });
  EXPECT_EQ(Database(path).root().at("rows").as_dict().size(), 5000U);
  bulk.phase("second", [&] { db["more"] = 1; });
  EXPECT_GT(wal_size(), 0U);
  EXPECT_TRUE(bulk.finish());
  EXPECT_TRUE(bulk.finish());
  EXPECT_EQ(wal_size(), 0U);
  ASSERT_FALSE(reports.empty());
  EXPECT_EQ(reports.back(), "first 5000/5000");
  const auto phases = bulk.phases();
  ASSERT_EQ(phases.size(), 2U);
  EXPECT_EQ(phases[0].name, "first");
  EXPECT_TRUE(phases[0].committed);
  EXPECT_EQ(phases[0].done, 5000U);
  EXPECT_TRUE(db.check().ok());
}

TEST_F(Import, WhatThrowsIsRolledBackAndTheRestStays) {
  const Database db = open();
  {
    const BulkImport bulk(db);
    bulk.phase("good", [&] { db["good"] = 1; });
    EXPECT_THROW(bulk.phase("bad",
                            [&] {
                              db["bad"] = 1;
                              throw std::runtime_error("no");
                            }),
                 std::runtime_error);
    EXPECT_FALSE(db["bad"].exists());
    EXPECT_FALSE(bulk.phases().back().committed);
    bulk.phase("again", [&] { db["again"] = 1; });
    bulk.begin_phase("left open");
    db["open"] = 1;
  }
  EXPECT_EQ(db.root().keys(), (std::vector<std::string>{"good", "again"}));
  EXPECT_EQ(wal_size(), 0U);
}

TEST_F(Import, AnAbortKeepsWhatIsWholeAndRefusesFurtherPhases) {
  const Database db = open();
  db["rows"] = Data::list();
  const BulkImport bulk(db);
  std::atomic<bool> third{false};
  std::thread elsewhere([&] {
    while (!third) std::this_thread::yield();
    bulk.abort();
  });
  bulk.phase("rows", [&] {
    const List list = db["rows"].as_list();
    for (std::uint64_t i = 0; bulk.advance(i); ++i) {
      list.push_back(static_cast<std::int64_t>(i));
      third = i >= 2;
    }
  });
  elsewhere.join();
  EXPECT_TRUE(bulk.aborted());
  EXPECT_TRUE(bulk.phases().at(0).committed);
  EXPECT_GE(db["rows"].as_list().size(), 3U);
  bool called = false;
  EXPECT_THROW(bulk.phase("next", [&] { called = true; }), AbortedError);
  EXPECT_FALSE(called);
  EXPECT_TRUE(bulk.finish());
}

TEST_F(Import, ReadersAreNotKeptWaitingAndSeeWholePhases) {
  const Database db = open();
  db["rows"] = Data::dict();
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::thread reader([&] {
    const Database own = open();
    while (!stop) {
      const std::size_t size = own["rows"].as_dict().size();
      ASSERT_TRUE(size == 0 || size == 4000) << size;
      ++reads;
    }
  });
  {
    const BulkImport bulk(db, {.cache_mb = 1});
    bulk.phase("rows", [&] {
      for (int i = 0; i < 4000; i += 1000) db.batch_insert(db["rows"].as_dict(), rows(i, 1000));
      const int before = reads;
      while (reads == before) std::this_thread::yield();  // while the phase is open
    });
  }
  stop = true;
  reader.join();
  EXPECT_EQ(db["rows"].as_dict().size(), 4000U);
}

TEST_F(Import, OneAtATimeAndNeitherReadOnlyNorInATransaction) {
  const Database db = open();
  db["a"] = 1;
  {
    const BulkImport bulk(db);
    EXPECT_THROW(BulkImport(open(), {}), UsageError);
    EXPECT_THROW((void)bulk.advance(1), UsageError);
    bulk.begin_phase("one");
    EXPECT_THROW(bulk.begin_phase("two"), UsageError);
    bulk.end_phase(true);
    EXPECT_THROW(bulk.end_phase(true), UsageError);
  }
  const BulkImport next(db);
  EXPECT_THROW(BulkImport(Database(path, {.read_only = true}), {}), UsageError);
  EXPECT_THROW(BulkImport(db, {.cache_mb = 0}), UsageError);
  EXPECT_TRUE(next.finish());
  EXPECT_THROW(next.phase("late", [] {}), UsageError);
  db.transaction([&] { EXPECT_THROW(BulkImport(db, {}), UsageError); });
}

TEST_F(Import, TheSettingsAreBackAfterwards) {
  const Database db(path, {.wal_autocheckpoint = 20});
  db["rows"] = Data::list();
  const List list = db["rows"].as_list();
  const auto write = [&] {
    for (int i = 0; i < 300; ++i) list.push_back(std::string(900, 'x'));
  };
  write();
  EXPECT_LT(wal_size(), 400'000U);  // checkpoints keep it small
  {
    const BulkImport bulk(db);
    write();
    EXPECT_GT(wal_size(), 400'000U);
  }
  EXPECT_EQ(wal_size(), 0U);
  write();
  EXPECT_LT(wal_size(), 400'000U);
}

TEST_F(Import, TheSettingsAreBackAlsoWhereTheWriterIsNotToBeHad) {
  const Database db(path, {.busy_timeout = std::chrono::milliseconds(200)});
  {
    const BulkImport bulk(db);
    std::atomic<bool> holding{false};
    std::atomic<bool> end{false};
    std::thread other([&] {
      db.transaction([&] {
        holding = true;
        while (!end) std::this_thread::yield();
      });
    });
    while (!holding) std::this_thread::yield();
    EXPECT_FALSE(bulk.finish());
    end = true;
    other.join();
  }
  EXPECT_TRUE(BulkImport(db, {}).finish());
}

TEST_F(Import, AReaderOfAnOlderStateDoesNotHoldUpTheEnd) {
  const Database db = open();
  db["x"] = 1;
  const Snapshot snapshot = db.snapshot();
  EXPECT_EQ(snapshot["x"].get<int>(), 1);
  const BulkImport bulk(db);
  db["y"] = 1;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(bulk.finish());  // the default of busy_timeout is 30 s
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

TEST_F(Import, TheSettingsAreBackAlsoWhereTheDatabaseWasClosed) {
  const Database db = open();
  const Database other = open();
  {
    const BulkImport bulk(db);
    bulk.begin_phase("open");
    db["lost"] = 1;
    db.close();
  }
  EXPECT_FALSE(other["lost"].exists());
  EXPECT_TRUE(BulkImport(other, {}).finish());
}

TEST_F(Import, InAnyPersistMode) {
  for (const Persist persist : {Persist::kLazy, Persist::kMemory}) {
    Options options;
    options.persist = persist;
    const Database db(folder / "other.db", options);
    const BulkImport bulk(db);
    bulk.phase("rows", [&] { db["rows"] = rows(0, 2000); });
    EXPECT_TRUE(bulk.finish());
    EXPECT_EQ(db["rows"].as_dict().size(), 2000U);
    EXPECT_TRUE(db.check().ok());
    db.close();
  }
}

// --- batch_insert

TEST_F(Import, ABatchIsAllOrNothing) {
  const Database db = open();
  db["rows"] = Data::dict();
  Data bad = rows(0, 100);
  const auto root = std::get<Data::Index>(bad.root());
  bad.container(root).keys.push_back("last");
  bad.container(root).items.push_back(std::string("\xff"));
  EXPECT_THROW(db.batch_insert(db["rows"].as_dict(), bad), BadValueError);
  EXPECT_EQ(db["rows"].as_dict().size(), 0U);
}

/// In each phase one batch fails late and is caught, with what it had written already; and in turn
/// each phase fails as a whole.
TEST_F(Import, WhatFailsInAnyPhaseLeavesTheOthersWhole) {
  for (int failing = 0; failing < 4; ++failing) {
    const Database db(folder / (std::to_string(failing) + ".db"));
    db["rows"] = Data::dict();
    db["tag"] = {{"name", "tag"}};
    std::optional<Dict> gone;
    EXPECT_THROW(db.transaction([&] {
      gone = db.new_dict();
      throw std::runtime_error("no");
    }),
                 std::runtime_error);
    const BulkImport bulk(db, {.cache_mb = 1});
    const auto linked = [&](int from, int count, const Dict& to) {
      Data all = rows(from, count);
      const Data::Container list = all.container(std::get<Data::Index>(all.root()));
      for (const Data::Item& row : list.items) {
        all.container(std::get<Data::Index>(row)).keys.emplace_back("to");
        all.container(std::get<Data::Index>(row)).items.emplace_back(to);
      }
      return all;
    };
    std::size_t expected = 0;
    for (int phase = 0; phase < 3; ++phase) {
      const auto run = [&] {
        const Dict all = db["rows"].as_dict();
        db.batch_insert(all, linked(phase * 1000, 300, db["tag"].as_dict()));
        EXPECT_THROW(db.batch_insert(all, linked(phase * 1000 + 300, 300, *gone)), CollectedError);
        EXPECT_EQ(all.size(), expected + 300);
        db.batch_insert(all, linked(phase * 1000 + 200, 200, db["tag"].as_dict()));
        if (phase == failing) throw std::runtime_error("no");
      };
      if (phase == failing) {
        EXPECT_THROW(bulk.phase("fails", run), std::runtime_error);
      } else {
        bulk.phase("goes on", run);
        expected += 400;
      }
      EXPECT_EQ(db["rows"].as_dict().size(), expected);
      EXPECT_EQ(db["tag"].as_dict().refcount(), expected + 1);
    }
    EXPECT_TRUE(bulk.finish());
    db.collect();
    const CheckReport report = db.check();
    EXPECT_TRUE(report.ok()) << report.problems.front().what;
    EXPECT_EQ(report.nodes, expected + 3);
  }
}

TEST_F(Import, ABatchReturnsHandlesInOrder) {
  const Database db = open();
  db["dict"] = {{"row 3", 1}};
  db["list"] = Data::list({7});
  const auto made = db.batch_insert(db["dict"].as_dict(), rows(0, 3000));
  ASSERT_EQ(made.size(), 3000U);
  EXPECT_EQ(made[1500].as_dict().at("number").get<int>(), 1500);
  EXPECT_EQ(db["dict"].as_dict().keys().at(0), "row 3");  // it keeps its place
  EXPECT_EQ(db["dict"].as_dict().keys().at(1), "row 0");
  Data items = Data::list();
  const auto index = std::get<Data::Index>(items.root());
  for (int i = 0; i < 2000; ++i) {
    const auto item = items.adopt(Data::list({i}));
    items.container(index).items.push_back(item);
  }
  const auto added = db.batch_insert(db["list"].as_list(), items);
  ASSERT_EQ(added.size(), 2000U);
  EXPECT_EQ(added[1999].as_list().at(0).get<int>(), 1999);
  EXPECT_EQ(db["list"].as_list().size(), 2001U);
  EXPECT_TRUE(db.batch_insert(db["list"].as_list(), Data::list()).empty());
  EXPECT_TRUE(db.check().ok());
}

/// One phase of random batches, single writes, removals and failures against a plain map; what
/// waits to be written is seen, found, taken away, and dropped with what it belongs to.
TEST_F(Import, WhatWaitsIsSeen) {
  Random random;
  const Database db = open();
  db["rows"] = Data::dict();
  const Dict all = db["rows"].as_dict();
  std::map<std::string, std::int64_t> model;
  const auto some_key = [&] { return "k" + std::to_string(random.below(3000)); };
  const auto some_number = [&] { return static_cast<std::int64_t>(random.below(1000)); };
  const auto fill = [&](std::map<std::string, std::int64_t>& filled) {
    Data batch = Data::dict();
    const auto root = std::get<Data::Index>(batch.root());
    std::set<std::string> keys;
    for (std::size_t n = random.below(300); n > 0; --n) keys.insert(some_key());
    for (const std::string& key : keys) {
      const std::int64_t number = some_number();
      filled[key] = number;
      const auto row = batch.adopt(Data::dict({{"n", number}}));
      batch.container(root).keys.push_back(key);
      batch.container(root).items.push_back(row);
    }
    db.batch_insert(all, batch);
  };
  const auto change_some = [&](std::map<std::string, std::int64_t>& changed) {
    for (std::size_t n = random.below(400); n > 0; --n) {
      const auto at = changed.lower_bound(some_key());
      if (at == changed.end()) continue;
      all[at->first]["n"] = at->second = some_number();
    }
  };
  const auto fail = [&](const auto& change) {
    auto tried = model;
    EXPECT_THROW(db.transaction([&] {
      change(tried);
      throw std::runtime_error("no");
    }),
                 std::runtime_error);
  };
  for (int phase = 0; phase < 6; ++phase) {
    const BulkImport bulk(db, {.cache_mb = phase % 2 == 0 ? std::size_t{1} : std::size_t{16}});
    bulk.phase("rows", [&] {
      for (int step = 0; step < 60; ++step) {
        const std::string key = some_key();
        switch (random.below(9)) {
          case 6:
            change_some(model);
            break;
          case 7:
            fail(change_some);
            break;
          case 8: {
            std::size_t count = 0;
            for (const auto& [name, row] : all) {
              ASSERT_EQ(row.as_dict().at("n"), Value(model.at(name)));
              ++count;
            }
            ASSERT_EQ(count, model.size());
            break;
          }
          case 0:
            all[key] = {{"n", model[key] = some_number()}};
            break;
          case 1:
            ASSERT_EQ(all.erase(key), model.erase(key) == 1);
            break;
          case 2:
            fail(fill);
            break;
          default:
            fill(model);
        }
        ASSERT_EQ(all.size(), model.size());
        const std::string other = some_key();
        ASSERT_EQ(all.contains(other), model.contains(other));
        if (model.contains(other)) {
          ASSERT_EQ(all[other]["n"].value(), Value(model[other]));
        }
      }
    });
    bulk.finish();
    std::map<std::string, std::int64_t> found;
    for (const auto& [key, row] : all) found[key] = row.as_dict().at("n").get<std::int64_t>();
    ASSERT_EQ(found, model);
    for (const auto& [key, number] : model) ASSERT_TRUE(all.contains(key));
    ASSERT_TRUE(db.check().ok());
  }
}

/// Random batches, with keys that are there, shared values and links to what is there, put together
/// into one store and one by one into another.
TEST_F(Import, ABatchIsWhatItsRowsAreOneByOne) {
  Random random;
  const Database together = open();
  const Database apart(folder / "apart.db");
  for (const Database& db : {together, apart}) {
    db["rows"] = Data::dict();
    db["tags"] = Data::dict();
    for (int i = 0; i < 20; ++i) db["tags"][std::to_string(i)] = {{"tag", i}};
  }
  for (int round = 0; round < 12; ++round) {
    const std::size_t count = random.one_in(2) ? random.below(40) : 1000 + random.below(1500);
    struct Row {
      std::string key;
      int number;
      std::vector<std::string> tags;
    };
    std::vector<Row> plan;
    std::set<std::string> keys;
    while (keys.size() < count) {
      Row row{std::to_string(random.below(6000)), static_cast<int>(random.below(1000)), {}};
      if (!keys.insert(row.key).second) continue;
      for (std::size_t t = random.below(4); t > 0; --t) {
        row.tags.push_back(std::to_string(random.below(20)));
      }
      plan.push_back(std::move(row));
    }
    const auto data_of = [](const Database& db, const Row& row) {
      Data data = Data::dict({{"number", row.number}});
      const Data::Index list = data.add(NodeKind::kList);
      for (const std::string& tag : row.tags) {
        data.container(list).items.push_back(Data::Item(db["tags"][tag].as_dict()));
      }
      const auto root = std::get<Data::Index>(data.root());
      data.container(root).keys.push_back("tags");
      data.container(root).items.push_back(list);
      return data;
    };
    Data batch = Data::dict();
    const auto root = std::get<Data::Index>(batch.root());
    for (const Row& row : plan) {
      const auto item = batch.adopt(data_of(together, row));
      batch.container(root).keys.push_back(row.key);
      batch.container(root).items.push_back(item);
      apart["rows"][row.key] = data_of(apart, row);
    }
    const bool failing = random.one_in(4);
    try {
      together.transaction([&] {
        together.batch_insert(together["rows"].as_dict(), batch);
        if (failing) throw std::runtime_error("no");
      });
    } catch (const std::runtime_error&) {
      together.batch_insert(together["rows"].as_dict(), batch);  // as if it had not been
    }
    ASSERT_EQ(together["rows"].as_dict().keys(), apart["rows"].as_dict().keys());
    ASSERT_EQ(together.root().materialize(), apart.root().materialize());
    const CheckReport report = together.check();
    ASSERT_TRUE(report.ok()) << report.problems.at(0).what;
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(together["tags"][std::to_string(i)].as_dict().refcount(),
                apart["tags"][std::to_string(i)].as_dict().refcount());
    }
  }
}

}  // namespace
}  // namespace graven::test
