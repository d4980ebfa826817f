// SPDX-License-Identifier: MIT
//
// Describes a commit in words, for the log. Any thread.
#include "store/activity.hpp"

#include <fmt/format.h>

#include "store/work.hpp"

namespace graven::store {

std::string describe(const Work& work) {
  std::string text = fmt::format("{} records", work.applied_records());
  if (work.changes() == nullptr) return text;
  const std::string* item = nullptr;
  for (const Change& change : *work.changes()) {
    if (change.key.space == Space::kPrefix && !change.key.name.empty()) {
      text += fmt::format(", prefix {}", change.key.name);
    }
    if (change.key.space == Space::kItem && item == nullptr) item = &change.key.name;
  }
  constexpr std::size_t kShown = 80;
  if (item != nullptr) text += fmt::format(", first key {}", item->substr(0, kShown));
  return text;
}

}  // namespace graven::store
