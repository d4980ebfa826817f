// SPDX-License-Identifier: MIT
//
// The steps of a reclaiming pass, and the removal of one node. See reclaim.hpp.
#include "graph/collector/reclaim.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "graph/collector/links.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "port/scan.hpp"

namespace graven::graph {
namespace {

using port::Row;
using port::Space;
using port::View;
using store::Work;

constexpr std::size_t kSliceNodes = 4'000;
constexpr std::size_t kSliceRecords = 16'000;
constexpr std::size_t kElements = 256;

/// Identifies the state that a view sees, as Work::state_before() does.
std::uint64_t state_of(View& view) {
  const std::optional<port::Record> clock = view.load(port::clock_key());
  const std::optional<port::StateVersion> state = view.state();
  return state ? state->history : clock ? clock->version : 0;
}

/// The tops that are garbage, in the order of the garbage list.
std::vector<NodeId> garbage_among(const Trace& traced, const std::vector<NodeId>& tops) {
  const std::unordered_set<NodeId> wanted(tops.begin(), tops.end());
  std::vector<NodeId> found;
  std::copy_if(traced.garbage.begin(), traced.garbage.end(), std::back_inserter(found),
               [&](NodeId id) { return wanted.contains(id); });
  return found;
}

}  // namespace

bool any_doomed(View& view) {
  return !view.scan({.space = Space::kOrphan, .a = kNobody}, 1).empty();
}
bool any_doomed(Work& work) { return work.any_orphan(kNobody); }

std::vector<NodeId> doomed_in(View& view) {
  std::vector<NodeId> doomed;
  port::each_row(view, {.space = Space::kOrphan, .a = kNobody}, 1024,
                 [&](const Row& row) { doomed.push_back(row.key.b); });
  return doomed;
}

void erase_edges(Work& work, NodeId child) {
  port::each_row(work, {.space = Space::kEdge, .a = child}, 256,
                 [&](const Row& row) { work.erase(row.key); });
}

bool drain(Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view)> each) {
  return node.kind() == NodeKind::kDict ? dict_content::drain(work, node, limit, each)
                                        : list_content::drain(work, node, limit, each);
}

namespace {

/// Undoes what an element of a node being removed stands for: erases the edge of a link, or a blob.
/// (Nodes that hung on this one are already removed.)
void forget(Work& work, NodeId node, const jsonb::Element& element) {
  if (const std::optional<Link> child = link_of(element)) {
    work.erase(edge_key(child->id, node));
  } else if (const std::optional<std::int64_t> blob = blob_of(element)) {
    work.erase({.space = Space::kBlob, .a = *blob});
  }
}

}  // namespace

Reclaiming::Reclaiming(View& view, base::FunctionRef<bool(NodeId)> pinned) {
  std::vector<NodeId> doomed = doomed_in(view);
  // Rows that list a missing or anchored node are stray: only the row is erased.
  const auto strays = std::stable_partition(doomed.begin(), doomed.end(), [&](NodeId id) {
    const std::optional<NodeRecord> node = find_node(view, id);
    if (node) versions_[id] = node->version;
    return node && node->adrift();
  });
  const std::vector<NodeId> rest(strays, doomed.end());
  doomed.erase(strays, doomed.end());
  traced_ = trace(view, doomed, false, pinned, SIZE_MAX);
  tops_ = garbage_among(traced_, doomed);
  tops_.insert(tops_.end(), rest.begin(), rest.end());
  last_ = state_of(view);
}

void Reclaiming::trace_again(View& view) {
  disturbed_ = false;
  std::erase_if(tops_, [&](NodeId id) {
    const std::optional<NodeRecord> node = find_node(view, id);
    return !node || !node->condemned();
  });
  const bool others = tops_.size() != doomed_in(view).size();
  traced_ = trace(
      view, tops_, others, [](NodeId) { return false; }, SIZE_MAX);
  // If a node turns out to be alive, stop this pass: the next one must rescue it first.
  if (!traced_.complete || !traced_.rescued.empty()) traced_ = {};
  rescued_ = 0;
}

