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
std::string free_prefix_name(port::View& view);

/// Removes the prefix from every view. Then reclaims up to about `most` nodes: those of the prefix
/// and others that are pending deletion. Returns how many nodes were removed.
std::uint64_t delete_prefix(Scope& scope, std::string_view prefix, std::uint64_t most);

}  // namespace graven::graph
