// SPDX-License-Identifier: MIT
//
// Links between nodes, and their back-references. A link is an escape in the parent's body.
// The child's record names its anchor, and an edge record names each other parent; both have the
// number of links from that parent.
//
// Always holds after a commit: parent p links to child c n times exactly when c's anchor is p
// with n links, or the edge (c, p) has the number n. A node that loses its anchor here becomes a
// candidate of the work (Work::suspects); the collector decides about it before the commit.
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

/// Every parent of a node: first the anchor, if that is a parent, then the edges, ordered by id.
std::vector<Parent> parents_of(port::View& view, const NodeRecord& node);

/// Calls `each` for every link in a container, in order, once per occurrence; stops when it returns
/// false.
void each_link(port::View& view, const NodeRecord& node, base::FunctionRef<bool(Link)> each);
/// Calls `each` for every element of a container.
void each_element(port::View& view, const NodeRecord& node,
                  base::FunctionRef<bool(jsonb::Element)> each);

/// Counts one more link from `parent` to `child`. The child must exist, in the same prefix.
/// `unfinished`: a node whose body does not contain all its links yet.
void link(store::Work& work, NodeId child, NodeId parent, NodeId unfinished = kNobody);
/// Counts one link less from `parent` to `child`.
void unlink(store::Work& work, NodeId child, NodeId parent);

/// To be called for an element that was removed from `owner`: unlinks a link, erases a blob.
void release(store::Work& work, NodeId owner, std::string_view element);

/// The node at which the chain of anchors ends: a root, an orphan or a detached node.
NodeRecord chain_end(port::View& view, NodeRecord node);

/// Gives a node another anchor: a parent that links to it, or (negative) the process that
/// holds it, or kNobody. If the old anchor is a parent, it becomes an edge.
void change_anchor(store::Work& work, NodeRecord node, NodeId anchor);

}  // namespace graven::graph
