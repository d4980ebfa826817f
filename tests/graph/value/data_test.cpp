// SPDX-License-Identifier: MIT
//
// Plain data in memory: literals, parts, adopting, comparing (through shared parts and cycles,
// to any depth), and the values that come out of it.
#include <graven/data.hpp>

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "graph/error_of.hpp"

namespace graven::test {
namespace {

Data::Index index_of(const Data& data) { return std::get<Data::Index>(data.root()); }
const Data::Container& container_of(const Data& data) { return data.container(index_of(data)); }

TEST(DataLiterals, Scalars) {
  EXPECT_EQ(Data().get<std::nullptr_t>(), nullptr);
  EXPECT_EQ(Data(nullptr).get<std::nullptr_t>(), nullptr);
  EXPECT_TRUE(Data(true).get<bool>());
  EXPECT_EQ(Data(5).get<int>(), 5);
  EXPECT_EQ(Data(std::uint8_t{5}).get<int>(), 5);
  EXPECT_EQ(Data(1.5).get<double>(), 1.5);
  EXPECT_EQ(Data("text").get<std::string>(), "text");
  EXPECT_EQ(Data(std::string_view("te\0t", 4)).get<std::string>(), std::string("te\0t", 4));
  EXPECT_EQ(Data(Bytes{"raw"}).get<Bytes>().data, "raw");
  EXPECT_EQ(Data(BigInt{"8000000000000000"}).get<BigInt>().hex, "8000000000000000");
}

template <class T>
class Numbers : public ::testing::Test {};
using AllNumbers = ::testing::Types<bool, std::int8_t, std::int16_t, std::int32_t, std::int64_t,
                                    std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, long,
                                    unsigned long, long long, unsigned long long, float, double>;
TYPED_TEST_SUITE(Numbers, AllNumbers);

TYPED_TEST(Numbers, ComeBack) {
  using Limits = std::numeric_limits<TypeParam>;
  for (const TypeParam value : {Limits::lowest(), Limits::min(), Limits::max(), TypeParam{},
                                static_cast<TypeParam>(Limits::max() / 2), TypeParam{1}}) {
    EXPECT_EQ(Data(value).get<TypeParam>(), value);
    EXPECT_EQ(Value(value).get<TypeParam>(), value);
  }
}

template <class T>
std::string error_of_get(const Data& data) {
  return error_of([&] { static_cast<void>(data.get<T>()); });
}

TEST(Conversions, ThatDoNotFitSaySo) {
  EXPECT_EQ(error_of_get<std::int8_t>(300),
            "limit: the value is 300, which std::int8_t cannot hold");
  EXPECT_EQ(error_of_get<std::uint8_t>(-1),
            "limit: the value is -1, which std::uint8_t cannot hold");
  EXPECT_EQ(error_of_get<unsigned>(std::int64_t{1} << 32U),
            "limit: the value is 4294967296, which std::uint32_t cannot hold");
  EXPECT_EQ(error_of_get<std::int64_t>(std::uint64_t{1} << 63U),
            "limit: the value is 9223372036854775808, which std::int64_t cannot hold");
  EXPECT_EQ(error_of_get<std::uint64_t>(BigInt{"10000000000000000"}),
            "limit: the value is 18446744073709551616, which std::uint64_t cannot hold");
  EXPECT_EQ(error_of_get<std::uint64_t>(BigInt{"-8000000000000001"}),
            "limit: the value is -9223372036854775809, which std::uint64_t cannot hold");
  EXPECT_EQ(error_of_get<int>(BigInt{std::string(33, 'f')}),
            "limit: the value is 5444517870735015415413993718908291383295, which std::int32_t "
            "cannot hold");
  EXPECT_EQ(error_of_get<int>(BigInt{"-1" + std::string(1'000'000, '0')}),
            "limit: the value is a negative number of some 1204121 digits, which std::int32_t "
            "cannot hold");
  EXPECT_EQ(error_of_get<float>(1e300), "limit: the value is 1e+300, which float cannot hold");
  EXPECT_EQ(error_of_get<double>(BigInt{"1" + std::string(300, '0')}),
            "limit: the value is a number of some 362 digits, which double cannot hold");
  EXPECT_EQ(error_of_get<int>("x"), "wrong_type: the value is str, not int");
  EXPECT_EQ(error_of_get<int>(1.0), "wrong_type: the value is float, not int");
  EXPECT_EQ(error_of_get<int>(true), "wrong_type: the value is bool, not int");
  EXPECT_EQ(error_of_get<bool>(1), "wrong_type: the value is int, not bool");
  EXPECT_EQ(error_of_get<double>("1"), "wrong_type: the value is str, not float");
  EXPECT_EQ(error_of_get<BigInt>(1), "wrong_type: the value is int, not an int beyond 64 bits");
  EXPECT_EQ(error_of_get<Dict>(nullptr), "wrong_type: the value is null, not dict");
}

TEST(Conversions, IntegersAreFloatsWhereThoseAreWanted) {
  EXPECT_EQ(Data(3).get<double>(), 3.0);
  EXPECT_EQ(Data(3).get<float>(), 3.0F);
  EXPECT_EQ(Data(std::numeric_limits<std::uint64_t>::max()).get<double>(), 0x1p64);
  EXPECT_EQ(Data(BigInt{"-10000000000000000"}).get<double>(), -0x1p64);
  EXPECT_EQ(Data(BigInt{"10000000000000801"}).get<double>(), 0x1.0000000000001p64);  // rounded
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Data(-kInfinity).get<float>(), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(Data(std::nan("")).get<float>()));
}

TEST(DataMoved, IsNull) {
  Data from{{"a", {1, 2}}};
  Data to = std::move(from);
  EXPECT_EQ(from, Data());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(from.is_dict());
  to = std::move(from);
  EXPECT_EQ(to, Data());
  from = {1, 2};
  Data& self = from;
  from = std::move(self);
  EXPECT_EQ(from, (Data{1, 2}));
}

TEST(DataTexts, MustNotBeNullPointers) {
  const char* none = nullptr;
  EXPECT_EQ(error_of([&] { static_cast<void>(Data(none)); }), "usage: a text is a null pointer");
  EXPECT_EQ(error_of([&] { static_cast<void>(Value(none)); }), "usage: a text is a null pointer");
  EXPECT_EQ(error_of([&] { static_cast<void>(Data::dict().at(none)); }),
            "usage: a text is a null pointer");
}

TEST(DataLiterals, UnsignedIntegersBeyond63BitsAreBig) {
  EXPECT_EQ(Data(std::numeric_limits<std::uint64_t>::max()).get<BigInt>().hex, "ffffffffffffffff");
  EXPECT_EQ(Data(std::uint64_t{1} << 63U).get<BigInt>().hex, "8000000000000000");
  EXPECT_EQ(Data((std::uint64_t{1} << 63U) - 1).get<std::int64_t>(), INT64_MAX);
}

TEST(DataLiterals, DictsAndLists) {
  const Data dict{{"name", "Ada"}, {"age", 36}, {"tags", {"x", "y"}}};
  ASSERT_TRUE(dict.is_dict());
  EXPECT_EQ(container_of(dict).keys, (std::vector<std::string>{"name", "age", "tags"}));
  EXPECT_EQ(dict.at("age").get<int>(), 36);
  EXPECT_TRUE(dict.at("tags").is_list());
  EXPECT_EQ(dict.at("tags").at(1).get<std::string>(), "y");

  const Data list{1, "two", 3.0, {{"a", 1}}, {4, 5}};
  ASSERT_TRUE(list.is_list());
  EXPECT_EQ(list.size(), 5U);
  EXPECT_TRUE(list.at(3).is_dict());
  EXPECT_EQ(list.at(4).at(0).get<int>(), 4);
}

TEST(DataLiterals, SayDictOrListWhereTheGuessWouldBeWrong) {
  EXPECT_TRUE((Data{{"a", 1}, {"b", 2}}).is_dict());
  EXPECT_TRUE(Data::list({{"a", 1}, {"b", 2}}).is_list());  // two lists of two
  EXPECT_EQ(Data::list({Data::list({"a", 1})}).at(0).at(0).get<std::string>(), "a");
  EXPECT_TRUE(Data::dict().is_dict());
  EXPECT_TRUE(Data::list().is_list());
  EXPECT_EQ(Data::dict().size(), 0U);
  EXPECT_TRUE(Data::dict({{"a", 1}}).is_dict());
  EXPECT_TRUE((Data{1, 2}).is_list());
  EXPECT_TRUE((Data{{1, 2}, {3, 4}}).is_list());
}

TEST(DataParts, ThatAreNotThereAreErrors) {
  const Data dict{{"a", 1}};
  EXPECT_THROW(static_cast<void>(dict.at("b")), KeyNotFound);
  EXPECT_THROW(static_cast<void>(dict.at(0)), WrongTypeError);
  const Data list{1, 2};
  EXPECT_THROW(static_cast<void>(list.at(2)), IndexOutOfRange);
  EXPECT_THROW(static_cast<void>(list.at(-3)), IndexOutOfRange);
  EXPECT_THROW(static_cast<void>(list.at(SIZE_MAX)), IndexOutOfRange);
  EXPECT_EQ(list.at(-1), Data(2));
  EXPECT_THROW(static_cast<void>(list.at("a")), WrongTypeError);
  EXPECT_THROW(static_cast<void>(list.scalar()), WrongTypeError);
  EXPECT_THROW(static_cast<void>(Data(1).size()), WrongTypeError);
  EXPECT_THROW(static_cast<void>(Data("x").get<int>()), WrongTypeError);
  EXPECT_THROW(static_cast<void>(Data(1000).get<std::int8_t>()), LimitError);
}

TEST(DataArena, AdoptingTakesWhatTheRootReachesAndNoMore) {
  Data other{{"part", {{"deep", {1, 2}}}}, {"rest", {3, 4, 5}}};
  const Data part = other.at("part");
  EXPECT_EQ(part.container_count(), 2U);
  EXPECT_EQ(part, (Data{{"deep", {1, 2}}}));

  Data mine = Data::list();
  const Data::Item item = mine.adopt(std::move(other));
  mine.container(index_of(mine)).items.push_back(item);
  EXPECT_EQ(mine.at(0).at("rest").size(), 3U);
}

TEST(DataArena, SharedPartsStayShared) {
  Data data = Data::list();
  const Data::Index shared = data.add(NodeKind::kDict);
  for (int i = 0; i < 3; ++i) data.container(index_of(data)).items.emplace_back(shared);
  EXPECT_EQ(data.container_count(), 2U);
  Data copy = Data::list();
  const Data::Item item = copy.adopt(data);
  copy.container(index_of(copy)).items.push_back(item);
  EXPECT_EQ(copy.container_count(), 3U);
  const Data::Container& inner = copy.container(std::get<Data::Index>(item));
  EXPECT_EQ(inner.items[0], inner.items[2]);
}

/// A ring of `length` lists, each with the next and a number.
Data ring(int length, int number = 1) {
  Data data;
  std::vector<Data::Index> all;
  for (int i = 0; i < length; ++i) all.push_back(data.add(NodeKind::kList));
  for (std::size_t i = 0; i < all.size(); ++i) {
    data.container(all[i]).items.emplace_back(all[(i + 1) % all.size()]);
    data.container(all[i]).items.emplace_back(std::int64_t{number});
  }
  data.set_root(all[0]);
  return data;
}

TEST(DataComparison, GoesThroughCycles) {
  EXPECT_EQ(ring(3), ring(3));
  EXPECT_EQ(ring(3), ring(4));  // unrolled without end, they are the same
  EXPECT_EQ(ring(1), ring(5));
  EXPECT_FALSE(ring(3) == ring(3, 2));
  Data copy = Data::list();
  const Data::Item item = copy.adopt(ring(3));
  copy.container(index_of(copy)).items.push_back(item);
  EXPECT_FALSE(copy == ring(3));
  EXPECT_EQ(copy.at(0), ring(3));
}

TEST(DataComparison, IsByContent) {
  EXPECT_EQ((Data{{"a", 1}, {"b", 2}}), (Data{{"b", 2}, {"a", 1}}));
  EXPECT_FALSE((Data{{"a", 1}, {"b", 2}}) == (Data{{"a", 2}, {"b", 1}}));
  EXPECT_FALSE((Data{{"a", 1}}) == (Data{{"b", 1}}));
  EXPECT_FALSE((Data{{"a", 1}}) == (Data{{"a", 1}, {"b", 2}}));
  EXPECT_FALSE((Data{1, 2}) == (Data{2, 1}));
  EXPECT_FALSE(Data::dict() == Data::list());
  EXPECT_FALSE(Data(1) == Data("1"));
  EXPECT_FALSE(Data("x") == Data(Bytes{"x"}));
  EXPECT_FALSE(Data(nullptr) == Data(0));
}

TEST(DataComparison, NumbersCompareAsInPython) {
  EXPECT_EQ(Data(1), Data(1.0));
  EXPECT_EQ(Data(1), Data(true));
  EXPECT_EQ(Data(0.0), Data(-0.0));
  EXPECT_FALSE(Data(1) == Data(1.5));
  EXPECT_FALSE(Data(std::nan("")) == Data(std::nan("")));
  // 2^53 + 1 is no double; 2^63 is one.
  EXPECT_FALSE(Data((std::int64_t{1} << 53U) + 1) == Data(0x1p53));
  EXPECT_FALSE(Data(INT64_MAX) == Data(0x1p63));
  EXPECT_EQ(Data(BigInt{"8000000000000000"}), Data(0x1p63));
  EXPECT_EQ(Data(BigInt{"-8000000000000000000"}), Data(-0x1p75));
  EXPECT_FALSE(Data(BigInt{"8000000000000001"}) == Data(0x1p63));
  EXPECT_FALSE(Data(BigInt{"8000000000000000"}) == Data(std::numeric_limits<double>::infinity()));
}

TEST(DataDepth, HasNoLimit) {
  const auto chain = [](int depth) {
    Data data;
    std::vector<Data::Index> all;
    for (int i = 0; i < depth; ++i) all.push_back(data.add(NodeKind::kDict));
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      data.container(all[i]).keys.emplace_back("next");
      data.container(all[i]).items.emplace_back(all[i + 1]);
    }
    data.set_root(all[0]);
    return data;
  };
  const Data deep = chain(200'000);
  EXPECT_EQ(deep, chain(200'000));
  EXPECT_FALSE(deep == chain(199'999));
  Data mine = Data::list();
  const Data::Item item = mine.adopt(deep);
  EXPECT_EQ(mine.container_count(), 200'001U);
  static_cast<void>(item);
}

TEST(ValuesOfScalars, CompareAndConvert) {
  EXPECT_EQ(Value(Value::Variant(std::int64_t{1})), Value(Value::Variant(1.0)));
  EXPECT_EQ(Value(Value::Variant(std::int64_t{1})).get<double>(), 1.0);
  EXPECT_THROW(static_cast<void>(Value(Value::Variant(1.5)).get<int>()), WrongTypeError);
  EXPECT_THROW(static_cast<void>(Value(Value::Variant(std::int64_t{-1})).get<unsigned>()),
               LimitError);
  EXPECT_TRUE(Value().is_null());
  EXPECT_EQ(Value().type_name(), "null");
  EXPECT_EQ(Value(Value::Variant(BigInt{"8000000000000000"})).type_name(), "int");
  EXPECT_EQ(Value(Value::Variant(std::string())).type_name(), "str");
}

}  // namespace
}  // namespace graven::test
