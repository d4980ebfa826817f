// SPDX-License-Identifier: MIT
//
// The shapes that collectors get wrong, by name: chains of diamonds whose bottom leads back to
// the top, circles of mutual friends, very long chains (also while others write, and when the
// process dies in the middle), hubs over many nodes that live otherwise. Small by default;
// GRAVEN_FULL_SIZE=1 runs them at the sizes the product promises.
#include <atomic>
#include <cstdlib>
#include <thread>

#include "backends/sqlite/child.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

int scaled(int small, int full) {
  return std::getenv("GRAVEN_FULL_SIZE") != nullptr ? full : small;
}

Data::Index add(Data& data, NodeKind kind = NodeKind::kList) { return data.add(kind); }
void link(Data& data, Data::Index from, Data::Index to) {
  data.container(from).items.emplace_back(to);
}

/// `nodes` lists, each with the next; the last one's items are `last`.
Data chain(int nodes) {
  Data data;
  Data::Index before = add(data);
  data.set_root(before);
  for (int i = 1; i < nodes; ++i) {
    const Data::Index next = add(data);
    link(data, before, next);
    before = next;
  }
  return data;
}

class BigCases : public OnEveryStore {
 protected:
  /// So many nodes are left, so many of them because of handles.
  void expect_left(std::uint64_t nodes, std::uint64_t held = 0) {
    db.collect();
    const CheckReport report = db.check();
    EXPECT_TRUE(report.ok()) << problems_of(report);
    EXPECT_EQ(report.nodes, nodes);
    EXPECT_EQ(report.reclaiming, 0U);
    EXPECT_EQ(report.held, held);
  }

  Dict root = db.root();
};
GRAVEN_ON_EVERY_STORE(BigCases);

