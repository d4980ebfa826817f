// SPDX-License-Identifier: MIT
//
// check() on sound stores: nothing to report, right counts, nothing written, also while others
// write and in the middle of reclaiming; and how it goes on when the store itself is damaged.
// check_graph_test.cpp and check_contents_test.cpp plant each kind of damage.
#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>

#include "backends/lazy/backend.hpp"
#include "base/random.hpp"
#include "integrity/random_damage.hpp"
#include "port/passing_backend.hpp"

namespace graven::test {
namespace {

class Check : public OnEveryStore {};
GRAVEN_ON_EVERY_STORE(Check);

TEST_P(Check, ASoundStoreHasNoProblems) {
  fill(db);
  Database other = db.with_prefix("other");
  fill(other);
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.nodes, 2 * 11U);
  EXPECT_EQ(report.links, 2 * (6 + 3 + 3 + 1 + 1 + 2 + 2U));
  EXPECT_EQ(report.held, 0U);
  EXPECT_EQ(report.reclaiming, 0U);
}

TEST_P(Check, ANewStoreHasNoProblems) {
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.nodes, 1U);
  EXPECT_EQ(report.links, 0U);
}

TEST_P(Check, NothingIsWrittenAndProgressIsTold) {
  fill(db);
  const Records before = all_records(db);
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  const CheckReport report = db.check([&](std::uint64_t done, std::uint64_t of) {
    EXPECT_GE(done, last);
    last = done;
    total = of;
  });
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(all_records(db), before);
  EXPECT_GE(last, before.size() - 1);
  EXPECT_EQ(total, last);
}

TEST_P(Check, WhatTheProgressCallbackThrowsPassesThrough) {
  fill(db);
  EXPECT_THROW(static_cast<void>(db.check([](auto, auto) { throw std::out_of_range("enough"); })),
               std::out_of_range);
  expect_clean(db);
}

TEST_P(Check, NodesThatHandlesHoldAreCounted) {
  const Dict held = db.new_dict({{"child", {{"x", 1}}}});
  db.root().set("linked", held["child"]);
  const Dict other = db.new_dict();
  held.set("other", other);
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 2U);  // held and other; the child has a path from the root
  EXPECT_EQ(report.reclaiming, 0U);
}

TEST_P(Check, WhatADeadProcessHeldIsBeingReclaimed) {
  const Dict held = db.new_dict({{"child", {{"x", 1}}}});
  NodeRecord node = stored_node(db, held);
  const std::int64_t dead = 77;
  const Key before = graph::orphan_key(-node.anchor, node.id);
  node.anchor = -dead;
  plant(db, {erased(before), {graph::orphan_key(dead, node.id), Record{}}, saved(node)});
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 0U);
  EXPECT_EQ(report.reclaiming, 2U);
}

/// Makes a node of the graph doomed, as an unlink of a very large piece does.
void doom(const Database& db, const Dict& parent, const std::string& key, const Dict& node) {
  NodeRecord top = stored_node(db, node);
  top.anchor = graph::kNobody;
  top.links = 0;
  NodeRecord above = stored_node(db, parent);
  ASSERT_EQ(parent.size(), 1U) << key;
  above.body.clear();
  jsonb::put_header(above.body, jsonb::Type::kObject, 0);
  plant(db, {saved(top), saved(above), {graph::orphan_key(graph::kNobody, top.id), Record{}}});
}

TEST_P(Check, WhatHangsOnTheDoomedIsBeingReclaimed) {
  const Dict root = db.root();
  root.set("top", {{"a", {{"b", {{"x", 1}}}}}});
  const Dict top = root["top"].as_dict();
  ASSERT_NO_FATAL_FAILURE(doom(db, root, "top", top));
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.reclaiming, 3U);
  EXPECT_EQ(report.held, 0U);
}

TEST_P(Check, WhatHangsOnTheDoomedButIsReachedOtherwiseIsNot) {
  const Dict root = db.root();
  const Dict place = db.new_dict();
  root.set("place", place);
  place.set("top", {{"a", {{"b", {{"x", 1}}}}}});
  const Dict top = place["top"].as_dict();
  root.set("b", top["a"]["b"]);
  ASSERT_NO_FATAL_FAILURE(doom(db, place, "top", top));
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.reclaiming, 2U);  // top and a
}

