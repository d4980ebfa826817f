// SPDX-License-Identifier: MIT
//
// The one-line summary of a node: Python's notation, children by uid or link field, strings
// unmangled, cycles no matter.
#include <cmath>
#include <limits>

#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

class Repr : public OnEveryStore {
 protected:
  Dict root = db.root();
};
GRAVEN_ON_EVERY_STORE(Repr);

TEST_P(Repr, EmptyOnes) {
  EXPECT_EQ(db.new_dict().repr(), "@{}");
  EXPECT_EQ(db.new_list().repr(), "@[]");
}

TEST_P(Repr, Scalars) {
  const List list = db.new_list({nullptr, true, false, 0, -7, 1.0, 1.5, 1e300, -0.0, std::nan(""),
                                 std::numeric_limits<double>::infinity(),
                                 -std::numeric_limits<double>::infinity(),
                                 BigInt{"8000000000000000"}, BigInt{"-8000000000000001"}});
  EXPECT_EQ(list.repr(),
            "@[None, True, False, 0, -7, 1.0, 1.5, 1e+300, -0.0, nan, inf, -inf, "
            "9223372036854775808, -9223372036854775809]");
}

TEST_P(Repr, StringsAreQuotedAsPythonDoes) {
  const List list =
      db.new_list({"plain", "it's", "\"both\" it's", "a\\b", "\n\r\t", std::string("\0\x1f\x7f", 3),
                   "h\xc3\xa9", "##hi##", "", Bytes{std::string("a'\0\xff", 4)}});
  EXPECT_EQ(list.repr(),
            "@['plain', \"it's\", '\"both\" it\\'s', 'a\\\\b', '\\n\\r\\t', '\\x00\\x1f\\x7f', "
            "'h\xc3\xa9', '##hi##', '', b'a\\'\\x00\\xff']");
}

TEST_P(Repr, ChildrenAreShownByTheirUids) {
  root.set("a", Data::dict());
  root.set("b", {1, 2});
  root.set("self", root);
  EXPECT_EQ(root.repr(), "@{'a': " + root["a"].as_dict().uid() + ", 'b': " +
                             root["b"].as_list().uid() + ", 'self': " + root.uid() + "}");
}

TEST_P(Repr, LargeOnesToo) {
  const Dict dict = db.new_dict();
  const List list = db.new_list();
  std::string in_dict;
  std::string in_list;
  for (int i = 0; i < 600; ++i) {
    dict.set("k" + std::to_string(i), i);
    list.push_back(i);
    if (i > 0) {
      in_dict += ", ";
      in_list += ", ";
    }
    in_dict += "'k" + std::to_string(i) + "': " + std::to_string(i);
    in_list += std::to_string(i);
  }
  EXPECT_EQ(dict.repr(), "@{" + in_dict + "}");
  EXPECT_EQ(list.repr(), "@[" + in_list + "]");
}

TEST_P(Repr, ALinkFieldStandsForAChild) {
  Options options;
  options.link_field = "id";
  options.prefix = "linked";
  const Database named = persistent() ? Database(url(), options) : Database("memory://", options);
  const Dict top = named.root();
  top.set("ada", {{"id", "ada"}});
  top.set("x", {{"id", "bob"}});
  top.set("n", {{"id", 5}});
  top.set("none", {{"name", "nobody"}});
  top.set("list", {1});
  top.set("child", {{"id", Data::dict()}});
  top.set("text", "plain");
  EXPECT_EQ(top.repr(), "@{'ada': *, 'x': bob, 'n': 5, 'none': " + top["none"].as_dict().uid() +
                            ", 'list': " + top["list"].as_list().uid() +
                            ", 'child': " + top["child"].as_dict().uid() + ", 'text': 'plain'}");
}

TEST_P(Repr, OfACollectedNodeIsAnError) {
  std::optional<Dict> gone;
  EXPECT_THROW(db.transaction([&] {
    gone = db.new_dict();
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  EXPECT_THROW(static_cast<void>(gone->repr()), CollectedError);
}

}  // namespace
}  // namespace graven::test
