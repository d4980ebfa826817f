// SPDX-License-Identifier: MIT
//
// Conditions: each operator on each kind of field, and their text. Random ones: random_test.cpp.
#include <graven/graven.hpp>

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace graven::test {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

class Conditions : public ::testing::Test {
 protected:
  /// The keys of the rows that match.
  [[nodiscard]] std::string found(const Condition& condition) const {
    std::string keys;
    QueryCursor cursor = db["rows"].where(condition).cursor();
    for (auto page = cursor.next(); !page.empty(); page = cursor.next()) {
      for (const QueryRow& row : page) keys += row.key + " ";
    }
    if (!keys.empty()) keys.pop_back();
    return keys;
  }
  [[nodiscard]] std::string found(const std::string& text) const {
    return found(parse_condition(text));
  }
  /// Rows with a field `x`, and one without.
  void rows(const Data& values) const {
    db["rows"] = Data::dict();
    for (const char* const key : {"a", "b", "c", "d", "e", "f"}) {
      try {
        db["rows"][key] = Data::dict({{"x", values.at(key)}});
      } catch (const KeyNotFound&) {
      }
    }
    db["rows"]["without"] = Data::dict();
  }

  const Database db{"memory://"};
};

TEST_F(Conditions, EqualityIsPythons) {
  rows({{"a", 1}, {"b", 1.0}, {"c", true}, {"d", "1"}, {"e", nullptr}, {"f", Data::list({1})}});
  EXPECT_EQ(found(F("x") == 1), "a b c");
  EXPECT_EQ(found(F("x") == true), "a b c");
  EXPECT_EQ(found(F("x") != 1), "d e f without");
  EXPECT_EQ(found(!(F("x") == 1)), "d e f without");
  EXPECT_EQ(found(F("x") == nullptr), "e without");
  EXPECT_EQ(found(F("x") == "1"), "d");
  EXPECT_EQ(found(F("x").is_none()), "e without");
  EXPECT_EQ(found(F("x").exists()), "a b c d e f");
  EXPECT_EQ(found(F("x") == F("x")), "a b c d e f without");
  EXPECT_EQ(found(F("x") != F("missing")), "a b c d f");
}

TEST_F(Conditions, AnOrderOfUnlikeTypesIsNoMatchEitherWay) {
  rows({{"a", 1}, {"b", 2.5}, {"c", "text"}, {"d", nullptr}, {"e", kNan}, {"f", Bytes{"x"}}});
  EXPECT_EQ(found(F("x") < 2), "a");
  EXPECT_EQ(found(F("x") >= 2), "b");
  EXPECT_EQ(found(!(F("x") < 2)), "b e");
  EXPECT_EQ(found(F("x") > "a"), "c");
  EXPECT_EQ(found(F("x") <= Bytes{"x"}), "f");
  EXPECT_EQ(found(!(F("x") < nullptr)), "");
  EXPECT_EQ(found(F("x") < F("x")), "");
  EXPECT_EQ(found(!(F("x") < F("x"))), "a b c e f");
}

TEST_F(Conditions, TheRightSideIsLookedAtOnlyIfItDecides) {
  rows({{"a", 1}, {"b", "text"}});
  const Condition error = F("x") < 2;  // of text
  EXPECT_EQ(found(F("x") == "text" || error), "a b");
  EXPECT_EQ(found(error || F("x") == "text"), "a");
  EXPECT_EQ(found(!(F("x") == 1 && error)), "b without");
  EXPECT_EQ(found(!(F("x") != "text" && error)), "b");
  EXPECT_EQ(found(!(error && F("x") != "text")), "");
}

TEST_F(Conditions, LargeIntegersAreComparedExactly) {
  rows({{"a", std::int64_t{1} << 53},
        {"b", (std::int64_t{1} << 53) + 1},
        {"c", BigInt{"10000000000000001"}},
        {"d", 18446744073709551616.0},
        {"e", BigInt{"-8000000000000001"}}});
  EXPECT_EQ(found(F("x") == 9007199254740992.0), "a");
  EXPECT_EQ(found(F("x") > 9007199254740992.0), "b c d");
  EXPECT_EQ(found(F("x") > BigInt{"10000000000000000"}), "c");
  EXPECT_EQ(found(F("x") == BigInt{"10000000000000000"}), "d");
  EXPECT_EQ(found(F("x") < std::numeric_limits<std::int64_t>::min()), "e");
  EXPECT_EQ(found("x == 18446744073709551617"), "c");
  EXPECT_EQ(found(F("x") == BigInt{"20000000000000"}), "a") << "a BigInt that fits 64 bits";
}

TEST_F(Conditions, Texts) {
  rows(
      {{"a", "Ada"}, {"b", "Grace"}, {"c", 5}, {"d", Bytes{"Ada"}}, {"e", std::string(5000, 'A')}});
  EXPECT_EQ(found(F("x").startswith("A")), "a e");
  EXPECT_EQ(found(!F("x").startswith("A")), "b");
  EXPECT_EQ(found(F("x").endswith("ce")), "b");
  EXPECT_EQ(found(F("x").contains("ra")), "b");
  EXPECT_EQ(found(F("x").startswith(Bytes{"Ad"})), "d");
  EXPECT_EQ(found(F("x").contains(1)), "") << "no such byte, and errors";
  EXPECT_EQ(found(F("x").contains(100)), "d") << "a byte of bytes";
  EXPECT_EQ(found(F("x").in({"Ada", 5, nullptr})), "a c without");
  EXPECT_EQ(found(!F("x").in({})), "a b c d e without");
}

TEST_F(Conditions, Containers) {
  rows({{"a", Data::list({"x", 1})},
        {"b", Data::dict({{"x", nullptr}})},
        {"c", Data::list()},
        {"d", Data::list({Data::dict({{"n", 7}}), Data::list({"x"})})}});
  EXPECT_EQ(found(F("x").contains("x")), "a b");
  EXPECT_EQ(found(F("x").contains(true)), "a");
  EXPECT_EQ(found(F("x")), "a b d") << "what is not empty";
  EXPECT_EQ(found(F("x").any(F() == "x")), "a");
  EXPECT_EQ(found(F("x").any(F("n") > 5)), "d");
  EXPECT_EQ(found(F("x").any(F().contains("x"))), "a d");
  EXPECT_EQ(found(!F("x").any(F() == "x")), "c d");
  EXPECT_EQ(found(F("x")[-1] == 1), "a");
  EXPECT_EQ(found(F("x")[1][0] == "x"), "d");
  EXPECT_EQ(found(F("x")["x"].exists()), "b");
  EXPECT_EQ(found(F("x")[0]["n"] == 7), "d");
}

TEST_F(Conditions, AnErrorInAnyCountsWhereItComesFirst) {
  rows({{"a", Data::list({"text", 9})}, {"b", Data::list({9, "text"})}});
  EXPECT_EQ(found(F("x").any(F() > 5)), "b");
  EXPECT_EQ(found(!F("x").any(F() > 5)), "");
}

TEST_F(Conditions, LongListsAndLargeDictsAreSearchedToo) {
  Data list = Data::list();
  Data dict = Data::dict();
  for (int i = 0; i < 3000; ++i) {
    db["rows"] = nullptr;
    list = i == 0 ? Data::list() : std::move(list);
    list.container(std::get<Data::Index>(list.root())).items.emplace_back(std::int64_t{i});
    auto& entries = dict.container(std::get<Data::Index>(dict.root()));
    entries.keys.push_back("k" + std::to_string(i));
    entries.items.emplace_back(std::int64_t{i});
  }
  rows({{"a", list}, {"b", dict}});
  EXPECT_EQ(found(F("x").any(F() == 2999)), "a");
  EXPECT_EQ(found(F("x").contains(2999)), "a");
  EXPECT_EQ(found(F("x").contains("k2999")), "b");
  EXPECT_EQ(found(F("x")["k2999"] == 2999), "b");
  EXPECT_EQ(found(F("x")[2998] == 2998), "a");
  EXPECT_EQ(found(F("x")), "a b");
}

TEST_F(Conditions, LinksAreFollowedAlsoInCircles) {
  db["rows"] = {{"a", {{"name", "a"}}}, {"b", {{"name", "b"}}}};
  db["rows"]["a"]["next"] = db["rows"]["b"];
  db["rows"]["b"]["next"] = db["rows"]["a"];
  EXPECT_EQ(found(F("next")["next"]["name"] == "a"), "a");
  EXPECT_EQ(found(F("next")["next"]["next"] == F("next")), "a b") << "the same node";
}

TEST_F(Conditions, ScalarsAreRowsToo) {
  db["rows"] = {{"a", 1}, {"b", "text"}, {"c", 7}, {"d", nullptr}};
  EXPECT_EQ(found(F() > 3), "c");
  EXPECT_EQ(found(F("x").is_none()), "a b c d");
  EXPECT_EQ(found(F()), "a b c");
}

TEST_F(Conditions, WhatCannotBeComparedIsRefused) {
  db["rows"] = Data::dict();
  EXPECT_THROW((void)(F("x") == Value(db["rows"])), WrongTypeError);
  EXPECT_THROW((void)(F("x") == BigInt{"XYZ"}), BadValueError);
  Condition deep = F("x") == 1;
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000; ++i) deep = !deep;
      },
      LimitError);
}

