// SPDX-License-Identifier: MIT
//
// Tracing: given nodes that lost their anchor, find which nodes are still alive and which are
// garbage. Reads only the nodes that hang on the given ones and their parents, never the whole
// graph.
//
// A node *hangs* on v when its chain of anchors passes through v. Every node that does not hang on
// a given node has a path to a root. So:
//  1. Up: if the chain of another parent of v reaches a root (or an orphan that is held), and not
//     a detached node, that parent becomes v's anchor, and all that hangs on v lives.
//  2. Down: collect what hangs on v. Steps 1 and 2 alternate with growing limits; when one of them
//     finishes, the other is not needed to its end.
//  3. Rescue each hanging node that has a parent outside, with all that hangs on it, all those
//     link to, and so on. Then do the same for nodes pinned by a handle, unless what they hang on
//     is sealed (reclaim.hpp). The rest is garbage.
// Nothing recurses; every node and edge concerned is read a bounded number of times.
//
// Reads only. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/node/node.hpp"

namespace graven::graph {

/// The anchor of a node that is rescued because a handle pins it: stands for this process.
inline constexpr NodeId kHeldHere = -1;

/// What must be removed with a garbage node, after all garbage that hangs on it is removed.
enum class Footprint : std::uint8_t {
  kRecord,  // only its record
  kOwn,     // also edges to it, or a large container's entries, slots, pages; none must be read
  kMore,    // also records of its elements (blobs, edges), which must be read
};

struct Trace {
  struct Rescue {
    NodeId node;
    NodeId anchor;  // a parent, or kHeldHere
  };
  /// False if the budget was too small, or the answer depends on other detached nodes.
  bool complete = false;
  std::vector<Rescue> rescued;        // only those whose anchor changes; each after its anchor
  std::vector<NodeId> garbage;        // top down
  std::vector<Footprint> footprints;  // of each of them
  std::size_t elements = 0;           // read of large containers
};

/// `adrift`: detached nodes, which have no anchor. `others`: whether the store may have more such
/// nodes. `budget`: about how many nodes and edges may be read.
Trace trace(port::View& view, const std::vector<NodeId>& adrift, bool others,
            base::FunctionRef<bool(NodeId)> pinned, std::size_t budget);

}  // namespace graven::graph
