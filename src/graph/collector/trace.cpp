// SPDX-License-Identifier: MIT
//
// The tracing described in trace.hpp: Tracer::up is step 1, down step 2, sort_out step 3.
#include "graph/collector/trace.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

#include "base/interrupt.hpp"
#include "graph/collector/links.hpp"
#include "graph/node/node_reader.hpp"

namespace graven::graph {
namespace {

using store::Range;
using store::Row;
using store::Space;
using store::View;

constexpr std::size_t kEdgeBatch = 1024;

enum class Fate : std::uint8_t { kRooted, kAdrift, kUnknown };

class Tracer {
 public:
  Tracer(View& view, bool others, base::FunctionRef<bool(NodeId)> pinned)
      : view_(view), nodes_(view), others_(others), pinned_(pinned) {}

  Trace run(std::vector<NodeId> adrift, std::size_t budget) {
    bool hanging_known = false;
    for (std::size_t limit = 256;; limit *= 8) {
      limit = std::min(limit, budget);
      const bool settled = up(adrift, limit);
      if (settled || down(adrift, limit)) {
        hanging_known = !settled;
        break;
      }
      if (limit == budget) return {};
    }
    if (!adrift.empty()) {
      if (!hanging_known && !down(adrift, budget)) return {};
      if (!sort_out()) return {};
    }
    result_.complete = true;
    return std::move(result_);
  }

 private:
  struct Hanging {
    NodeId id;
    std::int32_t first_child = -1;  // among those that hang directly on it
    std::int32_t next_sibling = -1;
    NodeId outside = 0;  // a parent that does not hang
    bool rescued = false;
    bool condemned = false;  // what it hangs on is: handles do not count
    bool large = false;
    bool links = false;   // it has some
    bool more = false;    // links to what does not hang on it, blobs
    bool linked = false;  // by others than its anchor; or it has none
  };

  /// Where the chain of anchors from `id` leads. Remembers what it learns.
  Fate fate_of(NodeId id, std::size_t& steps, std::size_t limit) {
    std::vector<NodeId> path;
    Fate fate = Fate::kUnknown;
    ChainWalk walk;
    for (;;) {
      if (const auto known = fates_.find(id); known != fates_.end()) {
        fate = known->second;
        break;
      }
      if (++steps > limit) return Fate::kUnknown;
      walk.at(id);
      const NodeRecord* node = nodes_.find(id);
      path.push_back(id);
      if (node == nullptr || node->adrift()) {
        fate = Fate::kAdrift;
        break;
      }
      if (!node->anchored()) {
        fate = Fate::kRooted;
        break;
      }
      id = node->anchor;
    }
    for (const NodeId passed : path) fates_.emplace(passed, fate);
    return fate;
  }

  /// Step 1 for each node adrift; takes out those it finds an anchor for. True when none is
  /// left open: each has either an anchor or certainly none by this way.
  bool up(std::vector<NodeId>& adrift, std::size_t limit) {
    bool settled = true;
    std::size_t steps = 0;
    std::erase_if(adrift, [&](NodeId id) {
      Range range{.space = Space::kEdge, .a = id};
      for (;;) {
        const std::size_t batch = std::min<std::size_t>(64, kEdgeBatch);
        const std::vector<Row> rows = view_.scan(range, batch);
        for (const Row& row : rows) {
          switch (fate_of(row.key.b, steps, limit)) {
            case Fate::kRooted:
              result_.rescued.push_back({id, row.key.b});
              // What hangs on it is rooted again: forget what was thought of it.
              std::erase_if(fates_,
                            [](const auto& known) { return known.second == Fate::kAdrift; });
              fates_[id] = Fate::kRooted;
              return true;
            case Fate::kAdrift:
              break;
            case Fate::kUnknown:
              settled = false;
              return false;
          }
          ++steps;
        }
        if (rows.size() < batch) return false;
        const std::optional<Range> rest = store::behind(range, rows.back().key);
        if (!rest) return false;
        range = *rest;
      }
    });
    return settled;
  }

  /// Step 2: collects what hangs on the nodes adrift. False when that is more than `limit`.
  bool down(const std::vector<NodeId>& adrift, std::size_t limit) {
    hanging_.clear();
    places_.clear();
    for (const NodeId id : adrift) add(id, -1);
    std::size_t looked = 0;
    base::InterruptPoll poll;
    for (std::size_t at = 0; at < hanging_.size(); ++at) {
      poll.now_and_then();
      const NodeRecord* found = nodes_.find(hanging_[at].id);
      if (found == nullptr) continue;
      const NodeRecord parent = *found;
      hanging_[at].condemned = hanging_[at].condemned || parent.condemned();
      hanging_[at].large = parent.large();
      hanging_[at].linked = !parent.anchored();
      each_element(view_, parent, [&](jsonb::Element element) {
        if (element.type != jsonb::Type::kObject) return true;
        const std::optional<Link> link = link_of(element);
        if (!link) {
          if (blob_of(element)) hanging_[at].more = true;
          return true;
        }
        if (++looked > limit) return false;
        hanging_[at].links = true;
        if (places_.contains(link->id)) {
          hanging_[at].more = true;  // an edge, as a rule, of something that goes later
          return true;
        }
        const NodeRecord* child = nodes_.find(link->id);
        if (child != nullptr && child->anchored() && child->anchor == parent.id) {
          add(link->id, static_cast<std::int32_t>(at));
        } else {
          hanging_[at].more = true;
        }
        return true;
      });
      if (++looked > limit) return false;
    }
    return true;
  }

