// SPDX-License-Identifier: MIT
//
// Tracing: hand-made cases with names, and random graphs against naive reachability. Whatever
// the graph, garbage is exactly what nothing reaches, and after the rescues every chain of
// anchors ends well, through parents only.
#include "graph/collector/trace.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/random.hpp"
#include "graph/on_a_work.hpp"

namespace graven::test {
namespace {

using graph::kHeldHere;
using graph::kNobody;
using graph::Trace;
using port::Space;
using Ids = std::set<graph::NodeId>;

class Tracing : public OnAWork {
 protected:
  void SetUp() override { node(kRoot, kRoot); }

  /// A node and where it hangs: a parent, itself, kNobody, or minus a process.
  void node(NodeId id, NodeId anchor) { anchors[id] = anchor; }
  void link(NodeId parent, NodeId child) { ++links[{parent, child}]; }
  /// A node that hangs on a parent, and the link that takes.
  void child(NodeId id, NodeId parent) {
    node(id, parent);
    link(parent, id);
  }

  void write() {
    for (const auto& [id, anchor] : anchors) {
      NodeRecord record{.id = id, .prefix = 1, .layout = graph::Layout::kList, .anchor = anchor};
      const std::size_t mark = jsonb::open(record.body);
      for (const auto& [edge, count] : links) {
        if (edge.first != id) continue;
        for (int i = 0; i < count; ++i)
          graph::put_link(record.body, {edge.second, NodeKind::kList});
      }
      jsonb::close(record.body, jsonb::Type::kArray, mark);
      const auto anchored = links.find({anchor, id});
      if (anchor > 0 && anchor != id) record.links = anchored->second;
      if (condemned.contains(id)) record.links = graph::kCondemned;
      graph::save(work, record);
    }
    for (const auto& [edge, count] : links) {
      const auto& [parent, child] = edge;
      if (anchors.at(child) == parent && child != parent) continue;
      work.put(graph::edge_key(child, parent), {.integers = {count}});
    }
  }

  Trace run(const std::vector<NodeId>& adrift, bool others = false, std::size_t budget = SIZE_MAX) {
    write();
    return graph::trace(
        work, adrift, others, [&](NodeId id) { return pinned.contains(id); }, budget);
  }

  static Ids garbage(const Trace& trace) { return {trace.garbage.begin(), trace.garbage.end()}; }
  static std::map<NodeId, NodeId> rescued(const Trace& trace) {
    std::map<NodeId, NodeId> result;
    for (const auto& rescue : trace.rescued) result.emplace(rescue.node, rescue.anchor);
    return result;
  }

  static constexpr NodeId kRoot = 1;
  static constexpr NodeId kProcess = 77;

  std::map<NodeId, NodeId> anchors;
  std::map<std::pair<NodeId, NodeId>, int> links;  // (parent, child)
  Ids pinned;
  Ids condemned;
};

TEST_F(Tracing, ANodeWithoutOtherParentsIsGarbage) {
  node(10, kNobody);
  const Trace trace = run({10});
  EXPECT_TRUE(trace.complete);
  EXPECT_EQ(trace.garbage, std::vector<NodeId>{10});
  EXPECT_TRUE(trace.rescued.empty());
}

TEST_F(Tracing, AnotherParentBecomesTheAnchor) {
  node(10, kNobody);
  child(11, kRoot);
  link(11, 10);
  child(12, 10);
  const Trace trace = run({10});
  EXPECT_TRUE(trace.complete);
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{10, 11}}));
  EXPECT_TRUE(trace.garbage.empty());
}

TEST_F(Tracing, AParentThatHangsOnTheNodeDoesNotHoldItUp) {
  node(10, kNobody);
  child(11, 10);
  link(11, 10);
  const Trace trace = run({10});
  EXPECT_EQ(garbage(trace), (Ids{10, 11}));
}

