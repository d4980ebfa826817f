// SPDX-License-Identifier: MIT
//
// What every scope offers beside dicts and lists: its root, nodes by uid, and counters, a
// namespace of integers beside each prefix's graph. Any thread, as the scope allows.
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
