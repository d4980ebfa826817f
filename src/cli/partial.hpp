// SPDX-License-Identifier: MIT
//
// Reads a part of a graph that may be huge or cyclic, up to a depth, and describes single values.
// Nothing here recurses. Any thread.
#pragma once

#include <graven/graven.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace graven::cli {

/// The node of a dict or list; nullptr for a scalar.
const Node* node_of(const Value& value);
/// The kind in words: "a dict", "an int", "null".
std::string kind_of(const Value& value);
/// The number of entries of a dict or items of a list.
std::size_t size_of(const Value& value);

/// Reads `top` as plain data up to a depth (1: itself with its scalars). Deeper dicts and lists
/// stay handles, which JSON shows as {"$node": uid}. Shared parts stay shared.
Data read_to_depth(const Value& top, std::uint64_t depth);

/// Describes a value in one line: a scalar as JSON, cut to `width` characters; a container by kind
/// and size.
std::string describe(const Value& value, std::size_t width = 60);

}  // namespace graven::cli
