// SPDX-License-Identifier: MIT
//
// Links counted at the child's end: which parent becomes the anchor, what is an edge, who is
// suspected of having lost its way, and that no two nodes ever hold each other up.
#include "graph/collector/links.hpp"

#include <algorithm>

#include "graph/on_a_work.hpp"

namespace graven::test {
namespace {

using graph::kNobody;
using graph::Parent;
using port::Space;

class Links : public OnAWork {
 protected:
  void SetUp() override { make(kRoot, kRoot); }

  void make(NodeId id, NodeId anchor) {
    graph::save(work,
                {.id = id, .prefix = 1, .anchor = anchor, .body = empty_body(NodeKind::kDict)});
    if (anchor <= 0) work.put(graph::orphan_key(-anchor, id), {});
  }

  /// A link, at both ends.
  void link(NodeId child, NodeId parent) {
    graph::link(work, child, parent);
    NodeRecord node = graph::load_node(work, parent);
    std::string body;
    const std::size_t mark = jsonb::open(body);
    body += jsonb::parse(node.body).payload;
    body += text_element(std::to_string(++keys_)) + link_element(child);
    jsonb::close(body, jsonb::Type::kObject, mark);
    node.body = body;
    graph::save(work, node);
  }

  NodeRecord node(NodeId id) { return graph::load_node(work, id); }
  std::int64_t edge(NodeId child, NodeId parent) {
    const auto record = work.load(graph::edge_key(child, parent));
    return record ? record->integers[0] : 0;
  }
  bool listed(NodeId owner, NodeId id) {
    return work.load(graph::orphan_key(owner, id)).has_value();
  }

  static constexpr NodeId kRoot = 1;
  static constexpr NodeId kOwner = 5;  // a process

