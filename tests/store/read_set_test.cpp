// SPDX-License-Identifier: MIT
//
// The read set of an optimistic work: it holds as long as nothing that was looked at is
// different, and no longer: records, their absence, and what a scan gave.
#include <functional>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "store/work.hpp"

namespace graven::test {
namespace {

using port::Key;
using port::Range;
using port::Record;
using port::Space;
using store::Work;

Key node(std::int64_t id) { return {.space = Space::kNode, .a = id}; }
Key edge_of(std::int64_t child, std::int64_t parent) {
  return {.space = Space::kEdge, .a = child, .b = parent};
}

class ReadSets : public ::testing::Test {
 protected:
  void SetUp() override {
    change([](Work& work) {
      for (std::int64_t id = 1; id <= 5; ++id) work.put(node(id), {.body = "body"});
      for (std::int64_t id = 1; id <= 5; ++id) work.put(edge_of(1, id * 10), {.integers = {1}});
    });
  }

  void change(const std::function<void(Work&)>& body) {
    const auto transaction = backend_->begin(soon());
    Work work(*transaction, ids_);
    body(work);
    work.finish();
    transaction->commit(work.commit_id());
  }

  /// Whether what `look` looked at is the same after `body`.
  bool holds(const std::function<void(Work&)>& look, const std::function<void(Work&)>& body) {
    const auto view = backend_->view();
    Work work(*view, ids_);
    look(work);
    EXPECT_TRUE(work.read_set().holds_in(*backend_->view()));
    change(body);
    return work.read_set().holds_in(*backend_->view());
  }

  store::Ids ids_;
  Opened backend_ = lazy::open("memory");
};

TEST_F(ReadSets, ARecordThatWasReadMustBeTheSame) {
  const auto look = [](Work& work) { work.load(node(2)); };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(node(3), {.body = "other"}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(node(2), {.body = "other"}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.erase(node(2)); }));
}

TEST_F(ReadSets, WrittenAnewWithTheSameBodyIsAChange) {
  EXPECT_FALSE(holds([](Work& work) { work.load(node(2)); },
                     [](Work& work) { work.put(node(2), {.body = "body"}); }));
}

TEST_F(ReadSets, AnUnversionedRecordIsComparedByWhatItSays) {
  const auto look = [](Work& work) { work.load(edge_of(1, 20)); };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(edge_of(1, 20), {.integers = {1}}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(edge_of(1, 20), {.integers = {2}}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.erase(edge_of(1, 20)); }));
}

TEST_F(ReadSets, ARecordThatWasNotThereMustStayAway) {
  const auto look = [](Work& work) { work.load(node(9)); };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(node(8), {}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(node(9), {}); }));
}

TEST_F(ReadSets, LoadManyCountsToo) {
  const auto look = [](Work& work) {
    const std::vector<Key> keys{node(1), node(2), node(9)};
    work.load_many(keys, [](std::size_t, Record*) {});
  };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(node(3), {}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(node(2), {}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(node(9), {}); }));
}

TEST_F(ReadSets, AScanMustGiveTheSame) {
  const auto look = [](Work& work) { work.scan({.space = Space::kEdge, .a = 1, .from = 20}, 2); };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(edge_of(1, 50), {.integers = {7}}); }));
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(edge_of(2, 25), {.integers = {1}}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(edge_of(1, 25), {.integers = {1}}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.erase(edge_of(1, 25)); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(edge_of(1, 30), {.integers = {2}}); }));
}

TEST_F(ReadSets, AScanThroughTheWorksOwnWritesCountsToo) {
  const auto look = [](Work& work) {
    work.put(edge_of(1, 15), {.integers = {1}});
    work.erase(edge_of(1, 20));
    EXPECT_EQ(work.scan({.space = Space::kEdge, .a = 1}, 3).size(), 3U);  // 10, 15, and one more
  };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(edge_of(1, 50), {.integers = {7}}); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.erase(edge_of(1, 30)); }));
  EXPECT_FALSE(holds(look, [](Work& work) { work.put(edge_of(1, 25), {.integers = {1}}); }));
}

TEST_F(ReadSets, OnesOwnWritesAreNoReads) {
  const auto look = [](Work& work) {
    work.put(node(2), {.body = "mine"});
    EXPECT_EQ(work.load(node(2))->body, "mine");
  };
  EXPECT_TRUE(holds(look, [](Work& work) { work.put(node(2), {.body = "other"}); }));
}

TEST_F(ReadSets, ClearedItHoldsAlways) {
  store::ReadSet reads;
  reads.saw(node(2), std::nullopt);
  EXPECT_FALSE(reads.holds_in(*backend_->view()));
  reads.clear();
  EXPECT_TRUE(reads.holds_in(*backend_->view()));
}

}  // namespace
}  // namespace graven::test
