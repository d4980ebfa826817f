// SPDX-License-Identifier: MIT
//
// Prefixes: the independent keyspaces of one store, by name. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/scope.hpp"

namespace graven::graph {

std::vector<std::string> prefix_names(Scope& scope);
bool prefix_in_use(Scope& scope, std::string_view prefix);
/// A name that no prefix of the store has.
std::string free_prefix_name(store::View& view);

/// Takes the prefix out of every view and reclaims up to about `most` of its nodes, and what
/// else is to be reclaimed. Returns how many went.
std::uint64_t delete_prefix(Scope& scope, std::string_view prefix, std::uint64_t most);

}  // namespace graven::graph
