// SPDX-License-Identifier: MIT
//
// Materialising: everything reachable from a node as plain data, shape kept. Breadth first
// with read-ahead; nothing recurses. Works on the View it is given.
#pragma once

#include <graven/data.hpp>

#include "graph/node.hpp"

namespace graven::graph {

/// CollectedError when the node is not there.
Data materialize(store::View& view, NodeId root);

}  // namespace graven::graph
