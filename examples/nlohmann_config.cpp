// SPDX-License-Identifier: MIT
//
// JSON in and out by way of nlohmann::json, with graven keeping it between runs.
#include <graven/graven.hpp>
#include <graven/nlohmann.hpp>

#include <string>

#include "scratch.hpp"

using nlohmann::json;

int main() {
  const Scratch scratch;
  const graven::Database db(scratch.file("config.db"));

  const json config = json::parse(R"({
    "name": "demo", "ratio": 0.5, "limits": [1, 2, 18446744073709551615],
    "nested": {"deep": [[], {}, null, true]}
  })");
  db["config"] = graven::to_data(config);
  expect(graven::to_json(db["config"].materialize()) == config, "the same comes back");

  // From here on it is a stored dict like any other.
  db["config"]["nested"]["deep"].as_list().push_back(graven::Bytes{"raw"});
  const json changed = graven::to_json(db["config"].materialize());
  expect(changed["nested"]["deep"][4].is_binary(), "bytes are json's binary");
  expect(graven::to_data(changed) == db["config"].materialize(), "both ways");

  // ordered_json keeps the order of keys, as graven does.
  const auto ordered = nlohmann::ordered_json::parse(R"({"z": 1, "a": 2})");
  db["ordered"] = graven::to_data(ordered);
  expect(graven::to_json<nlohmann::ordered_json>(db["ordered"].materialize()).dump() ==
             R"({"z":1,"a":2})",
         "in order");

  // What json cannot hold is an error, not a surprise.
  db["loop"] = graven::Data::dict();
  db["loop"]["me"] = db["loop"];
  try {
    static_cast<void>(graven::to_json(db["loop"].materialize()));
    expect(false, "a cycle is refused");
  } catch (const graven::UsageError&) {
  }
}
