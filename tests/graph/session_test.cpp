// SPDX-License-Identifier: MIT
//
// Sessions: which prefix is opened, uids there and back, prefixes made, listed and deleted,
// counters, and what close() ends.
#include <algorithm>
#include <optional>
#include <string>
#include <thread>

#include "base/random.hpp"
#include "graph/error_of.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class Sessions : public OnEveryStore {
 protected:
  Dict root = db.root();
};
GRAVEN_ON_EVERY_STORE(Sessions);

TEST_P(Sessions, ThreadsMayPrepareAtAnyTime) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      prepare();
      root.set(std::to_string(i), i);
      prepare();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(root.size(), 4U);
}

// --- Uids

TEST_P(Sessions, UidsComeBack) {
  root.set("x", {{"list", {1}}});
  const Dict x = root["x"].as_dict();
  const List list = x["list"].as_list();
  for (const Node& node : std::vector<Node>{root, x, list}) {
    const std::string uid = node.uid();
    const bool dict = node.kind() == NodeKind::kDict;
    EXPECT_EQ(uid.substr(0, 6), dict ? "main:D" : "main:L");
    EXPECT_EQ(uid.size(), 5U + 1 + 26);
    const std::optional<Value> found = db.get_via_uid(uid);
    ASSERT_TRUE(found);
    EXPECT_EQ(dict ? found->as_dict().uid() : found->as_list().uid(), uid);
  }
  EXPECT_EQ(db.get_via_uid(x.uid())->as_dict(), x);
}

TEST_P(Sessions, EveryIdHasAUidOfItsOwn) {
  Random random;
  const graph::Session& session = session_of(db);
  for (int i = 0; i < 5000; ++i) {
    const auto id = static_cast<NodeId>(random.bits() >> (1 + random.below(62)));
    const NodeKind kind = random.one_in(2) ? NodeKind::kDict : NodeKind::kList;
    const auto parsed = graph::parse_uid(session, graph::uid_of(session, id, kind));
    ASSERT_TRUE(parsed);
    ASSERT_EQ(parsed->id, id);
    ASSERT_EQ(parsed->kind, kind);
  }
  // In the order of ids.
  EXPECT_LT(graph::uid_of(session, 1000, NodeKind::kDict),
            graph::uid_of(session, 1001, NodeKind::kDict));
  EXPECT_LT(graph::uid_of(session, 0x7fff, NodeKind::kDict),
            graph::uid_of(session, 0x8000, NodeKind::kDict));
}

TEST_P(Sessions, WhatIsNoUidFindsNothing) {
  root.set("x", Data::dict());
  const std::string uid = root["x"].as_dict().uid();
  std::string wrong_kind = uid;
  wrong_kind[5] = 'L';
  std::string wrong_prefix = uid;
  wrong_prefix[0] = 'n';
  std::string other_node = uid;
  other_node[10] = other_node[10] == '7' ? '6' : '7';
  std::string other_store = uid;
  other_store.back() = other_store.back() == '7' ? '6' : '7';
  for (const std::string& text :
       {wrong_kind, wrong_prefix, other_node, other_store, uid + "0", uid.substr(0, uid.size() - 1),
        std::string(), std::string("main:"), std::string("main:X") + uid.substr(6),
        "other:" + uid.substr(5), uid.substr(0, 31) + "!"}) {
    EXPECT_FALSE(db.get_via_uid(text)) << text;
  }
}

TEST_P(Sessions, AUidOfAnotherPrefixFindsNothingHere) {
  const Database other = db.with_prefix("other");
  other.root().set("x", Data::dict());
  const std::string uid = other.root()["x"].as_dict().uid();
  EXPECT_TRUE(other.get_via_uid(uid));
  EXPECT_FALSE(db.get_via_uid(uid));
  EXPECT_FALSE(db.get_via_uid("main" + uid.substr(5)));
}

// --- Prefixes

TEST_P(Sessions, ThePrefixIsMainWhateverOthersOpened) {
  EXPECT_EQ(db.prefix(), "main");
  if (!persistent()) return;
  for (const std::string name : {"second", "main", "third"}) {
    Options options;
    options.prefix = name;
    EXPECT_EQ(Database(url(), options).prefix(), name);
    EXPECT_EQ(Database(url()).prefix(), "main");
  }
  const std::string with_option = in_file() ? "sqlite:///" + url() + '?' : url() + '&';
  EXPECT_EQ(Database(with_option + "prefix=second").prefix(), "second");
}