void Reclaiming::resume(const Progress& before) noexcept {
  if (before.last == last_) return;  // no slice was begun since
  rescued_ = before.rescued;
  condemned_ = before.condemned;
  removed_ = before.removed;
  last_ = before.last;
  disturbed_ = before.disturbed;
  well_.clear();
  well_held_ = false;
}

/// Whether nobody else has written a top since the trace.
bool Reclaiming::untouched(const NodeRecord& node) const {
  const auto seen = versions_.find(node.id);
  return (seen != versions_.end() && seen->second == node.version) ||
         commits_.contains(node.version);
}

/// Called at the start of each slice: whether somebody else committed since the last slice.
bool Reclaiming::others_came(Work& work) {
  const bool others = work.state_before() != last_;
  last_ = work.state_after();
  commits_.insert(work.commit_id());
  return others;
}

/// Called at the start of each slice of steps 1 and 2, before everything is sealed.
void Reclaiming::enter(Work& work) {
  static_cast<void>(work.state());  // an optimistic work relies on nobody else committing
  const bool others = others_came(work);
  disturbed_ = disturbed_ || others;
  if (others || well_held_) {
    well_.clear();
    well_held_ = false;
  }
}

// --- Rescue

void Reclaiming::rescue(Work& work, base::FunctionRef<std::int64_t()> owner) {
  enter(work);
  // Rescue everything that handles hold in one slice: no other process may seal a part in between.
  const bool pins = std::any_of(traced_.rescued.begin(), traced_.rescued.end(),
                                [](const auto& rescue) { return rescue.anchor == kHeldHere; });
  const std::size_t slice = pins ? traced_.rescued.size() : kSliceNodes;
  const std::size_t end = std::min(rescued_ + slice, traced_.rescued.size());
  for (; rescued_ < end; ++rescued_) rescue_one(work, traced_.rescued[rescued_], owner);
}

void Reclaiming::rescue_one(Work& work, const Trace::Rescue& rescue,
                            base::FunctionRef<std::int64_t()> owner) {
  std::optional<NodeRecord> node = find_node(work, rescue.node);
  forget_stray(work, rescue.node, node);
  if (!node || node->held() || node->root() || well_.contains(node->id)) return;
  if (rescue.anchor == kHeldHere) {
    const NodeRecord end = chain_end(work, *node);
    if (!end.adrift() || end.condemned()) return;
    change_anchor(work, std::move(*node), -owner());
    work.suspects().insert(rescue.node);  // so that before_commit() registers it as an orphan
    well_held_ = true;
  } else {
    // The rescuing parent may be gone, or may hang on this node by now.
    if (!work.load(edge_key(rescue.node, rescue.anchor))) return;
    if (!hangs_well(work, rescue.anchor, rescue.node)) return;
    change_anchor(work, std::move(*node), rescue.anchor);
  }
  well_.insert(rescue.node);
}

/// Whether the chain of anchors from `id` ends in a root or orphan and does not pass `besides`.
bool Reclaiming::hangs_well(Work& work, NodeId id, NodeId besides) {
  std::vector<NodeId> path;
  ChainWalk walk;
  while (!well_.contains(id)) {
    if (id == besides) return false;
    walk.at(id);
    const std::optional<NodeRecord> node = find_node(work, id);
    if (!node || node->adrift()) return false;
    path.push_back(id);
    if (!node->anchored()) {
      well_held_ = well_held_ || node->held();
      break;
    }
    id = node->anchor;
  }
  well_.insert(path.begin(), path.end());
  return true;
}

/// Erases a stray row: one that lists a missing or anchored node. Otherwise the list would never
/// become empty.
void Reclaiming::forget_stray(Work& work, NodeId id, const std::optional<NodeRecord>& node) {
  if (node && node->adrift()) return;
  const port::Key row = orphan_key(kNobody, id);
  if (work.load(row)) work.erase(row);
}

// --- Seal ("condemn")

void Reclaiming::condemn(Work& work) {
  enter(work);
  const std::size_t end = std::min(condemned_ + kSliceNodes, tops_.size());
  for (; condemned_ < end; ++condemned_) {
    std::optional<NodeRecord> node = find_node(work, tops_[condemned_]);
    forget_stray(work, tops_[condemned_], node);
    if (!node || !node->adrift() || !untouched(*node)) continue;
    node->links = kCondemned;
    save(work, std::move(*node));
  }
}

