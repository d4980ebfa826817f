// SPDX-License-Identifier: MIT
//
// Values of maps: every kind both ways, the escapes, what is refused; JSONB as SQLite sees it.
#include "map/value.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include <sqlite3.h>

namespace graven::test {
namespace {

using map::ValueKind;

Data round_trip(const Data& data, ValueKind expected) {
  std::string bytes;
  const ValueKind kind = map::encode(data, "key", bytes);
  EXPECT_EQ(kind, expected);
  return map::decode(kind, bytes);
}

TEST(MapValue, ScalarsOfEveryKind) {
  EXPECT_EQ(round_trip(nullptr, ValueKind::kNull), Data(nullptr));
  EXPECT_EQ(round_trip(true, ValueKind::kTrue), Data(true));
  EXPECT_EQ(round_trip(false, ValueKind::kFalse), Data(false));
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN, INT64_MAX}) {
    EXPECT_EQ(round_trip(value, ValueKind::kInt), Data(value));
  }
  EXPECT_EQ(round_trip(BigInt{"8000000000000000"}, ValueKind::kBigInt),
            Data(BigInt{"8000000000000000"}));
  EXPECT_EQ(round_trip(1.5, ValueKind::kReal), Data(1.5));
  EXPECT_TRUE(std::signbit(round_trip(-0.0, ValueKind::kReal).get<double>()));
  EXPECT_TRUE(std::isnan(
      round_trip(std::numeric_limits<double>::quiet_NaN(), ValueKind::kReal).get<double>()));
  EXPECT_EQ(round_trip(std::string("\0ü", 3), ValueKind::kText), Data(std::string("\0ü", 3)));
  EXPECT_EQ(round_trip("", ValueKind::kText), Data(""));
  EXPECT_EQ(round_trip(Bytes{"\xff"}, ValueKind::kBytes), Data(Bytes{"\xff"}));
}

TEST(MapValue, EscapesInNestedData) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Data data = Data::dict({{"bytes", Bytes{std::string("\0\xff", 2)}},
                                {"big", BigInt{"-123456789abcdef01"}},
                                {"up", infinity},
                                {"down", -infinity},
                                {"list", Data::list({1, "two", Data::dict(), Data::list()})}});
  EXPECT_EQ(round_trip(data, ValueKind::kJson), data);
}

TEST(MapValue, KeysThatLookLikeEscapes) {
  for (const std::string key : {"$", "$b", "$$", "$$b", "$f", "$i", "$x", "$$$", "b", ""}) {
    const Data one = Data::dict({{key, "bm8="}});
    EXPECT_EQ(round_trip(one, ValueKind::kJson), one) << key;
    const Data two = Data::dict({{key, 1}, {"other", 2}});
    EXPECT_EQ(round_trip(two, ValueKind::kJson), two) << key;
    const Data inside = Data::list({Data::dict({{key, Data::dict({{key, nullptr}})}})});
    EXPECT_EQ(round_trip(inside, ValueKind::kJson), inside) << key;
  }
}

TEST(MapValue, WhatIsRefused) {
  std::string bytes;
  EXPECT_THROW(map::encode("\xff", "key", bytes), BadValueError);
  EXPECT_THROW(map::encode(Data::dict({{"\xc0", 1}}), "key", bytes), BadValueError);
  EXPECT_THROW(map::encode(Data::list({"\xed\xa0\x80"}), "key", bytes), BadValueError);
  EXPECT_THROW(map::encode(BigInt{"FFFFFFFFFFFFFFFF"}, "key", bytes), BadValueError);
  EXPECT_THROW(map::encode(Data::list({BigInt{}}), "key", bytes), BadValueError);
  Data cycle;
  const Data::Index index = cycle.add(NodeKind::kList);
  cycle.container(index).items.emplace_back(index);
  cycle.set_root(index);
  EXPECT_THROW(map::encode(cycle, "key", bytes), BadValueError);
  const auto nested = [](int depth) {
    Data data = Data::list();
    for (int i = 1; i < depth; ++i) data = Data::list({data});
    return data;
  };
  EXPECT_EQ(round_trip(nested(1000), ValueKind::kJson), nested(1000));
  EXPECT_THROW(map::encode(nested(1001), "key", bytes), LimitError);
  try {
    map::encode("\xff", "some key", bytes);
  } catch (const BadValueError& error) {
    EXPECT_NE(std::string(error.what()).find("some key"), std::string::npos);
  }
  EXPECT_THROW(map::check_key(std::string(65'536, 'x')), LimitError);
  EXPECT_THROW(map::check_key("\xff"), BadValueError);
  map::check_key(std::string(65'535, 'x'));
}

TEST(MapValue, SharedPartsAreStoredTwice) {
  Data data;
  const Data::Index list = data.add(NodeKind::kList);
  const Data::Index shared = data.add(NodeKind::kDict);
  data.container(list).items = {shared, shared};
  data.set_root(list);
  EXPECT_EQ(round_trip(data, ValueKind::kJson), Data::list({Data::dict(), Data::dict()}));
}

/// What SQLite makes of the JSONB.
std::string json_of(const std::string& jsonb) {
  sqlite3* database = nullptr;
  sqlite3_open(":memory:", &database);
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(database, "SELECT json(?1)", -1, &statement, nullptr);
  sqlite3_bind_blob(statement, 1, jsonb.data(), static_cast<int>(jsonb.size()), SQLITE_STATIC);
  std::string json;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    json = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return json;
}

TEST(MapValue, SqliteReadsIt) {
  std::string bytes;
  map::encode(Data::dict({{"a", Data::list({1, 2.5, nullptr, true, "q\"uote"})}}), "key", bytes);
  EXPECT_EQ(json_of(bytes), R"({"a":[1,2.5,null,true,"q\"uote"]})");
}

TEST(MapValue, DamagedBytesAreNoticed) {
  std::string bytes;
  map::encode(Data::dict({{"a", Data::list({1, 2, Bytes{"xyz"}})}}), "key", bytes);
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      map::decode(ValueKind::kJson, damaged);  // any value, or:
    } catch (const CorruptionError&) {
    }
  }
  EXPECT_THROW(map::decode(ValueKind::kInt, "1234567"), CorruptionError);
  EXPECT_THROW(map::decode(ValueKind::kReal, ""), CorruptionError);
}

}  // namespace
}  // namespace graven::test
