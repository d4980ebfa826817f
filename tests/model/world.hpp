// SPDX-License-Identifier: MIT
//
// The naive collector: a graph as plain adjacency in memory, what of it lives as a walk from
// the roots and the held handles, and the comparison with a store, node by node and link by
// link. Nothing here is clever; that is its use.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {

/// A number or a link.
struct ModelItem {
  std::int64_t scalar = 0;
  std::optional<int> child;
};

struct ModelNode {
  NodeKind kind = NodeKind::kDict;
  int home = 0;  // which life of which prefix it belongs to: links do not cross
  std::vector<std::string> keys;
  std::vector<ModelItem> items;
  NodeId id = 0;  // in the store, once known
};

struct World {
  std::map<int, ModelNode> nodes;
  std::map<std::string, int> roots;  // of prefixes

  int add(NodeKind kind, int home);
  /// All that links lead to from these.
  [[nodiscard]] std::set<int> reached(const std::set<int>& from) const;
  [[nodiscard]] std::set<int> rooted() const;

  /// What a plain structure becomes here. `handles`: the model's nodes of the handles in it.
  int adopt(const Data& data, Data::Index root, int home, const std::map<NodeId, int>& handles);
};

/// Walks model and store side by side from the given nodes: kinds, order, values and links must
/// be equal. Notes the ids of nodes that are new.
void match_contents(World& world, port::View& view, const std::set<int>& from);

/// The store holds the living nodes and nothing else, and each knows its parents.
void match_nodes(const World& world, port::View& view, const std::set<int>& living);

}  // namespace graven::test
