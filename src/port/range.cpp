// SPDX-License-Identifier: MIT
//
// The rest of a range. See range.hpp.
#include "port/range.hpp"

namespace graven::port {

std::optional<Range> behind(Range range, const Key& key) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const KeyShape shape = schema(range.space).shape;
  if (shape == KeyShape::kName) {
    if (backwards(range)) {
      if (key.name.empty()) return std::nullopt;
      range.after = key.name;
      return range;
    }
    range.a = key.a;
    range.after = key.name;
    range.include_empty_name = false;
    return range;
  }
  const bool back = backwards(range);
  if (spans(range)) {
    range.to = kMost;  // it was not used for any `a`
    range.a = key.a;
    if (key.b == kMost && key.a < range.a_to) {
      ++range.a;
      range.from = kLeast;
      return range;
    }
  }
  const std::int64_t at = shape == KeyShape::kId ? key.a : key.b;
  if (at == (back ? kLeast : kMost)) return std::nullopt;
  (back ? range.to : range.from) = back ? at - 1 : at + 1;
  return range;
}

}  // namespace graven::port