TEST_P(Sessions, ANewPrefixIsMadeAndNothingElse) {
  if (!persistent()) return;
  db["x"] = 1;
  const Database fresh(url(), {.prefix = "a:b", .new_prefix = true});
  EXPECT_TRUE(fresh.root().empty());
  EXPECT_EQ(db.prefixes().size(), 2U);
  EXPECT_TRUE(db.prefix_in_use(fresh.prefix()));
  EXPECT_EQ(fresh.with_prefix("main")["x"].get<int>(), 1);
}

// A store without "main" is not given an empty one; what concerns the whole store works.
TEST_P(Sessions, AStoreWithoutMainServesTheWholeStoreAndNamesItsPrefixes) {
  if (!persistent()) return;
  { Database(url(), {.prefix = "shop"})["x"] = 1; }
  db.delete_prefix_immediately("main");
  for (const bool read_only : {false, true}) {
    const Database other(url(), {.read_only = read_only});
    EXPECT_TRUE(other.check().ok());
    EXPECT_EQ(other.prefixes(), std::vector<std::string>{"shop"});
    for (const std::function<void()>& use : std::initializer_list<std::function<void()>>{
             [&] { (void)other.root(); }, [&] { (void)other["x"].value(); },
             [&] { (void)other.snapshot().root(); }, [&] { (void)other.count("n"); },
             [&] { (void)other.transactor()["x"].value(); }}) {
      try {
        use();
        ADD_FAILURE() << "not refused";
      } catch (const KeyNotFound& error) {
        EXPECT_NE(std::string(error.what()).find("'shop'"), std::string::npos) << error.what();
      }
    }
    if (!read_only) {
      EXPECT_THROW(other["x"] = 1, KeyNotFound);
      EXPECT_THROW((void)other.new_dict(), KeyNotFound);
      EXPECT_THROW(other.incr("n"), KeyNotFound);
      EXPECT_EQ(other.with_prefix("shop")["x"].get<int>(), 1);
    }
  }
}

TEST_P(Sessions, PrefixesAreIndependent) {
  const Database other = db.with_prefix("other");
  root.set("x", 1);
  other.root().set("x", 2);
  db.incr("n");
  EXPECT_EQ(root["x"].get<int>(), 1);
  EXPECT_EQ(other.root()["x"].get<int>(), 2);
  EXPECT_EQ(other.count("n"), 0);
  EXPECT_EQ(db.prefixes(), (std::vector<std::string>{"main", "other"}));
  EXPECT_TRUE(db.prefix_in_use("other"));
  EXPECT_FALSE(db.prefix_in_use("othe"));
  EXPECT_FALSE(db.prefix_in_use("other2"));
  EXPECT_FALSE(db.prefix_in_use(""));
  const std::string fresh = db.new_prefix();
  EXPECT_FALSE(db.prefix_in_use(fresh));
  EXPECT_NE(fresh, db.new_prefix());
}

TEST_P(Sessions, NamesThatCannotBePrefixesAreRefused) {
  for (const std::string& name : {std::string("a:b"), std::string("a\nb"), std::string("\xff"),
                                  std::string(201, 'x'), std::string("a\x7f"), std::string()}) {
    EXPECT_THROW(static_cast<void>(db.with_prefix(name)), BadValueError) << name;
  }
  static_cast<void>(db.with_prefix(std::string(200, 'x')));
  static_cast<void>(db.with_prefix("h\xc3\xa9*?"));
}

TEST_P(Sessions, DeletingAPrefixDeletesExactlyIt) {
  for (const std::string name : {"a", "ab", "a*"}) {
    const Database other = db.with_prefix(name);
    other.root().set("x",
                     {{"y", {1, 2, {{"up", other.root()}}}}, {"text", std::string(5000, 'x')}});
    other.incr("n");
  }
  EXPECT_EQ(db.delete_prefix_immediately("a*"), 4U);
  EXPECT_EQ(db.prefixes(), (std::vector<std::string>{"a", "ab", "main"}));
  EXPECT_EQ(db.with_prefix("ab").root()["x"]["y"][0].get<int>(), 1);
  EXPECT_EQ(db.with_prefix("ab").count("n"), 1);
  expect_clean(db);
  EXPECT_EQ(db.delete_prefix_immediately("a*"), 0U);
  EXPECT_EQ(db.delete_prefix_immediately("a"), 4U);
  EXPECT_EQ(db.delete_prefix_immediately("ab"), 4U);
  EXPECT_EQ(record_count(db), 2U);  // one prefix, one root
}