TEST_P(Check, LinksOfWhatIsBeingReclaimedMayLeadNowhere) {
  const Dict root = db.root();
  root.set("top", {{"a", {{"x", 1}}}, {"b", Data::dict()}});
  const Dict top = root["top"].as_dict();
  const NodeId gone = id_of(top["b"].as_dict());
  ASSERT_NO_FATAL_FAILURE(doom(db, root, "top", top));
  plant(db, {erased(graph::node_key(gone))});
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.reclaiming, 2U);
}

TEST_P(Check, WritersMayGoOnMeanwhile) {
  fill(db);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    const Dict place = db.new_dict();
    db.root().set("place", place);
    for (int i = 0; !stop; ++i) {
      place.set("x" + std::to_string(i % 100), {{"a", {1, 2, {{"up", place}}}}, {"up", place}});
      if (i % 3 == 0) place.erase("x" + std::to_string((i + 50) % 100));
      if (i % 50 == 0) place.clear();
    }
  });
  for (int i = 0; i < 20; ++i) expect_clean(db);
  stop = true;
  writer.join();
  expect_clean(db);
}

/// A backend that thinks ill of itself, and may fail to read a space.
class Complaining final : public PassingBackend {
 public:
  using PassingBackend::PassingBackend;
  std::unique_ptr<port::View> view() override;
  std::vector<std::string> check() override { return complaints; }

  std::vector<std::string> complaints;
  std::optional<Space> unreadable;
};

class ComplainingView final : public PassingView {
 public:
  ComplainingView(std::unique_ptr<port::View> inner, std::optional<Space> unreadable)
      : PassingView(std::move(inner)), unreadable_(unreadable) {}

  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
    if (range.space == unreadable_) throw CorruptionError("page 7 is malformed");
    return PassingView::scan(range, limit);
  }

 private:
  std::optional<Space> unreadable_;
};

std::unique_ptr<port::View> Complaining::view() {
  return std::make_unique<ComplainingView>(PassingBackend::view(), unreadable);
}

TEST(CheckOfABackend, WhatItSaysOfItselfIsReported) {
  auto owned = std::make_unique<Complaining>(lazy::open("memory://"));
  Complaining& backend = *owned;
  const auto store = std::make_shared<store::Store>(std::move(owned));
  const Database db(graph::make_live_scope(std::make_shared<graph::Session>(store, Options{})));
  db.root().set("x", {{"y", 1}});
  expect_clean(db);

  backend.complaints = {"row 3 missing from index", "page 9 is never used"};
  CheckReport report = db.check();
  ASSERT_EQ(report.problems.size(), 2U) << problems_of(report);
  EXPECT_EQ(report.problems[0].what, "row 3 missing from index");
  EXPECT_EQ(report.problems[0].node, "");
  EXPECT_EQ(report.problems[1].what, "page 9 is never used");

  backend.unreadable = Space::kEdge;  // the report is made of what can be read
  report = db.check();
  ASSERT_EQ(report.problems.size(), 3U) << problems_of(report);
  EXPECT_EQ(report.problems[0].what, "page 7 is malformed");
  EXPECT_EQ(report.nodes, 2U);
}

TEST_P(Check, WhateverIsDamagedItEndsWithAReport) {
  fill(db);
  const Records sound = all_records(db);
  std::vector<Key> keys;
  for (const auto& [key, record] : sound) keys.push_back(key);
  Random random;
  int found = 0;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    const auto [damage, repair] = random_damage(random, sound, keys);
    plant(db, damage);
    const CheckReport report = db.check();
    found += report.ok() ? 0 : 1;
    plant(db, repair);
  }
  EXPECT_EQ(all_records(db), sound);
  expect_clean(db);
  EXPECT_GT(found, kRounds * 3 / 5);  // numbers and texts may change without anybody's noticing
}

TEST_P(Check, AFloodOfProblemsIsCutOff) {
  std::vector<Change> changes;
  for (NodeId id = 1; id <= 10'500; ++id) changes.push_back(edge(id, 1, 1));
  plant(db, changes);
  const CheckReport report = db.check();
  ASSERT_EQ(report.problems.size(), 10'001U);
  EXPECT_EQ(report.problems.back().what, "and 500 more problems like these");
}

}  // namespace
}  // namespace graven::test
