// SPDX-License-Identifier: MIT
//
// Queries on every store: order, limits, fields, groups, changes, and what they do not make.
#include <graven/graven.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class Queries : public OnEveryStore {
 protected:
  void SetUp() override {
    db["users"] = {{"ada", {{"name", "Ada"}, {"age", 36}, {"country", "GB"}}},
                   {"bob", {{"name", "Bob"}, {"age", 17}, {"country", "US"}}},
                   {"cyd", {{"name", "Cyd"}, {"age", 36.0}, {"country", "US"}}},
                   {"dan", {{"name", "Dan"}, {"age", nullptr}, {"country", "FR"}}}};
  }
  [[nodiscard]] Query users(const Condition& condition = {}) const {
    return db["users"].where(condition);
  }
  static std::string names(const Query& query) {
    std::string all;
    for (const Value& row : query) all += row["name"].get<std::string>() + " ";
    if (!all.empty()) all.pop_back();
    return all;
  }
  /// A list of `size` dicts with the field n: 0, 1, 2 ….
  void numbers(int size) const {
    Data list = Data::list();
    for (int i = 0; i < size; ++i) {
      const Data::Item item = list.adopt(Data::dict({{"n", i}}));
      list.container(std::get<Data::Index>(list.root())).items.push_back(item);
    }
    db["numbers"] = list;
  }
};
GRAVEN_ON_EVERY_STORE(Queries);

TEST_P(Queries, RowsComeInTheContainersOrder) {
  EXPECT_EQ(names(users()), "Ada Bob Cyd Dan");
  EXPECT_EQ(names(users(F("age") >= 18)), "Ada Cyd");
  EXPECT_EQ(names(users(F("age") >= 18).where(F("country") == "US")), "Cyd");
  EXPECT_EQ(names(users(F("age") > 100)), "");
  const auto page = users(F("country") == "US").cursor().next();
  ASSERT_EQ(page.size(), 2U);
  EXPECT_EQ(page[1].key, "cyd");
  EXPECT_TRUE(page[1].value.as_dict() == db["users"]["cyd"].as_dict());
}

TEST_P(Queries, OrderLimitOffset) {
  EXPECT_EQ(names(users().order_by({"age"})), "Dan Bob Ada Cyd");
  EXPECT_EQ(names(users().order_by({"-age", "-name"})), "Cyd Ada Bob Dan");
  EXPECT_EQ(names(users().order_by({"-age"})), "Ada Cyd Bob Dan") << "ties by position";
  EXPECT_EQ(names(users().order_by({"-age"}).limit(2)), "Ada Cyd");
  EXPECT_EQ(names(users().order_by({"-age"}).offset(1).limit(2)), "Cyd Bob");
  EXPECT_EQ(names(users().order_by(F("name"), true).limit(1)), "Dan");
  EXPECT_EQ(names(users().offset(3)), "Dan");
  EXPECT_EQ(names(users().offset(9)), "");
  EXPECT_EQ(names(users().limit(0)), "");
  EXPECT_EQ(names(users().order_by({"name"}).limit(0)), "");
  EXPECT_EQ(names(users().order_by({"name"}).limit(UINT64_MAX).offset(2)), "Cyd Dan");
  EXPECT_THROW((void)users().order_by({"--age"}), UsageError);
}

TEST_P(Queries, TheOneOrderOfAllValues) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  db["odd"] = Data::list({Data::list(), Bytes{"a"}, "b", "a", nan, BigInt{"8000000000000000"},
                          1e300, -1, 0.5, nullptr, false, Data::dict()});
  std::string order;
  QueryCursor cursor = db["odd"].where({}).order_by(F()).cursor();
  for (auto page = cursor.next(); !page.empty(); page = cursor.next()) {
    for (const QueryRow& row : page) order += std::to_string(row.index) + " ";
  }
  EXPECT_EQ(order, "9 7 10 8 5 6 4 3 2 1 0 11 ");
}

TEST_P(Queries, CountFirstExists) {
  EXPECT_EQ(users().count(), 4U);
  EXPECT_EQ(users(F("age") >= 18).count(), 2U);
  EXPECT_EQ(users().offset(1).limit(2).count(), 2U);
  EXPECT_EQ(users().offset(5).count(), 0U);
  EXPECT_EQ(users().order_by({"-name"}).first()->operator[]("name").get<std::string>(), "Dan");
  EXPECT_FALSE(users(F("age") > 100).first().has_value());
  EXPECT_FALSE(users().limit(0).first().has_value());
  EXPECT_TRUE(users(F("age") == 17).exists());
  EXPECT_FALSE(users(F("age") == 18).exists());
  EXPECT_FALSE(users().offset(4).exists());
}

