// SPDX-License-Identifier: MIT
//
// Building stored nodes of plain data: same shape, anchors that form a tree, right counts, and
// refusals that name the path and change nothing.
#include "graph/node/build.hpp"

#include <cmath>

#include "graph/graph_under_test.hpp"
#include "graph/node/dict_content.hpp"

namespace graven::test {
namespace {

class Building : public OnEveryStore {
 protected:
  Dict root = db.root();

  static Data::Container& container_of(Data& data) {
    return data.container(std::get<Data::Index>(data.root()));
  }
  static void add(Data& data, Data::Index to, const std::string& key, Data::Item item) {
    data.container(to).keys.push_back(key);
    data.container(to).items.push_back(std::move(item));
  }
};
GRAVEN_ON_EVERY_STORE(Building);

TEST_P(Building, WhatIsSharedIsOneNode) {
  Data data = Data::dict();
  const Data::Index top = std::get<Data::Index>(data.root());
  const Data::Index shared = data.add(NodeKind::kList);
  const Data::Index other = data.add(NodeKind::kDict);
  add(data, top, "a", shared);
  add(data, top, "b", other);
  add(data, top, "c", shared);
  add(data, other, "d", shared);
  root.set("x", data);
  const Dict x = root["x"].as_dict();
  const List node = x["a"].as_list();
  EXPECT_EQ(x["c"].as_list(), node);
  EXPECT_EQ(x["b"]["d"].as_list(), node);
  EXPECT_EQ(node.backrefs(),
            (std::map<std::string, std::int64_t>{{x.uid(), 2}, {x["b"].as_dict().uid(), 1}}));
  EXPECT_EQ(db.check().nodes, 4U);
  expect_clean(db);
}

TEST_P(Building, CyclesStayCycles) {
  Data data = Data::dict();
  const Data::Index top = std::get<Data::Index>(data.root());
  const Data::Index ring = data.add(NodeKind::kDict);
  add(data, top, "ring", ring);
  add(data, top, "self", top);
  add(data, ring, "top", top);
  add(data, ring, "ring", ring);
  root.set("x", data);
  const Dict x = root["x"].as_dict();
  EXPECT_EQ(x["self"].as_dict(), x);
  EXPECT_EQ(x["ring"]["top"].as_dict(), x);
  EXPECT_EQ(x["ring"]["ring"].as_dict(), x["ring"].as_dict());
  EXPECT_EQ(x.materialize(), data);
  EXPECT_EQ(stored_node(db, x).anchor, id_of(root));
  expect_clean(db);
  root.erase("x");
  EXPECT_EQ(db.check().held, 2U);  // x is held here, and what it links lives with it
}

TEST_P(Building, NodesAreMadeBreadthFirstWithNeighbouringIds) {
  root.set("x", {{"a", {{"c", {{"d", 1}}}}}, {"b", {{"e", 1}}}});
  const Dict x = root["x"].as_dict();
  const NodeId first = id_of(x);
  EXPECT_EQ(id_of(x["a"].as_dict()), first + 1);
  EXPECT_EQ(id_of(x["b"].as_dict()), first + 2);
  EXPECT_EQ(id_of(x["a"]["c"].as_dict()), first + 3);
}

TEST_P(Building, HandlesAreLinkedNotCopied) {
  root.set("x", {{"a", 1}});
  const Dict x = root["x"].as_dict();
  root.set("y", {{"one", x}, {"two", {x, x}}});
  EXPECT_EQ(root["y"]["one"].as_dict(), x);
  EXPECT_EQ(root["y"]["two"][1].as_dict(), x);
  EXPECT_EQ(x.refcount(), 3U);
  x.set("b", 2);
  EXPECT_EQ(root["y"]["two"][0]["b"].get<int>(), 2);
  expect_clean(db);
}

TEST_P(Building, AHandleInsideDataThatHangsOnIt) {
  // The new dict hangs on x before x links it; x must not come to hang on the new dict.
  const Dict x = db.new_dict();
  x.set("n", {{"back", x}, {"deep", {{"back", x}}}});
  expect_clean(db);
  EXPECT_EQ(db.check().held, 3U);
  const Dict y = db.new_dict();
  y.update({{"one", {{"y", y}}}, {"two", {{"y", y}}}});
  expect_clean(db);
  const List z = db.new_list();
  z.extend(Data::list({Data::list({z}), z}));
  expect_clean(db);
}

TEST_P(Building, ADeepStructureTakesNoStack) {
  Data data;
  std::vector<Data::Index> all;
  for (int i = 0; i < 100'000; ++i) all.push_back(data.add(NodeKind::kList));
  for (std::size_t i = 0; i + 1 < all.size(); ++i)
    data.container(all[i]).items.emplace_back(all[i + 1]);
  data.set_root(all[0]);
  root.set("deep", data);
  EXPECT_EQ(root["deep"].as_list().materialize(), data);
  root.erase("deep");
  db.collect();
  EXPECT_EQ(db.check().nodes, 1U);
}

// --- Refusals

/// Asserts that storing the data is refused with a message that names the path; nothing changes.
template <class E>
void expect_refused(const Database& db, const Data& data, const std::string& path) {
  const Records before = all_records(db);
  try {
    db.root().set("x", data);
    ADD_FAILURE() << "stored";
  } catch (const E& error) {
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
  }
  EXPECT_EQ(all_records(db), before);
}

TEST_P(Building, TextThatIsNoUtf8NamesThePath) {
  expect_refused<BadValueError>(db, "\xed\xa0\x80", "['x']");
  expect_refused<BadValueError>(db, {{"a", {1, {{"b", "\xff"}}}}}, "['x']['a'][1]['b']");
  expect_refused<BadValueError>(db, {{"a", Data::dict({{"\xff", 1}})}}, "['x']['a']");
}

TEST_P(Building, IntegersHaveDigits) {
  expect_refused<BadValueError>(db, BigInt{"FFFFFFFFFFFFFFFF"}, "['x']");
  expect_refused<BadValueError>(db, {{"a", {1, BigInt{}}}}, "['x']['a'][1]");
}

TEST_P(Building, KeysAreDistinctAndNotTooLong) {
  expect_refused<BadValueError>(db, Data::dict({{"a", 1}, {"b", 2}, {"a", 3}}), "['x']");
  Data many = Data::dict();
  for (int i = 0; i < 30; ++i)
    add(many, std::get<Data::Index>(many.root()), std::to_string(i % 29), i);
  expect_refused<BadValueError>(db, many, "['x']");
  expect_refused<LimitError>(db, Data::dict({{std::string(65'536, 'k'), 1}}), "['x']");
  root.set("x", Data::dict({{std::string(65'535, 'k'), 1}}));
  EXPECT_THROW(root.set(std::string(65'536, 'k'), 1), LimitError);
  EXPECT_THROW(root.set("\xff", 1), BadValueError);
}

TEST_P(Building, HandlesOfAnotherDatabaseOrPrefixAreRefused) {
  const Database other("memory://");
  expect_refused<BadValueError>(db, {{"a", other.new_dict()}}, "['x']['a']");
  const Database prefix = db.with_prefix("other");
  const Dict foreign = prefix.new_dict();
  expect_refused<BadValueError>(db, {{"a", {foreign}}}, "['x']['a'][0]");
}

TEST_P(Building, AHandleOfACollectedNodeIsRefused) {
  std::optional<Dict> made;
  EXPECT_THROW(db.transaction([&] {
    made = db.new_dict();
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  EXPECT_THROW(root.set("x", *made), CollectedError);
  EXPECT_THROW(root.set("x", {{"a", *made}}), CollectedError);
  EXPECT_FALSE(root.contains("x"));
  expect_clean(db);
}

TEST_P(Building, AFailureHalfWayLeavesNothing) {
  std::optional<Dict> gone;
  EXPECT_THROW(db.transaction([&] {
    gone = db.new_dict();
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  const Records before = all_records(db);
  root.set("y", 1);
  root.erase("y");
  EXPECT_THROW(root.update({{"a", {{"b", std::string(5000, 'x')}}}, {"c", {1, *gone}}}),
               CollectedError);
  EXPECT_FALSE(root.contains("a"));
  EXPECT_EQ(all_records(db).size(), before.size());
  expect_clean(db);
}

}  // namespace
}  // namespace graven::test
