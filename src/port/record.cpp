// SPDX-License-Identifier: MIT
//
// The layout of each space: the one table from which backends derive theirs. And the rest of a
// range. Constant data; any thread.
#include "port/record.hpp"

namespace graven::store {
namespace {

constexpr std::array<std::string_view, 2> kPrefixIntegers{"id", "root"};
constexpr std::array<std::string_view, 4> kNodeIntegers{"prefix", "kind", "anchor", "links"};
constexpr std::array<std::string_view, 1> kEdgeIntegers{"links"};
constexpr std::array<std::string_view, 1> kSlotIntegers{"position"};
constexpr std::array<std::string_view, 1> kOwnedIntegers{"node"};
constexpr std::array<std::string_view, 1> kCounterIntegers{"value"};

constexpr std::array<std::string_view, 3> kMapIntegers{"id", "owner", "process"};
constexpr std::array<std::string_view, 2> kItemIntegers{"kind", "expires"};

constexpr std::array<Schema, kSpaceCount> kSchemas{{
    {"prefix", KeyShape::kName, "", "name", kPrefixIntegers, true, false},
    {"node", KeyShape::kId, "id", "", kNodeIntegers, true, true},
    {"edge", KeyShape::kPair, "child", "parent", kEdgeIntegers, false, false},
    {"entry", KeyShape::kPair, "node", "position", {}, true, true},
    {"slot", KeyShape::kPair, "node", "hash", kSlotIntegers, false, true},
    {"page", KeyShape::kId, "id", "", kOwnedIntegers, true, true},
    {"blob", KeyShape::kId, "id", "", kOwnedIntegers, false, true},
    {"orphan", KeyShape::kPair, "owner", "node", {}, false, false},
    {"counter", KeyShape::kName, "prefix", "name", kCounterIntegers, false, false},
    {"map", KeyShape::kName, "", "name", kMapIntegers, true, false},
    {"item", KeyShape::kName, "map", "key", kItemIntegers, false, true, true},
    {"expiry", KeyShape::kName, "map", "item", {}, false, false},
}};

}  // namespace

const Schema& schema(Space space) noexcept { return kSchemas[static_cast<std::size_t>(space)]; }

std::optional<Range> behind(Range range, const Key& key) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  switch (schema(range.space).shape) {
    case KeyShape::kId:
      if (key.a == (range.reverse ? kLeast : kMost)) return std::nullopt;
      if (range.reverse) {
        range.to = key.a - 1;
      } else {
        range.from = key.a + 1;
      }
      break;
    case KeyShape::kPair:
      if (range.a_to > range.a) {
        range.to = kMost;  // it applied to no `a`
        range.a = key.a;
        if (key.b == kMost && key.a < range.a_to) {
          ++range.a;
          range.from = kLeast;
          break;
        }
      }
      if (key.b == (range.reverse ? kLeast : kMost)) return std::nullopt;
      if (range.reverse) {
        range.to = key.b - 1;
      } else {
        range.from = key.b + 1;
      }
      break;
    case KeyShape::kName:
      range.a = key.a;
      range.after = key.name;
      range.include_empty_name = false;
      break;
  }
  return range;
}

}  // namespace graven::store
