// SPDX-License-Identifier: MIT
//
// Ref: places below a dict, a list or the root, read from memory or not, whoever changed what lies
// on the way since. And where slices of lists begin.
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <graven/error.hpp>
#include <graven/graven.hpp>
#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "graph/error_of.hpp"

namespace graven::test {
namespace {

class Refs : public ::testing::Test {
 protected:
  /// Reads so often that a cache, if there is to be one, is used.
  template <class Read>
  static void often(const Read& read) {
    for (int i = 0; i < 40; ++i) read();
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
  Database db_{path_};
};

TEST_F(Refs, LeadAnywhere) {
  const std::string long_key(1000, 'k');
  db_["a"] = {{"b", {{"c", 7}, {"text", "x"}, {"none", nullptr}}}, {long_key, {{"", 8}}}};
  db_["list"] = Data::list({1, Data::list({2, {{"in", 3}}}), "last"});
  Data large = Data::dict();
  for (int i = 0; i < 1000; ++i) {
    large.container(std::get<Data::Index>(large.root())).keys.push_back("k" + std::to_string(i));
    large.container(std::get<Data::Index>(large.root())).items.emplace_back(std::int64_t{i});
  }
  db_["large"] = large;
  db_["large"]["child"] = {{"x", std::string(5000, 'b')}};
  often([&] {
    EXPECT_EQ(db_["a"]["b"]["c"].get<int>(), 7);
    EXPECT_EQ(db_["a"]["b"]["text"].get<std::string>(), "x");
    EXPECT_EQ(db_["a"]["b"]["none"].value(), Value());
    EXPECT_EQ(db_["a"][long_key][""].get<int>(), 8);
    EXPECT_EQ(db_["list"][0].get<int>(), 1);
    EXPECT_EQ(db_["list"][1][1]["in"].get<int>(), 3);
    EXPECT_EQ(db_["list"][-1].get<std::string>(), "last");
    EXPECT_EQ(db_["list"][-2][-2].get<int>(), 2);
    EXPECT_EQ(db_["large"]["k999"].get<int>(), 999);
    EXPECT_EQ(db_["large"]["child"]["x"].get<std::string>().size(), 5000U);
    EXPECT_EQ(db_["a"].as_dict()["b"]["c"].get<int>(), 7);
    EXPECT_EQ(db_["list"].as_list()[1][0].get<int>(), 2);
    EXPECT_TRUE(db_["a"]["b"]["c"].exists());
    EXPECT_FALSE(db_["a"]["b"]["d"].exists());
    EXPECT_FALSE(db_["z"]["b"]["d"].exists());
    EXPECT_FALSE(db_["list"][9][0].exists());
    EXPECT_THROW((void)db_["a"]["z"]["c"].value(), KeyNotFound);
    EXPECT_THROW((void)db_["a"]["b"]["z"].value(), KeyNotFound);
    EXPECT_THROW((void)db_["large"]["k1000"].value(), KeyNotFound);
    EXPECT_THROW((void)db_["list"][3].value(), IndexOutOfRange);
    EXPECT_THROW((void)db_["list"][-4].value(), IndexOutOfRange);
    EXPECT_THROW((void)db_["a"][0].value(), WrongTypeError);
    EXPECT_THROW((void)db_["list"]["a"].value(), WrongTypeError);
    EXPECT_THROW((void)db_["a"]["b"]["c"]["d"].value(), WrongTypeError);
  });
  db_["a"]["b"]["c"] = 9;
  EXPECT_EQ(db_["a"]["b"]["c"].get<int>(), 9);
  EXPECT_TRUE(db_["a"]["b"]["c"].erase());
  EXPECT_FALSE(db_["a"]["b"]["c"].erase());
  EXPECT_TRUE(db_["list"][1][0].erase());
  EXPECT_EQ(db_["list"][1].as_list().size(), 1U);
  EXPECT_EQ(db_["a"].materialize(),
            Data({{"b", {{"text", "x"}, {"none", nullptr}}}, {long_key, {{"", 8}}}}));
}

TEST_F(Refs, ErrorsNameThePath) {
  db_["a"] = {{"n", 300}, {"list", {1, {{"x/y", nullptr}}}}};
  const auto get8 = [&] { (void)db_["a"]["n"].get<std::int8_t>(); };
  EXPECT_EQ(error_of(get8), "limit: the value at 'a/n' is 300, which std::int8_t cannot hold");
  EXPECT_EQ(error_of([&] { (void)db_["a"]["n"].get<std::string>(); }),
            "wrong_type: the value at 'a/n' is int, not str");
  EXPECT_EQ(error_of([&] { (void)db_["a"]["list"][1]["x/y"].as_list(); }),
            "wrong_type: the value at 'a/list/1/x~1y' is null, not list");
  EXPECT_EQ(error_of([&] { (void)db_["a"]["n"]["b"]["c"].value(); }),
            "wrong_type: the value at 'a/n' is int, not dict");
  EXPECT_EQ(error_of([&] { db_["a"]["list"]["b"] = 1; }),
            "wrong_type: the value at 'a/list' is list, not dict");
  EXPECT_EQ(error_of([&] { (void)db_["a"].as_dict()["list"][-2].get<bool>(); }),
            "wrong_type: the value at 'list/-2' is int, not bool");
  EXPECT_EQ(db_["a"]["list"][1]["x/y"].path(), "a/list/1/x~1y");
}

TEST_F(Refs, TakeIndexesOfAnyIntegerType) {
  db_["list"] = {10, 11, 12};
  const List list = db_["list"].as_list();
  const std::size_t size = 1;
  const unsigned char byte = 1;
  for (const Value& value :
       {list[1].value(), list[1U].value(), list[1L].value(), list[size].value(), list[byte].value(),
        list[-2].value(), db_["list"][1U].value(), db_["list"][1LL].value(),
        db_["list"][size].value(), db_["list"][std::int16_t{-2}].value(), list.at(size),
        db_["list"].value()[size].value(), db_["list"].value()[-2].value()}) {
    EXPECT_EQ(value, Value(11));
  }
  // Not the last: an index that is too large for a list is no negative one.
  EXPECT_THROW((void)list[SIZE_MAX].value(), IndexOutOfRange);
  EXPECT_THROW((void)list.at(SIZE_MAX), IndexOutOfRange);
  EXPECT_THROW((void)db_["list"][SIZE_MAX].value(), IndexOutOfRange);
  EXPECT_FALSE(db_["list"][SIZE_MAX].exists());
}

TEST_F(Refs, AnswersOutliveWhatGaveThem) {
  db_["text"] = std::string(100, 'x');
  db_["d"] = {{"k", std::string(100, 'y')}};
  // Each range or reference is a temporary's, which is gone when it is used.
  const Value::Variant& variant = db_["text"].value().variant();
  EXPECT_EQ(std::get<std::string>(variant), std::string(100, 'x'));
  const auto& entry = *db_["d"].as_dict().begin();
  EXPECT_EQ(entry.second.get<std::string>(), std::string(100, 'y'));
  std::string names;
  for (const std::string& name :
       db_.connection().execute("SELECT 1 AS a_rather_long_name_of_a_column, 2 AS b").columns()) {
    names += name + " ";
  }
  EXPECT_EQ(names, "a_rather_long_name_of_a_column b ");
  const std::string& name = Map(path_, {.name = "a_rather_long_name_of_a_map"}).name();
  EXPECT_EQ(name, "a_rather_long_name_of_a_map");
  std::size_t items = 0;
  for (const Data::Item& item : db_["d"].materialize().container({0}).items) {
    items += std::get<std::string>(item).size();
  }
  EXPECT_EQ(items, 100U);
  const Data::Item& root = db_["text"].materialize().root();
  EXPECT_EQ(std::get<std::string>(root), std::string(100, 'x'));
}

// NOLINTBEGIN(bugprone-use-after-move)
template <class Handle, class... Calls>
void expect_moved_from(Handle from, const Calls&... calls) {
  const Handle to = std::move(from);
  const std::string wanted = "usage: this handle was moved from and stands for nothing";
  for (const std::string& error : {error_of([&] { calls(from); })...}) {
    EXPECT_EQ(error.substr(0, wanted.size()), wanted);
  }
}

TEST_F(Refs, HandlesThatWereMovedFromSaySo) {
  db_["d"] = {{"k", 1}};
  db_["l"] = {1, 2};
  const auto node = [&](const auto& handle) {
    expect_moved_from(
        handle, [](auto& h) { (void)h.uid(); }, [](auto& h) { (void)h.kind(); },
        [](auto& h) { (void)h.refcount(); }, [](auto& h) { (void)h.backrefs(); },
        [](auto& h) { (void)h.materialize(); }, [](auto& h) { (void)h.repr(); },
        [](auto& h) { (void)h.exists(); }, [](auto& h) { (void)h.pin(); },
        [](auto& h) { (void)h.size(); }, [](auto& h) { h.clear(); },
        [](auto& h) { (void)h.begin(); }, [&](auto& h) { db_["x"] = h; },
        [&](auto& h) {
          db_["x"] = {1, h};
        },
        [&](auto& h) { (void)db_.why_alive(h); });
  };
  node(db_["d"].as_dict());
  node(db_["l"].as_list());
  expect_moved_from(
      db_["d"].as_dict(), [](Dict& d) { (void)d["k"]; }, [](Dict& d) { (void)d.get("k"); },
      [](Dict& d) { (void)d.at("k"); }, [](Dict& d) { (void)d.contains("k"); },
      [](Dict& d) { d.set("k", 1); }, [](Dict& d) { (void)d.erase("k"); },
      [](Dict& d) { (void)d.pop("k"); }, [](Dict& d) { (void)d.keys(); },
      [](Dict& d) {
        d.update({{"k", 1}});
      },
      [](Dict& d) { (void)d.setdefault("k", 1); });
  expect_moved_from(
      db_["l"].as_list(), [](List& l) { (void)l[0]; }, [](List& l) { (void)l.at(0); },
      [](List& l) { l.push_back(1); }, [](List& l) { (void)l.pop(); }, [](List& l) { l.erase(0); },
      [](List& l) { (void)l.slice(0, 1); }, [](List& l) { l.insert(0, 1); });
  expect_moved_from(
      db_["d"]["k"], [](Ref& r) { (void)r.value(); }, [](Ref& r) { (void)r.get<int>(); },
      [](Ref& r) { r = 1; }, [](Ref& r) { (void)r.exists(); }, [](Ref& r) { (void)r.erase(); },
      [](Ref& r) { (void)r["x"].value(); }, [](Ref& r) { (void)r.materialize(); });
  expect_moved_from(
      Database(path_), [](Database& d) { (void)d.root(); }, [](Database& d) { d["a"] = 1; },
      [](Database& d) { (void)d["a"].value(); }, [](Database& d) { d.transaction([] {}); },
      [](Database& d) { (void)d.snapshot(); }, [](Database& d) { (void)d.stats(); },
      [](Database& d) { (void)d.name(); }, [](Database& d) { d.close(); },
      [](Database& d) { (void)d.check(); }, [](Database& d) { (void)d.incr("n"); });
  expect_moved_from(
      Map(path_), [](Map& m) { (void)m.get("a"); }, [](Map& m) { m.set("a", 1); },
      [](Map& m) { (void)m.size(); }, [](Map& m) { (void)m.name(); }, [](Map& m) { m.close(); },
      [](Map& m) { (void)m.cursor(); });
  expect_moved_from(
      db_.snapshot(), [](Snapshot& s) { (void)s.root(); }, [](Snapshot& s) { (void)s["d"]; },
      [](Snapshot& s) { s.close(); });
  expect_moved_from(
      db_.transactor(), [](Transactor& t) { (void)t.root(); }, [](Transactor& t) { t.watch(); },
      [](Transactor& t) { (void)t.execute(); });
  expect_moved_from(
      db_.connection(), [](SqlConnection& s) { s.execute("SELECT 1"); },
      [](SqlConnection& s) { s.commit(); });
  expect_moved_from(
      db_.connection().execute("SELECT 1"), [](SqlCursor& c) { (void)c.next(); },
      [](SqlCursor& c) { (void)c.columns(); }, [](SqlCursor& c) { (void)c.all(); });
  expect_moved_from(
      Watch(db_, "d"), [](Watch& w) { (void)w.next(std::chrono::milliseconds(0)); },
      [](Watch& w) { w.stop(); });
  // What cannot throw does nothing.
  Database gone(path_);
  const Database there = std::move(gone);
  EXPECT_TRUE(gone.closed());
  SqlConnection sql = db_.connection();
  const SqlConnection other = std::move(sql);
  sql.close();
  Dict dict = db_["d"].as_dict();
  const Dict kept = std::move(dict);
  EXPECT_FALSE(dict == kept);
  EXPECT_TRUE(dict == dict);
  EXPECT_FALSE(Value(dict) == Value(kept));
  dict = kept;
  EXPECT_EQ(dict.size(), 1U);
  EXPECT_TRUE(db_.check().ok());
}
// NOLINTEND(bugprone-use-after-move)

TEST_F(Refs, ArePlacesThatDoNotExchangeTheirNames) {
  static_assert(std::is_move_constructible_v<Ref> && std::is_copy_constructible_v<Ref>);
  db_["a"] = 1;
  db_["b"] = {{"x", 2}};
  db_["a"] = db_["b"];
  EXPECT_EQ(db_["a"].value(), db_["b"].value());
  const Ref place = db_["a"];
  place = 5;
  place = db_["b"].value();
  EXPECT_EQ(db_["a"]["x"].get<int>(), 2);
  db_["a"] = {db_["b"]};
  EXPECT_EQ(db_["a"].as_list().size(), 1U);
  db_["a"] = {};
  EXPECT_TRUE(db_["a"].value().is_null());
}

TEST_F(Refs, GoTheirWayAnewEachTime) {
  db_["a"] = {{"b", {{"c", 1}}}};
  const Ref place = db_["a"]["b"]["c"];
  often([&] { EXPECT_EQ(place.get<int>(), 1); });
  db_["a"] = {{"b", {{"c", 2}}}};
  often([&] { EXPECT_EQ(place.get<int>(), 2); });
  db_["a"]["b"] = {{"c", 3}};
  often([&] { EXPECT_EQ(place.get<int>(), 3); });
  db_["a"].erase();
  EXPECT_THROW((void)place.value(), KeyNotFound);
  db_["a"] = {{"b", {{"c", 4}}}};
  EXPECT_EQ(place.get<int>(), 4);
  db_.transaction([&] {
    db_["a"]["b"] = {{"c", 5}};
    EXPECT_EQ(place.get<int>(), 5);
  });
  const Snapshot before = db_.snapshot();
  db_["a"]["b"]["c"] = 6;
  EXPECT_EQ(before["a"]["b"]["c"].get<int>(), 5);
  EXPECT_EQ(place.get<int>(), 6);
}

// The same way in other stores, other prefixes and other states is another way.
TEST_F(Refs, AreNotMistakenForEachOther) {
  for (int i = 0; i < 5; ++i) {
    const std::string copy = folder_ / ("copy" + std::to_string(i) + ".db");
    const Database other(copy);
    const Database prefix = db_.with_prefix("p" + std::to_string(i));
    db_["a"] = {{"b", {{"c", i}}}};
    other["a"] = {{"b", {{"c", 100 + i}}}};
    prefix["a"] = {{"b", {{"c", 200 + i}}}};
    often([&] {
      EXPECT_EQ(db_["a"]["b"]["c"].get<int>(), i);
      EXPECT_EQ(other["a"]["b"]["c"].get<int>(), 100 + i);
      EXPECT_EQ(prefix["a"]["b"]["c"].get<int>(), 200 + i);
    });
    other.close();
    EXPECT_THROW((void)other["a"]["b"]["c"].value(), ClosedError);
  }
}

TEST_F(Refs, WhatCanBePeekedAtIsWhatIsThere) {
  db_["a"] = {{"n", 1}, {"child", {{"x", 2}}}, {"large", std::string(5000, 'b')}};
  db_["list"] = Data::list({1, "two", Data::dict({{"x", 3}})});
  const Dict a = db_["a"].as_dict();
  const List list = db_["list"].as_list();
  std::optional<Value> value;
  often([&] {
    (void)a.get("n");
    (void)list.at(0);
  });
  EXPECT_TRUE(a.peek("n", value));
  EXPECT_EQ(value, Value(1));
  EXPECT_TRUE(a.peek("none", value));
  EXPECT_FALSE(value);
  ASSERT_TRUE(a.peek("child", value));
  EXPECT_EQ(value->as_dict().at("x"), Value(2));
  EXPECT_FALSE(a.peek("large", value));  // a record of its own
  EXPECT_FALSE(value);
  EXPECT_EQ(list.peek(-2), Value(std::string("two")));
  EXPECT_EQ(list.peek(2)->as_dict().at("x"), Value(3));
  EXPECT_FALSE(list.peek(3));
  EXPECT_FALSE(list.peek(-4));
  const Dict child = value ? value->as_dict() : a.at("child").as_dict();
  a.erase("child");
  EXPECT_TRUE(a.peek("child", value));
  EXPECT_FALSE(value);
  EXPECT_EQ(child.at("x"), Value(2));  // its handle keeps it
  db_.transaction([&] {
    a.set("n", 5);
    EXPECT_FALSE(a.peek("n", value));  // the transaction's own state is not the one in memory
    EXPECT_FALSE(list.peek(0));
  });
  EXPECT_TRUE(a.peek("n", value));
  EXPECT_EQ(value, Value(5));
  const Database other("sqlite:///" + path_ + "?synchronous=off");
  other["a"]["n"] = 6;
  if (a.peek("n", value)) {
    EXPECT_EQ(value, Value(6));
  }
  EXPECT_EQ(a.get("n"), Value(6));
  db_.close();
  EXPECT_THROW((void)a.peek("n", value), ClosedError);
}

// Another handle on the file, with a cache of its own, is another process as far as that goes.
TEST_F(Refs, SeeWhatOthersCommitAtOnce) {
  const Database other("sqlite:///" + path_ + "?synchronous=off");
  db_["a"] = {{"b", {{"c", 0}}}};
  for (int i = 1; i < 300; ++i) {
    if (i % 3 == 0) {
      other["a"]["b"]["c"] = i;
    } else if (i % 3 == 1) {
      other["a"]["b"] = {{"c", i}};
    } else {
      other["a"] = {{"b", {{"c", i}}}};
    }
    ASSERT_EQ(db_["a"]["b"]["c"].get<int>(), i);
    ASSERT_EQ(db_["a"]["b"]["c"].get<int>(), i);
  }
}

// Two places that are always moved together, read while they move: never less than was there
// before, whatever is collected on the way.
TEST_F(Refs, NeverGoBackWhileOthersWrite) {
  db_["a"] = {{"b", {{"c", 0}}}};
  std::atomic<int> committed{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done.load()) {
        const int before = committed.load();
        ASSERT_GE(db_["a"]["b"]["c"].get<int>(), before);
      }
    });
  }
  for (int i = 1; i <= 2000; ++i) {
    if (i % 2 == 0) {
      db_["a"]["b"] = {{"c", i}};
    } else {
      db_["a"] = {{"b", {{"c", i}}}};
    }
    committed.store(i);
  }
  done.store(true);
  for (std::thread& reader : readers) reader.join();
}