TEST_P(BigCases, AChainOfDiamondsWhoseBottomLinksToItsTop) {
  Data data;
  const Data::Index top = add(data);
  data.set_root(top);
  Data::Index at = top;
  const int depth = scaled(300, 20'000);
  for (int i = 0; i < depth; ++i) {
    const Data::Index left = add(data);
    const Data::Index right = add(data);
    const Data::Index bottom = add(data);
    link(data, at, left);
    link(data, at, right);
    link(data, left, bottom);
    link(data, right, bottom);
    at = bottom;
  }
  link(data, at, top);
  root.set("top", data);
  EXPECT_EQ(db.check().nodes, 2U + 3U * static_cast<unsigned>(depth));
  root.erase("top");
  expect_left(1);
}

TEST_P(BigCases, MutualFriends) {
  Data data = Data::list();
  const Data::Index all = std::get<Data::Index>(data.root());
  std::vector<Data::Index> friends;
  for (int i = 0; i < scaled(30, 300); ++i) friends.push_back(add(data));
  for (const Data::Index one : friends) {
    link(data, all, one);
    for (const Data::Index other : friends) {
      if (!(one == other)) link(data, one, other);
    }
  }
  root.set("friends", data);
  root.set("last", root["friends"].as_list()[-1]);
  root.erase("friends");  // one is left, and so all
  expect_clean(db);
  db.collect();
  EXPECT_EQ(db.check().nodes, 1 + friends.size());
  root.erase("last");
  expect_left(1);
}

TEST_P(BigCases, ALongChain) {
  root.set("chain", chain(scaled(30'000, 1'000'000)));
  EXPECT_EQ(db.check().nodes, 1U + static_cast<unsigned>(scaled(30'000, 1'000'000)));
  root.erase("chain");
  EXPECT_FALSE(root.contains("chain"));
  expect_clean(db);
  expect_left(1);
}

TEST_P(BigCases, ALongChainGoesWhileOthersWrite) {
  root.set("chain", chain(scaled(40'000, 1'000'000)));
  const Dict place = db.new_dict();
  root.set("place", place);
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      place.set(std::to_string(i % 10), {{"i", i}, {"up", place}});
      ++written;
    }
  });
  root.erase("chain");
  const int before = written;
  db.collect();
  EXPECT_GT(written, before);
  stop = true;
  writer.join();
  expect_clean(db);
  place.clear();
  root.erase("place");
  expect_left(2, 1);
}

TEST_P(BigCases, ALongChainThatIsLinkedBothWays) {
  Data data;
  const int nodes = scaled(30'000, 1'000'000);
  Data::Index before = add(data);
  data.set_root(before);
  for (int i = 1; i < nodes; ++i) {
    const Data::Index next = add(data);
    link(data, before, next);
    link(data, next, before);
    before = next;
  }
  root.set("head", data);
  List at = root["head"].as_list();
  for (int i = 0; i < 100; ++i) at = at[0].as_list();
  root.set("middle", at);
  root.erase("head");  // everything is reached from the middle
  db.collect();
  expect_clean(db);
  EXPECT_EQ(db.check().nodes, 1U + static_cast<unsigned>(nodes));
  root.erase("middle");  // but for the handle
  db.collect();
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, static_cast<unsigned>(nodes));
  at = db.new_list();
  expect_left(2, 1);
}

TEST_P(BigCases, AHubOverNodesThatLiveOtherwise) {
  const int leaves = scaled(25'000, 1'000'000);
  Data data = Data::dict();
  const Data::Index top = std::get<Data::Index>(data.root());
  const Data::Index list = add(data);
  const Data::Index hub = add(data);
  data.container(top).keys = {"hub", "list"};
  link(data, top, hub);
  link(data, top, list);
  for (int i = 0; i < leaves; ++i) {
    const Data::Index leaf = add(data);
    link(data, hub, leaf);
    link(data, list, leaf);
  }
  root.update(data);
  EXPECT_EQ(db.check().links, 2U * static_cast<unsigned>(leaves) + 2U);
  root.erase("hub");
  db.collect();
  expect_clean(db);
  EXPECT_EQ(db.check().nodes, 2U + static_cast<unsigned>(leaves));
  EXPECT_EQ(root["list"].as_list()[leaves / 2].as_list().refcount(), 1U);
  root.erase("list");
  expect_left(1);
}

TEST_P(BigCases, AHandleOnOneOfManyInAPieceThatGoes) {
  Data data = Data::dict();
  const Data::Index top = std::get<Data::Index>(data.root());
  const Data::Index all = add(data);
  data.container(top).keys = {"all"};
  link(data, top, all);
  for (int i = 0; i < scaled(25'000, 300'000); ++i) {
    const Data::Index one = add(data);
    link(data, one, add(data));
    link(data, all, one);
  }
  root.update(data);
  const List one = root["all"].as_list()[12'345].as_list();
  root.erase("all");
  db.collect();
  EXPECT_EQ(one.size(), 1U);
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 2U);
  EXPECT_EQ(report.nodes, 3U);
  root.set("kept", one);
  EXPECT_EQ(root["kept"][0].as_list().size(), 0U);
  expect_clean(db);
}

TEST_P(BigCases, AVeryLargeListOfNodesGoes) {
  const List list = db.new_list();
  Data some = Data::list();
  const Data::Index top = std::get<Data::Index>(some.root());
  for (int i = 0; i < 1000; ++i) link(some, top, add(some));
  root.set("list", list);
  const int times = scaled(25, 500);
  for (int i = 0; i < times; ++i) list.extend(some);
  EXPECT_EQ(list.size(), 1000U * static_cast<unsigned>(times));
  list.clear();
  expect_clean(db);
  expect_left(2);
}

TEST(BigCaseOfAFile, ReclaimingSurvivesTheDeathOfItsProcess) {
  const TemporaryFolder folder;
  const std::string url = folder / "test.db";
  Database(url).root().set("chain", chain(scaled(60'000, 1'000'000)));
  {
    Child child([&](const Reporter& reporter) {
      const Database mine(url);
      mine.root().erase("chain");
      reporter.say("erased");
      mine.collect();
      return true;
    });
    ASSERT_EQ(child.line(), "erased");
    child.kill();
  }
  const Database db(url);
  EXPECT_FALSE(db.root().contains("chain"));
  expect_clean(db);
  db.collect();
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.nodes, 1U);
}

}  // namespace
}  // namespace graven::test