TEST_P(Queries, LongContainersArePaged) {
  numbers(3000);
  EXPECT_EQ(db["numbers"].where(F("n") >= 10).count(), 2990U);
  std::int64_t sum = 0;
  for (const Value& row : db["numbers"].where(F("n") >= 10)) sum += row["n"].get<std::int64_t>();
  EXPECT_EQ(sum, 2999 * 1500 - 45);
  const Data top =
      db["numbers"].where(F("n") < 2000).order_by({"-n"}).offset(1).limit(700).select({"n"});
  ASSERT_EQ(top.size(), 700U);
  EXPECT_EQ(top.at(0).at("n").get<int>(), 1998);
  EXPECT_EQ(top.at(699).at("n").get<int>(), 1299);
  EXPECT_EQ(db["numbers"].where({}).offset(1500).limit(1).select({"n"}),
            Data::list({Data::dict({{"n", 1500}})}));
}

TEST_P(Queries, Select) {
  db["users"]["ada"]["address"] = {{"city", "London"}, {"lines", Data::list({1, 2})}};
  const Data rows =
      users(F("age") >= 18).select({"name", "address.city", "address.lines", "[\"x y\"]"});
  EXPECT_EQ(rows, Data::list({Data::dict({{"name", "Ada"},
                                          {"address.city", "London"},
                                          {"address.lines", Data::list({1, 2})},
                                          {"[\"x y\"]", nullptr}}),
                              Data::dict({{"name", "Cyd"},
                                          {"address.city", nullptr},
                                          {"address.lines", nullptr},
                                          {"[\"x y\"]", nullptr}})}));
  EXPECT_THROW((void)users().select({"name", "name"}), UsageError);
  EXPECT_EQ(users(F("age") == 17).cursor().next_plain(),
            Data::list({Data::dict({{"name", "Bob"}, {"age", 17}, {"country", "US"}})}));
}

TEST_P(Queries, GroupBy) {
  const auto groups = users().group_by({"country"}, {{"n", graven::count()},
                                                     {"aged", graven::count(F("age"))},
                                                     {"total", graven::sum(F("age"))},
                                                     {"least", graven::min(F("age"))},
                                                     {"most", graven::max(F("name"))},
                                                     {"mean", graven::avg(F("age"))}});
  EXPECT_EQ(groups, Data::list({Data::dict({{"country", "GB"},
                                            {"n", 1},
                                            {"aged", 1},
                                            {"total", 36},
                                            {"least", 36},
                                            {"most", "Ada"},
                                            {"mean", 36.0}}),
                                Data::dict({{"country", "US"},
                                            {"n", 2},
                                            {"aged", 2},
                                            {"total", 53.0},
                                            {"least", 17},
                                            {"most", "Cyd"},
                                            {"mean", 26.5}}),
                                Data::dict({{"country", "FR"},
                                            {"n", 1},
                                            {"aged", 0},
                                            {"total", 0},
                                            {"least", nullptr},
                                            {"most", "Dan"},
                                            {"mean", nullptr}})}));
  EXPECT_EQ(users().group_by({"age"}, {{"n", graven::count()}}).size(), 3U) << "36 == 36.0";
  EXPECT_EQ(users().group_by({}, {{"n", graven::count()}}), Data::list({Data::dict({{"n", 4}})}));
  EXPECT_EQ(users().order_by({"-name"}).limit(2).group_by({}, {{"least", graven::min(F("name"))}}),
            Data::list({Data::dict({{"least", "Cyd"}})}));
  EXPECT_THROW((void)users().group_by({}, {{"x", graven::sum(F("name"))}}), WrongTypeError);
  EXPECT_THROW((void)db.root().where({}).group_by({"ada"}, {}), WrongTypeError);
  EXPECT_THROW((void)users().group_by({"n"}, {{"n", graven::count()}}), UsageError);
}

