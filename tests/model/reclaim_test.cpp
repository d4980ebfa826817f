// SPDX-License-Identifier: MIT
//
// Reclaiming in slices, step by step, while others come between: handles of another process
// that use what is doomed, writers that take a rescuer away, a second process that reclaims the
// same piece. Two stores over one backend in memory stand for the two processes.
#include "graph/collector/reclaim.hpp"

#include <set>

#include "backends/lazy/backend.hpp"
#include "base/random.hpp"
#include "graph/collector/links.hpp"
#include "graph/graph_under_test.hpp"
#include "graph/node/dict_content.hpp"
#include "port/passing_backend.hpp"

namespace graven::test {
namespace {

using graph::Reclaiming;
using store::Work;

class ReclaimingSteps : public ::testing::Test {
 protected:
  Database open() {
    return Database(graph::make_live_scope(std::make_shared<graph::Session>(
        std::make_shared<store::Store>(std::make_unique<PassingBackend>(store_)), Options{})));
  }

  /// Dooms a child of a dict as an unlink of a very large piece does, with nobody at work on it.
  static void doom(const Database& db, const Dict& parent, const std::string& key) {
    heap_of(db).store().write_apart(
        [&](Work& work) {
          const NodeId id = id_of(parent[key].as_dict());
          NodeRecord above = graph::load_node(work, id_of(parent));
          const std::string old = *graph::dict_content::erase(work, above, key);
          graph::release(work, above.id, old);
          work.suspects().clear();  // before_commit would settle it at once
          if (graph::load_node(work, id).adrift()) heap_of(db).doom(work, id, false);
        },
        soon());
  }

  /// A pass of this process over what is doomed now.
  static Reclaiming pass(const Database& db, const std::set<NodeId>& pinned = {}) {
    const auto view = store_of(db).view();
    return Reclaiming(*view, [&](NodeId id) { return pinned.contains(id); });
  }
  static void rescue(const Database& db, Reclaiming& pass) {
    while (pass.to_rescue()) {
      heap_of(db).store().write_apart(
          [&](Work& work) { pass.rescue(work, [&] { return heap_of(db).owner(); }); }, soon());
    }
  }
  static void condemn(const Database& db, Reclaiming& pass) {
    while (pass.to_condemn()) {
      heap_of(db).store().write_apart([&](Work& work) { pass.condemn(work); }, soon());
    }
  }
  static std::uint64_t remove(const Database& db, Reclaiming& pass, std::uint64_t most) {
    std::uint64_t removed = 0;
    if (!pass.to_remove()) return 0;
    heap_of(db).store().write_apart([&](Work& work) { removed = pass.remove(work, most); }, soon());
    return removed;
  }

  /// A ring of dicts under root["top"], each with the next, the top, and something of its own.
  std::vector<NodeId> make_ring(int size) {
    Data data = Data::dict();
    const Data::Index top = std::get<Data::Index>(data.root());
    std::vector<Data::Index> all{top};
    for (int i = 1; i < size; ++i) all.push_back(data.add(NodeKind::kDict));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Data::Index own = data.add(NodeKind::kList);
      Data::Container& node = data.container(all[i]);
      node.keys = {"next", "top", "own"};
      node.items = {all[(i + 1) % all.size()], top, own};
    }
    a.root().set("top", data);
    std::vector<NodeId> ids;
    Dict at = a.root()["top"].as_dict();
    for (int i = 0; i < size; ++i) {
      ids.push_back(id_of(at));
      at = at["next"].as_dict();
    }
    return ids;
  }

  static Dict dict(const Database& db, NodeId id) {
    return db.get_via_uid(graph::uid_of(session_of(db), id, NodeKind::kDict))->as_dict();
  }
  std::uint64_t nodes() { return a.check().nodes; }