  void add(NodeId id, std::int32_t parent) {
    const auto [at, fresh] = places_.emplace(id, static_cast<std::int32_t>(hanging_.size()));
    if (!fresh) return;
    Hanging node{.id = id};
    if (parent >= 0) {
      Hanging& above = hanging_[static_cast<std::size_t>(parent)];
      node.next_sibling = std::exchange(above.first_child, at->second);
      node.condemned = above.condemned;
    }
    hanging_.push_back(node);
  }

  /// Step 3. False when it depends on other nodes adrift whether something lives.
  bool sort_out() {
    if (!find_outside_parents()) return false;
    for (std::size_t at = 0; at < hanging_.size(); ++at) {
      if (!hanging_[at].rescued && hanging_[at].outside != 0) rescue(at, hanging_[at].outside);
    }
    for (std::size_t at = 0; at < hanging_.size(); ++at) {
      const Hanging& node = hanging_[at];
      if (!node.rescued && !node.condemned && pinned_(node.id)) rescue(at, kHeldHere);
    }
    for (const Hanging& node : hanging_) {
      if (node.rescued) continue;
      result_.garbage.push_back(node.id);
      result_.footprints.push_back(footprint(node));
    }
    return true;
  }

  [[nodiscard]] Footprint footprint(const Hanging& node) const {
    // Something it links to may be among what is rescued.
    const bool more = node.more || (node.links && !result_.rescued.empty());
    const bool own = node.large || node.linked;
    return more ? Footprint::kMore : own ? Footprint::kOwn : Footprint::kRecord;
  }

  /// Looks through the edges of all that hangs, in runs of neighbouring ids.
  bool find_outside_parents() {
    std::vector<NodeId> ids;
    ids.reserve(hanging_.size());
    for (const Hanging& node : hanging_) ids.push_back(node.id);
    std::sort(ids.begin(), ids.end());
    for (std::size_t start = 0; start < ids.size();) {
      std::size_t end = start + 1;
      while (end < ids.size() && ids[end] - ids[end - 1] <= 16) ++end;
      if (!scan_edges(ids[start], ids[end - 1])) return false;
      start = end;
    }
    return true;
  }

  bool scan_edges(NodeId first, NodeId last) {
    Range range{.space = Space::kEdge, .a = first, .a_to = last};
    for (;;) {
      const std::vector<Row> rows = view_.scan(range, kEdgeBatch);
      for (const Row& row : rows) {
        const auto place = places_.find(row.key.a);
        if (place == places_.end()) continue;
        Hanging& node = hanging_[static_cast<std::size_t>(place->second)];
        node.linked = true;
        if (node.outside != 0 || places_.contains(row.key.b)) continue;
        if (others_) {
          std::size_t steps = 0;
          if (fate_of(row.key.b, steps, SIZE_MAX) == Fate::kAdrift) return false;
        }
        node.outside = row.key.b;
      }
      if (rows.size() < kEdgeBatch) return true;
      const std::optional<Range> rest = store::behind(range, rows.back().key);
      if (!rest) return true;
      range = *rest;
    }
  }

  /// The node gets a new anchor: with it lives all that hangs on it, and all they link to.
  void rescue(std::size_t at, NodeId anchor) {
    std::deque<std::size_t> reached;
    save(at, anchor, reached);
    while (!reached.empty()) {
      const NodeId id = hanging_[reached.front()].id;
      reached.pop_front();
      const NodeRecord* found = nodes_.find(id);
      if (found == nullptr) continue;
      const NodeRecord node = *found;
      each_link(view_, node, [&](Link link) {
        const auto place = places_.find(link.id);
        if (place == places_.end()) return true;
        const auto child = static_cast<std::size_t>(place->second);
        if (!hanging_[child].rescued) save(child, id, reached);
        return true;
      });
    }
  }

  void save(std::size_t at, NodeId anchor, std::deque<std::size_t>& reached) {
    result_.rescued.push_back({hanging_[at].id, anchor});
    std::vector<std::size_t> subtree{at};
    while (!subtree.empty()) {
      const std::size_t node = subtree.back();
      subtree.pop_back();
      if (hanging_[node].rescued) continue;  // it has an anchor of its own already
      hanging_[node].rescued = true;
      reached.push_back(node);
      for (std::int32_t child = hanging_[node].first_child; child >= 0;
           child = hanging_[static_cast<std::size_t>(child)].next_sibling) {
        subtree.push_back(static_cast<std::size_t>(child));
      }
    }
  }

  View& view_;
  NodeReader nodes_;
  bool others_;
  base::FunctionRef<bool(NodeId)> pinned_;
  std::unordered_map<NodeId, Fate> fates_;
  std::vector<Hanging> hanging_;
  std::unordered_map<NodeId, std::int32_t> places_;
  Trace result_;
};

}  // namespace

Trace trace(View& view, const std::vector<NodeId>& adrift, bool others,
            base::FunctionRef<bool(NodeId)> pinned, std::size_t budget) {
  return Tracer(view, others, pinned).run(adrift, budget);
}

}  // namespace graven::graph
