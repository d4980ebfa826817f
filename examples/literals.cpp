// SPDX-License-Identifier: MIT
//
// Plain data: every type graven stores, written as nested literals, read back, compared, and
// built by hand where structure is shared.
#include <graven/graven.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "scratch.hpp"

using graven::Data;

int main() {
  const Scratch scratch;
  const graven::Database db(scratch.file("literals.db"));

  const Data config = {
      {"name", "Ada"},                                     // pairs of a text and a value: a dict
      {"numbers", {1, 2.5, -0.0, 18446744073709551615U}},  // anything else: a list
      {"nothing", nullptr},
      {"raw", graven::Bytes{std::string("\x00\xff", 2)}},
      {"nan", std::numeric_limits<double>::quiet_NaN()},
      {"empty dict", Data::dict()},
      {"empty list", Data::list()},
      // Where the braces would be taken for a dict, say list():
      {"pairs", Data::list({Data::list({"a", 1}), Data::list({"b", 2})})},
  };
  db["config"] = config;

  expect(db["config"]["name"].get<std::string>() == "Ada", "text");
  expect(db["config"]["numbers"].as_list().size() == 4, "a list of four");
  expect(std::signbit(db["config"]["numbers"][2].get<double>()), "minus zero keeps its sign");
  expect(db["config"]["numbers"][3].get<std::uint64_t>() == 18446744073709551615U,
         "every integer of 64 bits");
  expect(std::isnan(db["config"]["nan"].get<double>()), "NaN");
  expect(db["config"]["pairs"][1][1].get<int>() == 2, "a list of lists");

  // Ranges are lists, maps with text as keys are dicts. Pointers, enums and the like are neither:
  // they do not compile.
  const std::map<std::string, std::vector<int>> scores{{"ada", {3, 5}}, {"bob", {}}};
  db["scores"] = scores;
  expect(db["scores"]["ada"].materialize() == Data{3, 5}, "a list in a dict");

  // What does not fit where it is wanted is an error that names value and place.
  try {
    static_cast<void>(db["config"]["numbers"][3].get<int>());
    expect(false, "too large for an int");
  } catch (const graven::LimitError& error) {
    expect(std::string(error.what()).find("config/numbers/3") != std::string::npos, "the place");
  }

  // materialize() gives plain data back, detached from the store.
  const Data copy = db["config"].materialize();
  expect(copy.size() == config.size(), "everything is there");
  expect(copy.at("raw").get<graven::Bytes>() == config.at("raw").get<graven::Bytes>(), "bytes");
  expect(copy.at("pairs") == config.at("pairs"), "compared by content");

  // Structure can be shared, and contain itself: one arena, references by index.
  Data graph;
  const Data::Index ada = graph.add(graven::NodeKind::kDict);
  const Data::Index bob = graph.add(graven::NodeKind::kDict);
  graph.container(ada) = {graven::NodeKind::kDict, {"name", "friend"}, {std::string("Ada"), bob}};
  graph.container(bob) = {graven::NodeKind::kDict, {"name", "friend"}, {std::string("Bob"), ada}};
  graph.set_root(ada);
  db["ada"] = graph;
  expect(db["ada"]["friend"]["friend"]["name"].get<std::string>() == "Ada", "the cycle is stored");
  expect(db["ada"].materialize() == graph, "and comes back the same");

  // A value graven does not store is refused, and nothing is changed.
  try {
    db["config"]["bad"] = "\xff";
    expect(false, "invalid UTF-8 is refused");
  } catch (const graven::BadValueError&) {
    expect(!db["config"]["bad"].exists(), "nothing was stored");
  }
}