TEST_F(Conditions, AChainIsNotDeep) {
  rows({{"a", 5000}});
  Condition any = F("x") == 0;
  for (int i = 1; i <= 5000; ++i) any = any || F("x") == i;
  EXPECT_EQ(found(any), "a");
}

TEST_F(Conditions, FieldsAreNotDeepEither) {
  Field field;
  for (int i = 0; i < 200; ++i) field = field["a"];
  EXPECT_THROW((void)field["a"], LimitError);
  EXPECT_THROW((void)field[0], LimitError);
  rows({{"x", 1}});
  EXPECT_EQ(found(field == 1), "");
  // The steps of nested lists add up.
  Field list;
  for (int i = 0; i < 60; ++i) list = list["a"];
  const Condition two = list.any(list.any(F() == 1));
  EXPECT_EQ(found(two), "");
  EXPECT_THROW((void)list.any(list.any(two)), LimitError);
}

// --- Text

TEST_F(Conditions, TextIsReadBack) {
  for (const std::string text : {
           "age >= 18",
           "age >= 18 and name startswith \"A\"",
           "(a == 1 or b == 2) and not c exists",
           "address.city == \"Zürich\"",
           "[\"odd key\"] is none",
           "F > 3",
           "F[0] == 1",
           "tags any (F == \"x\" and n > 1)",
           "x in (1, \"two\", none, true, 2.5, b\"\\x00\\xff\")",
           "not x in ()",
           "a < F.b",
           "a < F[\"odd key\"]",
           "x == -inf",
           "x == 1e+300",
           "x == 123456789012345678901234567890",
           "x == \"\\\"\\\\\\x0a\"",
           "[\"and\"] == 1 and [\"F\"] == 2",
           "a.and == 1",
           "active",
           "true",
       }) {
    EXPECT_EQ(parse_condition(text).text(), text);
  }
  EXPECT_EQ(parse_condition("  F.age>=+18   and(not F['x'] not in [1,])").text(),
            "age >= 18 and not not x in (1)");
  EXPECT_EQ(parse_condition("x is not none").text(), "not x is none");
  EXPECT_EQ(parse_condition("x == null or x == False").text(), "x == none or x == false");
  EXPECT_EQ((F("a")["b"][3] == 1).text(), "a.b[3] == 1");
  EXPECT_EQ(Condition().text(), "true");
}

