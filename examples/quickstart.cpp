// SPDX-License-Identifier: MIT
//
// Nested data that is still there the next time the program runs.
#include <graven/graven.hpp>

#include <cstdio>
#include <string>

#include "scratch.hpp"

int main() {
  const Scratch scratch;
  const std::string path = scratch.file("state.db");

  {
    const graven::Database db(path);
    // Assign as to a dict; dicts and lists inside become nodes of their own.
    db["tasks"] = {{"T1", {{"title", "write"}, {"done", false}}},
                   {"T2", {{"title", "read"}, {"tags", {"calm", "long"}}}}};
    // Every assignment is one atomic, durable step, however deep it goes.
    db["tasks"]["T1"]["done"] = true;
    db["tasks"]["T2"]["tags"].as_list().push_back("evening");
  }  // the last handle closes the database

  const graven::Database db(path);
  expect(db["tasks"]["T1"]["done"].get<bool>(), "the change was kept");
  expect(db["tasks"]["T2"]["tags"][-1].get<std::string>() == "evening", "the item was appended");

  // Reading touches only what it needs; iteration goes in the order of insertion.
  std::string titles;
  for (const auto& [id, task] : db["tasks"].as_dict()) {
    titles += id + ": " + task["title"].get<std::string>() + "\n";
  }
  std::printf("%s", titles.c_str());
  expect(titles == "T1: write\nT2: read\n", "tasks come in order");

  // What is not there: an optional, or an exception that names it.
  expect(!db.root().get("projects").has_value(), "there are no projects");
  try {
    const graven::Value task = db["tasks"]["T9"].value();
    expect(false, "T9 is missing");
  } catch (const graven::KeyNotFound& error) {
    std::printf("as expected: %s\n", error.what());
  }

  // Unlinking reclaims what nothing else links.
  db["tasks"].as_dict().erase("T1");
  expect(db["tasks"].as_dict().size() == 1, "T1 is gone");
  expect(db.check().ok(), "the file is sound");
}