TEST_F(Tracing, NorDoesTheNodeItself) {
  node(10, kNobody);
  link(10, 10);
  EXPECT_EQ(garbage(run({10})), Ids{10});
}

TEST_F(Tracing, WhatHangsOnGarbageAndIsLinkedFromOutsideIsRescuedWithAllItLinksTo) {
  node(10, kNobody);
  child(11, 10);
  child(12, 10);
  child(13, 12);
  child(20, kRoot);
  link(20, 11);
  link(11, 13);  // 13 hangs on garbage, but 11 links it
  link(13, 14);
  node(14, 10);
  link(10, 14);
  const Trace trace = run({10});
  EXPECT_TRUE(trace.complete);
  EXPECT_EQ(garbage(trace), (Ids{10, 12}));
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{11, 20}, {13, 11}, {14, 13}}));
}

TEST_F(Tracing, AHeldOrphanHoldsUpWhatItLinks) {
  node(10, kNobody);
  node(20, -kProcess);
  link(20, 10);
  EXPECT_EQ(rescued(run({10})), (std::map<NodeId, NodeId>{{10, 20}}));
}

TEST_F(Tracing, APinSavesANodeAndWhatHangsOnIt) {
  node(10, kNobody);
  child(11, 10);
  child(12, 11);
  child(13, 10);
  pinned = {11};
  const Trace trace = run({10});
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{11, kHeldHere}}));
  EXPECT_EQ(garbage(trace), (Ids{10, 13}));
}

TEST_F(Tracing, APinSavesNothingThatHangsOnTheCondemned) {
  node(10, kNobody);
  child(11, 10);
  child(12, 11);
  node(20, kNobody);
  child(21, 20);
  pinned = {12, 21};
  condemned = {10};
  const Trace trace = run({10, 20});
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{21, kHeldHere}}));
  EXPECT_EQ(garbage(trace), (Ids{10, 11, 12, 20}));
}

TEST_F(Tracing, ADoublyLinkedChainPinnedInTheMiddleLivesWhole) {
  node(10, kNobody);
  for (NodeId id = 11; id < 30; ++id) {
    child(id, id - 1);
    link(id, id - 1);
  }
  pinned = {20};
  const Trace trace = run({10});
  EXPECT_TRUE(trace.garbage.empty());
  EXPECT_EQ(trace.rescued.size(), 11U);  // 20, and 19 down to 10 the other way round
  EXPECT_EQ(rescued(trace).at(10), 11);
}

TEST_F(Tracing, SeveralAdriftHoldEachOtherOnlyWhenOneIsHeldUp) {
  node(10, kNobody);
  node(11, kNobody);
  link(10, 11);
  link(11, 10);
  EXPECT_EQ(garbage(run({10, 11})), (Ids{10, 11}));
  link(kRoot, 11);
  const Trace trace = run({10, 11});
  EXPECT_TRUE(trace.garbage.empty());
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{11, kRoot}, {10, 11}}));
}

TEST_F(Tracing, AMutualFriendsCircleGoesWhole) {
  for (NodeId id = 10; id < 20; ++id) node(id, id == 10 ? kNobody : 10);
  for (NodeId one = 10; one < 20; ++one) {
    for (NodeId other = 10; other < 20; ++other) {
      if (one != other) link(one, other);
    }
  }
  EXPECT_EQ(run({10}).garbage.size(), 10U);
}

TEST_F(Tracing, ADiamondChainWhoseBottomLinksToTheTopGoesWhole) {
  // 10 -> {11, 12} -> 13 -> {14, 15} -> 16 …
  node(10, kNobody);
  NodeId top = 10;
  for (int depth = 0; depth < 40; ++depth) {
    child(top + 1, top);
    child(top + 2, top);
    child(top + 3, top + 1);
    link(top + 2, top + 3);
    top += 3;
  }
  link(top, 10);
  EXPECT_EQ(run({10}).garbage.size(), 121U);
}

