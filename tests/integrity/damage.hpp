// SPDX-License-Identifier: MIT
//
// For the tests that plant damage: a database that was sound before, and the assertion that
// check() reports exactly what is expected, no more. Whatever a test has planted is repaired at
// its end: a dry run changes nothing and promises what the repair then does, check() is clean
// after it, and what was not damaged is as it was.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "graph/graph_under_test.hpp"
#include "graph/node/dict_content.hpp"

namespace graven::test {

class Damage : public OnEveryStore {
 protected:
  /// A problem: of which node (empty: of none), and a part of what is said.
  struct Expected {
    std::string node;
    std::string what;
  };

  /// To be called before the damage: what follows is due to it alone.
  void SetUp() override {
    root.set("sound", {{"a", 1}, {"b", {1, 2}}});
    const Dict sound = root["sound"].as_dict();
    for (const NodeId id : {id_of(sound), id_of(sound["b"].as_list())}) {
      sound_.push_back(stored_node(db, id));
    }
  }

  void TearDown() override {
    if (HasFatalFailure() || db.check().ok()) return;
    const Records before = all_records(db);
    const RepairReport promised = db.repair({.dry_run = true});
    EXPECT_EQ(all_records(db), before) << "a dry run changed something";
    EXPECT_TRUE(promised.dry_run);
    EXPECT_TRUE(promised.backup.empty());
    const RepairReport report = db.repair({.backup = false});
    SCOPED_TRACE(told(report));
    EXPECT_FALSE(report.mended.empty());
    EXPECT_TRUE(report.left.empty());
    EXPECT_EQ(told(promised), told(report));
    expect_clean(db);
    EXPECT_TRUE(db.repair({.backup = false}).sound());
    for (const NodeRecord& was : sound_) {
      if (!sound_survives_) break;
      const NodeRecord now = stored_node(db, was.id);
      EXPECT_EQ(now.body, was.body);
      EXPECT_EQ(now.layout, was.layout);
      EXPECT_EQ(now.anchor, was.anchor);
    }
  }

  static std::string told(const RepairReport& report) {
    std::string text;
    const auto add = [&text](const char* what, const std::vector<Repaired>& list) {
      for (const Repaired& one : list) {
        text += std::string(what) + " " + one.node + ": " + one.what + "\n";
      }
    };
    add("mended", report.mended);
    add("lost", report.lost);
    add("left", report.left);
    return text;
  }

  void expect(const std::vector<Expected>& expected) {
    const CheckReport report = db.check();
    EXPECT_EQ(report.problems.size(), expected.size()) << problems_of(report);
    for (const Expected& one : expected) {
      const bool found =
          std::any_of(report.problems.begin(), report.problems.end(), [&](const Problem& problem) {
            return problem.node == one.node && problem.what.find(one.what) != std::string::npos;
          });
      EXPECT_TRUE(found) << one.node << ": " << one.what << "\nis not among\n"
                         << problems_of(report);
    }
  }
  void expect(const Node& node, const std::string& what) { expect({{node.uid(), what}}); }
  void expect_of_store(const std::string& what) { expect({{"", what}}); }

  /// A dict made under a key of the root.
  Dict made(const std::string& key, const Data& entries = Data::dict()) {
    root.set(key, entries);
    return root[key].as_dict();
  }
  List made_list(const std::string& key, const Data& items) {
    root.set(key, items);
    return root[key].as_list();
  }

  /// Writes a node's record after `change` had a hand in it.
  template <class F>
  void alter(const Node& node, F&& change) {
    expect_clean(db);
    NodeRecord record = stored_node(db, node);
    change(record);
    plant(db, {saved(record)});
  }
  template <class F>
  void alter(const Key& key, F&& change) {
    expect_clean(db);
    std::optional<Record> record = store_of(db).load(key);
    ASSERT_TRUE(record);
    change(*record);
    plant(db, {{key, std::move(record)}});
  }
  void change(const std::vector<Change>& changes) {
    expect_clean(db);
    plant(db, changes);
  }

  static constexpr NodeId kAbsent = 4242;
  /// How a message names a node that is not there.
  [[nodiscard]] std::string absent(NodeKind kind = NodeKind::kDict, NodeId id = kAbsent) const {
    return graph::uid_of("?", session_of(db).store_constant(), id, kind);
  }

  Dict root = db.root();
  bool sound_survives_ = true;

 private:
  std::vector<NodeRecord> sound_;
};

}  // namespace graven::test
