// SPDX-License-Identifier: MIT
//
// check() finds every kind of damage to the graph: links, back-references, anchors, orphans,
// prefixes, the clock. Each test plants one kind in a sound store and asserts that exactly
// this is reported.
#include "integrity/damage.hpp"

namespace graven::test {
namespace {

class GraphDamage : public Damage {};
GRAVEN_ON_EVERY_STORE(GraphDamage);

std::string dict_uid(const Database& db, NodeId id) {
  return graph::uid_of(session_of(db), id, NodeKind::kDict);
}

// --- Links

TEST_P(GraphDamage, ALinkToAMissingNode) {
  const Dict parent = made("p", {{"child", {{"x", 1}}}});
  const Dict child = parent["child"].as_dict();
  change({erased(graph::node_key(id_of(child)))});
  expect(parent, "links to " + child.uid() + ", which does not exist");
}

TEST_P(GraphDamage, ALinkToAMissingNodeFromALargeContainer) {
  const List parent = made_list("p", Data::list());
  for (int i = 0; i < 200; ++i) parent.push_back(i);
  parent.set(120, Data::dict());
  const NodeId child = id_of(parent[120].as_dict());
  change({erased(graph::node_key(child))});
  expect(parent, "links to " + dict_uid(db, child) + ", which does not exist");
}

TEST_P(GraphDamage, ALinkToANodeOfTheOtherKind) {
  const Dict parent = made("p", {{"child", Data::dict()}});
  const Dict child = parent["child"].as_dict();
  alter(parent, [&](NodeRecord& node) {
    const auto at = node.body.find(std::string("\x17") + "d");
    ASSERT_NE(at, std::string::npos);
    node.body[at + 1] = 'l';
  });
  expect(parent, "links to " + child.uid() + " as a list, which it is not");
}

TEST_P(GraphDamage, ALinkToANodeOfAnotherPrefix) {
  const Database other = db.with_prefix("other");
  const Dict parent = made("p", {{"child", Data::dict()}});
  const Dict child = parent["child"].as_dict();
  alter(child, [&](NodeRecord& node) { node.prefix = session_of(other).prefix_id(); });
  expect(parent, "which is of another prefix");
}

// --- Back-references

TEST_P(GraphDamage, ABackReferenceIsMissing) {
  const Dict child = made("child");
  const Dict parent = made("p", {{"c", child}, {"d", child}});
  change({erased(graph::edge_key(id_of(child), id_of(parent)))});
  expect(child, "the back-reference from " + parent.uid() + " is missing: it links here 2 times");
}

TEST_P(GraphDamage, ABackReferenceCountsWrong) {
  const Dict child = made("child");
  const Dict parent = made("p", {{"c", child}, {"d", child}});
  change({edge(id_of(child), id_of(parent), 3)});
  expect(child, "the back-reference from " + parent.uid() + " counts 3 links, there are 2");
}

TEST_P(GraphDamage, ABackReferenceIsLeftOver) {
  const Dict child = made("child");
  const Dict other = made("other");
  change({edge(id_of(child), id_of(other), 1)});
  expect(child, "the back-reference from " + other.uid() + " is left over");
}

TEST_P(GraphDamage, ABackReferenceOfOnesOwn) {
  const Dict child = made("child");
  change({edge(id_of(child), id_of(child), 1)});
  expect(child, "the back-reference from " + child.uid() + " is left over");
}

TEST_P(GraphDamage, ABackReferenceFromAMissingParent) {
  const Dict child = made("child");
  change({edge(id_of(child), kAbsent, 1)});
  expect(child, "a back-reference from " + absent() + ", which does not exist");
}

TEST_P(GraphDamage, ABackReferenceOfAMissingChild) {
  change({edge(kAbsent, id_of(root), 1), edge(INT64_MAX - 1, id_of(root), 1)});
  expect({{"", "a back-reference of " + absent() + ", which does not exist"},
          {"", "a back-reference of " + absent(NodeKind::kDict, INT64_MAX - 1) +
                   ", which does not exist"}});
}

TEST_P(GraphDamage, TheAnchorCountsWrong) {
  const Dict child = made("child");
  alter(child, [](NodeRecord& node) { node.links = 5; });
  expect(child, "its anchor " + root.uid() + " links here 1 times, its record says 5");
}

TEST_P(GraphDamage, TheAnchorIsCountedTwice) {
  const Dict child = made("child");
  change({edge(id_of(child), id_of(root), 1)});
  expect(child, "the back-reference from its anchor " + root.uid() + " is left over");
}

// --- Anchors

TEST_P(GraphDamage, TheAnchorIsNoParent) {
  const Dict child = made("child");
  const Dict other = made("other");
  alter(child, [&](NodeRecord& node) { node.anchor = id_of(other); });
  expect({{child.uid(), "its anchor " + other.uid() + " does not link here"},
          {child.uid(), "the back-reference from " + root.uid() + " is missing"}});
}

TEST_P(GraphDamage, TheAnchorDoesNotExist) {
  const Dict child = made("child");
  alter(child, [&](NodeRecord& node) { node.anchor = kAbsent; });
  expect({{child.uid(), "its anchor, " + absent() + ", does not exist"},
          {child.uid(), "the back-reference from " + root.uid() + " is missing"}});
}

TEST_P(GraphDamage, AChainOfAnchorsLoops) {
  const Dict x = made("x", {{"y", {{"z", Data::dict()}}}});
  const Dict y = x["y"].as_dict();
  y.set("x", x);
  expect_clean(db);
  NodeRecord node = stored_node(db, x);
  node.anchor = id_of(y);
  plant(db,
        {saved(node), erased(graph::edge_key(id_of(x), id_of(y))), edge(id_of(x), id_of(root), 1)});
  expect(x, "its chain of anchors comes back to it");
}

/// A dict behind everybody's back that links one other node.
NodeRecord linking(const Database& db, NodeId id, NodeId anchor, NodeId child) {
  NodeRecord node{.id = id, .prefix = session_of(db).prefix_id(), .anchor = anchor, .links = 1};
  const std::size_t mark = jsonb::open(node.body);
  jsonb::put_text(node.body, "next");
  graph::put_link(node.body, {child, NodeKind::kDict});
  jsonb::close(node.body, jsonb::Type::kObject, mark);
  return node;
}

TEST_P(GraphDamage, ACycleThatNothingReaches) {
  change({saved(linking(db, 1001, 1002, 1002)), saved(linking(db, 1002, 1001, 1001))});
  expect({{dict_uid(db, 1001), "its chain of anchors comes back to it"},
          {dict_uid(db, 1001), "nothing reaches it: no root, no handle"}});
}

TEST_P(GraphDamage, APieceThatNothingReachesIsReportedAtItsTop) {
  change({saved(linking(db, 1001, 1002, 1001)), edge(1001, 1001, 1),
          saved(linking(db, 1002, 1003, 1001)), saved(linking(db, 1003, kAbsent, 1002))});
  expect({{dict_uid(db, 1003), "its anchor, " + absent() + ", does not exist"},
          {dict_uid(db, 1003), "nothing reaches it: no root, no handle"}});
}

TEST_P(GraphDamage, ANodeAdriftThatIsReached) {
  const Dict top = made("top", {{"a", {{"b", Data::dict()}}}});
  expect_clean(db);
  NodeRecord node = stored_node(db, top);
  node.anchor = graph::kNobody;
  node.links = 0;
  plant(db, {saved(node), edge(id_of(top), id_of(root), 1)});
  expect(top, "it has no anchor and is not listed as pending deletion");
}

// --- Orphans

TEST_P(GraphDamage, ANodeAdriftThatIsNotListed) {
  const Dict held = db.new_dict({{"child", Data::dict()}});
  const std::int64_t owner = -stored_node(db, held).anchor;
  expect_clean(db);
  NodeRecord node = stored_node(db, held);
  node.anchor = graph::kNobody;
  plant(db, {saved(node), erased(graph::orphan_key(owner, node.id))});
  expect(held, "it has no anchor and is not listed as pending deletion");
}

TEST_P(GraphDamage, AHeldNodeThatIsNotListed) {
  const Dict held = db.new_dict({{"child", Data::dict()}});
  const std::int64_t owner = -stored_node(db, held).anchor;
  change({erased(graph::orphan_key(owner, id_of(held)))});
  expect(held, "which does not list it");
}

TEST_P(GraphDamage, AnOrphanThatDoesNotExist) {
  change({{graph::orphan_key(0, kAbsent), Record{}}, {graph::orphan_key(9, kAbsent), Record{}}});
  expect({{"", absent() + " is listed as an orphan of 0, but does not exist"},
          {"", absent() + " is listed as an orphan of 9, but does not exist"}});
}

TEST_P(GraphDamage, AnOrphanThatHangsSomewhere) {
  const Dict child = made("child");
  change({{graph::orphan_key(0, id_of(child)), Record{}},
          {graph::orphan_key(9, id_of(child)), Record{}}});
  expect({{child.uid(), "it is listed as an orphan of 0, but has the anchor"},
          {child.uid(), "it is listed as an orphan of 9, but has the anchor"}});
}

TEST_P(GraphDamage, AnOrphanThatAnotherHolds) {
  const Dict held = db.new_dict();
  const std::int64_t owner = -stored_node(db, held).anchor;
  change({erased(graph::orphan_key(owner, id_of(held))),
          {graph::orphan_key(owner + 1, id_of(held)), Record{}}});
  expect({{held.uid(), "it is listed as an orphan of"}, {held.uid(), "which does not list it"}});
}

// --- Prefixes, counters, the clock

Key prefix_key(const std::string& name) { return {.space = Space::kPrefix, .name = name}; }

TEST_P(GraphDamage, APrefixWithoutRoot) {
  const Database other = db.with_prefix("other");
  change({erased(graph::node_key(session_of(other).root()))});
  expect_of_store("the prefix 'other' has no root");
}

TEST_P(GraphDamage, APrefixWhoseRootIsNoRoot) {
  const Database other = db.with_prefix("other");
  const NodeId top = session_of(other).root();
  alter(graph::node_key(top), [](Record& record) { record.integers[2] = 0; });
  plant(db, {{graph::orphan_key(0, top), Record{}}});
  expect_of_store("the prefix 'other' has a root whose record does not say that it is one");
}

TEST_P(GraphDamage, APrefixWhoseRootIsAList) {
  const Database other = db.with_prefix("other");
  alter(graph::node_key(session_of(other).root()), [](Record& record) {
    record.integers[1] = static_cast<std::int64_t>(graph::Layout::kList);
    record.body.clear();
    jsonb::put_header(record.body, jsonb::Type::kArray, 0);
  });
  expect_of_store("the prefix 'other' has a list for a root");
}

TEST_P(GraphDamage, APrefixWhoseRootIsOfAnotherPrefix) {
  const Database other = db.with_prefix("other");
  alter(graph::node_key(session_of(other).root()), [](Record& record) { record.integers[0] = 99; });
  expect_of_store("the prefix 'other' has a root of another prefix");
}

TEST_P(GraphDamage, PrefixesThatShareIdAndRoot) {
  alter(prefix_key("main"), [](Record&) {});
  plant(db, {{prefix_key("twin"), store_of(db).load(prefix_key("main"))}});
  expect({{"", "the prefix 'twin' has the same id as 'main'"},
          {"", "the prefix 'twin' has the same root as 'main'"}});
}

TEST_P(GraphDamage, ARootOfNoPrefix) {
  const Database other = db.with_prefix("other");
  other.root().set("a", {{"b", 1}});
  const NodeId top = session_of(other).root();
  change({erased(prefix_key("other"))});
  expect({{graph::uid_of("?", store_of(db).backend().facts().constant, top, NodeKind::kDict),
           "it is a root of no prefix"}});
}

TEST_P(GraphDamage, ACounterOfNoPrefix) {
  db.incr("sound");
  change({{{.space = Space::kCounter, .a = 0, .name = "lost"}, Record{}},
          {{.space = Space::kCounter, .a = 123'456, .name = "lost too"}, Record{}}});
  expect({{"", "the counter 'lost' is of prefix number 0, which does not exist"},
          {"", "the counter 'lost too' is of prefix number 123456, which does not exist"}});
}

TEST_P(GraphDamage, ItemsOfNoMapAndOfNoKind) {
  const auto item = [](std::int64_t map, const char* name, std::int64_t kind) {
    return port::Change{{.space = Space::kItem, .a = map, .name = name},
                        Record{.integers = {kind}}};
  };
  const auto map = [](const char* name, std::int64_t id) {
    return port::Change{{.space = Space::kMap, .name = name}, Record{.integers = {id}}};
  };
  change(
      {map("one", 1), map("two", 1), item(1, "sound", 0), item(1, "odd", 99), item(2, "lost", 0)});
  expect({{"", "the map 'two' has the number 1 of another map"},
          {"", "the item 'odd' of map number 1 has the unknown kind 99"},
          {"", "the item 'lost' is of map number 2, which does not exist"}});
}

TEST_P(GraphDamage, NumbersThatNoMapHas) {
  const auto map = [](const char* name, std::int64_t id) {
    return port::Change{{.space = Space::kMap, .name = name}, Record{.integers = {id}}};
  };
  change({map("last", port::kMostMaps)});
  expect({});
  if (persistent()) {
    EXPECT_THROW(Map(url(), {.name = "another"}), LimitError);
  }
  change({map("none", port::kMostMaps + 1)});
  expect({{"", "the map 'none' has the number " + std::to_string(port::kMostMaps + 1)}});
  if (persistent()) {
    EXPECT_THROW(Map(url(), {.name = "another"}), CorruptionError);
  }
}

TEST_P(GraphDamage, TheClockIsBehindAnId) {
  if (!has_clock()) GTEST_SKIP() << "no clock record";
  const Dict child = made("child");
  const std::int64_t last = store_of(db).load(port::clock_key())->integers[0];
  alter(port::clock_key(), [&](Record& record) { record.integers[0] = id_of(child) - 1; });
  expect_of_store("the clock stands at " + std::to_string(id_of(child) - 1) + ", behind " +
                  std::to_string(last));
}

TEST_P(GraphDamage, TheClockIsBehindAPage) {
  if (!has_clock()) GTEST_SKIP() << "no clock record";
  const List list = made_list("list", Data::list());
  for (int i = 0; i < 500; ++i) list.push_back(i);
  const std::int64_t page = records_of(*store_of(db).view(), Space::kPage).rbegin()->first.a;
  alter(port::clock_key(), [&](Record& record) { record.integers[0] = page - 1; });
  expect_of_store("the clock stands at " + std::to_string(page - 1) + ", behind ");
}

TEST_P(GraphDamage, TheClockIsBehindAVersion) {
  if (!has_clock()) GTEST_SKIP() << "no clock record";
  const Dict child = made("child");
  alter(child, [](NodeRecord& node) { node.version = std::uint64_t{1} << 62U; });
  expect_of_store("behind 4611686018427387904, which was given out already");
}

TEST_P(GraphDamage, TheClockIsMissing) {
  if (!has_clock()) GTEST_SKIP() << "no clock record";
  alter(port::clock_key(), [](Record&) {});
  plant(db, {erased(port::clock_key())});
  expect_of_store("the clock stands at 0, behind ");
}

}  // namespace
}  // namespace graven::test
