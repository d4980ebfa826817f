// SPDX-License-Identifier: MIT
//
// Ref: places below a dict, a list or the root, read from memory or not, whoever changed what lies
// on the way since.
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <graven/error.hpp>
#include <graven/graven.hpp>
#include <gtest/gtest.h>

#include "sqlite/temporary_folder.hpp"

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

}  // namespace
}  // namespace graven::test
