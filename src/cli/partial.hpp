// SPDX-License-Identifier: MIT
//
// Reading a part of the graph that may be huge or cyclic: to a depth, and short descriptions of
// single values. Nothing here recurses. Any thread.
#pragma once

#include <graven/graven.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace graven::cli {

/// The dict or list a value is, as a node; nullptr for a scalar.
const Node* node_of(const Value& value);
/// What it is, in words: "a dict", "an int", "null".
std::string kind_of(const Value& value);
/// Entries or items of a dict or list.
std::size_t size_of(const Value& value);

/// What `top` holds down to a depth (1: itself with its scalars), as plain data; dicts and lists
/// further down stay handles, which JSON shows as {"$node": uid}. Shared parts stay shared.
Data read_to_depth(const Value& top, std::uint64_t depth);

/// One line that says what a value is: a scalar as JSON, cut to `width` characters; a container
/// by its kind and size.
std::string describe(const Value& value, std::size_t width = 60);

}  // namespace graven::cli
