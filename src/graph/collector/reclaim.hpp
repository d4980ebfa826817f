// SPDX-License-Identifier: MIT
//
// Removes the nodes that are pending deletion ("doomed"): one trace of all of them, on a view,
// without the writer lock; then changes in slices. Each slice is a commit. Between slices other
// writers can commit, and a crash loses nothing.
//
//  1. Rescue: a node that has a path to a root, or a handle of this process, gets another anchor.
//  2. Seal ("condemn"): marks the tops of the rest. From now on no handle of any process can
//     rescue what hangs on them: a node that lost some of its children must not come back.
//  3. Remove: whole nodes, each after all that hangs on it. So every node that is left still hangs
//     on a sealed one, and no view shows its missing children. A large container is sealed by
//     itself and removed in parts: first its slots, in key order.
//
// Before step 2, other processes may reclaim the same nodes, or rescue some for their own handles;
// only the records of the tops show that. So steps 1 and 2 read each node again, and if anybody
// else committed since the trace, it is repeated after step 2. After that nodes are only removed:
// who links a node must first find it alive.
//
// A pass belongs to one thread; its steps run under the writer lock (Lane).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/collector/trace.hpp"
#include "store/work.hpp"

namespace graven::graph {

bool any_doomed(port::View& view);
bool any_doomed(store::Work& work);
std::vector<NodeId> doomed_in(port::View& view);

/// Removes every edge record of a child.
void erase_edges(store::Work& work, NodeId child);
/// Removes up to `limit` elements of a node that is being removed; false if some are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

class Reclaiming {
 public:
  /// Traces everything that is pending deletion in the view.
  Reclaiming(port::View& view, base::FunctionRef<bool(NodeId)> pinned);

  /// The nodes pending deletion with which the pass began, without those that are rescued.
  [[nodiscard]] const std::vector<NodeId>& tops() const noexcept { return tops_; }

  [[nodiscard]] bool to_rescue() const noexcept { return rescued_ < traced_.rescued.size(); }
  [[nodiscard]] bool to_condemn() const noexcept { return condemned_ < tops_.size(); }
  [[nodiscard]] bool to_remove() const noexcept { return removed_ < traced_.garbage.size(); }

  /// How far the pass has come, to do a slice again that was not committed.
  struct Progress {
    std::size_t rescued = 0;
    std::size_t condemned = 0;
    std::size_t removed = 0;
    std::uint64_t last = 0;
    bool disturbed = false;
  };
  [[nodiscard]] Progress progress() const noexcept {
    return {rescued_, condemned_, removed_, last_, disturbed_};
  }
  void resume(const Progress& before) noexcept;

  // Each call does one slice of a step. Finish each step before the next one.
  void rescue(store::Work& work, base::FunctionRef<std::int64_t()> owner);
  void condemn(store::Work& work);
  /// Whether the trace must be repeated before remove(). If the caller does not call trace_again(),
  /// remove() does so under the writer lock.
  [[nodiscard]] bool outdated() const noexcept { return disturbed_ && !to_condemn(); }
  void trace_again(port::View& view);
  /// Returns how many nodes were removed, at most `most`.
  std::uint64_t remove(store::Work& work, std::uint64_t most);

 private:
  bool others_came(store::Work& work);
  void enter(store::Work& work);
  [[nodiscard]] bool untouched(const NodeRecord& node) const;
  void rescue_one(store::Work& work, const Trace::Rescue& rescue,
                  base::FunctionRef<std::int64_t()> owner);
  static void forget_stray(store::Work& work, NodeId id, const std::optional<NodeRecord>& node);
  bool hangs_well(store::Work& work, NodeId id, NodeId besides);
  static bool take_apart(store::Work& work, NodeId id, Footprint footprint, std::size_t& records,
                         std::uint64_t& nodes);
  static bool take_entries(store::Work& work, NodeRecord& node, Footprint footprint,
                           std::size_t& records);

  Trace traced_;
  std::vector<NodeId> tops_;                            // nodes pending deletion that are garbage
  std::unordered_map<NodeId, std::uint64_t> versions_;  // of the tops, as the trace saw them
  std::unordered_set<std::uint64_t> commits_;           // of this pass
  std::uint64_t last_ = 0;  // the state after the last slice if nobody else commits; 0: not known
  bool disturbed_ = false;  // others committed before everything was sealed

  std::size_t rescued_ = 0;
  std::size_t condemned_ = 0;
  std::size_t removed_ = 0;  // counted from the end of the garbage, which is removed first

  // Nodes whose chain of anchors is known to end in a root or orphan, while nobody else writes.
  std::unordered_set<NodeId> well_;
  bool well_held_ = false;  // a chain ends in an orphan; its handle may be gone in the next slice
};

}  // namespace graven::graph
