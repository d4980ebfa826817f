// SPDX-License-Identifier: MIT
//
// What the parts of repair() share: the work, and what they say of what they do. A repair goes in
// rounds, each a look at everything as check() has it and then the first part that finds something
// to do, so a part can rely on what those before it put in order.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <graven/repair.hpp>

#include "graph/node/node.hpp"
#include "integrity/check_state.hpp"
#include "store/work.hpp"

namespace graven::graph::repairing {

using checking::Inspection;
using checking::kNoNode;
using checking::NodeInfo;

class Mending {
 public:
  Mending(store::Work& to, RepairReport& report) : work(to), report_(report) {}

  store::Work& work;
  bool changed = false;         // in this round
  std::set<NodeId> superseded;  // large values that were copied: what is left of them is no loss

  /// Of something kept in a way check() did not speak of.
  void kept(std::string node, std::string what) {
    changed = true;
    add(report_.mended, {std::move(node), std::move(what), {}});
  }
  void lost(std::string node, std::string what, std::string_view bytes = {}) {
    changed = true;
    add(report_.lost, {std::move(node), std::move(what), std::string(bytes.substr(0, kMostBytes))});
  }

 private:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
  static constexpr std::size_t kMost = 100'000;

  static void add(std::vector<Repaired>& list, Repaired one) {
    if (list.size() < kMost) list.push_back(std::move(one));
  }

  RepairReport& report_;
};

/// Reads what can be read of the nodes in `all.damaged`, and writes it anew.
void mend_contents(Mending& mending, Inspection& all);
/// Replaces each link of a sound container for which `other` gives an element.
void replace_links(Mending& mending, const NodeInfo& node,
                   base::FunctionRef<std::optional<std::string>(Link)> other);
/// Anchors, back-references, reachability: `all` has seen contents and orphans.
void mend_graph(Mending& mending, Inspection& all, base::FunctionRef<bool(std::int64_t)> alive);

/// A prefix of a name that is free, for a root that none has.
void make_prefix(Mending& mending, Inspection& all, NodeId root, std::int64_t id);
/// A number that no prefix and no node has.
std::int64_t free_prefix_id(const Inspection& all);

}  // namespace graven::graph::repairing
