// SPDX-License-Identifier: MIT
//
// Tracing: given nodes that lost their anchor, find out what is still alive and what is
// garbage, looking only at what hangs on them and at its parents, never at the whole graph.
//
// A node *hangs* on v when its chain of anchors passes through v. Everything outside of what
// hangs on the given nodes has a way to a root. So:
//  1. Up. If another parent of v has a chain that reaches a root (or a held orphan) without
//     ending in a node adrift, it becomes v's anchor and all that hangs on v lives. Meanwhile,
//  2. down: collect what hangs on v; whichever of the two ends first saves the other.
//  3. Each hanging node with a parent outside is rescued, with what hangs on it, and what
//     those link to, and so on; then the ones a handle pins, unless what they hang on is
//     condemned (reclaim.hpp). The rest is garbage.
// Nothing recurses; every node and edge concerned is looked at a bounded number of times.
//
// Reads only. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/node/node.hpp"

namespace graven::graph {

/// The anchor a rescued node gets when a handle pins it: "the process that asks".
inline constexpr NodeId kHeldHere = -1;

/// What it takes to remove a node that is garbage, all garbage that hangs on it being gone.
enum class Footprint : std::uint8_t {
  kRecord,  // its record is all there is
  kOwn,     // and edges to it, or a large container's entries, slots and pages: none need be read
  kMore,    // what it holds has to be looked at
};

struct Trace {
  struct Rescue {
    NodeId node;
    NodeId anchor;  // a parent, or kHeldHere
  };
  /// False when the budget did not suffice, or the answer depends on other nodes adrift.
  bool complete = false;
  std::vector<Rescue> rescued;        // only those whose anchor changes; each after its anchor
  std::vector<NodeId> garbage;        // top down
  std::vector<Footprint> footprints;  // of each of them
};

/// `adrift`: nodes without anchor. `others`: whether there may be more such nodes in the store.
/// `budget`: about how many nodes and edges may be looked at.
Trace trace(store::View& view, const std::vector<NodeId>& adrift, bool others,
            base::FunctionRef<bool(NodeId)> pinned, std::size_t budget);

}  // namespace graven::graph
