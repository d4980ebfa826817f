// SPDX-License-Identifier: MIT
//
// JSON in and out: what RFC 8259 allows and forbids, exact numbers, depth, the convention for
// what JSON lacks, and that every structure survives writing and reading.
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/json_reader.hpp"
#include "cli/json_rules.hpp"
#include "cli/json_writer.hpp"

namespace graven::cli {
namespace {

Data read(std::string_view text, JsonReader::Options options = {}) {
  Data data;
  data.set_root(JsonReader(options).read(text, data).item);
  return data;
}

std::string rewritten(std::string_view text, JsonReader::Options options = {}) {
  return to_json_text(read(text, options));
}

// The offset an error names, or -1 when there is none.
std::ptrdiff_t error_at(std::string_view text, JsonReader::Options options = {}) {
  try {
    read(text, options);
    return -1;
  } catch (const JsonError& error) {
    return static_cast<std::ptrdiff_t>(error.offset());
  }
}

std::string error_of(std::string_view text, JsonReader::Options options = {}) {
  try {
    read(text, options);
    return "";
  } catch (const JsonError& error) {
    return error.what();
  }
}

TEST(JsonReader, Scalars) {
  EXPECT_EQ(rewritten("null"), "null");
  EXPECT_EQ(rewritten(" true "), "true");
  EXPECT_EQ(rewritten("\tfalse\r\n"), "false");
  EXPECT_EQ(rewritten("-0"), "0");
  EXPECT_EQ(rewritten("-0.0"), "-0.0");
  EXPECT_EQ(rewritten("1.0"), "1.0");
  EXPECT_EQ(rewritten("1e2"), "100.0");
  EXPECT_EQ(rewritten("\"\""), "\"\"");
  EXPECT_EQ(rewritten("\xEF\xBB\xBF[1]"), "[1]");
}

TEST(JsonReader, NumbersBeyond64BitsStayExact) {
  const std::string huge(5000, '7');
  for (const std::string& text :
       {std::string("9223372036854775807"), std::string("9223372036854775808"),
        std::string("18446744073709551615"), std::string("18446744073709551616"),
        std::string("-9223372036854775809"), huge, "-" + huge}) {
    EXPECT_EQ(rewritten(text), text);
    EXPECT_EQ(rewritten("[" + text + ", 1]"), "[" + text + ",1]");
  }
  EXPECT_EQ(std::get<double>(read("1e308").root()), 1e308);
  EXPECT_EQ(error_at("[1, 1e309]"), 4);
  EXPECT_NE(error_of(std::string(1'000'001, '1')).find("more than 1,000,000 digits"),
            std::string::npos);
}

TEST(JsonReader, Strings) {
  EXPECT_EQ(std::get<std::string>(read(R"("a\u0000b\n\u00e4\ud834\udd1e\/")").root()),
            std::string("a\0b\n\xC3\xA4\xF0\x9D\x84\x9E/", 11));
  EXPECT_EQ(rewritten("\"\\u0001\\u001f\\u007f\\\"\\\\\""), "\"\\u0001\\u001f\x7F\\\"\\\\\"");
  EXPECT_EQ(error_at(R"(["ok", "\ud834"])"), 7);
  EXPECT_EQ(error_at(R"({"a": 1, "\udd1e": 2})"), 9);
  EXPECT_EQ(error_at(R"("\ud834\ud834")"), 0);
  EXPECT_EQ(error_at(R"(["\x"])"), 1);
  EXPECT_EQ(error_at(R"(["\u12g4"])"), 1);
  EXPECT_EQ(error_at("[\"a\", \"b\nc\"]"), 8);
  EXPECT_EQ(error_at("[\"a\", \"bc]"), 6);
  EXPECT_EQ(error_at("[\"a\xFF\"]"), 3);
  EXPECT_EQ(error_at("[\"a\xED\xA0\x80\"]"), 3);  // a surrogate in UTF-8
}

TEST(JsonReader, RefusesWhatIsNotJson) {
  for (const char* text : {"",
                           "   ",
                           "[",
                           "]",
                           "{",
                           "}",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "[1,,2]",
                           "1 2",
                           "1,2",
                           "[1]]",
                           "[1][2]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "{1:1}",
                           "{\"a\":1 \"b\":2}",
                           "{,}",
                           "nul",
                           "nulll",
                           "True",
                           "tru e",
                           "NaN",
                           "Infinity",
                           "-",
                           "+1",
                           "01",
                           "1.",
                           ".5",
                           "1e",
                           "0x1",
                           "'a'",
                           "[1}",
                           "{\"a\":1]",
                           "[[1]",
                           "[[1}]",
                           "{\"a\":[1}",
                           "{\"a\":{\"b\":1}",
                           "\"",
                           "\"a",
                           "\"a\" \"b\"",
                           "//x\n1",
                           "[1]x",
                           "1]",
                           "[1],",
                           "}{",
                           "][",
                           "{\"a\":1}}",
                           "[\"a\":1]",
                           "\x01",
                           "[1\x0b]",
                           "\\",
                           "\"\\\"",
                           "[\"\\\"]"}) {
    EXPECT_GE(error_at(text), 0) << text;
  }
  EXPECT_EQ(error_at("[1 2]"), 3);
  EXPECT_EQ(error_at("{\"a\": 1, \"b\": tru}"), 14);
  EXPECT_EQ(error_at("[1]\n[2]"), 4);
  EXPECT_NE(error_of("[1]\n[2]").find("second value"), std::string::npos);
  EXPECT_NE(error_of("[1, 2").find("ends"), std::string::npos);
}

TEST(JsonReader, NamesLineAndColumn) {
  const std::string text = "[\n 1,\n  oops\n]";
  EXPECT_EQ(position_in(text, static_cast<std::size_t>(error_at(text))),
            "line 3, column 3 (byte 8)");
  EXPECT_EQ(position_in("abc", 1, 7, 100), "line 7, column 2 (byte 101)");
}

TEST(JsonReader, OfEqualKeysTheLastCounts) {
  EXPECT_EQ(rewritten(R"({"a":1,"b":2,"a":3})"), R"({"a":3,"b":2})");
  EXPECT_EQ(rewritten(R"({"a":1,"a":2,"a":3})"), R"({"a":3})");
  EXPECT_EQ(rewritten("{\"a\":1,\"\\u0061\":2}"), R"({"a":2})");
  std::string many = "{";
  std::string wanted = "{";
  for (int i = 0; i < 50; ++i) {
    many += "\"k" + std::to_string(i % 20) + "\":" + std::to_string(i) + ",";
  }
  for (int i = 0; i < 20; ++i) {
    wanted += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) +
              "\":" + std::to_string(i < 10 ? i + 40 : i + 20);
  }
  EXPECT_EQ(rewritten(many + "\"z\":0}"), wanted + ",\"z\":0}");
}

TEST(JsonReader, DepthCostsNoStack) {
  constexpr std::size_t kDepth = 100'000;
  const std::string lists = std::string(kDepth, '[') + std::string(kDepth, ']');
  EXPECT_EQ(rewritten(lists), lists);
  std::string dicts;
  for (std::size_t i = 0; i < kDepth; ++i) dicts += "{\"a\":";
  dicts += "1" + std::string(kDepth, '}');
  EXPECT_EQ(rewritten(dicts), dicts);
  EXPECT_GE(error_at(std::string(kDepth, '[')), 0);
  EXPECT_LT(to_json_text(read(lists), 2).size(), 4 * kDepth);
}

TEST(JsonWriter, Pretty) {
  EXPECT_EQ(
      to_json_text(read(R"({"a":[1,{}],"b":[],"c":{"d":null}})"), 2),
      "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": {\n    \"d\": null\n  }\n}");
}

TEST(Convention, BytesAndFloats) {
  const Data data =
      read(R"([{"$bytes":"AP8="},{"$float":"nan"},{"$float":"inf"},{"$float":"-inf"}])");
  const auto& items = data.container(std::get<Data::Index>(data.root())).items;
  EXPECT_EQ(std::get<Bytes>(items[0]).data, std::string("\0\xFF", 2));
  EXPECT_TRUE(std::isnan(std::get<double>(items[1])));
  EXPECT_EQ(std::get<double>(items[2]), HUGE_VAL);
  EXPECT_EQ(std::get<double>(items[3]), -HUGE_VAL);
  EXPECT_EQ(to_json_text(data),
            R"([{"$bytes":"AP8="},{"$float":"nan"},{"$float":"inf"},{"$float":"-inf"}])");
}

TEST(Convention, SharedPartsAndCycles) {
  for (
      const char* text :
      {R"([{"$label":1,"$dict":{"a":1}},{"$link":1},{"$link":1}])",
       R"({"$label":1,"$dict":{"me":{"$link":1}}})", R"({"$label":1,"$list":[{"$link":1}]})",
       R"({"x":{"$label":1,"$list":[{"$label":2,"$dict":{"up":{"$link":1},"me":{"$link":2}}}]},"y":{"$link":2}})"}) {
    EXPECT_EQ(rewritten(text), text);
  }
  // A link may come before what it links to.
  EXPECT_EQ(rewritten(R"([{"$link":7},{"$label":7,"$list":[]}])"),
            R"([{"$label":1,"$list":[]},{"$link":1}])");
  const Data data = read(R"({"$label":1,"$dict":{"me":{"$link":1}}})");
  const auto top = std::get<Data::Index>(data.root());
  EXPECT_EQ(std::get<Data::Index>(data.container(top).items[0]), top);
}

TEST(Convention, DictsThatLookLikeIt) {
  Data data = Data::dict({{"$bytes", "not base64"}, {"other", 1}});
  EXPECT_EQ(to_json_text(data), R"({"$dict":{"$bytes":"not base64","other":1}})");
  for (const char* text :
       {R"({"$dict":{"$bytes":"x"}})", R"({"$dict":{"$dict":{"$dict":{"$float":1}}}})",
        R"({"$dict":{"$label":1,"$dict":2}})", R"({"$dict":{"$entry":[1]}})",
        R"({"$dict":{"$node":"x"}})", R"({"$label":1,"$dict":{"$link":1,"b":{"$link":1}}})"}) {
    EXPECT_EQ(rewritten(text), text);
  }
  // Only the first key decides, and only names of the convention.
  EXPECT_EQ(rewritten(R"({"a":1,"$bytes":2})"), R"({"a":1,"$bytes":2})");
  EXPECT_EQ(rewritten(R"({"$ref":"#/x","$oid":{"$type":1}})"),
            R"({"$ref":"#/x","$oid":{"$type":1}})");
  EXPECT_EQ(rewritten(R"({"$dict":{"a":1}})"), R"({"a":1})");
  EXPECT_EQ(rewritten(R"({"$dict":{}})"), "{}");
}

TEST(Convention, RefusesWhatItCannotMean) {
  for (const char* text : {R"({"$bytes":1})",
                           R"({"$bytes":"?"})",
                           R"({"$bytes":"","x":1})",
                           R"({"$bytes":[]})",
                           R"({"$float":"NaN"})",
                           R"({"$float":1.5})",
                           R"({"$link":1})",
                           R"({"$link":"1"})",
                           R"({"$link":-1})",
                           R"({"$link":[]})",
                           R"({"$label":1})",
                           R"({"$label":1,"$bytes":""})",
                           R"({"$label":0,"$list":[]})",
                           R"({"$label":"a","$list":[]})",
                           R"({"$label":[],"$list":[]})",
                           R"({"$label":1,"$list":{}})",
                           R"({"$label":1,"$dict":[]})",
                           R"({"$label":1,"$dict":3})",
                           R"({"$label":1,"$list":[],"x":1})",
                           R"({"$dict":[]})",
                           R"({"$dict":1})",
                           R"({"$dict":{},"x":1})",
                           R"({"$node":"main:D0"})",
                           R"({"$entry":["a",1]})",
                           R"([{"$label":1,"$list":[]},{"$label":1,"$list":[]}])"}) {
    EXPECT_GE(error_at(text), 0) << text;
    EXPECT_EQ(error_at(text, {.plain = true}), -1) << text;
  }
  EXPECT_NE(error_of(R"({"$bytes":1})").find("--plain"), std::string::npos);
  EXPECT_EQ(to_json_text(read(R"({"$bytes":1})", {.plain = true})), R"({"$dict":{"$bytes":1}})");
}

TEST(Convention, EntriesAndLabelsAcrossTexts) {
  JsonReader reader({.entries = true});
  Data data;
  const auto first = reader.read(R"({"$entry":["k",{"$label":1,"$list":[1]}]})", data);
  EXPECT_EQ(first.entry_key, "k");
  const auto second = reader.read(R"({"$entry":["",{"$link":1}]})", data);
  EXPECT_EQ(second.entry_key, "");
  EXPECT_EQ(std::get<Data::Index>(first.item), std::get<Data::Index>(second.item));
  EXPECT_EQ(reader.read("[1]", data).entry_key, std::nullopt);
  // A text that fails leaves no label behind.
  EXPECT_THROW(reader.read(R"([{"$label":2,"$list":[]}, oops])", data), JsonError);
  EXPECT_THROW(reader.read(R"({"$link":2})", data), JsonError);
  for (const char* text :
       {R"({"$entry":["k"]})", R"({"$entry":[1,2]})", R"({"$entry":{"a":1}})", R"({"$entry":"k"})",
        R"({"$entry":["k",1,2]})", R"([{"$entry":["k",1]}])", R"({"$entry":["k",1],"x":1})",
        R"({"$entry":["k",{"$entry":["k",1]}]})"}) {
    EXPECT_THROW(reader.read(text, data), JsonError) << text;
  }
}

TEST(Convention, LinesLinkEarlierOnesAndTheTarget) {
  Data data = read(R"({"$label":1,"$list":[{"$label":2,"$dict":{}},{"$link":1},{"$link":2}]})");
  std::string text;
  JsonWriter writer(
      data, [&](std::string_view piece) { text += piece; }, 0);
  const auto top = std::get<Data::Index>(data.root());
  writer.name_target(top);
  for (const Data::Item& item : data.container(top).items) {
    writer.write(item);
    text += '\n';
  }
  writer.write_entry("k\n", data.container(top).items[2]);
  EXPECT_EQ(text,
            "{\"$label\":1,\"$dict\":{}}\n{\"$link\":0}\n{\"$link\":1}\n"
            "{\"$entry\":[\"k\\n\",{\"$link\":1}]}");
}

// Random structures, shared and cyclic, with keys that look like the convention's.
Data random_data(std::mt19937_64& random) {
  Data data;
  const std::vector<std::string> keys{"$bytes", "$float",   "$link", "$dict", "$label",
                                      "$list",  "$entry",   "$node", "a",     "",
                                      "b\n",    "\xC3\xA4", "~/"};
  const std::size_t count = 1 + random() % 12;
  for (std::size_t i = 0; i < count; ++i) {
    data.add(random() % 2 == 0 ? NodeKind::kDict : NodeKind::kList);
  }
  for (std::uint32_t at = 0; at < count; ++at) {
    std::vector<std::string> left = keys;
    for (std::size_t i = random() % 6; i > 0; --i) {
      Data::Item item;
      switch (random() % 8) {
        case 0:
          item = nullptr;
          break;
        case 1:
          item = random() % 2 == 0;
          break;
        case 2:
          item = static_cast<std::int64_t>(random());
          break;
        case 3:
          item = BigInt{"-1" + std::string(16, 'a')};
          break;
        case 4:
          item = static_cast<double>(random()) / 3;
          break;
        case 5:
          item = Bytes{std::string(random() % 5, '\xFE')};
          break;
        case 6:
          item = left[random() % left.size()];
          break;
        default:
          item = Data::Index{static_cast<std::uint32_t>(random() % count)};
      }
      Data::Container& container = data.container(Data::Index{at});
      if (container.kind == NodeKind::kDict) {
        const auto key = left.begin() + static_cast<std::ptrdiff_t>(random() % left.size());
        container.keys.push_back(*key);
        left.erase(key);
      }
      container.items.push_back(std::move(item));
    }
  }
  data.set_root(Data::Index{0});
  return data;
}

TEST(Convention, RandomStructuresSurvive) {
  const char* given = std::getenv("GRAVEN_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    const Data data = random_data(random);
    const std::string text = to_json_text(data, i % 3);
    const Data back = read(text);
    ASSERT_EQ(to_json_text(back, i % 3), text) << "GRAVEN_SEED=" << seed;
    ASSERT_TRUE(back == data) << "GRAVEN_SEED=" << seed << "\n" << text;
    if (i % 10 == 0) {
      // Cut anywhere, it is an error and no crash.
      EXPECT_GE(error_at(text.substr(0, random() % text.size())), 0) << "GRAVEN_SEED=" << seed;
    }
  }
}

TEST(JsonReader, RandomDamageIsAnErrorOrStillJson) {
  const char* given = std::getenv("GRAVEN_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::mt19937_64 random(seed);
  constexpr std::string_view kBytes = "[]{}:,\"\\0123456789.eE+-truefalsn $\n\x01\xFF";
  JsonReader reader({.entries = true});
  for (int i = 0; i < 20'000; ++i) {
    std::string text = R"({"a":[1,-2.5e3,{"$bytes":"AA=="}],"$x":{"$label":1,"$dict":{"y":null}}})";
    for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
      text[random() % text.size()] = kBytes[random() % kBytes.size()];
    }
    Data data;
    reader.labels().clear();
    try {
      data.set_root(reader.read(text, data).item);
      ASSERT_EQ(rewritten(to_json_text(data)), to_json_text(data)) << text;
    } catch (const JsonError& error) {
      ASSERT_LE(error.offset(), text.size());
    }
  }
}

}  // namespace
}  // namespace graven::cli