TEST(Lists, SlicesBeginAtAnIndexWhichMayCountFromTheEnd) {
  const Database db("memory://");
  for (const int size : {3, 5000}) {
    std::vector<int> numbers;
    for (int i = 0; i < size; ++i) numbers.push_back(i);
    db["l"] = numbers;
    const List list = db["l"].as_list();
    const auto found = [&](ListIndex start, Count count) {
      std::vector<int> items;
      for (const Value& item : list.slice(start, count)) items.push_back(item.get<int>());
      return items;
    };
    EXPECT_EQ(found(-1, 1), (std::vector<int>{size - 1}));
    EXPECT_EQ(found(-2, SIZE_MAX), (std::vector<int>{size - 2, size - 1}));
    EXPECT_EQ(found(-size - 5, 2), (std::vector<int>{0, 1}));
    EXPECT_EQ(found(size - 1, 2), (std::vector<int>{size - 1}));
    EXPECT_TRUE(found(size, 1).empty());
    EXPECT_TRUE(found(SIZE_MAX, 1).empty());
    EXPECT_THROW((void)list.slice(0, -1), UsageError);
    list.splice(-1, 1, Data::list({7, 8}));
    EXPECT_EQ(found(-2, 2), (std::vector<int>{7, 8}));
    EXPECT_EQ(list.size(), static_cast<std::size_t>(size) + 1);
    EXPECT_THROW(list.splice(0, -1, Data::list()), UsageError);
  }
}

}  // namespace
}  // namespace graven::test
