// SPDX-License-Identifier: MIT
//
// Links between nodes and their back-references. A link is an escape in the parent's body;
// the child knows its anchor (in its record) and every other parent (an edge record), each
// with the number of times it links.
//
// Always holds after a commit: parent p links to child c n times exactly when c's anchor is p
// with n links, or the edge (c, p) says n. Whatever loses its anchor here is noted among the
// work's suspects, for the collector to settle before the commit.
// Functions on the View or Work they are given.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/node/node.hpp"

namespace graven::graph {

struct Parent {
  NodeId id;
  std::int64_t links;
};

/// Every parent of a node: the anchor, if it is one, then the edges by id.
std::vector<Parent> parents_of(store::View& view, const NodeRecord& node);

/// Calls `each` for every link in a container, as often as it occurs, in order; stops early
/// when it returns false.
void each_link(store::View& view, const NodeRecord& node, base::FunctionRef<bool(Link)> each);
/// Calls `each` for every element of a container.
void each_element(store::View& view, const NodeRecord& node,
                  base::FunctionRef<bool(jsonb::Element)> each);

/// `parent` links to `child` once more. The child must exist, in the same prefix. `unfinished`:
/// a node whose body does not tell yet what hangs on it.
void link(store::Work& work, NodeId child, NodeId parent, NodeId unfinished = kNobody);
/// `parent` links to `child` once less.
void unlink(store::Work& work, NodeId child, NodeId parent);

/// Accounts for an element that left `owner`: a link is unlinked, a blob erased.
void release(store::Work& work, NodeId owner, std::string_view element);

/// Where the chain of anchors up from a node ends: a root, an orphan or a node adrift.
NodeRecord chain_end(store::View& view, NodeRecord node);

/// Gives a node another anchor: a parent that links to it, or (negative) the process that
/// holds it. The old anchor, where it is a parent, becomes an edge.
void change_anchor(store::Work& work, NodeRecord node, NodeId anchor);

}  // namespace graven::graph
