// SPDX-License-Identifier: MIT
//
// What every scope offers besides dicts and lists: the root, look-up of a node by its uid, and
// counters. Each prefix has a namespace of counters (integers) next to its graph. Any thread,
// if the scope allows it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <graven/value.hpp>

#include "graph/scope.hpp"

namespace graven::graph {

Dict root_of(const std::shared_ptr<Scope>& scope);
std::optional<Value> find_by_uid(const std::shared_ptr<Scope>& scope, std::string_view uid);

std::int64_t count(Scope& scope, std::string_view counter);
std::int64_t increment(Scope& scope, std::string_view counter, std::int64_t by);

}  // namespace graven::graph