TEST_P(Sessions, DeletingInStepsEndsWithNothing) {
  {
    const Database other = db.with_prefix("other");
    for (int i = 0; i < 95; ++i) other.root().set(std::to_string(i), Data::dict());
  }
  std::uint64_t total = 0;
  std::uint64_t steps = 0;
  while (const std::uint64_t gone = db.delete_prefix_batch("other", 10)) {
    EXPECT_LE(gone, 10U);
    total += gone;
    ++steps;
    expect_clean(db);
    EXPECT_FALSE(db.prefix_in_use("other"));
  }
  EXPECT_EQ(total, 96U);
  EXPECT_GE(steps, 10U);
  EXPECT_EQ(record_count(db), 2U);
}

TEST_P(Sessions, ADeletedPrefixIsMadeAnewWhereItIsUsed) {
  const Database other = db.with_prefix("other");
  const Dict top = other.root();
  top.set("x", {{"y", 1}});
  db.delete_prefix_immediately("other");
  EXPECT_EQ(top.size(), 0U);
  top.set("z", 1);
  EXPECT_EQ(other.root()["z"].get<int>(), 1);
  EXPECT_TRUE(db.prefix_in_use("other"));
  // Also its own.
  root.set("x", 1);
  db.delete_prefix_immediately("main");
  EXPECT_FALSE(root.contains("x"));
  root.set("x", 2);
  EXPECT_EQ(db.root()["x"].get<int>(), 2);
  expect_clean(db);
}

TEST_P(Sessions, ErrorsTellByUidWhatIsGone) {
  const Database other = db.with_prefix("other");
  const Dict top = other.root();
  const std::string uid = top.uid();
  db.delete_prefix_immediately("other");
  db.transaction([&] {
    EXPECT_EQ(error_of([&] { static_cast<void>(top.size()); }).find("collected: " + uid + " is"),
              0U);
    EXPECT_EQ(error_of([&] { top.set("x", 1); }).find("collected: " + uid + " is"), 0U);
  });
  std::optional<Dict> made;
  {
    const Transaction rolled_back = db.begin();
    root.set("made", Data::dict());
    made.emplace(root["made"].as_dict());
    EXPECT_EQ(made->size(), 0U);
  }
  const std::string gone = "collected: " + made->uid() + " is gone";
  EXPECT_EQ(error_of([&] { static_cast<void>(made->size()); }).find(gone), 0U);
  EXPECT_EQ(error_of([&] { root.set("again", *made); }).find(gone), 0U);
}

TEST_P(Sessions, AWriteThroughTheOldRootIsNotLostWhileAPrefixGoes) {
  const Database other = db.with_prefix("other");
  for (int i = 0; i < 50; ++i) other.root().set(std::to_string(i), Data::dict());
  // Out of every view, but not a record reclaimed yet.
  EXPECT_EQ(db.delete_prefix_batch("other", 0), 0U);
  other.root().set("new", 1);
  EXPECT_EQ(other.root().keys(), std::vector<std::string>{"new"});
  db.collect();
  EXPECT_EQ(other.root().keys(), std::vector<std::string>{"new"});
  expect_clean(db);
}

TEST_P(Sessions, HandlesIntoADeletedPrefixKeepTheirNodes) {
  const Database other = db.with_prefix("other");
  other.root().set("x", {{"y", {{"z", 1}}}});
  const Dict y = other.root()["x"]["y"].as_dict();
  EXPECT_EQ(db.delete_prefix_immediately("other"), 2U);
  EXPECT_EQ(y["z"].get<int>(), 1);
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
  EXPECT_EQ(report.held, 1U);
}

// --- Counters

