// SPDX-License-Identifier: MIT
//
// What the parts of repair() share: the work, and the report of what they did. A repair runs in
// rounds. Each round inspects everything as check() does, and then runs the parts in order until
// one of them changes something. So a part can rely on what the parts before it have repaired.
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

namespace graven::integrity::repairing {

using checking::Inspection;
using checking::kNoNode;
using checking::NodeInfo;
using graph::Link;
using graph::NodeId;

class Mending {
 public:
  Mending(store::Work& to, RepairReport& report) : work(to), report_(report) {}

  store::Work& work;
  bool changed = false;         // something was changed in this round
  std::set<NodeId> superseded;  // large values that were copied: erasing the old one loses nothing

  /// Reports data that was kept in another form or place, and that check() did not report.
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

/// Reads what can be read of the nodes in `all.damaged`, and writes them again.
void mend_contents(Mending& mending, Inspection& all);
/// Replaces each link of an undamaged container for which `other` returns an element.
void replace_links(Mending& mending, const NodeInfo& node,
                   base::FunctionRef<std::optional<std::string>(Link)> other);
/// Repairs anchors, back-references and reachability. The passes over contents and orphans must
/// have run on `all`.
void mend_graph(Mending& mending, Inspection& all, base::FunctionRef<bool(std::int64_t)> alive);

/// Makes a prefix with an unused name for a root that no prefix has.
void make_prefix(Mending& mending, Inspection& all, NodeId root, std::int64_t id);
/// A prefix number that no prefix and no node has.
std::int64_t free_prefix_id(const Inspection& all);

}  // namespace graven::integrity::repairing