  std::shared_ptr<port::Backend> store_ = lazy::open("memory");
  Database a = open();
  Database b = open();
};

TEST_F(ReclaimingSteps, EverySliceLeavesAConsistentStore) {
  make_ring(20);
  doom(a, a.root(), "top");
  EXPECT_EQ(a.check().reclaiming, 40U);
  Reclaiming one = pass(a);
  EXPECT_FALSE(one.to_rescue());
  condemn(a, one);
  std::uint64_t left = 40;
  while (one.to_remove()) {
    expect_clean(a);
    left -= remove(a, one, 7);
    EXPECT_EQ(a.check().reclaiming, left);
  }
  EXPECT_EQ(nodes(), 1U);
  expect_clean(a);
}

TEST_F(ReclaimingSteps, AnyoneCanGoOnWhereAProcessStopped) {
  for (std::uint64_t most = 1; most < 20; most += 3) {
    make_ring(10);
    doom(a, a.root(), "top");
    Reclaiming one = pass(a);
    condemn(a, one);
    remove(a, one, most);
    expect_clean(b);
    b.collect();
    EXPECT_EQ(nodes(), 1U);
    EXPECT_EQ(remove(a, one, 100), 0U);  // and the first finds nothing to do when it wakes up
    expect_clean(a);
  }
}

TEST_F(ReclaimingSteps, AHandleOfAnotherProcessSavesAPieceUntilItIsCondemned) {
  const std::vector<NodeId> ids = make_ring(10);
  const Dict handle = dict(b, ids[4]);
  const Data before = handle.materialize();
  doom(a, a.root(), "top");
  Reclaiming one = pass(a);  // knows nothing of b's handle
  b.root().set("kept", handle);
  condemn(a, one);
  while (one.to_remove()) {
    remove(a, one, 3);
    expect_clean(a);
  }
  EXPECT_EQ(handle.materialize(), before);
  EXPECT_EQ(nodes(), 21U);
  b.root().erase("kept");
}

TEST_F(ReclaimingSteps, OnceCondemnedNoHandleSavesIt) {
  const std::vector<NodeId> ids = make_ring(10);
  for (const std::uint64_t removed : {0U, 1U, 5U, 12U}) {
    if (!a.root().contains("top")) make_ring(10);
    const Dict handle = a.root()["top"]["next"]["next"].as_dict();
    const Dict foreign = dict(b, id_of(handle));
    doom(a, a.root(), "top");
    Reclaiming one = pass(a);
    condemn(a, one);
    if (removed != 0) remove(a, one, removed);
    EXPECT_THROW(b.root().set("kept", foreign), CollectedError);
    EXPECT_THROW(foreign.set("x", 1), CollectedError);
    EXPECT_THROW(static_cast<void>(foreign.size()), CollectedError);
    expect_clean(b);
    while (one.to_remove()) remove(a, one, 100);
    EXPECT_EQ(nodes(), 1U);
  }
}

TEST_F(ReclaimingSteps, InATransactionTheSameHolds) {
  const std::vector<NodeId> ids = make_ring(10);
  const Dict handle = dict(b, ids[4]);
  doom(a, a.root(), "top");
  Reclaiming one = pass(a);
  b.transaction([&] {
    handle.set("x", 1);
    b.root().set("kept", handle);
  });
  condemn(a, one);
  while (one.to_remove()) remove(a, one, 100);
  expect_clean(a);
  EXPECT_EQ(b.root()["kept"]["x"].get<int>(), 1);
  EXPECT_EQ(nodes(), 21U);

  doom(a, a.root(), "kept");
  Reclaiming two = pass(a);
  condemn(a, two);
  remove(a, two, 4);
  EXPECT_THROW(b.transaction([&] {
    b.root().set("other", 1);
    b.root().set("kept", handle);
  }),
               CollectedError);
  EXPECT_FALSE(b.root().contains("other"));
  while (two.to_remove()) remove(a, two, 100);
  EXPECT_EQ(nodes(), 1U);
  expect_clean(a);
}

TEST_F(ReclaimingSteps, WhatAnotherProcessMeetsIsFinishedThere) {
  const std::vector<NodeId> ids = make_ring(10);
  const Dict handle = dict(b, ids[4]);
  doom(a, a.root(), "top");
  Reclaiming one = pass(a);
  EXPECT_EQ(handle.size(), 3U);  // b reads through its handle: the piece is its own from now on
  EXPECT_EQ(b.check().held, 20U);
  condemn(a, one);
  while (one.to_remove()) remove(a, one, 4);
  EXPECT_EQ(handle["top"]["next"]["own"].as_list().size(), 0U);
  EXPECT_EQ(nodes(), 21U);
  expect_clean(a);
}

TEST_F(ReclaimingSteps, AnOutsideParentRescuesAndMayGoMeanwhile) {
  for (const bool stays : {true, false}) {
    const std::vector<NodeId> ids = make_ring(10);
    a.root().set("other", {{"link", dict(a, ids[5])}});
    doom(a, a.root(), "top");
    Reclaiming one = pass(a);
    EXPECT_TRUE(one.to_rescue());
    EXPECT_FALSE(one.to_remove());
    if (!stays) {
      // Unlinked again before the rescue: nothing reaches the ring now.
      a.root()["other"].as_dict().erase("link");
      rescue(a, one);
      condemn(a, one);
      expect_clean(a);
      a.collect();
      EXPECT_EQ(nodes(), 2U);
    } else {
      rescue(a, one);
      condemn(a, one);
      expect_clean(a);
      EXPECT_EQ(a.check().reclaiming, 0U);
      EXPECT_EQ(nodes(), 22U);
    }
    a.root().clear();
    a.collect();
    EXPECT_EQ(nodes(), 1U);
  }
}

TEST_F(ReclaimingSteps, TwoProcessesReclaimTheSamePiece) {
  make_ring(10);
  doom(a, a.root(), "top");
  Reclaiming one = pass(a);
  Reclaiming other = pass(b);
  condemn(a, one);
  remove(a, one, 3);
  condemn(b, other);
  remove(b, other, 6);
  expect_clean(a);
  while (one.to_remove()) remove(a, one, 2);
  while (other.to_remove()) remove(b, other, 2);
  a.collect();
  EXPECT_EQ(nodes(), 1U);
  expect_clean(a);
}

TEST_F(ReclaimingSteps, AVeryLargeContainerIsTakenApartInSteps) {
  for (const bool dict_of_links : {true, false}) {
    const Dict parent = a.new_dict();
    a.root().set("parent", parent);
    Data data = dict_of_links ? Data::dict() : Data::list();
    const Data::Index top = std::get<Data::Index>(data.root());
    for (int i = 0; i < 45'000; ++i) {
      if (dict_of_links) data.container(top).keys.push_back(std::to_string(i));
      if (i % 9000 == 0) {
        const Data::Index child = data.add(NodeKind::kDict);
        data.container(top).items.emplace_back(child);
      } else {
        data.container(top).items.emplace_back(std::int64_t{i});
      }
    }
    parent.set("top", {{"large", data}});
    doom(a, parent, "top");
    Reclaiming one = pass(a);
    condemn(a, one);
    int slices = 0;
    for (; one.to_remove(); ++slices) {
      remove(a, one, 1000);
      expect_clean(a);
    }
    EXPECT_GE(slices, 3);
    a.root().clear();
    EXPECT_EQ(nodes(), 2U);  // the parent is held
  }
}

// --- Random interleavings

/// A small random graph under root["top"], pieces of which are doomed; two processes reclaim by
/// slices and use handles on it, in any order.
TEST_F(ReclaimingSteps, AnyInterleavingEndsWell) {
  Random random;
  const auto below = [&](std::size_t limit) { return random.below(limit); };
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Data data = Data::dict();
    std::vector<Data::Index> all{std::get<Data::Index>(data.root())};
    const std::size_t size = 3 + below(25);
    for (std::size_t i = 1; i < size; ++i) all.push_back(data.add(NodeKind::kDict));
    for (std::size_t i = 1; i < size; ++i) {
      // Something above links each; some link anything.
      for (const std::size_t from : {below(i), random.one_in(2) ? below(size) : below(i)}) {
        Data::Container& node = data.container(all[from]);
        node.keys.push_back("k" + std::to_string(node.keys.size()));
        node.items.emplace_back(all[i]);
      }
    }
    a.root().set("top", data);
    for (int i = 0; i < 3; ++i) {
      if (random.one_in(2)) a.root().set("side" + std::to_string(i), Data::dict());
    }
    std::vector<NodeId> ids;
    for (const auto& [key, record] : records_of(*store_of(a).view(), Space::kNode)) {
      if (key.a != session_of(a).root() && record.integers[1] == 0) ids.push_back(key.a);
    }
    std::vector<std::pair<const Database*, Dict>> handles;
    for (std::size_t i = below(4); i > 0; --i) {
      const Database& who = random.one_in(2) ? a : b;
      handles.emplace_back(&who, dict(who, ids[below(ids.size())]));
    }
    doom(a, a.root(), "top");
    std::vector<std::pair<const Database*, Reclaiming>> passes;
    const auto start = [&](const Database& who) {
      std::set<NodeId> pinned;
      for (const auto& [owner, handle] : handles) {
        if (owner == &who) pinned.insert(id_of(handle));
      }
      passes.emplace_back(&who, pass(who, pinned));
    };
    start(a);
    for (int step = 0; step < 25; ++step) {
      const auto use = [&](auto&& body) {
        try {
          body();
        } catch (const CollectedError&) {
        }
      };
      switch (below(9)) {
        case 0:
          if (passes.size() < 4) start(random.one_in(2) ? a : b);
          break;
        case 1:
          if (handles.empty()) break;
          use([&] {
            const auto& [who, handle] = handles[below(handles.size())];
            who->root().set("kept" + std::to_string(below(3)), handle);
          });
          break;
        case 2:
          if (handles.empty()) break;
          use([&] {
            const auto& [who, handle] = handles[below(handles.size())];
            const auto child = handle.get("k0");
            if (child && child->is<Dict>()) handles.emplace_back(who, child->as_dict());
          });
          break;
        case 3:
          if (!handles.empty())
            handles.erase(handles.begin() + static_cast<std::ptrdiff_t>(below(handles.size())));
          break;
        case 4:
          a.root().erase("kept" + std::to_string(below(3)));
          break;
        default: {
          auto& [who, one] = passes[below(passes.size())];
          if (one.to_rescue()) {
            rescue(*who, one);
          } else if (one.to_condemn()) {
            condemn(*who, one);
          } else {
            remove(*who, one, 1 + below(4));
          }
        }
      }
      const CheckReport report = a.check();
      ASSERT_TRUE(report.ok()) << problems_of(report);
    }
    for (const auto& [who, handle] : handles) {
      // Whole or gone.
      try {
        static_cast<void>(handle.materialize());
      } catch (const CollectedError&) {
      }
    }
    passes.clear();
    handles.clear();
    a.root().clear();
    a.collect();
    b.collect();
    const CheckReport report = a.check();
    ASSERT_TRUE(report.ok()) << problems_of(report);
    ASSERT_EQ(report.nodes, 1U);
  }
}

}  // namespace
}  // namespace graven::test
