// SPDX-License-Identifier: MIT
//
// The steps of a pass, and what removing a node takes. See reclaim.hpp.
#include "graph/reclaim.hpp"

#include <algorithm>
#include <utility>

#include "graph/dict_content.hpp"
#include "graph/links.hpp"
#include "graph/list_content.hpp"
#include "store/scan.hpp"

namespace graven::graph {
namespace {

using store::Row;
using store::Space;
using store::View;
using store::Work;

constexpr std::size_t kSliceNodes = 4'000;
constexpr std::size_t kSliceElements = 20'000;

}  // namespace

bool any_doomed(View& view) {
  return !view.scan({.space = Space::kOrphan, .a = kNobody}, 1).empty();
}
bool any_doomed(Work& work) { return work.any_orphan(kNobody); }

std::vector<NodeId> doomed_in(View& view) {
  std::vector<NodeId> doomed;
  store::each_row(view, {.space = Space::kOrphan, .a = kNobody}, 1024,
                  [&](const Row& row) { doomed.push_back(row.key.b); });
  return doomed;
}

void erase_edges(Work& work, NodeId child) {
  store::each_row(work, {.space = Space::kEdge, .a = child}, 256,
                  [&](const Row& row) { work.erase(row.key); });
}

bool drain(Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view)> each) {
  return node.kind() == NodeKind::kDict ? dict_content::drain(work, node, limit, each)
                                        : list_content::drain(work, node, limit, each);
}

Reclaiming::Reclaiming(View& view, base::FunctionRef<bool(NodeId)> pinned) {
  const store::Record clock = view.load(store::clock_key()).value_or(store::Record{});
  seen_ = static_cast<std::uint64_t>(clock.integers[0]);
  last_ = clock.version;
  tops_ = doomed_in(view);
  traced_ = trace(view, tops_, false, pinned, SIZE_MAX);
  left_.insert(traced_.garbage.begin(), traced_.garbage.end());
  std::erase_if(tops_, [&](NodeId id) { return !left_.contains(id); });
}

/// What every slice begins with.
void Reclaiming::enter(Work& work) {
  const std::optional<store::Record> clock = work.load(store::clock_key());
  if (!clock || clock->version != last_ || well_held_) {
    well_.clear();
    well_held_ = false;
  }
  last_ = work.commit_id();
  commits_.insert(last_);
}

// --- Rescue

void Reclaiming::rescue(Work& work, base::FunctionRef<std::int64_t()> owner) {
  enter(work);
  // What a handle saves comes back whole or not at all: nobody may condemn the rest between.
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
    work.suspects().insert(rescue.node);  // settling takes note of it
    well_held_ = true;
  } else {
    // Its rescuer may have gone, or may hang on it by now.
    if (!work.load(edge_key(rescue.node, rescue.anchor))) return;
    if (!hangs_well(work, rescue.anchor, rescue.node)) return;
    change_anchor(work, std::move(*node), rescue.anchor);
  }
  well_.insert(rescue.node);
}

/// Whether the chain of anchors from `id` ends well without passing through `besides`.
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

/// A row that lists what is not there, or hangs on something, lists nothing: else what is listed
/// would never be done.
void Reclaiming::forget_stray(Work& work, NodeId id, const std::optional<NodeRecord>& node) {
  if (node && node->adrift()) return;
  const store::Key row = orphan_key(kNobody, id);
  if (work.load(row)) work.erase(row);
}

// --- Condemn

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
  enter(work);
  const std::size_t end =
      std::min({removed_ + kSliceNodes, traced_.garbage.size(),
                removed_ + static_cast<std::size_t>(std::min<std::uint64_t>(most, kSliceNodes))});
  const std::unordered_set<NodeId> now(
      traced_.garbage.begin() + static_cast<std::ptrdiff_t>(removed_),
      traced_.garbage.begin() + static_cast<std::ptrdiff_t>(end));
  std::unordered_set<NodeId> gone;
  std::vector<NodeId> cut_off;                      // hung on what goes now, and go later
  std::vector<std::pair<NodeId, NodeId>> together;  // (child, parent): both to go now
  std::size_t elements = 0;
  for (; removed_ < end && elements < kSliceElements; ++removed_) {
    const NodeId id = traced_.garbage[removed_];
    std::optional<NodeRecord> node = find_node(work, id);
    if (!node) continue;
    const bool still = node->adrift() ? untouched(*node) : gone.contains(node->anchor);
    if (!still) continue;  // rescued meanwhile, or hangs on something that was
    const bool listed = node->adrift();
    const auto forget = [&](std::string_view element) {
      ++elements;
      const std::optional<Link> child = link_of(jsonb::parse(element));
      if (!child) {
        release(work, id, element);
      } else if (now.contains(child->id)) {
        together.emplace_back(child->id, id);
      } else if (find_node(work, child->id)) {
        unlink(work, child->id, id);
        if (left_.contains(child->id)) cut_off.push_back(child->id);
      }
    };
    if (node->large()) {
      if (!drain(work, *node, kSliceElements, forget)) break;
    } else {
      each_element(work, *node, [&](jsonb::Element element) {
        if (element.type == jsonb::Type::kObject) forget(element.whole);
        return true;
      });
    }
    erase_edges(work, id);
    if (listed) work.erase(orphan_key(kNobody, id));
    work.erase(node_key(id));
    work.suspects().erase(id);
    gone.insert(id);
  }
  for (const auto& [child, parent] : together) {
    if (gone.contains(child) || !find_node(work, child)) continue;
    unlink(work, child, parent);  // the slice ended before it, or it was rescued
    cut_off.push_back(child);
  }
  for (const NodeId id : cut_off) doom_cut_off(work, id);
  return gone.size();
}

void Reclaiming::doom_cut_off(Work& work, NodeId id) {
  std::optional<NodeRecord> node = find_node(work, id);
  if (!node || !node->adrift()) return;
  work.suspects().erase(id);
  work.put(orphan_key(kNobody, id), {});
  node->links = kCondemned;
  save(work, std::move(*node));
}

}  // namespace graven::graph
