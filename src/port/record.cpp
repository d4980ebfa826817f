// SPDX-License-Identifier: MIT
//
// The layout of each space, the one table that backends derive theirs from. Constant data; any
// thread.
#include "port/record.hpp"

namespace graven::port {
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

}  // namespace graven::port