TEST_P(Queries, SumsAreExact) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  db["n"] = Data::list({most, most, BigInt{"-ffffffffffffffff"}, 2});
  EXPECT_EQ(db["n"].where({}).group_by({}, {{"s", graven::sum(F())}}),
            Data::list({Data::dict({{"s", 1}})}));
  EXPECT_EQ(db["n"].where(F() > 5).group_by({}, {{"s", graven::sum(F())}}),
            Data::list({Data::dict({{"s", BigInt{"fffffffffffffffe"}}})}));
  db["n"] = Data::list({1e100, 1.0, -1e100});
  EXPECT_EQ(db["n"].where({}).group_by({}, {{"s", graven::sum(F())}}),
            Data::list({Data::dict({{"s", 1.0}})}));
}

TEST_P(Queries, UpdateSetsFieldsOfTheRowsThatMatch) {
  const Data shared = Data::dict({{"seen", true}});
  EXPECT_EQ(users(F("country") == "US").update(Data::dict({{"age", 40}, {"extra", shared}})), 2U);
  EXPECT_EQ(names(users(F("age") == 40)), "Bob Cyd");
  EXPECT_EQ(db["users"]["bob"]["extra"].materialize(), shared);
  EXPECT_FALSE(db["users"]["bob"]["extra"].as_dict() == db["users"]["cyd"]["extra"].as_dict());
  EXPECT_EQ(users().order_by({"name"}).limit(1).update(Data::dict({{"name", "First"}})), 1U);
  EXPECT_EQ(names(users()), "First Bob Cyd Dan");
  EXPECT_EQ(users(F("age") > 1000).update(Data::dict({{"age", 1}})), 0U);
  db["users"]["eve"] = 5;
  EXPECT_THROW(users().update(Data::dict({{"age", 1}})), WrongTypeError);
  EXPECT_EQ(users(F("age") == 1).count(), 0U) << "nothing was changed";
  EXPECT_THROW(users().update(Data::list({1})), WrongTypeError);
  db["users"].where(F() == 5).erase();
  db["users"]["self"] = db["users"];  // a row that is the container
  EXPECT_EQ(users(F("name").is_none()).update(Data::dict({{"flag", 1}})), 1U);
  EXPECT_EQ(db["users"]["flag"].get<int>(), 1);
  expect_clean(db);
}

TEST_P(Queries, EraseRemovesTheRowsThatMatch) {
  const Dict bob = db["users"]["bob"].as_dict();
  EXPECT_EQ(users(F("country") == "US").erase(), 2U);
  EXPECT_EQ(names(users()), "Ada Dan");
  EXPECT_TRUE(bob.exists()) << "a handle keeps it";
  numbers(2000);
  EXPECT_EQ(db["numbers"].where(F("n") >= 100 && F("n") < 1900).erase(), 1800U);
  EXPECT_EQ(db["numbers"].as_list().size(), 200U);
  EXPECT_EQ(db["numbers"][150]["n"].get<int>(), 1950);
  EXPECT_EQ(db["numbers"].where({}).order_by({"-n"}).limit(3).erase(), 3U);
  EXPECT_EQ(db["numbers"][-1]["n"].get<int>(), 1996);
  EXPECT_EQ(db["numbers"].where({}).erase(), 197U);
  EXPECT_EQ(db["numbers"].as_list().size(), 0U);
  expect_clean(db);
}

TEST_P(Queries, ExplainSaysWhatWasLookedAt) {
  const Explanation told = users(F("age") >= 18).explain();
  EXPECT_EQ(told.plan, "scan");
  EXPECT_EQ(told.condition, "age >= 18");
  EXPECT_EQ(told.rows, 4U);
  EXPECT_EQ(told.records, 4U);
  EXPECT_EQ(told.matches, 2U);
  EXPECT_EQ(told.text(), "scan of 4 rows (4 records read), 2 matched: age >= 18");
}

TEST_P(Queries, HandlesAreMadeForRowsThatMatchOnly) {
  numbers(2000);
  graph::Pins& pins = session_of(db).pins();
  std::vector<NodeId> ids;
  for (const Value& row : db["numbers"].as_list()) ids.push_back(id_of(row.as_dict()));
  const auto pinned = [&] {
    return std::count_if(ids.begin(), ids.end(), [&](NodeId id) { return pins.pinned(id); });
  };
  const auto rows = db["numbers"].where(F("n") == 1234).cursor().next();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(pinned(), 1);
  QueryCursor fields = db["numbers"].where(F("n") != 1234).cursor();
  EXPECT_EQ(fields.next({F("n")}).size(), 512U);
  EXPECT_EQ(pinned(), 1);
}

