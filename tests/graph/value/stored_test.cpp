// SPDX-License-Identifier: MIT
//
// Values as they are written inside bodies: every kind comes back unchanged, in the form the
// format says, and what is no value of ours is refused.
#include "graph/value/stored.hpp"

#include <cmath>
#include <limits>

#include "base/random.hpp"
#include "graph/on_a_work.hpp"

namespace graven::test {
namespace {

using graph::Link;
using graph::Stored;
using store::Space;

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
  for (const store::Row& row : work.scan({.space = Space::kBlob}, 10)) {
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
