// SPDX-License-Identifier: MIT
//
// Reclaiming what is doomed: one trace of all of it, on a view and without the lane, and then
// its consequences in slices, each a commit of its own between which other writers have their
// turn and a crash loses nothing.
//
//  1. Rescue: what has a way up after all, or a handle of this process, gets another anchor.
//  2. Condemn: the tops of what is left are marked. From here on no handle, of whatever process,
//     saves anything that hangs on them: a node that lost a part of what it links to must not
//     come back.
//  3. Remove: whole nodes, what hangs on one before itself, so that every node that is left still
//     hangs on something condemned; that some of what it links to is gone nobody sees. A large
//     container is condemned by itself and taken away in parts, its slots first, in the order in
//     which they lie.
//
// Other processes may reclaim the same piece, or rescue a part of it for a handle of theirs before
// step 2, and what they rescue is told by the records of its tops only. So a rescue and a
// condemning look again at each node, and if anybody else has committed since the trace there is
// another one after step 2. From then on nothing changes but that nodes go: whoever links a node
// must first find it alive.
//
// The pass belongs to one thread; its steps run in the lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_set>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/collector/trace.hpp"
#include "store/work.hpp"

namespace graven::graph {

bool any_doomed(store::View& view);
bool any_doomed(store::Work& work);
std::vector<NodeId> doomed_in(store::View& view);

/// Removes every edge record of a child.
void erase_edges(store::Work& work, NodeId child);
/// Takes up to `limit` elements out of a node that is going; false when some are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

class Reclaiming {
 public:
  /// Traces everything doomed in the view.
  Reclaiming(store::View& view, base::FunctionRef<bool(NodeId)> pinned);

  /// What the pass began with, as far as nothing rescues it.
  [[nodiscard]] const std::vector<NodeId>& tops() const noexcept { return tops_; }

  [[nodiscard]] bool to_rescue() const noexcept { return rescued_ < traced_.rescued.size(); }
  [[nodiscard]] bool to_condemn() const noexcept { return condemned_ < tops_.size(); }
  [[nodiscard]] bool to_remove() const noexcept { return removed_ < traced_.garbage.size(); }

  // One slice of a step. The steps come one after another, each to its end.
  void rescue(store::Work& work, base::FunctionRef<std::int64_t()> owner);
  void condemn(store::Work& work);
  /// Whether the trace is to be made anew before remove(), which else does it in the lane.
  [[nodiscard]] bool outdated() const noexcept { return disturbed_ && !to_condemn(); }
  void trace_again(store::View& view);
  /// Returns how many nodes went, `most` at most.
  std::uint64_t remove(store::Work& work, std::uint64_t most);

 private:
  bool others_came(store::Work& work);
  void enter(store::Work& work);
  [[nodiscard]] bool untouched(const NodeRecord& node) const {
    return node.version <= seen_ || commits_.contains(node.version);
  }
  void rescue_one(store::Work& work, const Trace::Rescue& rescue,
                  base::FunctionRef<std::int64_t()> owner);
  static void forget_stray(store::Work& work, NodeId id, const std::optional<NodeRecord>& node);
  bool hangs_well(store::Work& work, NodeId id, NodeId besides);
  static bool take_apart(store::Work& work, NodeId id, Footprint footprint, std::size_t& records,
                         std::uint64_t& nodes);
  static bool take_entries(store::Work& work, NodeRecord& node, Footprint footprint,
                           std::size_t& records);

  Trace traced_;
  std::vector<NodeId> tops_;         // the doomed among the garbage
  std::uint64_t seen_ = 0;           // the last commit the trace saw
  std::set<std::uint64_t> commits_;  // of this pass
  std::uint64_t last_ = 0;  // the commit before the slice at hand, unless others came between
  bool disturbed_ = false;  // others came between, before all was condemned

  std::size_t rescued_ = 0;
  std::size_t condemned_ = 0;
  std::size_t removed_ = 0;  // from the end: the last garbage first

  // Nodes whose chain of anchors is known to end well, while nobody else writes.
  std::unordered_set<NodeId> well_;
  bool well_held_ = false;  // one of them ends at a handle, which may be gone by the next slice
};

}  // namespace graven::graph
