// SPDX-License-Identifier: MIT
//
// A graph: nodes linked from several places, back-references, cycles, and what becomes of them
// when the last path from the root is gone.
#include <graven/graven.hpp>

#include <cstdio>
#include <optional>
#include <string>

#include "scratch.hpp"

using graven::Data;
using graven::Dict;

int main() {
  const Scratch scratch;
  const graven::Database db(scratch.file("graph.db"));

  // Assigning a handle links the node; nothing is copied.
  db["people"] = {{"ada", {{"name", "Ada"}}}, {"bob", {{"name", "Bob"}}}};
  const Dict people = db["people"].as_dict();
  {
    const Dict ada = people["ada"].as_dict();
    const Dict bob = people["bob"].as_dict();
    ada["friend"] = bob;
    bob["friend"] = ada;  // a cycle
    db["team"] = Data::list({ada, bob, ada});
    ada["name"] = "Ada L.";
    expect(db["team"][0]["name"].get<std::string>() == "Ada L.", "one node, seen from everywhere");

    // Who links ada? Three parents, the team twice.
    expect(ada.refcount() == 3, "people, bob and the team");
    expect(ada.backrefs().at(db["team"].as_list().uid()) == 2, "the team links her twice");
  }
  const std::string ada_uid = people["ada"].as_dict().uid();

  // As long as one path is left, a node lives; why_alive() says which.
  people.clear();
  const std::optional<graven::Value> ada = db.get_via_uid(ada_uid);
  expect(ada.has_value(), "the team still links her");
  const auto path = db.why_alive(ada->as_dict());
  expect(path.size() == 3 && path[1] == db["team"].as_list().uid(), "root, team, ada");

  // A handle keeps its node: unlinked, it can be read and linked again.
  std::optional<Dict> kept = ada->as_dict();
  db.root().erase("team");
  expect((*kept)["friend"]["name"].get<std::string>() == "Bob", "still readable");
  db["archive"] = *kept;
  expect(db["archive"]["friend"]["friend"].value() == db["archive"].value(), "and whole");
  kept.reset();

  // The last path gone, both go, though each still links the other.
  db.root().erase("archive");
  db.collect();  // at once, instead of within a second of the last handle
  std::printf("%s\n", people.repr().c_str());
  const graven::CheckReport report = db.check();
  expect(report.ok(), "the file is sound");
}