// --- Remove

std::uint64_t Reclaiming::remove(Work& work, std::uint64_t most) {
  if (outdated()) trace_again(work);
  std::uint64_t nodes = 0;
  std::vector<port::Change> bare;
  const auto next = [&] { return traced_.garbage.size() - removed_ - 1; };
  // Another process may be removing the same nodes: then the next node is already gone.
  const bool others = others_came(work) && to_remove() && !find_node(work, traced_.garbage[next()]);
  for (std::size_t records = 0; to_remove() && nodes < most && records < kSliceRecords;) {
    const NodeId id = traced_.garbage[next()];
    const Footprint footprint = traced_.footprints[next()];
    if (footprint != Footprint::kRecord) {
      if (!take_apart(work, id, footprint, records, nodes)) break;
    } else if (++records; !others || find_node(work, id)) {
      bare.push_back({node_key(id), std::nullopt});
      ++nodes;
    }
    ++removed_;
  }
  std::sort(bare.begin(), bare.end(), [](const port::Change& one, const port::Change& other) {
    return one.key.a < other.key.a;
  });
  work.write_many(std::move(bare));
  return nodes;
}

/// Removes a node or a part of it; counts the records, and the node if it is gone. Returns whether
/// the whole node is gone.
bool Reclaiming::take_apart(Work& work, NodeId id, Footprint footprint, std::size_t& records,
                            std::uint64_t& nodes) {
  ++records;
  std::optional<NodeRecord> node = find_node(work, id);
  if (!node) return true;
  if (node->large() && !node->condemned()) {
    // Seal it: from now on no view shows its content.
    if (!node->adrift()) change_anchor(work, *node, kNobody);
    node = load_node(work, id);
    node->links = kCondemned;
    save(work, *node);
  }
  if (node->layout == Layout::kLargeDict) {
    if (!take_entries(work, *node, footprint, records)) return false;
  } else if (node->layout == Layout::kLargeList) {
    const auto forget_item = [&](std::string_view element) {
      ++records;
      if (footprint == Footprint::kMore) forget(work, id, jsonb::parse(element));
    };
    if (!list_content::drain(work, *node, kSliceRecords, forget_item)) return false;
  } else if (footprint == Footprint::kMore) {
    each_element(work, *node, [&](jsonb::Element element) {
      if (element.type == jsonb::Type::kObject) forget(work, id, element);
      return true;
    });
  }
  records += work.erase_unseen(Space::kEdge, id, SIZE_MAX);
  if (node->adrift()) work.erase(orphan_key(kNobody, id));
  work.erase(node_key(id));
  ++nodes;
  return true;
}

/// Removes slots and entries of a large dict: false if some are left. The header, which is the last
/// entry, is removed last.
bool Reclaiming::take_entries(Work& work, NodeRecord& node, Footprint footprint,
                              std::size_t& records) {
  const auto left = [&] { return records < kSliceRecords ? kSliceRecords - records : 0; };
  if (footprint == Footprint::kMore) {
    for (std::int64_t from = dict_content::kFirst;;) {
      const auto batch = dict_content::entries(work, node, from, kElements);
      for (const auto& entry : batch) {
        forget(work, node.id, jsonb::parse(entry.element));
        work.erase({.space = Space::kEntry, .a = node.id, .b = entry.position});
      }
      records += batch.size();
      if (batch.size() < kElements) break;
      if (left() == 0) return false;
      from = batch.back().position + 1;
    }
  }
  for (const Space space : {Space::kSlot, Space::kEntry}) {
    const std::size_t wanted = left();
    const std::size_t erased = wanted == 0 ? 0 : work.erase_unseen(space, node.id, wanted);
    records += erased;
    if (erased == wanted &&
        work.load({.space = Space::kEntry, .a = node.id, .b = dict_content::kHeaderPosition})) {
      return false;
    }
  }
  return true;
}

}  // namespace graven::graph