 private:
  int keys_ = 0;
};

TEST_F(Links, TheFirstParentBecomesTheAnchor) {
  make(10, -kOwner);
  link(10, kRoot);
  EXPECT_EQ(node(10).anchor, kRoot);
  EXPECT_EQ(node(10).links, 1);
  EXPECT_EQ(count(Space::kEdge), 0U);
  EXPECT_FALSE(listed(kOwner, 10));  // nobody's orphan any more
}

TEST_F(Links, OtherParentsAreEdgesAndAllAreCounted) {
  make(10, -kOwner);
  make(11, -kOwner);
  link(11, kRoot);
  link(10, kRoot);
  link(10, kRoot);
  link(10, 11);
  link(10, 11);
  link(10, 11);
  EXPECT_EQ(node(10).links, 2);
  EXPECT_EQ(edge(10, 11), 3);
  const std::vector<Parent> parents = graph::parents_of(work, node(10));
  ASSERT_EQ(parents.size(), 2U);
  EXPECT_EQ(parents[0].id, kRoot);
  EXPECT_EQ(parents[0].links, 2);
  EXPECT_EQ(parents[1].id, 11);
  EXPECT_EQ(parents[1].links, 3);
}

TEST_F(Links, UnlinkingAnEdgeSuspectsNobody) {
  make(10, -kOwner);
  make(11, -kOwner);
  link(11, kRoot);
  link(10, kRoot);
  link(10, 11);
  link(10, 11);
  graph::unlink(work, 10, 11);
  EXPECT_EQ(edge(10, 11), 1);
  graph::unlink(work, 10, 11);
  EXPECT_EQ(edge(10, 11), 0);
  EXPECT_EQ(count(Space::kEdge), 0U);
  EXPECT_TRUE(work.suspects().empty());
}

TEST_F(Links, TheLastLinkOfTheAnchorLeavesTheChildAdriftAndSuspect) {
  make(10, -kOwner);
  link(10, kRoot);
  link(10, kRoot);
  graph::unlink(work, 10, kRoot);
  EXPECT_EQ(node(10).anchor, kRoot);
  EXPECT_TRUE(work.suspects().empty());
  graph::unlink(work, 10, kRoot);
  EXPECT_TRUE(node(10).adrift());
  EXPECT_EQ(work.suspects(), std::set<std::int64_t>{10});
  // Linked again within the same mutation it is anchored again, and settling finds nothing to do.
  link(10, kRoot);
  EXPECT_EQ(node(10).anchor, kRoot);
}

TEST_F(Links, ALinkToOneselfNeverHoldsUp) {
  make(10, -kOwner);
  link(10, 10);
  EXPECT_EQ(node(10).anchor, -kOwner);
  EXPECT_EQ(edge(10, 10), 1);
}

TEST_F(Links, ARootIsNobodysChild) {
  make(10, -kOwner);
  link(10, kRoot);
  link(kRoot, 10);
  link(kRoot, kRoot);
  EXPECT_TRUE(node(kRoot).root());
  EXPECT_EQ(edge(kRoot, 10), 1);
  EXPECT_EQ(edge(kRoot, kRoot), 1);
  graph::unlink(work, kRoot, 10);
  EXPECT_TRUE(node(kRoot).root());
  EXPECT_TRUE(work.suspects().empty());
}

TEST_F(Links, TwoThatLinkEachOtherDoNotHoldEachOtherUp) {
  make(10, -kOwner);
  make(11, -kOwner);
  link(11, 10);  // x["y"] = y
  EXPECT_EQ(node(11).anchor, 10);
  link(10, 11);  // y["x"] = x
  EXPECT_EQ(node(10).anchor, -kOwner);
  EXPECT_EQ(edge(10, 11), 1);
}

TEST_F(Links, NorDoLongerCycles) {
  for (NodeId id = 10; id < 20; ++id) make(id, -kOwner);
  for (NodeId id = 10; id < 19; ++id) link(id + 1, id);
  link(10, 19);
  EXPECT_EQ(node(10).anchor, -kOwner);
  EXPECT_TRUE(listed(kOwner, 10));
  EXPECT_EQ(graph::chain_end(work, node(19)).id, 10);
  // From elsewhere it may be held up, and then everything is.
  link(10, kRoot);
  EXPECT_EQ(node(10).anchor, kRoot);
  EXPECT_EQ(graph::chain_end(work, node(19)).id, kRoot);
}

TEST_F(Links, AnUnfinishedNodeIsWalkedToThoughItLinksNothingYet) {
  make(10, -kOwner);
  graph::save(
      work, {.id = 11, .prefix = 1, .anchor = 10, .links = 1, .body = empty_body(NodeKind::kDict)});
  graph::link(work, 10, 11, 10);  // 10's body will link 11
  EXPECT_EQ(node(10).anchor, -kOwner);
  EXPECT_EQ(edge(10, 11), 1);
}

TEST_F(Links, ADoomedNodeThatIsLinkedLeavesTheList) {
  make(10, kNobody);
  EXPECT_TRUE(listed(kNobody, 10));
  link(10, kRoot);
  EXPECT_EQ(node(10).anchor, kRoot);
  EXPECT_FALSE(listed(kNobody, 10));
}

TEST_F(Links, ChangingAnAnchorMovesTheCounts) {
  make(10, -kOwner);
  make(11, -kOwner);
  link(11, kRoot);
  link(10, kRoot);
  link(10, 11);
  link(10, 11);
  graph::change_anchor(work, node(10), 11);
  EXPECT_EQ(node(10).anchor, 11);
  EXPECT_EQ(node(10).links, 2);
  EXPECT_EQ(edge(10, 11), 0);
  EXPECT_EQ(edge(10, kRoot), 1);
  graph::change_anchor(work, node(10), -kOwner);
  EXPECT_EQ(node(10).anchor, -kOwner);
  EXPECT_EQ(node(10).links, 0);
  EXPECT_EQ(edge(10, 11), 2);
  EXPECT_TRUE(listed(kOwner, 10));
  graph::change_anchor(work, node(10), kRoot);
  EXPECT_FALSE(listed(kOwner, 10));
  EXPECT_EQ(node(10).links, 1);
}

TEST_F(Links, ReleasingAnElementUnlinksOrErasesWhatItStandsFor) {
  make(10, -kOwner);
  link(10, kRoot);
  graph::release(work, kRoot, link_element(10));
  EXPECT_TRUE(node(10).adrift());
  std::string blob;
  graph::put_scalar(blob, std::string(5000, 'x'), graph::kLargeInNode, kRoot, work);
  EXPECT_EQ(count(Space::kBlob), 1U);
  graph::release(work, kRoot, blob);
  EXPECT_EQ(count(Space::kBlob), 0U);
  graph::release(work, kRoot, text_element("text"));  // nothing to account for
}

TEST_F(Links, EveryLinkIsVisitedInOrderAndAsOftenAsItOccurs) {
  for (NodeId id = 10; id < 13; ++id) make(id, -kOwner);
  for (const NodeId child : {11, 10, 12, 10, 11}) link(child, kRoot);
  std::vector<NodeId> seen;
  graph::each_link(work, node(kRoot), [&](graph::Link link) {
    seen.push_back(link.id);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<NodeId>{11, 10, 12, 10, 11}));
  seen.clear();
  graph::each_link(work, node(kRoot), [&](graph::Link link) {
    seen.push_back(link.id);
    return seen.size() < 2;
  });
  EXPECT_EQ(seen.size(), 2U);
}

}  // namespace
}  // namespace graven::test