TEST_F(Conditions, ErrorsPointAtThePlace) {
  const auto error = [](const std::string& text) -> std::string {
    try {
      parse_condition(text);
    } catch (const UsageError& wrong) {
      return wrong.what();
    }
    return "none";
  };
  EXPECT_EQ(error("age >= "), "a constant is missing here\n  age >= \n         ^");
  EXPECT_EQ(error("größe >= Ada"),
            "a text is written in quotes, and a field on the right side behind F: F.name\n"
            "  größe >= Ada\n           ^");
  for (const std::string text :
       {"",           "age = 3",       "3 < age",        "age >= 18 and", "(age > 1",
        "age > 1)",   "name == \"x",   "x in 3",         "x in (1 2)",    "x == \"\\q\"",
        "x == 12abc", "x == 1.2.3",    "x == 1e999",     "a..b == 1",     "a[x] == 1",
        "x is 3",     "x not 3",       "x == b\"\\xf\"", "x == \"\xff\"", "tags any F",
        "not",        "x == 1 y == 2", "x == 'a\n"}) {
    EXPECT_NE(error(text).find("^"), std::string::npos) << text << ": " << error(text);
  }
  EXPECT_NE(error(std::string(100'000, '(')).find("deep"), std::string::npos);
  EXPECT_NE(error(std::string(100'000, '1')).find("^"), std::string::npos);
  std::string nots;
  for (int i = 0; i < 10'000; ++i) nots += "not ";
  EXPECT_NE(error(nots + "x").find("deep"), std::string::npos);
  std::string steps = "x";
  for (int i = 0; i < 500'000; ++i) steps += "[0]";
  EXPECT_NE(error(steps + " == 1").find("steps"), std::string::npos);
  EXPECT_NE(error("x == F." + steps).find("steps"), std::string::npos);
  EXPECT_THROW((void)parse_field(steps), UsageError);
}

TEST_F(Conditions, LongChainsAreReadInOneGo) {
  std::string text = "x == 0";
  for (int i = 1; i < 100'000; ++i)
    text += (i % 2 == 0 ? " or x == " : " and y == ") + std::to_string(i);
  EXPECT_EQ(parse_condition(text).text().size(), text.size() + 2 * 50'000);
}

}  // namespace
}  // namespace graven::test
