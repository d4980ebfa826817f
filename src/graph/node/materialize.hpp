// SPDX-License-Identifier: MIT
//
// Materialising: everything reachable from a node as plain data, shape kept. Breadth first
// with read-ahead; nothing recurses. Works on the View it is given.
#pragma once

#include <string>

#include <graven/data.hpp>

#include "base/function_ref.hpp"
#include "graph/node/node.hpp"

namespace graven::graph {

/// CollectedError when the node is not there, CorruptionError where something is damaged.
Data materialize(store::View& view, NodeId root, NodeKind kind);

/// Is told of what could not be read: of which dict or list, and which part of it.
using LeftOut = base::FunctionRef<void(NodeId node, NodeKind kind, std::string what)>;

/// The same, but around what is damaged: null is in the place of a value that cannot be read, an
/// empty dict or list in that of one that cannot be found.
Data salvage(store::View& view, NodeId root, NodeKind kind, LeftOut left_out);

}  // namespace graven::graph
