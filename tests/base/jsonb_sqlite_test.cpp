// SPDX-License-Identifier: MIT
//
// Round trips through SQLite's own JSON functions on random values: what we write, SQLite
// finds strictly valid and reads as the same value; what SQLite writes, we read as the same.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/json_model.hpp"
#include "base/jsonb.hpp"

namespace graven::jsonb {
namespace {

using test::bytes_of;
using test::Json;
using test::Random;
using test::read;
using test::same;
using test::SqliteJson;

void expect_round_trip(const Json& value, SqliteJson& sqlite) {
  const std::string ours = bytes_of(value);
  ASSERT_EQ(parse(ours).whole.size(), ours.size());
  ASSERT_TRUE(same(read(ours), value)) << value.dump(-1, ' ', true);
  ASSERT_TRUE(sqlite.valid(ours)) << value.dump(-1, ' ', true);
  const auto text = sqlite.to_text(ours);
  ASSERT_TRUE(text) << value.dump(-1, ' ', true);
  ASSERT_TRUE(same(Json::parse(*text), value)) << *text;
  for (const bool ascii : {false, true}) {
    const auto theirs = sqlite.to_jsonb(value.dump(-1, ' ', ascii));
    ASSERT_TRUE(theirs) << value.dump(-1, ' ', true);
    ASSERT_TRUE(same(read(*theirs), value)) << value.dump(-1, ' ', true);
  }
}

TEST(JsonbSqlite, RandomScalars) {
  Random random;
  SqliteJson sqlite;
  for (int round = 0; round < 5000; ++round) {
    expect_round_trip(test::random_scalar(random), sqlite);
    if (HasFatalFailure()) return;
  }
}

TEST(JsonbSqlite, RandomStructures) {
  Random random;
  SqliteJson sqlite;
  for (int round = 0; round < 250; ++round) {
    expect_round_trip(test::random_value(random, 4), sqlite);
    if (HasFatalFailure()) return;
  }
}

TEST(JsonbSqlite, CodePointsOfEveryPlane) {
  SqliteJson sqlite;
  std::string text;
  const auto flush = [&] {
    expect_round_trip(Json(text), sqlite);
    text.clear();
  };
  for (std::uint32_t code = 0; code <= 0x10ffff; ++code) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    // Encoded by the other library, so that a mistake of ours shows.
    char escaped[16];
    if (code < 0x10000) {
      std::snprintf(escaped, sizeof escaped, "\"\\u%04x\"", code);
    } else {
      std::snprintf(escaped, sizeof escaped, "\"\\u%04x\\u%04x\"", 0xd7c0 + (code >> 10),
                    0xdc00 + (code & 0x3ff));
    }
    if (code < 0x200 || code % 97 == 0 || (code & 0xffff) >= 0xfff0) {
      const std::string one = Json::parse(escaped).get<std::string>();
      const auto theirs = sqlite.to_jsonb(escaped);
      ASSERT_TRUE(theirs);
      ASSERT_EQ(text_equals(parse(*theirs), one), true) << escaped;
      text += one;
    }
    if (text.size() > 3000) flush();
    if (HasFatalFailure()) return;
  }
  flush();
}

TEST(JsonbSqlite, SizesAroundHeaderBoundaries) {
  SqliteJson sqlite;
  for (const std::size_t boundary : {11U, 255U, 65535U}) {
    for (std::size_t size = boundary - 3; size <= boundary + 3; ++size) {
      expect_round_trip(Json(std::string(size, 'x')), sqlite);
      expect_round_trip(Json(std::string(size - 1, 'x') + '"'), sqlite);
      expect_round_trip(Json::array({std::string(size - 2, 'x')}), sqlite);
      expect_round_trip(Json::object({{std::string(size, 'k'), nullptr}}), sqlite);
      expect_round_trip(Json(std::vector<Json>(size, Json(true))), sqlite);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(JsonbSqlite, AsDeepAsSqliteGoes) {
  SqliteJson sqlite;
  Json value = 1;
  for (int depth = 0; depth < 900; ++depth) {
    value = depth % 2 == 0 ? Json::array({std::move(value)}) : Json{{"k", std::move(value)}};
  }
  expect_round_trip(value, sqlite);
}

TEST(JsonbSqlite, DeeperThanSqliteGoes) {
  constexpr std::size_t kDepth = 5000;  // SQLite refuses more than 1,000 levels; we have no limit
  std::string opened;
  std::vector<std::size_t> marks;
  while (marks.size() < kDepth) marks.push_back(open(opened));
  put_int(opened, 1);
  for (; !marks.empty(); marks.pop_back()) close(opened, Type::kArray, marks.back());
  std::string contained = bytes_of(Json(1));
  for (std::size_t depth = 0; depth < kDepth; ++depth) {
    std::string outer;
    put_container(outer, Type::kArray, contained);
    contained.swap(outer);
  }
  EXPECT_EQ(opened, contained);
  Element at = parse(opened);
  std::size_t levels = 0;
  for (; at.is_container(); ++levels) at = nth(at, 0);
  EXPECT_EQ(levels, kDepth);
  EXPECT_EQ(integer(at), 1);
}

TEST(JsonbSqlite, ItsOperatorsReadOurBytes) {
  SqliteJson sqlite;
  const std::string ours = bytes_of(
      Json::parse(R"({"name":"Ada","quote\"d":"x","list":[1,2.5,{"deep":true}],"none":null})"));
  EXPECT_EQ(sqlite.extract(ours, "$.name"), "Ada");
  EXPECT_EQ(sqlite.extract(ours, "$.list[1]"), "2.5");
  EXPECT_EQ(sqlite.extract(ours, "$.list[2].deep"), "1");
  EXPECT_EQ(sqlite.extract(ours, "$.none"), std::nullopt);
  EXPECT_EQ(sqlite.extract(ours, R"($."quote\"d")"), "x");
}

TEST(JsonbSqlite, WeReadWhatItsEditingLeaves) {
  Random random;
  SqliteJson sqlite;
  for (int round = 0; round < 300; ++round) {
    Json value = Json::object();
    for (std::size_t i = 0; i < 5; ++i)
      value["k" + std::to_string(i)] = test::random_scalar(random);
    std::string bytes = bytes_of(value);
    for (int edit = 0; edit < 5; ++edit) {  // shorter and longer: its headers may not be minimal
      const std::string key = "k" + std::to_string(random.below(7));
      std::string text = test::random_text(random);
      const auto edited = sqlite.set_text(bytes, "$." + key, text);
      ASSERT_TRUE(edited);
      bytes = *edited;
      value[key] = text;
      ASSERT_TRUE(same(read(bytes), value)) << value.dump(-1, ' ', true);
      const auto found = find(parse(bytes), key);
      ASSERT_TRUE(found);
      ASSERT_TRUE(text_equals(*found, text));
    }
  }
}

}  // namespace
}  // namespace graven::jsonb
