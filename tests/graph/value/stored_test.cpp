// SPDX-License-Identifier: MIT
//
// Values as they are written inside bodies: every kind comes back unchanged, in the form the
// format says, and what is no value of ours is refused.
#include "graph/value/stored.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/random.hpp"
#include "graph/on_a_work.hpp"
#include "map/value.hpp"

namespace graven::test {
namespace {

using graph::Link;
using graph::Stored;
using port::Space;

class StoredValues : public OnAWork {
 protected:
  std::string written(const Data::Item& item, std::size_t large = graph::kLargeInNode) {
    std::string out;
    graph::put_scalar(out, item, large, kOwner, work);
    return out;
  }
  template <class T>
  T read_back(const Data::Item& item, std::size_t large = graph::kLargeInNode) {
    const std::string element = written(item, large);
    const jsonb::Element parsed = jsonb::parse(element);
    EXPECT_EQ(parsed.whole.size(), element.size());
    return std::get<T>(graph::read(parsed, work));
  }

  static constexpr NodeId kOwner = 7;
};

TEST_F(StoredValues, NullAndBools) {
  EXPECT_EQ(read_back<std::nullptr_t>(nullptr), nullptr);
  EXPECT_EQ(read_back<bool>(true), true);
  EXPECT_EQ(read_back<bool>(false), false);
  EXPECT_EQ(written(nullptr).size(), 1U);
}

TEST_F(StoredValues, Integers) {
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{12345},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_EQ(read_back<std::int64_t>(value), value);
  }
}

TEST_F(StoredValues, IntegersBeyond64Bits) {
  for (const std::string hex :
       {"8000000000000000", "-8000000000000001", "ffffffffffffffffffffff"}) {
    EXPECT_EQ(read_back<BigInt>(BigInt{hex}).hex, hex);
  }
  // Documented: {"i": "<hex>"}.
  const std::string element = written(BigInt{"8000000000000000"});
  EXPECT_EQ(jsonb::parse(element).type, jsonb::Type::kObject);
  EXPECT_EQ(jsonb::text(*jsonb::find(jsonb::parse(element), "i")), "8000000000000000");
}

TEST_F(StoredValues, Floats) {
  for (const double value : {0.0, 1.5, -1e300, 5e-324, 1e22, 0.1}) {
    EXPECT_EQ(read_back<double>(value), value);
  }
  EXPECT_TRUE(std::signbit(read_back<double>(-0.0)));
  EXPECT_TRUE(std::isnan(read_back<double>(std::nan(""))));
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(read_back<double>(infinity), infinity);
  EXPECT_EQ(read_back<double>(-infinity), -infinity);
  // A whole float stays a float.
  EXPECT_EQ(read_back<double>(3.0), 3.0);
}

TEST_F(StoredValues, Texts) {
  for (const std::string& text :
       {std::string(), std::string("plain"), std::string("nul\0in", 6),
        std::string("\"quoted\" \\ and\ncontrol\x01"), std::string("h\xc3\xa9 \xf0\x9f\x98\x80")}) {
    EXPECT_EQ(read_back<std::string>(text), text);
  }
}

TEST_F(StoredValues, BytesOfEveryValue) {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.data.push_back(static_cast<char>(i));
  EXPECT_EQ(read_back<Bytes>(all), all);
  EXPECT_EQ(read_back<Bytes>(Bytes{}), Bytes{});
}

TEST_F(StoredValues, TextAndBytesNeverMix) {
  EXPECT_EQ(read_back<std::string>(std::string("x")), "x");
  EXPECT_EQ(read_back<Bytes>(Bytes{"x"}).data, "x");
}

TEST_F(StoredValues, WhatIsLargeIsARecordOfItsOwn) {
  const std::string below(graph::kLargeInNode - 1, 'x');
  const std::string at(graph::kLargeInNode, 'x');
  EXPECT_EQ(read_back<std::string>(below), below);
  EXPECT_EQ(count(Space::kBlob), 0U);
  EXPECT_EQ(read_back<std::string>(at), at);
  EXPECT_EQ(count(Space::kBlob), 1U);
  const Bytes raw{std::string(graph::kLargeInEntry, '\xff')};
  EXPECT_EQ(read_back<Bytes>(raw, graph::kLargeInEntry), raw);
  EXPECT_EQ(count(Space::kBlob), 2U);
  for (const port::Row& row : work.scan({.space = Space::kBlob}, 10)) {
    EXPECT_EQ(row.record.integers[0], kOwner);
  }
  EXPECT_LT(written(at).size(), 40U);
}

TEST_F(StoredValues, ALargeValueThatIsLostIsCorruption) {
  const std::string element = written(std::string(5000, 'x'));
  const auto blob = graph::blob_of(jsonb::parse(element));
  ASSERT_TRUE(blob);
  work.erase({.space = Space::kBlob, .a = *blob});
  EXPECT_THROW(static_cast<void>(graph::read(jsonb::parse(element), work)), CorruptionError);
}

TEST_F(StoredValues, Links) {
  for (const NodeKind kind : {NodeKind::kDict, NodeKind::kList}) {
    const Link link{INT64_MAX, kind};
    const std::string element = link_element(link.id, kind);
    EXPECT_EQ(graph::link_of(jsonb::parse(element)), link);
    EXPECT_EQ(std::get<Link>(graph::read(jsonb::parse(element), work)), link);
    EXPECT_FALSE(graph::blob_of(jsonb::parse(element)));
    const std::string_view key = kind == NodeKind::kDict ? "d" : "l";
    EXPECT_EQ(jsonb::integer(*jsonb::find(jsonb::parse(element), key)), INT64_MAX);
  }
}

TEST_F(StoredValues, OnlyLinksAreLinks) {
  const std::vector<Data::Item> scalars{nullptr,
                                        true,
                                        std::int64_t{5},
                                        1.5,
                                        std::string("d"),
                                        Bytes{"d"},
                                        BigInt{"8000000000000000"},
                                        std::nan(""),
                                        std::string(5000, 'd')};
  for (const Data::Item& item : scalars) {
    const std::string element = written(item);
    EXPECT_FALSE(graph::link_of(jsonb::parse(element)));
  }
}

TEST_F(StoredValues, WhatIsNoValueOfOursIsCorruption) {
  const auto refused = [&](const std::string& element) {
    EXPECT_THROW(static_cast<void>(graph::read(jsonb::parse(element), work)), CorruptionError);
  };
  std::string array;
  jsonb::put_header(array, jsonb::Type::kArray, 0);
  refused(array);
  std::string object;
  jsonb::put_header(object, jsonb::Type::kObject, 0);
  refused(object);
  for (const auto& [tag, value] :
       std::vector<std::pair<std::string, std::string>>{{"x", int_element(1)},
                                                        {"dd", int_element(1)},
                                                        {"b", text_element("?")},
                                                        {"f", text_element("infinite")},
                                                        {"b", int_element(1)}}) {
    std::string escape;
    const std::size_t mark = jsonb::open(escape);
    jsonb::put_text(escape, tag);
    escape += value;
    jsonb::close(escape, jsonb::Type::kObject, mark);
    refused(escape);
  }
}

/// The element of a value in the nested data of a map, with the mark of its escapes taken away.
std::string element_in_map(const Data::Item& item) {
  Data list = Data::list();
  list.container(std::get<Data::Index>(list.root())).items = {item};
  std::string bytes;
  EXPECT_EQ(map::encode(list, "key", bytes), port::ValueKind::kJson);
  const jsonb::Element element = jsonb::nth(jsonb::parse(bytes), 0);
  if (element.type != jsonb::Type::kObject) return std::string(element.whole);
  jsonb::Cursor cursor(element.payload);
  const std::string key = jsonb::text(cursor.next());
  EXPECT_EQ(key.front(), '$');
  std::string plain;
  const std::size_t mark = jsonb::open(plain);
  jsonb::put_text(plain, key.substr(1));
  plain += cursor.next().whole;
  jsonb::close(plain, jsonb::Type::kObject, mark);
  return plain;
}

/// What a map reads of a list of one element, which is an escape if `tag` is not empty.
Data::Item read_in_map(const std::string& tag, const std::string& value) {
  std::string bytes;
  const std::size_t list = jsonb::open(bytes);
  const std::size_t escape = tag.empty() ? 0 : jsonb::open(bytes);
  if (!tag.empty()) jsonb::put_text(bytes, "$" + tag);
  bytes += value;
  if (!tag.empty()) jsonb::close(bytes, jsonb::Type::kObject, escape);
  jsonb::close(bytes, jsonb::Type::kArray, list);
  const Data data = map::decode(port::ValueKind::kJson, bytes);
  return data.container(std::get<Data::Index>(data.root())).items.at(0);
}

TEST_F(StoredValues, MapsWriteTheSameAndReadTheSame) {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<Data::Item> all{nullptr,
                              true,
                              false,
                              std::int64_t{0},
                              std::numeric_limits<std::int64_t>::min(),
                              std::numeric_limits<std::int64_t>::max(),
                              BigInt{"8000000000000000"},
                              BigInt{"-ffffffffffffffffffffff"},
                              1.5,
                              3.0,
                              -0.0,
                              5e-324,
                              0.1,
                              std::nan(""),
                              infinity,
                              -infinity,
                              std::string(),
                              std::string("nul\0in \"quotes\" h\xc3\xa9", 19),
                              Bytes{},
                              Bytes{std::string("\0\xff", 2)}};
  for (const std::size_t size : {9U, 10U, 11U, 12U, 180U, 255U, 256U, 999U, 70'000U}) {
    all.emplace_back(std::string(size, 'x'));
    all.emplace_back(Bytes{std::string(size, '\xfe')});
    all.emplace_back(BigInt{std::string(size + 8, 'f')});
  }
  for (const Data::Item& item : all) {
    const std::string element = written(item, SIZE_MAX);
    EXPECT_EQ(element_in_map(item), element);
    const Stored in_node = graph::read(jsonb::parse(element), work);
    Data list = Data::list();
    list.container(std::get<Data::Index>(list.root())).items = {item};
    std::string bytes;
    map::encode(list, "key", bytes);
    const Data back = map::decode(port::ValueKind::kJson, bytes);
    const Data::Item& in_map = back.container(std::get<Data::Index>(back.root())).items.at(0);
    ASSERT_EQ(in_node.index(), item.index());
    ASSERT_EQ(in_map.index(), item.index());
    std::visit(
        [&](const auto& value) {
          using T = std::remove_cvref_t<decltype(value)>;
          if constexpr (std::is_same_v<T, double>) {
            EXPECT_EQ(std::bit_cast<std::uint64_t>(std::get<T>(in_node)),
                      std::bit_cast<std::uint64_t>(value));
            EXPECT_EQ(std::bit_cast<std::uint64_t>(std::get<T>(in_map)),
                      std::bit_cast<std::uint64_t>(value));
          } else if constexpr (!std::is_same_v<T, Dict> && !std::is_same_v<T, List> &&
                               !std::is_same_v<T, Data::Index>) {
            EXPECT_EQ(std::get<T>(in_node), value);
            EXPECT_EQ(std::get<T>(in_map), value);
          }
        },
        item);
  }
}

TEST_F(StoredValues, MapsRefuseTheSame) {
  for (const auto& [tag, value] :
       std::vector<std::pair<std::string, std::string>>{{"x", text_element("x")},
                                                        {"b", text_element("?")},
                                                        {"b", text_element("Zh==")},
                                                        {"b", int_element(1)},
                                                        {"i", text_element("")},
                                                        {"i", text_element("-")},
                                                        {"i", text_element("0x80")},
                                                        {"i", text_element("8000000000000000G")},
                                                        {"i", int_element(1)},
                                                        {"f", text_element("NaN")},
                                                        {"f", text_element("1.5")},
                                                        {"f", int_element(1)},
                                                        {"", "\x1d"},      // no such type
                                                        {"", "\x13x"},     // no digits
                                                        {"", "\x17\xff"},  // no UTF-8
                                                        {"", "\x37x"}}) {  // cut short
    std::string element = value;
    if (!tag.empty()) {
      element.clear();
      const std::size_t mark = jsonb::open(element);
      jsonb::put_text(element, tag);
      element += value;
      jsonb::close(element, jsonb::Type::kObject, mark);
    }
    EXPECT_THROW(static_cast<void>(graph::read(jsonb::parse(element), work)), CorruptionError)
        << tag << ' ' << value;
    EXPECT_THROW(static_cast<void>(read_in_map(tag, value)), CorruptionError)
        << tag << ' ' << value;
  }
}

TEST_F(StoredValues, MapsReadWhatSqliteMayLeaveBehindAsNodesDo) {
  const auto same = [&](const std::string& element, const auto& expected) {
    using T = std::remove_cvref_t<decltype(expected)>;
    EXPECT_EQ(std::get<T>(graph::read(jsonb::parse(element), work)), expected);
    EXPECT_EQ(std::get<T>(read_in_map("", element)), expected);
  };
  same(
      "\x44"
      "0x1f",
      std::int64_t{31});
  same(
      "\xc3\x14"
      "99999999999999999999",
      99999999999999999999.0);
  same(
      "\x26"
      ".5",
      0.5);
  same(
      "\x28"
      "\\n",
      std::string("\n"));
  same(
      "\x49"
      "\\x41",
      std::string("A"));
}

TEST_F(StoredValues, RandomOnesComeBack) {
  Random random;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random.below(40), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.bits());
    EXPECT_EQ(read_back<Bytes>(Bytes{bytes}, 1 + random.below(40)).data, bytes);
    const auto integer = static_cast<std::int64_t>(random.bits() >> random.below(64));
    EXPECT_EQ(read_back<std::int64_t>(integer), integer);
    const double real =
        std::ldexp(static_cast<double>(random.bits()), static_cast<int>(random.below(600)) - 300);
    EXPECT_EQ(read_back<double>(real), real);
  }
}

}  // namespace
}  // namespace graven::test
