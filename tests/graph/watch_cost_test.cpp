// SPDX-License-Identifier: MIT
//
// What a watched change costs, counted in the records and rows that are read for it: as many as
// were changed, not as many as there are. And that looking at those only tells the same as looking
// at all.
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "base/random.hpp"
#include "graph/graph_under_test.hpp"
#include "port/passing_backend.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{60'000};
constexpr milliseconds kShort{30};

/// A store in a file, which counts what is read of it.
class Counting final : public PassingBackend {
 public:
  explicit Counting(const std::string& path) : PassingBackend(sqlite::open(path)) {}
  static inline std::atomic<std::uint64_t> reads{0};

  class Counted final : public PassingView {
   public:
    using PassingView::PassingView;
    std::optional<Record> load(const Key& key) override {
      ++reads;
      return PassingView::load(key);
    }
    void load_many(std::span<const Key> keys,
                   const std::function<void(std::size_t, Record*)>& each) override {
      reads += keys.size();
      PassingView::load_many(keys, each);
    }
    std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
      auto rows = PassingView::scan(range, limit);
      reads += rows.size();
      return rows;
    }
  };

  std::optional<Record> load(const Key& key) override {
    ++reads;
    return PassingBackend::load(key);
  }
  std::optional<Record> load_node(std::int64_t id, bool& reclaiming) override {
    ++reads;
    return PassingBackend::load_node(id, reclaiming);
  }
  std::unique_ptr<port::View> view() override {
    return std::make_unique<Counted>(PassingBackend::view());
  }
};

class WatchCost : public ::testing::Test {
 protected:
  static constexpr int kMany = 20'000;
  static constexpr std::uint64_t kFew = 200;

  Database open() const {
    return Database(graph::make_live_scope(std::make_shared<graph::Session>(
        std::make_shared<store::Store>(std::make_unique<Counting>(path_)), Options{})));
  }
  template <class Write>
  void costs_little(const Watch& watch, const std::string& path, const Write& write) {
    const std::uint64_t before = Counting::reads;
    write();
    const auto change = watch.next(kLong);
    ASSERT_TRUE(change);
    EXPECT_EQ(change->path, path);
    EXPECT_LT(Counting::reads - before, kFew) << path;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "w.db";
};

TEST_F(WatchCost, OfALargeDict) {
  const Database db = open();
  db["large"] = Data::dict();
  const Dict dict = db["large"].as_dict();
  db.transaction([&] {
    for (int i = 0; i < kMany; ++i) dict.set("k" + std::to_string(i), i);
  });
  const Watch watch(db, "large");
  dict.set("k0", "first of all");  // from here on all is told
  EXPECT_TRUE(watch.next(kLong));
  costs_little(watch, "large/k5000", [&] { dict.set("k5000", "changed"); });
  costs_little(watch, "large/new", [&] { dict.set("new", 1); });
  costs_little(watch, "large/k7", [&] { dict.erase("k7"); });
  costs_little(watch, "large/k7", [&] { dict.set("k7", "again"); });
  {
    const Database other(path_);  // as another process has it
    for (int i = 0; i < 30; ++i) EXPECT_EQ(other["large"]["k1"].get<int>(), 1);  // so that it tells
    other["other"] = 1;
    costs_little(watch, "large/k8", [&] { other["large"]["k8"] = "by another"; });
  }
  Child child([&] {
    const Database own(path_);
    for (int i = 0; i < 30; ++i) EXPECT_EQ(own["large"]["k1"].get<int>(), 1);
    own["other"] = 1;
    own["large"]["k9"] = "by a process";
    return true;
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(watch.next(kLong)->path, "large/k9");
  EXPECT_EQ(watch.next(milliseconds(0)), std::nullopt);
}

TEST_F(WatchCost, OfALargeList) {
  const Database db = open();
  db["large"] = Data::list();
  const List list = db["large"].as_list();
  db.transaction([&] {
    for (int i = 0; i < kMany; ++i) list.push_back(i);
  });
  const Watch watch(db, "large");
  list.set(0, "first of all");
  EXPECT_TRUE(watch.next(kLong));
  for (const int at : {5000, 0, kMany - 1}) {
    costs_little(watch, "large", [&] { list.set(at, "changed"); });
  }
  costs_little(watch, "large", [&] { list.push_back(1); });
  costs_little(watch, "large", [&] { list.insert(100, 1); });
  costs_little(watch, "large", [&] { list.pop(10'000); });
  list.set(100, 1);  // as it is
  EXPECT_EQ(watch.next(kShort), std::nullopt);
}

/// Random changes, some of them large, some by another opening: what is reported, put together, is
/// what the container has become.
TEST_F(WatchCost, WhatIsReportedIsWhatThereIs) {
  Random random;
  const Database db = open();
  const Database other(path_);
  db["dict"] = Data::dict();
  db["list"] = Data::list();
  std::map<std::string, std::string> seen;
  const Watch of_dict(db, "dict");
  const Watch of_list(db, "list");
  std::vector<std::string> list;
  const auto value = [&] {
    return std::string(random.one_in(20) ? 1200 : 8, "abcdef"[random.below(6)]);
  };
  for (int step = 0; step < 1500; ++step) {
    const Database& by = random.one_in(3) ? other : db;
    const Dict dict = by["dict"].as_dict();
    const List items = by["list"].as_list();
    const std::size_t size = items.size();
    switch (random.below(12)) {
      case 0:
        by.transaction([&] {
          for (int i = 0; i < 100; ++i) dict.set("m" + std::to_string(random.below(600)), value());
        });
        break;
      case 1:
        if (random.one_in(30)) dict.clear();
        break;
      case 2:
      case 3:
        static_cast<void>(dict.erase("m" + std::to_string(random.below(600))));
        break;
      case 4:
        by.transaction([&] {
          for (int i = 0; i < 60; ++i) items.push_back(value());
        });
        break;
      case 5:
        if (size > 0) items.set(static_cast<std::int64_t>(random.below(size)), value());
        break;
      case 6:
        if (size > 0) items.pop(static_cast<std::int64_t>(random.below(size)));
        break;
      case 7:
        if (random.one_in(40)) items.clear();
        break;
      case 8:
        items.insert(static_cast<std::int64_t>(random.below(size + 1)), value());
        break;
      default:
        dict.set("m" + std::to_string(random.below(600)), value());
    }
    if (random.one_in(4)) continue;
    while (const auto change = of_dict.next(milliseconds(0))) {
      const std::string key = change->path.substr(5);
      if (change->value) {
        const std::string now = change->value->get<std::string>();
        seen.insert_or_assign(key, now);
      } else {
        ASSERT_EQ(seen.erase(key), 1U) << "step " << step;
      }
    }
    std::map<std::string, std::string> there;
    for (const auto& [key, held] : db["dict"].as_dict())
      there.emplace(key, held.get<std::string>());
    ASSERT_EQ(seen, there) << "step " << step;
    std::vector<std::string> now;
    for (const Value& held : db["list"].as_list()) now.push_back(held.get<std::string>());
    ASSERT_EQ(of_list.next(milliseconds(0)).has_value(), now != list) << "step " << step;
    EXPECT_EQ(of_list.next(milliseconds(0)), std::nullopt);
    list = now;
  }
}

}  // namespace
}  // namespace graven::test
