// SPDX-License-Identifier: MIT
//
// See key_names.hpp. Any thread.
#include "cli/key_names.hpp"

#include <optional>
#include <utility>

#include "cli/partial.hpp"

namespace graven::cli {

std::string name_in(const Value& parent, const std::string& child_uid) {
  const auto is_child = [&](const Value& value) {
    const Node* node = node_of(value);
    return node != nullptr && node->uid() == child_uid;
  };
  Value value;
  if (parent.is<Dict>()) {
    const auto cursor = parent.as_dict().cursor();
    for (std::string key; cursor->next(key, value);) {
      if (is_child(value)) return key;
    }
  } else if (parent.is<List>()) {
    const auto cursor = parent.as_list().cursor();
    for (std::size_t at = 0; cursor->next(value); ++at) {
      if (is_child(value)) return std::to_string(at);
    }
  }
  return "?";
}

Path name_path(const Database& db, const std::vector<std::string>& uids) {
  Path path;
  for (std::size_t at = 0; at + 1 < uids.size(); ++at) {
    const std::optional<Value> parent = db.get_via_uid(uids[at]);
    path.push_back(parent ? name_in(*parent, uids[at + 1]) : "?");
  }
  return path;
}

}  // namespace graven::cli
