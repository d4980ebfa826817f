// SPDX-License-Identifier: MIT
//
// The element types graven never writes but a user's jsonb() or jsonb_set() may: JSON5
// numbers, escaped texts of both kinds, unquoted keys. SQLite makes the bytes; the expected
// value stands beside each.
#include <graven/error.hpp>

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/json_model.hpp"
#include "base/jsonb.hpp"

namespace graven::jsonb {
namespace {

using test::Json;
using test::SqliteJson;

class JsonbJson5 : public ::testing::Test {
 protected:
  /// The element SQLite makes of JSON5 text, which must be of that type.
  Element element(Type type, std::string_view json5) {
    const auto bytes = sqlite_.to_jsonb(json5);
    EXPECT_TRUE(bytes) << json5;
    bytes_ = bytes.value_or(std::string(1, '\0'));
    EXPECT_TRUE(sqlite_.valid(bytes_)) << json5;
    const Element made = parse(bytes_);
    EXPECT_EQ(made.type, type) << json5;
    return made;
  }

  void expect_text(Type type, std::string_view json5, std::string_view expected) {
    const Element made = element(type, json5);
    EXPECT_EQ(text(made), expected) << json5;
    EXPECT_TRUE(text_equals(made, expected)) << json5;
    EXPECT_FALSE(text_equals(made, std::string(expected) + "x")) << json5;
    // SQLite decodes it so, too, but for a NUL at the end of a text that a continued line ends.
    if (!json5.ends_with("\\\n\"")) {
      EXPECT_EQ(sqlite_.extract(bytes_, "$"), expected);
    }
    const auto json = sqlite_.to_text(bytes_);
    ASSERT_TRUE(json);
    EXPECT_EQ(Json::parse(*json), Json(expected)) << json5;
  }

  SqliteJson sqlite_;
  std::string bytes_;
};

TEST_F(JsonbJson5, Integers) {
  EXPECT_EQ(integer(element(Type::kInt, "123")), 123);
  EXPECT_EQ(integer(element(Type::kInt, "+123")), 123);
  EXPECT_EQ(integer(element(Type::kInt5, "0x1F")), 31);
  EXPECT_EQ(integer(element(Type::kInt5, "-0X1f")), -31);
  EXPECT_EQ(integer(element(Type::kInt5, "0xFFFFFFFFFFFFFFFF")), std::nullopt);
  EXPECT_EQ(real(element(Type::kInt5, "0xFFFFFFFFFFFFFFFF")), 18446744073709551615.0);
  EXPECT_EQ(integer(element(Type::kInt, "123456789012345678901234567890")), std::nullopt);
  EXPECT_EQ(real(element(Type::kInt, "123456789012345678901234567890")),
            123456789012345678901234567890.0);
}

TEST_F(JsonbJson5, Reals) {
  EXPECT_EQ(real(element(Type::kFloat, "1.25e2")), 125.0);
  EXPECT_EQ(real(element(Type::kFloat5, ".25")), 0.25);
  EXPECT_EQ(real(element(Type::kFloat5, "-.25")), -0.25);
  EXPECT_EQ(real(element(Type::kFloat5, "+.25")), 0.25);
  EXPECT_EQ(real(element(Type::kFloat5, "25.")), 25.0);
  EXPECT_EQ(real(element(Type::kFloat5, "25.e-1")), 2.5);
  EXPECT_EQ(real(element(Type::kFloat, "Infinity")), std::numeric_limits<double>::infinity());
  EXPECT_EQ(real(element(Type::kFloat, "-Infinity")), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(element(Type::kNull, "NaN").payload, "");
}

TEST_F(JsonbJson5, TextsWithJsonEscapes) {
  expect_text(Type::kTextJ, R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t");
  expect_text(Type::kTextJ, R"("\u0041\u00e9\u20ac")", "A\xc3\xa9\xe2\x82\xac");
  expect_text(Type::kTextJ, R"("\u0000")", std::string_view("\0", 1));
  expect_text(Type::kTextJ, R"("\ud83d\ude00x")", "\xf0\x9f\x98\x80x");
  expect_text(Type::kTextJ, R"("\uDBFF\uDFFF")", "\xf4\x8f\xbf\xbf");
  expect_text(Type::kTextJ, "\"caf\xc3\xa9\\n\"", "caf\xc3\xa9\n");
}

TEST_F(JsonbJson5, TextsWithJson5Escapes) {
  expect_text(Type::kText, "'single'", "single");
  expect_text(Type::kText5, R"('it\'s')", "it's");
  expect_text(Type::kText5, R"('say "hi"')", "say \"hi\"");
  expect_text(Type::kText5, R"("\v\0\x41\xe9")", std::string_view("\v\0A\xc3\xa9", 5));
  expect_text(Type::kText5, "\"one\\\ntwo\\\r\nthree\\\rfour\"", "onetwothreefour");
  expect_text(Type::kText5,
              "\"a\\\xe2\x80\xa8"
              "b\\\xe2\x80\xa9"
              "c\"",
              "abc");
  expect_text(Type::kText5, "\"tab\there\"", "tab\there");
  expect_text(Type::kText5, R"("\x41\u0042\n")", "AB\n");
  expect_text(Type::kText5, "\"end\\\n\"", "end");
}

TEST_F(JsonbJson5, KeysInAnyDress) {
  const auto bytes =
      sqlite_.to_jsonb(R"({plain:1, "quoted":2, 'sin"gle':3, "esc\u0061ped":4, "\x78":5, $_9:6})");
  ASSERT_TRUE(bytes);
  const auto value = [&](std::string_view key) {
    const auto found = find(parse(*bytes), key);
    return found ? integer(*found) : std::nullopt;
  };
  EXPECT_EQ(value("plain"), 1);
  EXPECT_EQ(value("quoted"), 2);
  EXPECT_EQ(value("sin\"gle"), 3);
  EXPECT_EQ(value("escaped"), 4);
  EXPECT_EQ(value("x"), 5);
  EXPECT_EQ(value("$_9"), 6);
  EXPECT_EQ(value("\\x78"), std::nullopt);
}

TEST_F(JsonbJson5, LoneSurrogatesAreNoText) {
  for (const std::string_view json :
       {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\u0041")", R"("\ud800\ud800")",
        R"("\udc00\ud800")", R"("\ud83d\n\ude00")"}) {
    const Element made = element(Type::kTextJ, json);
    EXPECT_THROW(text(made), CorruptionError) << json;
    EXPECT_THROW(text_equals(made, "\xed\xa0\x80"), CorruptionError) << json;
  }
}

}  // namespace
}  // namespace graven::jsonb
