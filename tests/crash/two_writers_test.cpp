// SPDX-License-Identifier: MIT
//
// Two processes write to one store at once: no increment, append, transacted increment or
// linked node is lost, neither is starved, and the store checks clean.
//
// GRAVEN_ROUNDS sets how many of each (20,000).
#include <graven/graven.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven {
namespace {

using test::Child;
using test::TemporaryFolder;

std::int64_t rounds() {
  const char* text = std::getenv("GRAVEN_ROUNDS");
  return text != nullptr ? std::strtoll(text, nullptr, 10) : 20'000;
}

/// Runs `work` in two processes at once on a store that `prepare` has made ready.
template <class Prepare, class Work, class Verify>
void in_two_processes(Prepare prepare, Work work, Verify verify) {
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  {
    const Database db(path);
    prepare(db);
    db.close();
  }
  const auto body = [&](int who) {
    const Database db(path);
    work(db, who);
    db.close();
    return true;
  };
  Child first([&] { return body(0); });
  Child second([&] { return body(1); });
  EXPECT_TRUE(first.succeeded());
  EXPECT_TRUE(second.succeeded());
  const Database db(path);
  verify(db);
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << report.problems.front().what;
}

TEST(TwoWriters, LoseNoIncrement) {
  in_two_processes([](const Database&) {},
                   [](const Database& db, int) {
                     for (std::int64_t i = 0; i < rounds(); ++i) db.incr("c");
                   },
                   [](const Database& db) { EXPECT_EQ(db.count("c"), 2 * rounds()); });
}

TEST(TwoWriters, LoseNoAppend) {
  in_two_processes([](const Database& db) { db["list"] = Data::list(); },
                   [](const Database& db, int who) {
                     const List list = db["list"].as_list();
                     for (std::int64_t i = 0; i < rounds(); ++i) list.push_back(i * 2 + who);
                   },
                   [](const Database& db) {
                     // Each process's own items are there in its order.
                     std::int64_t next[2] = {0, 0};
                     for (const Value& value : db["list"].as_list()) {
                       const auto item = value.get<std::int64_t>();
                       EXPECT_EQ(item / 2, next[item % 2]++);
                     }
                     EXPECT_EQ(next[0], rounds());
                     EXPECT_EQ(next[1], rounds());
                   });
}

TEST(TwoWriters, LoseNoTransactedIncrement) {
  in_two_processes(
      [](const Database& db) {
        db["n"] = {{"value", 0}};
      },
      [](const Database& db, int) {
        const Transactor t = db.transactor();
        for (std::int64_t i = 0; i < rounds(); ++i) {
          t.transact([&] {
            const auto now = t["n"]["value"].get<std::int64_t>();
            t.multi();
            t["n"]["value"] = now + 1;
          });
        }
      },
      [](const Database& db) { EXPECT_EQ(db["n"]["value"].get<std::int64_t>(), 2 * rounds()); });
}

TEST(TwoWriters, LinkAndUnlinkOneNodeWithoutLosingIt) {
  in_two_processes(
      [](const Database& db) {
        db["shared"] = {{"value", 7}, {"child", {{"value", 8}}}};
        db["0"] = Data::dict();
        db["1"] = Data::dict();
      },
      [](const Database& db, int who) {
        const Dict shared = db["shared"].as_dict();
        const Dict own = db[std::to_string(who)].as_dict();
        for (std::int64_t i = 0; i < rounds() / 10; ++i) {
          own.set("link", shared);
          own.set("again", {shared, own});
          own.erase("link");
          own.erase("again");
        }
      },
      [](const Database& db) {
        const Dict shared = db["shared"].as_dict();
        EXPECT_EQ(shared.refcount(), 1U);
        EXPECT_EQ(shared["child"]["value"].get<int>(), 8);
        EXPECT_EQ(db.check().nodes, 5U);
      });
}

TEST(TwoWriters, TakeTurns) {
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  { const Database db(path); }
  // Both write for a time that is long beside those for which the system lets a process wait; the
  // other must have made a fair part meanwhile.
  const auto body = [&](int who) {
    const Database db(path);
    const std::string mine = "c" + std::to_string(who);
    const std::string other = "c" + std::to_string(1 - who);
    while (db.count(other) == 0) db.incr(mine);
    const std::int64_t start = db.count(mine);
    const std::int64_t other_start = db.count(other);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (std::chrono::steady_clock::now() < end) db.incr(mine);
    db["share" + std::to_string(who)] = static_cast<double>(db.count(other) - other_start) /
                                        static_cast<double>(db.count(mine) - start);
    // Go on until the other is through, so that it has company to the end.
    while (!db["share" + std::to_string(1 - who)].exists()) db.incr(mine);
    return true;
  };
  Child first([&] { return body(0); });
  Child second([&] { return body(1); });
  ASSERT_TRUE(first.succeeded());
  ASSERT_TRUE(second.succeeded());
  const Database db(path);
  EXPECT_GT(db["share0"].get<double>(), 0.05);
  EXPECT_GT(db["share1"].get<double>(), 0.05);
}

}  // namespace
}  // namespace graven
