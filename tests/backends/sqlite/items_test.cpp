// SPDX-License-Identifier: MIT
//
// Items of maps as rows: small values in their row, large ones in the table beside, whichever way
// they change and however many are put at once; and what check() says when the two disagree.
#include <array>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::Record;
using port::Space;
using port::ValueKind;

Key item(std::int64_t map, const std::string& key) {
  return {.space = Space::kItem, .a = map, .name = key};
}

Record value(ValueKind kind, std::string body) {
  Record record;
  record.integers[0] = static_cast<std::int64_t>(kind);
  record.body = std::move(body);
  return record;
}

class Items : public ::testing::Test {
 protected:
  void run(const std::string& sql) const {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }
  [[nodiscard]] static std::size_t rows(port::Backend& backend, std::int64_t map) {
    return records(backend)
        .view()
        ->scan({.space = Space::kItem, .a = map, .include_empty_name = true}, SIZE_MAX)
        .size();
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
};

TEST_F(Items, ValuesOfEverySizeMoveInAndOutOfTheirRow) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::map<std::pair<std::int64_t, std::string>, Record> model;
  Opened backend = sqlite::open(path_);
  constexpr std::array<std::size_t, 8> kSizes{0, 1, 100, 390, 400, 410, 3000, 100'000};
  for (int round = 0; round < 60; ++round) {
    // Stretches of several maps, long enough for many rows at once, all small in some rounds.
    const bool small = random() % 2 == 0;
    std::vector<Change> changes;
    for (std::size_t i = 0, count = random() % 150; i < count; ++i) {
      const std::int64_t map = random() % 8 == 0 ? 2 : 1;
      const std::string key =
          std::string(random() % 4 == 0 ? 350 : 3, 'k') + std::to_string(random() % 60);
      if (random() % 8 == 0) {
        changes.push_back({item(map, key), std::nullopt});
        model.erase({map, key});
        continue;
      }
      const std::size_t size = kSizes[random() % (small ? 4 : kSizes.size())];
      const auto kind = random() % 2 == 0 ? ValueKind::kText : ValueKind::kBytes;
      const Record record = value(kind, std::string(size, static_cast<char>('a' + random() % 26)));
      changes.push_back({item(map, key), record});
      model[{map, key}] = record;
    }
    write(*backend, changes);
    if (round % 20 == 19) backend = sqlite::open(path_);
    for (const auto& [key, record] : model) {
      ASSERT_EQ(backend->load(item(key.first, key.second)), record);
    }
    ASSERT_EQ(rows(*backend, 1) + rows(*backend, 2), model.size());
    for (const port::Row& row : backend->view()->scan({.space = Space::kItem, .a = 1}, SIZE_MAX)) {
      ASSERT_EQ(row.record, model.at({1, row.key.name}));
    }
    ASSERT_TRUE(backend->check().empty()) << backend->check().front();
  }
}

// The writer remembers that there are no large values until somebody else commits.
TEST_F(Items, LargeValuesOfAnotherWriterAreTakenOut) {
  const Opened one = sqlite::open(path_);
  const Opened other = sqlite::open(path_);
  for (int i = 0; i < 3; ++i) {
    write(*one, {{item(1, "a"), value(ValueKind::kText, "small")}});
    write(*other, {{item(1, "a"), value(ValueKind::kText, std::string(5000, 'x'))}});
    std::vector<Change> many;
    for (int k = 0; k < 40; ++k) {
      many.push_back({item(1, k == 0 ? "a" : "b" + std::to_string(k)),
                      value(ValueKind::kText, "small again")});
    }
    write(*one, many);
    EXPECT_EQ(other->load(item(1, "a"))->body, "small again");
    EXPECT_TRUE(one->check().empty());
  }
}

// Nor does a commit of its own, to other tables, make the writer's knowledge new.
TEST_F(Items, LargeValuesOfAnotherWriterAreTakenOutSomeCommitsLaterToo) {
  const Opened one = sqlite::open(path_);
  const Opened other = sqlite::open(path_);
  const Change large{item(1, "a"), value(ValueKind::kText, std::string(5000, 'x'))};
  const Change small{item(1, "a"), value(ValueKind::kText, "small")};
  for (const Change& last : {small, Change{item(1, "a"), std::nullopt}}) {
    write(*one, {small});
    write(*other, {large});
    for (int i = 0; i < 3; ++i) write(*one, {{node_key(1), node_record(0, "x")}});
    write(*one, {last});
    const auto found = other->load(item(1, "a"));
    EXPECT_EQ(found.has_value(), last.record.has_value());
    if (found) {
      EXPECT_EQ(found->body, "small");
    }
    EXPECT_TRUE(one->check().empty());
  }
}

// A rollback brings a large value back that the writer has seen go.
TEST_F(Items, LargeValuesThatARollbackBringsBackAreTakenOut) {
  const Opened backend = sqlite::open(path_);
  const Change large{item(1, "a"), value(ValueKind::kText, std::string(5000, 'x'))};
  const Change small{item(1, "a"), value(ValueKind::kText, "small")};
  const Change other{item(1, "b"), value(ValueKind::kText, "small")};
  for (const bool whole : {false, true}) {
    write(*backend, {large});
    auto transaction = backend->begin(soon());
    transaction->savepoint(0);
    transaction->apply(std::vector<Change>{{item(1, "a"), std::nullopt}});
    transaction->apply(std::vector<Change>{other});  // sees that there is nothing beside
    if (whole) {
      transaction.reset();
      transaction = backend->begin(soon());
    } else {
      transaction->rollback_to(0);
    }
    transaction->apply(std::vector<Change>{small});
    transaction->commit(1);
    transaction.reset();
    EXPECT_EQ(backend->load(item(1, "a"))->body, "small");
    EXPECT_TRUE(backend->check().empty()) << backend->check().front();
  }
}

TEST_F(Items, CheckFindsWhatIsBesideForNothingOrMissingThere) {
  Opened backend = sqlite::open(path_);
  write(*backend, {{item(1, "large"), value(ValueKind::kText, std::string(5000, 'x'))},
                   {item(1, "null"), value(ValueKind::kNull, "")},
                   {item(1, "empty"), value(ValueKind::kBytes, "")}});
  EXPECT_TRUE(backend->check().empty());
  backend.reset();
  run("INSERT INTO item_large (map, key, value) VALUES (7, 'nobody', 'x')");
  run("UPDATE item SET value = NULL WHERE key = 'empty'");
  const std::vector<std::string> problems = Opened(sqlite::open(path_))->check();
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_NE(problems[0].find("map 7, key 'nobody'"), std::string::npos) << problems[0];
  EXPECT_NE(problems[1].find("key 'empty'"), std::string::npos) << problems[1];
}

}  // namespace
}  // namespace graven::test