TEST_P(Queries, AnIterationSeesOneState) {
  numbers(2000);
  std::size_t seen = 0;
  for (const Value& row : db["numbers"].where(F("n") >= 0)) {
    if (seen == 0) {
      std::thread([&] { db["numbers"].where({}).update(Data::dict({{"n", -1}})); }).join();
    }
    EXPECT_EQ(row["n"].get<int>(), -1) << "the handles are live";
    ++seen;
  }
  EXPECT_EQ(seen, 2000U);
}

TEST_P(Queries, InsideTransactionsAndSnapshots) {
  const Snapshot snapshot = db.snapshot();
  {
    const Transaction transaction = db.begin();
    db["users"]["eve"] = Data::dict({{"name", "Eve"}, {"age", 50}});
    EXPECT_EQ(names(users(F("age") > 40)), "Eve");
    EXPECT_EQ(users(F("age") > 40).update(Data::dict({{"age", 1}})), 1U);
    EXPECT_EQ(names(users().order_by({"-name"}).limit(2)), "Eve Dan");
  }
  EXPECT_EQ(names(users()), "Ada Bob Cyd Dan");
  db["users"].erase();
  EXPECT_EQ(names(snapshot["users"].where(F("age") > 1)), "Ada Bob Cyd");
  EXPECT_THROW(snapshot["users"].where({}).erase(), UsageError);
  EXPECT_THROW((void)db["users"].where({}), KeyNotFound);
}

TEST_P(Queries, ALoopInATransactionMayChangeWhatItLoopsOver) {
  numbers(2000);
  db.transaction([&] {
    const List list = db["numbers"].get<List>();
    std::size_t seen = 0;
    for (const Value& row : list.where(F("n") >= 0)) {
      if (row["n"].get<std::size_t>() == seen) ++seen;
      list.erase(0);
    }
    EXPECT_EQ(seen, 2000U) << "no row was left out";
    EXPECT_TRUE(list.empty());
  });
  numbers(2000);
  db.transaction([&] {
    const List list = db["numbers"].get<List>();
    QueryCursor sorted = list.where({}).order_by({"-n"}).cursor();
    std::size_t rows = 0;
    for (;;) {
      const Data page = sorted.next(std::vector<Field>{F("n")});
      if (page.size() == 0) break;
      rows += page.size();
      if (!list.empty()) list.clear();  // the rows are collected
      db["other"] = rows;
    }
    EXPECT_EQ(rows, 2000U);
  });
}

TEST_P(Queries, ACursorOfATransactionMayOutliveIt) {
  numbers(2000);
  QueryCursor cursor = db["numbers"].where({}).cursor();
  std::vector<QueryRow> rows;
  db.transaction([&] {
    db["numbers"].get<List>().push_back(Data::dict({{"n", 2000}}));
    rows = cursor.next();
  });
  for (;;) {
    std::vector<QueryRow> more = cursor.next();
    if (more.empty()) break;
    rows.insert(rows.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  }
  ASSERT_EQ(rows.size(), 2001U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].value["n"].get<std::size_t>(), i);
  }
}

TEST_P(Queries, ALoopInATransactorMayChangeWhatItLoopsOver) {
  numbers(1500);
  const Transactor transactor = db.transactor();
  const List list = transactor["numbers"].get<List>();
  std::size_t seen = 0;
  for (const Value& row : list.where({})) {
    seen += row["n"].get<std::size_t>() == seen ? 1 : 0;
    list.erase(0);
  }
  EXPECT_EQ(seen, 1500U);
  EXPECT_TRUE(transactor.execute());
  EXPECT_TRUE(db["numbers"].get<List>().empty());
}

TEST_P(Queries, InATransactor) {
  const Transactor transactor = db.transactor();
  EXPECT_EQ(names(transactor["users"].where(F("age") == 17)), "Bob");
  EXPECT_EQ(transactor["users"].where(F("age") == 17).update(Data::dict({{"age", 18}})), 1U);
  db["users"]["bob"]["age"] = 5;
  EXPECT_FALSE(transactor.execute()) << "what the query read was changed";
  EXPECT_EQ(db["users"]["bob"]["age"].get<int>(), 5);
}

TEST_P(Queries, AfterCloseTheyThrow) {
  numbers(2000);
  const Query query = db["numbers"].where({});
  QueryCursor cursor = query.cursor();
  (void)cursor.next();
  db.close();
  EXPECT_THROW((void)query.count(), ClosedError);
  EXPECT_THROW((void)cursor.next(), ClosedError);
}

}  // namespace
}  // namespace graven::test