TEST_P(Sessions, Counters) {
  EXPECT_EQ(db.count("n"), 0);
  EXPECT_EQ(db.incr("n"), 1);
  EXPECT_EQ(db.incr("n", 41), 42);
  EXPECT_EQ(db.incr("n", -50), -8);
  EXPECT_EQ(db.count("n"), -8);
  EXPECT_EQ(db.incr("max", INT64_MAX), INT64_MAX);
  EXPECT_THROW(db.incr("max"), LimitError);
  EXPECT_EQ(db.count("max"), INT64_MAX);
  EXPECT_THROW(db.incr("max", UINT64_MAX), LimitError);
  EXPECT_THROW(db.incr(""), BadValueError);
  EXPECT_THROW(db.incr("\xff"), BadValueError);
  EXPECT_TRUE(root.empty());  // a namespace of their own
}

TEST_P(Sessions, CountersFromManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 100; ++n) db.incr("n");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(db.count("n"), 400);
}

TEST_P(Sessions, CountersAreTransactional) {
  EXPECT_THROW(db.transaction([&] {
    db.incr("n");
    EXPECT_EQ(db.count("n"), 1);
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  EXPECT_EQ(db.count("n"), 0);
}

// --- The end

TEST_P(Sessions, AnyUseAfterCloseIsAnError) {
  root.set("x", {{"y", 1}});
  const Dict x = root["x"].as_dict();
  const Snapshot snapshot = db.snapshot();
  db.close();
  db.close();
  EXPECT_TRUE(db.closed());
  EXPECT_THROW(static_cast<void>(db.root()), ClosedError);
  EXPECT_THROW(static_cast<void>(x.size()), ClosedError);
  EXPECT_THROW(x.set("y", 2), ClosedError);
  EXPECT_THROW(static_cast<void>(x.refcount()), ClosedError);
  EXPECT_THROW(static_cast<void>(x.materialize()), ClosedError);
  EXPECT_THROW(static_cast<void>(x.repr()), ClosedError);
  EXPECT_THROW(static_cast<void>(snapshot.root().size()), ClosedError);
  EXPECT_THROW(static_cast<void>(db.snapshot()), ClosedError);
  EXPECT_THROW(static_cast<void>(db.transactor()), ClosedError);
  EXPECT_THROW(db.incr("n"), ClosedError);
  EXPECT_THROW(static_cast<void>(db.count("n")), ClosedError);
  EXPECT_THROW(static_cast<void>(db.begin()), ClosedError);
  EXPECT_THROW(static_cast<void>(db.check()), ClosedError);
  EXPECT_THROW(static_cast<void>(db.prefixes()), ClosedError);
  EXPECT_THROW(static_cast<void>(db.get_via_uid("x")), ClosedError);
  EXPECT_THROW(static_cast<void>(db.new_dict()), ClosedError);
  EXPECT_THROW(static_cast<void>(db.with_prefix("x")), ClosedError);
  EXPECT_THROW(db.collect(), ClosedError);
  EXPECT_THROW(db.maintenance(), ClosedError);
}

TEST_P(Sessions, ClosingRollsBackAnOpenTransaction) {
  if (!persistent()) return;
  {
    Database other(url());
    const Transaction transaction = other.begin();
    other.root().set("x", 1);
    other.close();
  }
  EXPECT_FALSE(root.contains("x"));
  root.set("x", 2);
}

TEST_P(Sessions, ClosingCollectsWhatItsHandlesHeld) {
  if (!persistent()) return;
  Database other(url());
  const Dict held = other.new_dict({{"child", {{"x", 1}}}});
  EXPECT_EQ(db.check().nodes, 3U);
  other.close();
  EXPECT_EQ(db.check().nodes, 1U);
}

TEST_P(Sessions, TwoDatabasesOfOneProcessShareTheirStore) {
  if (!persistent()) return;
  const Database other(url());
  EXPECT_EQ(&heap_of(db), &heap_of(other));
  root.set("x", {{"y", 1}});
  EXPECT_EQ(other.root()["x"].as_dict(), root["x"].as_dict());
  root.set("z", other.root()["x"]);  // a handle of the other: the same store and prefix
  EXPECT_EQ(root["x"].as_dict().backrefs().begin()->second, 2);
}

}  // namespace
}  // namespace graven::test
