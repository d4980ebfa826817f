// SPDX-License-Identifier: MIT
//
// The optional component: values go in as nlohmann::json and come back equal.
#include <graven/graven.hpp>
#include <graven/nlohmann.hpp>

#include <nlohmann/json.hpp>

int main() {
  const auto json = nlohmann::json::parse(R"({"name": "a", "items": [1, 2.5, null, true]})");
  graven::Database db("memory://");
  db["document"] = graven::to_data(json);
  return graven::to_json(db["document"].materialize()) == json ? 0 : 1;
}
