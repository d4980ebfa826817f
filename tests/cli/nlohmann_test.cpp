// SPDX-License-Identifier: MIT
//
// graven/nlohmann.hpp: both ways, all types, depth, and what cannot be converted.
#include <graven/nlohmann.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace graven {
namespace {

using nlohmann::json;

TEST(Nlohmann, EveryTypeBothWays) {
  json value = json::parse(
      R"({"n":null,"t":true,"i":-5,"u":18446744073709551615,"m":9223372036854775807,
          "f":0.25,"s":"\u0000\u00e4","a":[[],{},[1,[2]]],"o":{"":{"x":[]}}})");
  value["b"] = json::binary({0, 255});
  const Data data = to_data(value);
  EXPECT_EQ(to_json(data), value);
  EXPECT_EQ(data.at("u").get<BigInt>().hex, "ffffffffffffffff");
  EXPECT_EQ(data.at("m").get<std::int64_t>(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(data.at("b").get<Bytes>().data, std::string("\0\xFF", 2));
  EXPECT_TRUE(data == to_data(to_json(data)));
  EXPECT_EQ(to_json(to_data(json(nullptr))), json(nullptr));
  EXPECT_TRUE(std::isnan(to_json(Data(std::nan(""))).get<double>()));
}

TEST(Nlohmann, OrderIsKeptWhereJsonKeepsIt) {
  const auto value = nlohmann::ordered_json::parse(R"({"z":1,"a":{"y":2,"b":3},"m":[]})");
  EXPECT_EQ(to_json<nlohmann::ordered_json>(to_data(value)).dump(), value.dump());
}

TEST(Nlohmann, DepthCostsNoStack) {
  Data data;
  Data::Index outer = data.add(NodeKind::kList);
  data.set_root(outer);
  for (int i = 0; i < 100'000; ++i) {
    const Data::Index inner = data.add(i % 2 == 0 ? NodeKind::kDict : NodeKind::kList);
    Data::Container& container = data.container(outer);
    if (container.kind == NodeKind::kDict) container.keys.emplace_back("k");
    container.items.emplace_back(inner);
    outer = inner;
  }
  const json value = to_json(data);
  EXPECT_EQ(to_data(value).container_count(), data.container_count());
}

TEST(Nlohmann, RefusesWhatJsonLacks) {
  Data cycle;
  const Data::Index index = cycle.add(NodeKind::kList);
  cycle.container(index).items.emplace_back(index);
  cycle.set_root(index);
  EXPECT_THROW(static_cast<void>(to_json(cycle)), UsageError);
  EXPECT_THROW(static_cast<void>(to_json(Data(BigInt{"10000000000000000"}))), UsageError);
  EXPECT_THROW(static_cast<void>(to_json(Data(BigInt{"-8000000000000001"}))), UsageError);
  EXPECT_THROW(static_cast<void>(to_data(json(json::value_t::discarded))), UsageError);
}

TEST(Nlohmann, SharedPartsAreRepeated) {
  Data data = Data::list({1});
  const Data::Item part = data.root();
  const Data::Index both = data.add(NodeKind::kList);
  data.container(both).items = {part, part};
  data.set_root(both);
  EXPECT_EQ(to_json(data), json::parse("[[1],[1]]"));
}

}  // namespace
}  // namespace graven
