// SPDX-License-Identifier: MIT
//
// The codec by itself: the very bytes it writes, header boundaries, numbers at their limits,
// and find, nth, count and splice against a model under random editing.
#include "base/jsonb.hpp"

#include <graven/error.hpp>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/json_model.hpp"

namespace graven::jsonb {
namespace {

using test::bytes_of;
using test::Json;
using test::Random;
using test::read;
using test::same;
using test::SqliteJson;

std::string integer_bytes(std::int64_t value) {
  std::string out;
  put_int(out, value);
  return out;
}

std::string real_bytes(double value) {
  std::string out;
  put_real(out, value);
  return out;
}

std::string text_bytes(std::string_view value) {
  std::string out;
  put_text(out, value);
  return out;
}

/// An element written by hand: type, payload, and how many bytes its size takes (0, 1, 2, 4, 8).
std::string element(Type type, std::string_view payload, std::size_t width = 0) {
  std::string out;
  const auto low = static_cast<unsigned>(type);
  if (width == 0) {
    out += static_cast<char>(payload.size() << 4 | low);
  } else {
    out += static_cast<char>((12 + std::countr_zero(width)) << 4 | low);
    for (std::size_t i = width; i-- > 0;) {
      out += static_cast<char>(i < 8 ? payload.size() >> (8 * i) : 0);
    }
  }
  return out.append(payload);
}

TEST(JsonbWrite, TheVeryBytes) {
  using namespace std::string_literals;
  std::string out;
  put_null(out);
  put_bool(out, true);
  put_bool(out, false);
  EXPECT_EQ(out, "\x00\x01\x02"s);
  EXPECT_EQ(integer_bytes(0),
            "\x13"
            "0");
  EXPECT_EQ(integer_bytes(-17), "\x33-17");
  EXPECT_EQ(integer_bytes(12345678901),
            "\xb3"
            "12345678901");
  EXPECT_EQ(integer_bytes(123456789012),
            "\xc3\x0c"
            "123456789012");
  EXPECT_EQ(integer_bytes(std::numeric_limits<std::int64_t>::min()),
            "\xc3\x14-9223372036854775808");
  EXPECT_EQ(text_bytes(""), "\x07");
  EXPECT_EQ(text_bytes("hello"), "\x57hello");
  EXPECT_EQ(text_bytes("it's"), "\x47it's");
  EXPECT_EQ(text_bytes("a\"b"),
            "\x3a"
            "a\"b");
  EXPECT_EQ(text_bytes("a\\b"),
            "\x3a"
            "a\\b");
  EXPECT_EQ(text_bytes("\0"s), "\x1a\0"s);
  EXPECT_EQ(text_bytes("\xc3\xa9"), "\x27\xc3\xa9");
  EXPECT_EQ(bytes_of(Json::parse(R"({"a":[1,null]})")),
            "\x6c\x17"
            "a\x3b\x13"
            "1\x00"s);
}

TEST(JsonbWrite, TheExampleOfTheFormatsPage) {  // docs/format/body.md
  using namespace std::string_literals;
  const Json value = {{"name", "Ada"},
                      {"born", 1815},
                      {"height", 1.5},
                      {"motto", "\"Poetical\" science"},
                      {"tags", {true, nullptr}}};
  const std::vector<std::string> pieces{"\xcc\x40"s,
                                        "\x47name",
                                        "\x37"
                                        "Ada",
                                        "\x47"
                                        "born",
                                        "\x43"
                                        "1815",
                                        "\x67height",
                                        "\x35"
                                        "1.5",
                                        "\x57motto",
                                        "\xca\x12\"Poetical\" science",
                                        "\x47tags",
                                        "\x2b\x01\x00"s};
  std::string expected;
  for (const std::string& piece : pieces) expected += piece;
  EXPECT_EQ(bytes_of(value), expected);
  EXPECT_EQ(expected.size(), 66U);
}

TEST(JsonbWrite, RealsAreShortestAndValidJson) {
  const auto digits = [](double value) { return real_bytes(value).substr(1); };
  EXPECT_EQ(digits(1.0), "1.0");
  EXPECT_EQ(digits(-0.0), "-0.0");
  EXPECT_EQ(digits(0.0), "0.0");
  EXPECT_EQ(digits(0.1), "0.1");
  EXPECT_EQ(digits(1e300), "1e+300");
  EXPECT_EQ(digits(-2.5), "-2.5");
  EXPECT_EQ(digits(1e-7), "1e-07");
  EXPECT_EQ(digits(123456789.0), "123456789.0");
  EXPECT_EQ(real_bytes(-2.2250738585072014e-308), "\xc5\x18-2.2250738585072014e-308");
  EXPECT_EQ(real_bytes(5e-324),
            "\x65"
            "5e-324");
}

TEST(JsonbWrite, NumbersOfTwoDecimalsAreWrittenAsAnyOther) {
  const auto expected = [](double value) {
    std::array<char, 32> digits;
    std::string text(digits.data(),
                     std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return element(Type::kFloat, text, text.size() > 11 ? 1 : 0);
  };
  const auto compare = [&](double value) {
    for (const double one : {value, std::nextafter(value, 1e300), std::nextafter(value, -1e300)}) {
      ASSERT_EQ(real_bytes(one), expected(one)) << fmt::format("{:a}", one);
    }
  };
  for (std::int64_t n = -300'000; n <= 300'000; ++n) {
    ASSERT_NO_FATAL_FAILURE(compare(static_cast<double>(n) / 100));
  }
  test::Random random;
  for (int i = 0; i < 300'000; ++i) {
    const auto n =
        static_cast<std::int64_t>(random.below(std::size_t{1} << (1 + random.below(40))));
    const std::int64_t round = n / 10'000 * 10'000;  // with an exponent where it is large enough
    ASSERT_NO_FATAL_FAILURE(compare(static_cast<double>(n) / 100));
    ASSERT_NO_FATAL_FAILURE(compare(static_cast<double>(-round) / 100));
    ASSERT_NO_FATAL_FAILURE(compare(static_cast<double>(n) / 1000));
  }
}

TEST(JsonbWrite, RealsThatJsonLacksAreRefused) {
  std::string out = "x";
  for (const double value : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    EXPECT_THROW(put_real(out, value), BadValueError);
  }
  EXPECT_EQ(out, "x");
}

TEST(JsonbWrite, TextClassByEachByteAtEachPlace) {
  for (std::size_t size = 1; size <= 20; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 128; ++byte) {
        std::string value(size, 'x');
        value[at] = static_cast<char>(byte);
        const bool raw = byte < 0x20 || byte == '"' || byte == '\\';
        const Element written = parse(text_bytes(value));
        ASSERT_EQ(written.type, raw ? Type::kTextRaw : Type::kText) << byte;
      }
    }
    // Bytes beyond ASCII, and those whose word test could borrow from a neighbour.
    for (const std::string_view piece : {"\xc2\x80", "\xc3\xbf", " !", "!#", "[]", "\x7f\x20"}) {
      std::string value;
      while (value.size() < size) value += piece;
      ASSERT_EQ(parse(text_bytes(value)).type, Type::kText) << piece;
    }
  }
}

TEST(JsonbWrite, HeadersAreMinimalAtEachBoundary) {
  const struct {
    std::size_t payload;
    std::size_t header;
  } kCases[] = {{0, 1},   {1, 1},   {10, 1},    {11, 1},    {12, 2},    {13, 2},   {255, 2},
                {256, 3}, {257, 3}, {65534, 3}, {65535, 3}, {65536, 5}, {65537, 5}};
  for (const auto& [payload, header] : kCases) {
    const std::string value(payload, 'v');
    const std::string bytes = "before" + text_bytes(value) + "after";
    const Element found = parse(std::string_view(bytes).substr(6));
    EXPECT_EQ(found.whole.size(), header + payload);
    EXPECT_EQ(found.payload, value);
    EXPECT_EQ(text(found), value);
    std::string head;
    put_header(head, Type::kText, payload);
    EXPECT_EQ(head, found.whole.substr(0, header));

    std::string child;  // a container of exactly that payload, both ways of writing it
    for (std::size_t i = 0; i < payload; ++i) put_null(child);
    std::string whole;
    put_container(whole, Type::kArray, child);
    std::string opened = "x";
    const std::size_t mark = open(opened);
    opened += child;
    close(opened, Type::kArray, mark);
    EXPECT_EQ(opened, "x" + whole);
    EXPECT_EQ(whole.size(), header + payload);
    EXPECT_EQ(count(parse(whole)), payload);
  }
}

TEST(JsonbWrite, HeaderOfFourGigabytes) {
  using namespace std::string_literals;
  std::string head;
  put_header(head, Type::kText, 0xffffffff);
  EXPECT_EQ(head, "\xe7\xff\xff\xff\xff"s);
  head.clear();
  put_header(head, Type::kText, 0x100000000);
  EXPECT_EQ(head, "\xf7\x00\x00\x00\x01\x00\x00\x00\x00"s);
}

TEST(JsonbRead, HeadersNeedNotBeMinimal) {
  for (const std::size_t width : {1, 2, 4, 8}) {
    EXPECT_EQ(integer(parse(element(Type::kInt, "42", width))), 42);
    EXPECT_EQ(text(parse(element(Type::kText, "", width))), "");
    const std::string object = element(
        Type::kObject, element(Type::kText, "k", width) + element(Type::kInt, "7", width), width);
    const auto found = find(parse(object), "k");
    ASSERT_TRUE(found);
    EXPECT_EQ(integer(*found), 7);
    EXPECT_EQ(found->whole.size(), 2 + width);
    EXPECT_EQ(count(parse(object)), 2U);
  }
}

TEST(JsonbRead, Integers) {
  const auto value = [](Type type, std::string_view digits) {
    return integer(parse(element(type, digits, 1)));
  };
  EXPECT_EQ(value(Type::kInt, "9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value(Type::kInt, "-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value(Type::kInt, "9223372036854775808"), std::nullopt);
  EXPECT_EQ(value(Type::kInt, "-9223372036854775809"), std::nullopt);
  EXPECT_EQ(value(Type::kInt, std::string(200, '9')), std::nullopt);
  EXPECT_EQ(value(Type::kInt, "-0"), 0);
  EXPECT_EQ(value(Type::kInt5, "0x0"), 0);
  EXPECT_EQ(value(Type::kInt5, "0XfF"), 255);
  EXPECT_EQ(value(Type::kInt5, "-0xff"), -255);
  EXPECT_EQ(value(Type::kInt5, "0x7fffffffffffffff"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value(Type::kInt5, "0x8000000000000000"), std::nullopt);
  EXPECT_EQ(value(Type::kInt5, "-0x8000000000000000"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value(Type::kInt5, "-0x8000000000000001"), std::nullopt);
  EXPECT_EQ(value(Type::kInt5, "0x00000000000000000000000000000001"), 1);
  EXPECT_EQ(value(Type::kInt5, "0x10000000000000000"), std::nullopt);
  for (const std::string_view bad : {"", "-", "+1", "1a", " 1", "1 ", "--1", "0x1", "1.0", "1e3"}) {
    EXPECT_THROW(value(Type::kInt, bad), CorruptionError) << bad;
  }
  for (const std::string_view bad : {"", "-", "0x", "-0x", "ff", "0xg", "0x-1", "+0x1", "0x1 "}) {
    EXPECT_THROW(value(Type::kInt5, bad), CorruptionError) << bad;
  }
  EXPECT_THROW(value(Type::kFloat, "1.0"), CorruptionError);
  EXPECT_THROW(value(Type::kText, "1"), CorruptionError);
}

TEST(JsonbRead, Reals) {
  const auto value = [](Type type, std::string_view digits) {
    return real(parse(element(type, digits, 2)));
  };
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(value(Type::kFloat, "1.5"), 1.5);
  EXPECT_EQ(value(Type::kFloat, "-1.5E+2"), -150.0);
  EXPECT_TRUE(std::signbit(value(Type::kFloat, "-0.0")));
  EXPECT_EQ(value(Type::kFloat, "9e999"), infinity);
  EXPECT_EQ(value(Type::kFloat, "-9.0e999"), -infinity);
  EXPECT_EQ(value(Type::kFloat, "1e-999"), 0.0);
  EXPECT_TRUE(std::signbit(value(Type::kFloat, "-1e-999")));
  EXPECT_EQ(value(Type::kFloat, "1e99999999999999999999999"), infinity);
  EXPECT_EQ(value(Type::kFloat, "1e-99999999999999999999999"), 0.0);
  EXPECT_EQ(value(Type::kFloat, "0e99999999999999999999999"), 0.0);
  EXPECT_EQ(value(Type::kFloat, std::string(400, '1') + "e-300"), 1.111111111111111e99);
  EXPECT_EQ(value(Type::kFloat, std::string(400, '1') + ".5"), infinity);
  EXPECT_EQ(value(Type::kFloat, std::string(400, '1') + "e-100000"), 0.0);
  EXPECT_EQ(value(Type::kFloat, "0." + std::string(400, '0') + "1e100000"), infinity);
  EXPECT_EQ(value(Type::kFloat, "0." + std::string(400, '0') + "1e5"), 0.0);
  EXPECT_EQ(value(Type::kFloat, "1.7976931348623157e308"), std::numeric_limits<double>::max());
  EXPECT_EQ(value(Type::kFloat, "4.9e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(value(Type::kFloat5, ".5"), 0.5);
  EXPECT_EQ(value(Type::kFloat5, "5."), 5.0);
  EXPECT_EQ(value(Type::kFloat5, "-.5e1"), -5.0);
  EXPECT_EQ(value(Type::kFloat5, "5.e1"), 50.0);
  EXPECT_EQ(value(Type::kInt, "18446744073709551615"), 18446744073709551615.0);
  EXPECT_EQ(value(Type::kInt, std::string(400, '9')), infinity);
  EXPECT_EQ(value(Type::kInt5, "0xff"), 255.0);
  EXPECT_EQ(value(Type::kInt5, "-0x10000000000000000"), -18446744073709551616.0);
  EXPECT_EQ(value(Type::kInt5, "0x20000000000001"), 9007199254740992.0);  // ties to even
  EXPECT_EQ(value(Type::kInt5, "0x20000000000003"), 9007199254740996.0);
  EXPECT_EQ(value(Type::kInt5, "0x" + std::string(300, 'f')), infinity);
  EXPECT_EQ(value(Type::kInt5, "0x" + std::string(300, '0') + "1"), 1.0);
  EXPECT_EQ(value(Type::kInt5, "0x0000"), 0.0);
  for (const std::string_view bad :
       {"", "-", ".", "-.", "inf", "nan", "-inf", "1.0x", " 1.0", "1.0 ", "+1.0", "1.2.3", "1e",
        "1e+", "e5", "0x1p3", "1e5.0", "--1.0"}) {
    EXPECT_THROW(value(Type::kFloat, bad), CorruptionError) << bad;
    EXPECT_THROW(value(Type::kFloat5, bad), CorruptionError) << bad;
  }
  EXPECT_THROW(value(Type::kText, "1.0"), CorruptionError);
  EXPECT_THROW(real(parse(std::string(1, '\0'))), CorruptionError);
}

TEST(JsonbRead, RandomHexadecimalIntegersRoundLikeTheMachine) {
  Random random;
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t value = random.bits() >> random.below(64);
    std::string digits = "0x";
    for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789aBCdeF"[value >> shift & 15];
    const std::string bytes = element(Type::kInt5, digits, 1);
    EXPECT_EQ(real(parse(bytes)), static_cast<double>(value)) << digits;
    const auto expected =
        value >> 63 == 0 ? std::optional(static_cast<std::int64_t>(value)) : std::nullopt;
    EXPECT_EQ(integer(parse(bytes)), expected) << digits;
  }
}

TEST(JsonbRead, RandomNumbersComeBackExactly) {
  Random random;
  for (int round = 0; round < 20'000; ++round) {
    const auto value = static_cast<std::int64_t>(random.bits()) >> random.below(64);
    ASSERT_EQ(integer(parse(integer_bytes(value))), value);
    const auto number = std::bit_cast<double>(random.bits());
    if (!std::isfinite(number)) continue;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(real(parse(real_bytes(number)))),
              std::bit_cast<std::uint64_t>(number));
  }
}

TEST(JsonbRead, TextEqualsWithoutDecoding) {
  const auto equal = [](Type type, std::string_view payload, std::string_view other) {
    return text_equals(parse(element(type, payload, 1)), other);
  };
  EXPECT_TRUE(equal(Type::kText, "", ""));
  EXPECT_TRUE(equal(Type::kText, "key", "key"));
  EXPECT_FALSE(equal(Type::kText, "key", "kez"));
  EXPECT_FALSE(equal(Type::kText, "key", "keys"));
  EXPECT_FALSE(equal(Type::kText, "keys", "key"));
  EXPECT_TRUE(equal(Type::kTextRaw, "a\\n", "a\\n"));
  EXPECT_TRUE(equal(Type::kTextJ, "a\\nb", "a\nb"));
  EXPECT_FALSE(equal(Type::kTextJ, "a\\nb", "a\n"));
  EXPECT_FALSE(equal(Type::kTextJ, "a\\n", "a\nb"));
  EXPECT_FALSE(equal(Type::kTextJ, "a\\n", "a\\n"));
  EXPECT_TRUE(equal(Type::kTextJ, "\\ud83d\\ude00", "\xf0\x9f\x98\x80"));
  EXPECT_TRUE(equal(Type::kText5, "\\x41\\\n\\x42", "AB"));
  EXPECT_FALSE(equal(Type::kText5, "\\x41", ""));
  EXPECT_THROW(equal(Type::kInt, "1", "1"), CorruptionError);
}

TEST(JsonbFind, FirstOfEqualKeysAndEscapedKeys) {
  const auto key = [](Type type, std::string_view payload) { return element(type, payload, 1); };
  const std::string object =
      element(Type::kObject,
              key(Type::kText, "one") + integer_bytes(1) + key(Type::kTextJ, "t\\u0077o") +
                  integer_bytes(2) + key(Type::kText5, "th\\x72ee") + integer_bytes(3) +
                  key(Type::kTextRaw, "fo\"ur") + integer_bytes(4) + key(Type::kText, "one") +
                  integer_bytes(5) + key(Type::kText, "") + integer_bytes(6),
              2);
  const auto value = [&](std::string_view name) {
    const auto found = find(parse(object), name);
    return found ? integer(*found) : std::nullopt;
  };
  EXPECT_EQ(value("one"), 1);
  EXPECT_EQ(value("two"), 2);
  EXPECT_EQ(value("three"), 3);
  EXPECT_EQ(value("fo\"ur"), 4);
  EXPECT_EQ(value(""), 6);
  EXPECT_EQ(value("t\\u0077o"), std::nullopt);
  EXPECT_EQ(value("on"), std::nullopt);
  EXPECT_EQ(value("onee"), std::nullopt);
}

TEST(JsonbFind, OnlyWhereItMakesSense) {
  const std::string array = bytes_of(Json::parse("[1,2]"));
  const std::string object = bytes_of(Json::parse(R"({"a":1})"));
  EXPECT_THROW(find(parse(array), "a"), CorruptionError);
  EXPECT_THROW(nth(parse(object), 0), CorruptionError);
  EXPECT_THROW(nth(parse(array), 2), CorruptionError);
  EXPECT_THROW(nth(parse(array), std::size_t(-1)), CorruptionError);
  const std::string number = integer_bytes(1);
  EXPECT_THROW(count(parse(number)), CorruptionError);
  EXPECT_THROW(splice(parse(number), 0, 0, ""), CorruptionError);
  EXPECT_THROW(splice(parse(array), 3, 2, ""), CorruptionError);
  EXPECT_THROW(splice(parse(array), 5, 0, ""), CorruptionError);
  EXPECT_THROW(splice(parse(array), 1, std::size_t(-1), ""), CorruptionError);
  EXPECT_EQ(find(parse("\x0c"), "a"), std::nullopt);
  EXPECT_EQ(count(parse("\x0b")), 0U);
}

void expect_equal(std::string_view bytes, const Json& model, SqliteJson& sqlite) {
  const Element whole = parse(bytes);
  ASSERT_EQ(whole.whole.size(), bytes.size());
  ASSERT_TRUE(same(read(bytes), model));
  ASSERT_EQ(count(whole), model.size() * (model.is_object() ? 2 : 1));
  ASSERT_TRUE(sqlite.valid(bytes));
}

TEST(JsonbEdit, ArraysAgainstAModel) {
  Random random;
  SqliteJson sqlite;
  for (int round = 0; round < 60; ++round) {
    Json model = Json::array();
    std::string bytes = bytes_of(model);
    for (int step = 0; step < 60; ++step) {
      const Element array = parse(bytes);
      const std::size_t at = random.below(model.size() + 1);
      const Json value = test::random_value(random, 1);
      if (at == model.size() || random.one_in(2)) {
        const std::size_t offset =
            at == model.size() ? array.payload.size() : offset_in(array, nth(array, at));
        bytes = splice(array, offset, 0, bytes_of(value));
        model.insert(model.begin() + static_cast<std::ptrdiff_t>(at), value);
      } else {
        const Element old = nth(array, at);
        ASSERT_TRUE(same(read(old), model[at]));
        const bool replace = random.one_in(2);
        bytes = splice(array, offset_in(array, old), old.whole.size(),
                       replace ? bytes_of(value) : std::string());
        if (replace) {
          model[at] = value;
        } else {
          model.erase(at);
        }
      }
      expect_equal(bytes, model, sqlite);
      ASSERT_THROW(nth(parse(bytes), model.size()), CorruptionError);
    }
  }
}

TEST(JsonbEdit, ObjectsAgainstAModel) {
  Random random;
  SqliteJson sqlite;
  for (int round = 0; round < 60; ++round) {
    Json model = Json::object();
    std::string bytes = bytes_of(model);
    for (int step = 0; step < 60; ++step) {
      const Element object = parse(bytes);
      const bool fresh = model.empty() || random.one_in(2);
      const std::string key =
          fresh ? test::random_text(random)
                : std::next(model.begin(), static_cast<std::ptrdiff_t>(random.below(model.size())))
                      .key();
      const auto old = find(object, key);
      ASSERT_EQ(old.has_value(), model.contains(key));
      const Json value = test::random_scalar(random);
      if (!old) {
        bytes = splice(object, object.payload.size(), 0, text_bytes(key) + bytes_of(value));
        model[key] = value;
      } else if (random.one_in(2)) {
        ASSERT_TRUE(same(read(*old), model[key]));
        bytes = splice(object, offset_in(object, *old), old->whole.size(), bytes_of(value));
        model[key] = value;
      } else {
        const std::size_t label = text_bytes(key).size();
        bytes = splice(object, offset_in(object, *old) - label, label + old->whole.size(), "");
        model.erase(key);
      }
      expect_equal(bytes, model, sqlite);
      for (const auto& [name, expected] : model.items()) {
        const auto found = find(parse(bytes), name);
        ASSERT_TRUE(found);
        ASSERT_TRUE(same(read(*found), expected));
      }
    }
  }
}

}  // namespace
}  // namespace graven::jsonb
