// SPDX-License-Identifier: MIT
//
// What is converted to a Data, and how each braces are meant, as texts. Compiled by gcc and by
// clang into one program (braces_test.cpp); GRAVEN_BRACES is the function's name.
#include <graven/data.hpp>

#include <array>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interface/braces.hpp"

namespace graven::test {
namespace {

struct Own {
  int x;
  operator Data() const { return {{"x", x}}; }
};
struct Viewed {
  operator std::string_view() const { return "viewed"; }
};
struct Name : std::string {
  using std::string::string;
};
struct Bits {
  unsigned few : 3;
  static const int kDeclared = 4;
};

std::string shown(const Data& data, const Data::Item& item) {
  struct Show {
    const Data& data;
    std::string operator()(std::nullptr_t) const { return "null"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(const BigInt& value) const { return "0x" + value.hex; }
    std::string operator()(double value) const { return std::to_string(value); }
    std::string operator()(const std::string& value) const { return "'" + value + "'"; }
    std::string operator()(const Bytes& value) const { return "b'" + value.data + "'"; }
    std::string operator()(const Node&) const { return "node"; }
    std::string operator()(Data::Index index) const {
      const Data::Container& container = data.container(index);
      const bool dict = container.kind == NodeKind::kDict;
      std::string text;
      for (std::size_t i = 0; i < container.items.size(); ++i) {
        if (i != 0) text += ", ";
        if (dict) text += container.keys[i] + ": ";
        text += shown(data, container.items[i]);
      }
      return dict ? "{" + text + "}" : "[" + text + "]";
    }
  };
  return std::visit(Show{data}, item);
}

}  // namespace

std::vector<Meaning> GRAVEN_BRACES() {
  std::vector<Meaning> all;
  const auto mean = [&](const char* wanted, const Data& data) {
    all.push_back({wanted, shown(data, data.root())});
  };
  const auto take = [](const Data& data) { return data; };
  const auto give = [](const Data& data) -> Data { return {data}; };

  // {}
  mean("null", Data{});
  const Data empty = {};
  mean("null", empty);
  mean("null", Data({}));
  mean("null", take({}));
  mean("{k: null}", Data{{"k", {}}});
  mean("[null, 1]", Data{{}, 1});
  mean("[]", Data::list());
  mean("[null]", Data::list({{}}));
  mean("{}", Data::dict());

  // {data}
  Data a{{"k", 1}};
  mean("{k: 1}", a);
  mean("{k: 1}", Data{a});
  const Data constant = a;
  mean("{k: 1}", Data{constant});
  const Data copied = {a};
  mean("{k: 1}", copied);
  mean("{k: 1}", Data({a}));
  mean("{k: 1}", take({a}));
  mean("{k: 1}", give(a));
  mean("{k: 1}", Data{Data{{"k", 1}}});
  mean("5", Data{Data(5)});
  mean("[{k: 1}]", Data{{a}});
  mean("{in: {k: 1}}", Data{{"in", {a}}});
  mean("{in: {k: 1}}", Data{{"in", a}});
  mean("[{k: 1}]", Data::list({a}));
  mean("[{k: 1}]", Data::list({{a}}));
  mean("[{k: 1}, {k: 1}]", Data{a, a});
  Data moved{{"k", 1}};
  mean("{k: 1}", Data{std::move(moved)});
  moved = {1, 2};
  mean("[1, 2]", moved);
  moved = {a};
  mean("{k: 1}", moved);

  // Dicts
  mean("{k: 1}", Data({{"k", 1}}));
  mean("{x: 'y'}", Data{{"x", "y"}});
  mean("{a: 1, b: {c: [1, 2]}}", Data{{"a", 1}, {"b", {{"c", {1, 2}}}}});
  const std::string key = "key";
  mean("{key: 1, view: 2, viewed: 3, name: 4}",
       Data{{key, 1}, {std::string_view("view"), 2}, {Viewed{}, 3}, {Name("name"), 4}});
  char buffer[8] = "buffer";
  char* pointer = buffer;
  mean("{buffer: 'buffer'}", Data{{pointer, buffer}});
  mean("{a: 1, b: {x: 'y'}}", Data::dict({{"a", 1}, {"b", {{"x", "y"}}}}));
  mean("{key: [1]}", Data::dict({{key, {1}}}));
  mean("{a: 'b'}", Data::dict({{"a", "b"}}));

  // Lists
  mean("[1, 2]", Data{1, 2});
  mean("[5]", Data{5});
  mean("['x']", Data{"x"});
  mean("['x', 'y']", Data({"x", "y"}));
  mean("[[1, 2], [3, 4]]", Data{{1, 2}, {3, 4}});
  mean("[['a', 1], 2]", Data{{"a", 1}, 2});
  mean("[['a', 1, 2]]", Data{{"a", 1, 2}});
  mean("[['a', 1], ['b']]", Data{{"a", 1}, {"b"}});
  mean("[['a', 1], ['b', 2]]", Data::list({{"a", 1}, {"b", 2}}));
  mean("[1, 'two', {a: 1}]", Data{1, "two", {{"a", 1}}});
  mean("[[[1]]]", Data{{{1}}});

  // What is written decides, not what the values are.
  const Data pair{"a", 1};
  const Data text = "a";
  mean("[['a', 1], ['a', 1]]", Data{pair, pair});
  mean("[['a', 1]]", Data{{text, 1}});
  mean("[['a', 1], ['b', 2]]", Data{Data{"a", 1}, Data{"b", 2}});

  // Conversions
  mean("null", nullptr);
  mean("true", true);
  mean("1", std::int8_t{1});
  mean("1", static_cast<signed char>(1));
  mean("1", static_cast<unsigned char>(1));
  mean("7", std::size_t{7});
  mean("0xffffffffffffffff", static_cast<std::uint64_t>(-1));
  mean("1.500000", 1.5F);
  mean("b'raw'", Bytes{"raw"});
  mean("'viewed'", Viewed{});
  mean("'name'", Name("name"));
  mean("{x: 1}", Own{1});
  mean("[{x: 1}]", std::vector<Own>{{1}});
  mean("[1, 2]", std::vector<int>{1, 2});
  mean("[1, 2]", std::array<int, 2>{1, 2});
  mean("['a', 'b']", std::set<std::string>{"b", "a"});
  mean("[[1], []]", std::deque<std::list<int>>{{1}, {}});
  mean("{a: 1, b: 2}", std::map<std::string, int>{{"b", 2}, {"a", 1}});
  mean("{a: [1]}", std::unordered_map<std::string, std::vector<int>>{{"a", {1}}});
  mean("[null, 1]", std::vector<Data>{nullptr, 1});
  std::vector<bool> flags{true, false};
  mean("[true, false]", flags);
  mean("true", flags[0]);
  std::vector<int> numbers{1, 2, 3};
  mean("[2, 3]", std::span<int>(numbers).subspan(1));
  const auto listed = {1, 2};
  mean("[1, 2]", listed);
  Bits bits{};
  bits.few = 5;
  mean("5", bits.few);
  mean("4", Bits::kDeclared);
  mean("{few: 5, declared: 4, flag: true, own: {x: 2}, numbers: [1, 2, 3]}",
       Data{{"few", bits.few},
            {"declared", Bits::kDeclared},
            {"flag", flags[0]},
            {"own", Own{2}},
            {"numbers", numbers}});
  return all;
}

}  // namespace graven::test
