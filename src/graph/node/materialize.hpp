// SPDX-License-Identifier: MIT
//
// Reads everything reachable from a node as plain data, with the same shape (shared containers and
// cycles). Walks breadth first with read-ahead; nothing recurses. Works on the View it is given;
// one thread at a time.
#pragma once

#include <string>

#include <graven/data.hpp>

#include "base/function_ref.hpp"
#include "graph/node/node.hpp"

namespace graven::graph {

/// CollectedError if the node does not exist, CorruptionError if something is damaged.
Data materialize(port::View& view, NodeId root, NodeKind kind);

/// Called for each part that could not be read: its dict or list, and which part it is.
using LeftOut = base::FunctionRef<void(NodeId node, NodeKind kind, std::string what)>;

/// The same, but skips damage: null replaces a value that cannot be read, and an empty dict or
/// list replaces a container that cannot be found.
Data salvage(port::View& view, NodeId root, NodeKind kind, LeftOut left_out);

}  // namespace graven::graph
