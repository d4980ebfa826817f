// SPDX-License-Identifier: MIT
//
// repair(): what it does to particular damage, what it keeps its hands off, what it tells, and
// that damage at random is mended too. That each kind of damage check() knows is mended, the tests
// that plant them show (damage.hpp).
#include <algorithm>
#include <filesystem>
#include <map>

#include "integrity/damage.hpp"
#include "integrity/random_damage.hpp"

namespace graven::test {
namespace {

class Repair : public Damage {
 protected:
  static inline const RepairOptions kPlain{.dry_run = false, .backup = false, .progress = {}};

  RepairReport repaired() {
    RepairReport report = db.repair(kPlain);
    EXPECT_TRUE(report.left.empty()) << told(report);
    expect_clean(db);
    return report;
  }
  static bool tells(const std::vector<Repaired>& list, const std::string& what) {
    return std::any_of(list.begin(), list.end(), [&](const Repaired& one) {
      return one.what.find(what) != std::string::npos;
    });
  }
  std::string body_of(const Dict& dict) { return stored_node(db, dict).body; }
};
GRAVEN_ON_EVERY_STORE(Repair);

TEST_P(Repair, ASoundStoreIsNotTouched) {
  fill(db);
  const Records before = all_records(db);
  const RepairReport report = db.repair();
  EXPECT_TRUE(report.sound());
  EXPECT_EQ(report.backup, "");
  EXPECT_EQ(all_records(db), before);
}

TEST_P(Repair, OnlyWhatIsDamagedIsWritten) {
  fill(db);
  const Dict large = root["large dict"].as_dict();
  const NodeId id = id_of(large);
  plant(db,
        {erased({.space = Space::kSlot, .a = id, .b = graph::dict_content::slot_of(id, "key 7")})});
  EXPECT_FALSE(large.contains("key 7"));
  Records before = all_records(db);
  const RepairReport report = repaired();
  EXPECT_TRUE(report.lost.empty()) << told(report);
  EXPECT_TRUE(large.contains("key 7"));
  Records after = all_records(db);
  for (Records* records : {&before, &after}) {
    std::erase_if(*records, [&](const auto& one) {
      return one.first == port::clock_key() || one.first == graph::node_key(id) ||
             ((one.first.space == Space::kEntry || one.first.space == Space::kSlot) &&
              one.first.a == id);
    });
  }
  EXPECT_EQ(after, before);
}

TEST_P(Repair, OrderAndValuesOfADamagedDictStay) {
  const Dict dict = made("d");
  for (int i = 0; i < 200; ++i) dict.set("key " + std::to_string(199 - i), i);
  const NodeId id = id_of(dict);
  plant(db, {erased({.space = Space::kEntry, .a = id, .b = graph::dict_content::kHeaderPosition}),
             erased({.space = Space::kEntry, .a = id, .b = 50})});
  repaired();
  ASSERT_EQ(dict.size(), 199U);
  int i = 0;
  for (const auto& [key, value] : dict) {
    if (i == 50) ++i;
    EXPECT_EQ(key, "key " + std::to_string(199 - i));
    EXPECT_EQ(value.get<std::int64_t>(), i);
    ++i;
  }
}

TEST_P(Repair, ALinkThatLeadsNowhereIsNullAndTold) {
  const Dict dict = made("d", {{"a", 1}, {"gone", {{"x", 1}}}, {"z", 2}});
  const NodeId gone = id_of(dict["gone"].as_dict());
  plant(db, {erased(graph::node_key(gone))});
  const RepairReport report = repaired();
  EXPECT_TRUE(tells(report.lost, "which does not exist: it is null now")) << told(report);
  EXPECT_EQ(dict.size(), 3U);
  EXPECT_TRUE(dict.at("gone").is<std::nullptr_t>());
  EXPECT_EQ(dict["z"].get<std::int64_t>(), 2);
}

TEST_P(Repair, ALostBodyIsToldWithItsBytes) {
  const Dict dict = made("d");
  alter(dict, [](NodeRecord& node) { node.body = "\xff\xff what was there"; });
  const RepairReport report = repaired();
  ASSERT_EQ(report.lost.size(), 1U) << told(report);
  EXPECT_EQ(report.lost[0].bytes, "\xff\xff what was there");
  EXPECT_EQ(report.lost[0].node, dict.uid());
  EXPECT_EQ(dict.size(), 0U);
}

TEST_P(Repair, TextThatIsNoTextIsKeptAsBytes) {
  const List list = made_list("l", {"fine"});
  alter(list, [](NodeRecord& node) {
    node.body.clear();
    const std::size_t mark = jsonb::open(node.body);
    jsonb::put_header(node.body, jsonb::Type::kText, 2);
    node.body += "\xff!";
    jsonb::close(node.body, jsonb::Type::kArray, mark);
  });
  const RepairReport report = repaired();
  EXPECT_TRUE(report.lost.empty()) << told(report);
  EXPECT_EQ(list[0].get<Bytes>().data, "\xff!");
}

TEST_P(Repair, OfALargeListOnlyTheMissingPageIsLost) {
  Data items = Data::list();
  for (int i = 0; i < 1000; ++i) {
    items.container(std::get<Data::Index>(items.root())).items.emplace_back(std::int64_t{i});
  }
  const List list = made_list("l", items);
  const Records pages = records_of(*store_of(db).view(), Space::kPage);
  plant(db, {erased(std::next(pages.begin(), 2)->first)});
  const RepairReport report = repaired();
  EXPECT_TRUE(tells(report.lost, "which is missing")) << told(report);
  ASSERT_EQ(list.size(), 872U);
  EXPECT_EQ(list[255].get<std::int64_t>(), 255);
  EXPECT_EQ(list[256].get<std::int64_t>(), 384);
  EXPECT_EQ(list[871].get<std::int64_t>(), 999);
}

TEST_P(Repair, AListWhoseHeaderIsLostIsMadeOfItsPages) {
  const List list = made_list("l", Data::list());
  for (int i = 0; i < 1000; ++i) list.push_back(i);
  alter(list, [](NodeRecord& node) { node.body = "\xff"; });
  repaired();
  ASSERT_GE(list.size(), 128U * 6);
  for (std::size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(list[i].get<std::int64_t>(), static_cast<std::int64_t>(i));
  }
}

TEST_P(Repair, WhatHandlesHoldStays) {
  const Dict held = db.new_dict({{"child", {{"x", 1}}}});
  const Dict dict = made("d");
  alter(dict, [](NodeRecord& node) { node.links = 7; });
  EXPECT_TRUE(repaired().lost.empty());
  EXPECT_EQ(held["child"]["x"].get<std::int64_t>(), 1);
}

TEST_P(Repair, ARootThatNoPrefixNamesGetsOne) {
  Database other = db.with_prefix("other");
  other.root().set("deep", {{"x", 5}});
  const Key key{.space = Space::kPrefix, .name = "other"};
  const std::int64_t number = store_of(db).load(key)->integers[0];
  plant(db, {erased(key)});
  const RepairReport report = repaired();
  EXPECT_TRUE(report.lost.empty()) << told(report);
  Database again = db.with_prefix("recovered-" + std::to_string(number));
  EXPECT_EQ(again.root()["deep"]["x"].get<std::int64_t>(), 5);
}

TEST_P(Repair, WhatNothingReachesIsCollectedAndTold) {
  const Dict dict = made("d", {{"leaked", {{"x", 1}}}});
  const std::string leaked = dict["leaked"].as_dict().uid();
  alter(dict, [](NodeRecord& node) {
    node.body.clear();
    jsonb::put_header(node.body, jsonb::Type::kObject, 0);
  });
  const RepairReport report = repaired();
  ASSERT_EQ(report.lost.size(), 1U) << told(report);
  EXPECT_EQ(report.lost[0].node, leaked);
  EXPECT_FALSE(report.lost[0].bytes.empty());
}

TEST_P(Repair, TheFileIsCopiedFirst) {
  if (!in_file()) GTEST_SKIP() << "there is no file";
  const Dict dict = made("d");
  for (const char* name : {"test.db.before-repair", "test.db.before-repair.1"}) {
    alter(dict, [](NodeRecord& node) { node.links = 7; });
    const std::string copy = db.repair().backup;
    EXPECT_EQ(copy, folder_ / name);
    EXPECT_EQ(std::filesystem::status(copy).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const Database damaged(copy, Options{.read_only = true});
    EXPECT_EQ(damaged.check().problems.size(), 1U);
  }
}

TEST_P(Repair, ItRefusesInsideATransactionAndReadOnly) {
  db.transaction([&] { EXPECT_THROW(static_cast<void>(db.repair()), UsageError); });
  if (!in_file()) return;
  db.flush();
  const Database reading(url(), Options{.read_only = true});
  EXPECT_THROW(static_cast<void>(reading.repair()), UsageError);
}

TEST_P(Repair, WhatTheProgressThrowsEndsItAndNothingIsChanged) {
  fill(db);
  const Dict dict = made("d");
  alter(dict, [](NodeRecord& node) { node.links = 7; });
  const Records before = all_records(db);
  int calls = 0;
  EXPECT_THROW(static_cast<void>(db.repair({.dry_run = false,
                                            .backup = false,
                                            .progress =
                                                [&](auto, auto) {
                                                  if (++calls > 1) throw std::out_of_range("stop");
                                                }})),
               std::out_of_range);
  EXPECT_EQ(all_records(db), before);
}

TEST_P(Repair, WhateverIsDamagedIsMended) {
  fill(db);
  const Records sound = all_records(db);
  std::vector<Key> keys;
  for (const auto& [key, record] : sound) keys.push_back(key);
  Random random;
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    plant(db, random_damage(random, sound, keys).damage);
    const CheckReport found = db.check();
    const RepairReport report = db.repair(kPlain);
    EXPECT_EQ(report.sound(), found.ok());
    ASSERT_TRUE(report.left.empty()) << "round " << round << "\n" << told(report);
    ASSERT_TRUE(db.check().ok()) << "round " << round << "\n" << told(report);
    // Back to the sound store, record by record.
    std::vector<Change> undo;
    for (const auto& [key, record] : all_records(db)) {
      if (!sound.contains(key)) undo.push_back(erased(key));
    }
    for (const auto& [key, record] : sound) undo.push_back({key, record});
    plant(db, undo);
  }
  expect_clean(db);
}

}  // namespace
}  // namespace graven::test