TEST_F(Tracing, AHubIsRescuedWithoutLookingAtAllThatHangsOnIt) {
  node(10, kNobody);
  child(11, kRoot);
  link(11, 10);
  for (NodeId id = 100; id < 5100; ++id) child(id, 10);
  const Trace trace = run({10}, false, 500);
  EXPECT_TRUE(trace.complete);
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{10, 11}}));
}

TEST_F(Tracing, ASmallPieceIsJudgedWithoutWalkingUpLongChains) {
  // 10's only parents hang on it, at the end of a long chain; but little hangs on 11.
  node(11, kNobody);
  child(12, 11);
  child(1000, kRoot);
  for (NodeId id = 1001; id < 6000; ++id) child(id, id - 1);
  link(5999, 12);  // 12 has a parent outside: found by what hangs on 11, not by walking up
  const Trace trace = run({11}, false, 500);
  EXPECT_TRUE(trace.complete);
  EXPECT_EQ(garbage(trace), Ids{11});
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{12, 5999}}));
}

TEST_F(Tracing, MoreThanTheBudgetIsLeftForLater) {
  node(10, kNobody);
  for (NodeId id = 11; id < 2000; ++id) child(id, id - 1);
  EXPECT_FALSE(run({10}, false, 300).complete);
  EXPECT_TRUE(run({10}, false, 10'000).complete);
}

TEST_F(Tracing, WhatDependsOnOthersAdriftIsLeftForLater) {
  node(10, kNobody);
  node(20, kNobody);  // doomed earlier, not among those asked about
  link(20, 10);
  EXPECT_FALSE(run({10}, true).complete);
  // Not so where it can be told without them.
  link(kRoot, 10);
  const Trace trace = run({10}, true);
  EXPECT_TRUE(trace.complete);
  EXPECT_EQ(rescued(trace), (std::map<NodeId, NodeId>{{10, kRoot}}));
}

// --- Random graphs

class RandomTracing : public Tracing {
 protected:
  /// Nodes 1 … n; root, held orphans, and whatever these reach, with anchors by a random walk.
  void make_graph() {
    anchors.clear();
    links.clear();
    pinned.clear();
    const auto n = static_cast<NodeId>(2 + random.below(30));
    std::map<std::pair<NodeId, NodeId>, int> all;
    for (std::size_t i = random.below(static_cast<std::size_t>(3 * n)); i > 0; --i) {
      ++all[{any(n), any(n)}];
    }
    node(kRoot, kRoot);
    for (NodeId id = 2; id <= n; ++id) {
      if (random.one_in(12)) node(id, -kProcess);
    }
    for (bool more = true; more;) {  // each step anchors one more node, at random
      std::vector<std::pair<NodeId, NodeId>> next;
      for (const auto& [edge, count] : all) {
        if (anchors.contains(edge.first) && !anchors.contains(edge.second)) next.push_back(edge);
      }
      more = !next.empty();
      if (more) {
        const auto& [parent, id] = next[random.below(next.size())];
        node(id, parent);
      }
    }
    for (const auto& [edge, count] : all) {
      if (anchors.contains(edge.first) && anchors.contains(edge.second)) links[edge] = count;
    }
    for (const auto& [id, anchor] : anchors) {
      if (random.one_in(10)) pinned.insert(id);
    }
  }

  /// Takes some nodes their anchor, link and all (or, of held ones, the hold).
  std::vector<NodeId> cut() {
    std::vector<NodeId> adrift;
    for (auto& [id, anchor] : anchors) {
      if (anchor == id || !random.one_in(6)) continue;
      if (anchor > 0) links.erase({anchor, id});
      anchor = kNobody;
      adrift.push_back(id);
    }
    return adrift;
  }

  Ids reached(Ids from) {
    std::vector<NodeId> queue(from.begin(), from.end());
    while (!queue.empty()) {
      const NodeId id = queue.back();
      queue.pop_back();
      for (const auto& [edge, count] : links) {
        if (edge.first == id && from.insert(edge.second).second) queue.push_back(edge.second);
      }
    }
    return from;
  }

  Ids held_up() {
    Ids starts;
    for (const auto& [id, anchor] : anchors) {
      if (anchor == id || anchor < 0) starts.insert(id);
    }
    return reached(starts);
  }

  /// Where a node's chain of anchors ends; 0 when it loops or leads to a node adrift.
  NodeId end_of(NodeId id) {
    for (std::size_t steps = 0; steps <= anchors.size(); ++steps) {
      const NodeId anchor = anchors.at(id);
      if (anchor == id || anchor < 0) return id;
      if (anchor == kNobody || !links.contains({anchor, id})) return 0;
      id = anchor;
    }
    return 0;
  }

  NodeId any(NodeId n) {
    return 1 + static_cast<NodeId>(random.below(static_cast<std::size_t>(n)));
  }

  Random random;
};

TEST_F(RandomTracing, GarbageIsWhatNothingReaches) {
  int rounds_with_garbage = 0;
  for (int round = 0; round < 1500; ++round) {
    for (const port::Row& row : work.scan({.space = Space::kNode}, SIZE_MAX)) work.erase(row.key);
    for (const port::Row& row :
         work.scan({.space = Space::kEdge, .a = 0, .a_to = INT64_MAX}, SIZE_MAX)) {
      work.erase(row.key);
    }
    make_graph();
    std::vector<NodeId> adrift = cut();
    if (adrift.empty()) continue;
    // Sometimes some of them were doomed earlier and are not asked about.
    std::vector<NodeId> others;
    while (random.one_in(3) && adrift.size() > 1) {
      others.push_back(adrift.back());
      adrift.pop_back();
    }
    const std::size_t budget = random.one_in(4) ? 1 + random.below(60) : SIZE_MAX;
    const Trace trace = run(adrift, !others.empty(), budget);
    const Ids up = held_up();
    Ids alive = up;
    alive.merge(Ids(pinned));
    alive = reached(alive);
    if (!trace.complete) {
      ASSERT_TRUE(budget != SIZE_MAX || !others.empty());
      ASSERT_TRUE(trace.garbage.empty());
      continue;
    }
    const Ids gone = garbage(trace);
    ASSERT_EQ(gone.size(), trace.garbage.size());
    rounds_with_garbage += gone.empty() ? 0 : 1;
    for (const NodeId id : gone) ASSERT_FALSE(alive.contains(id)) << id;
    if (others.empty()) {
      for (const auto& [id, anchor] : anchors) {
        ASSERT_TRUE(alive.contains(id) || gone.contains(id)) << id;
      }
    }
    // Top down: a node comes after the one it hung on.
    Ids before;
    for (const NodeId id : trace.garbage) {
      ASSERT_TRUE(anchors.at(id) == kNobody || before.contains(anchors.at(id)));
      before.insert(id);
    }
    for (const auto& rescue : trace.rescued) {
      ASSERT_NE(anchors.at(rescue.node), rescue.anchor);
      if (rescue.anchor == kHeldHere) {
        ASSERT_TRUE(pinned.contains(rescue.node));
        ASSERT_FALSE(up.contains(rescue.node));
        anchors[rescue.node] = -1;
        continue;
      }
      ASSERT_TRUE(links.contains({rescue.anchor, rescue.node}));
      ASSERT_NE(end_of(rescue.anchor), 0) << "each is rescued after its anchor";
      anchors[rescue.node] = rescue.anchor;
    }
    if (!others.empty()) continue;
    for (const auto& [id, anchor] : anchors) {
      if (!gone.contains(id)) {
        ASSERT_NE(end_of(id), 0) << id;
      }
    }
  }
  EXPECT_GT(rounds_with_garbage, 100);
}

}  // namespace
}  // namespace graven::test
