// SPDX-License-Identifier: MIT
//
// The tracing described in trace.hpp: Tracer::up() is step 1, down() step 2, sort_out() step 3.
#include "graph/collector/trace.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/interrupt.hpp"
#include "graph/collector/links.hpp"
#include "graph/node/node_reader.hpp"
#include "port/scan.hpp"

namespace graven::graph {
namespace {

using port::Range;
using port::ReadOp;
using port::Row;
using port::Space;
using port::View;

constexpr std::size_t kEdgeBatch = 1024;
constexpr std::size_t kFirstEdges = 64;  // of a node
constexpr std::size_t kNextParents = 8;
constexpr std::size_t kUpAtOnce = 256;  // nodes
constexpr std::size_t kRunsAtOnce = 64;

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
    result_.elements = elements_;
    return std::move(result_);
  }

 private:
  struct Hanging {
    NodeId id;
    std::int32_t first_child = -1;  // among those that hang directly on it
    std::int32_t next_sibling = -1;
    NodeId outside = 0;  // a parent that does not hang on the given nodes
    bool rescued = false;
    bool condemned = false;  // it hangs on a sealed node: handles do not count
    bool large = false;
    bool links = false;   // it links to other nodes
    bool more = false;    // it links to nodes that do not hang on it, or has blobs
    bool linked = false;  // nodes other than its anchor may link to it; or it has no anchor
  };

  /// A link from a hanging node.
  struct Child {
    std::int32_t parent;  // index in hanging_
    NodeId id;
  };

  /// Where the chain of anchors from `id` ends. Caches the result for each node on it.
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

  /// Reads the chains of anchors that begin at these nodes, one level of all chains at a time.
  void climb(std::vector<NodeId> level, std::size_t& steps, std::size_t limit) {
    for (; level.size() > 1 && steps < limit; steps += level.size()) {
      std::erase_if(level, [&](NodeId id) { return fates_.contains(id); });
      std::sort(level.begin(), level.end());
      level.erase(std::unique(level.begin(), level.end()), level.end());
      level.resize(std::min(level.size(), NodeReader::kMostAtOnce));
      nodes_.fetch(level);
      std::vector<NodeId> above;
      for (const NodeId id : level) {
        const NodeRecord* node = nodes_.at_hand(id);
        if (node != nullptr && node->anchored()) above.push_back(node->anchor);
      }
      level = std::move(above);
    }
  }

  /// Step 1 for each detached node; removes from `adrift` those that get an anchor. True if every
  /// node was decided: it has an anchor now, or certainly gets none in this step.
  bool up(std::vector<NodeId>& adrift, std::size_t limit) {
    bool settled = true;
    std::size_t steps = 0;
    std::vector<NodeId> left;
    for (std::size_t start = 0; start < adrift.size(); start += kUpAtOnce) {
      const std::span piece =
          std::span(adrift).subspan(start, std::min(kUpAtOnce, adrift.size() - start));
      std::vector<ReadOp> ops;
      for (const NodeId id : piece) {
        ops.push_back({.range = {.space = Space::kEdge, .a = id}, .limit = kFirstEdges});
      }
      std::vector<std::vector<Row>> edges(piece.size());
      std::vector<NodeId> first_parents;
      view_.read(ops, [&](std::size_t i, std::span<Row> rows) {
        edges[i].assign(std::move_iterator(rows.begin()), std::move_iterator(rows.end()));
        if (!rows.empty()) first_parents.push_back(edges[i].front().key.b);
      });
      climb(std::move(first_parents), steps, limit);
      for (std::size_t i = 0; i < piece.size(); ++i) {
        if (!anchor_found(piece[i], std::move(edges[i]), steps, limit, settled)) {
          left.push_back(piece[i]);
        }
      }
    }
    adrift = std::move(left);
    return settled;
  }

  /// Looks for an anchor among a node's parents. `rows`: the first edges, already read.
  bool anchor_found(NodeId id, std::vector<Row> rows, std::size_t& steps, std::size_t limit,
                    bool& settled) {
    for (std::optional<Range> range = Range{.space = Space::kEdge, .a = id};;) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (i == 1 || i == kNextParents +
                               1) {  // the parents so far did not help: read the next ones together
          const std::size_t end = i == 1 ? std::min(rows.size(), kNextParents + 1) : rows.size();
          std::vector<NodeId> parents;
          for (std::size_t next = i; next < end; ++next) parents.push_back(rows[next].key.b);
          climb(std::move(parents), steps, limit);
        }
        const NodeId parent = rows[i].key.b;
        switch (fate_of(parent, steps, limit)) {
          case Fate::kRooted:
            result_.rescued.push_back({id, parent});
            // What hangs on it is rooted again: drop cached results that say otherwise.
            std::erase_if(fates_, [](const auto& known) { return known.second == Fate::kAdrift; });
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
      if (rows.size() < kFirstEdges) return false;
      range = port::behind(*range, rows.back().key);
      if (!range) return false;
      rows = view_.scan(*range, kFirstEdges);
    }
  }

  /// Step 2: collects what hangs on the detached nodes. False if that is more than `limit`.
  bool down(const std::vector<NodeId>& adrift, std::size_t limit) {
    hanging_.clear();
    places_.clear();
    children_.clear();
    for (const NodeId id : adrift) add(id, -1);
    elements_ = 0;
    std::size_t looked = 0;
    base::InterruptPoll poll;
    FrontierStep step;
    std::vector<NodeId> ids;
    for (std::size_t at = 0; at < hanging_.size();) {
      const std::size_t end = at + step.take(hanging_.size() - at);
      ids.clear();
      for (std::size_t i = at; i < end; ++i) ids.push_back(hanging_[i].id);
      nodes_.fetch(ids);
      for (; at < end; ++at) {
        poll.now_and_then();
        const NodeRecord* found = nodes_.find(hanging_[at].id);
        if (found == nullptr) continue;
        if (!look_below(at, *found, looked, limit) || ++looked > limit) return false;
      }
      take_children();
    }
    return true;
  }

  /// Reads the elements of a node and queues its children for take_children(). False if more than
  /// `limit` were read.
  bool look_below(std::size_t at, const NodeRecord& node, std::size_t& looked, std::size_t limit) {
    hanging_[at].condemned = hanging_[at].condemned || node.condemned();
    hanging_[at].large = node.large();
    hanging_[at].linked = !node.anchored();
    // take_children() may invalidate `node`, so copy a large one. For a small one it is not called
    // in the loop.
    const std::optional<NodeRecord> large = node.large() ? std::optional(node) : std::nullopt;
    bool within = true;
    each_element(view_, large ? *large : node, [&](jsonb::Element element) {
      if (large) ++elements_;
      if (element.type != jsonb::Type::kObject) return true;
      const std::optional<Link> link = link_of(element);
      if (!link) {
        if (blob_of(element)) hanging_[at].more = true;
        return true;
      }
      within = ++looked <= limit;
      hanging_[at].links = true;
      children_.push_back({static_cast<std::int32_t>(at), link->id});
      if (large && children_.size() >= NodeReader::kMostAtOnce) take_children();
      return within;
    });
    return within;
  }

  /// Adds the queued children whose anchor is the parent they were found in.
  void take_children() {
    std::vector<NodeId> ids;
    for (std::size_t start = 0; start < children_.size(); start += NodeReader::kMostAtOnce) {
      const std::span piece = std::span(children_).subspan(
          start, std::min(NodeReader::kMostAtOnce, children_.size() - start));
      ids.clear();
      for (const Child& child : piece) {
        if (!places_.contains(child.id)) ids.push_back(child.id);
      }
      nodes_.fetch(ids);
      for (const Child& child : piece) {
        Hanging& parent = hanging_[static_cast<std::size_t>(child.parent)];
        if (places_.contains(child.id)) {
          parent.more = true;  // usually an edge to a node that is removed later
          continue;
        }
        const NodeRecord* node = nodes_.find(child.id);
        if (node != nullptr && node->anchored() && node->anchor == parent.id) {
          add(child.id, child.parent);
        } else {
          parent.more = true;
        }
      }
    }
    children_.clear();
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

  /// Step 3. False if the result depends on other detached nodes.
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
    // It may link to a node that is rescued.
    const bool more = node.more || (node.links && !result_.rescued.empty());
    const bool own = node.large || node.linked;
    return more ? Footprint::kMore : own ? Footprint::kOwn : Footprint::kRecord;
  }

  /// Reads the edges of all hanging nodes, in runs of near ids.
  bool find_outside_parents() {
    std::vector<NodeId> ids;
    ids.reserve(hanging_.size());
    for (const Hanging& node : hanging_) ids.push_back(node.id);
    std::sort(ids.begin(), ids.end());
    std::vector<ReadOp> runs;
    for (std::size_t start = 0; start < ids.size();) {
      std::size_t end = start + 1;
      while (end < ids.size() && ids[end] - ids[end - 1] <= 16) ++end;
      const Range run{.space = Space::kEdge, .a = ids[start], .a_to = ids[end - 1]};
      runs.push_back({.range = run, .limit = kEdgeBatch});
      start = end;
      if (runs.size() < kRunsAtOnce && start < ids.size()) continue;
      if (!take_edges(runs)) return false;
      runs.clear();
    }
    return true;
  }

  /// Handles the edges in these runs of ids. False as for sort_out().
  bool take_edges(std::span<const ReadOp> runs) {
    std::vector<std::vector<Row>> found(runs.size());
    view_.read(runs, [&](std::size_t i, std::span<Row> rows) {
      found[i].assign(std::move_iterator(rows.begin()), std::move_iterator(rows.end()));
    });
    for (std::size_t i = 0; i < runs.size(); ++i) {
      std::optional<Range> range = runs[i].range;
      for (std::vector<Row> rows = std::move(found[i]);; rows = view_.scan(*range, kEdgeBatch)) {
        if (!take_edges(rows)) return false;
        if (rows.size() < kEdgeBatch) break;
        range = port::behind(*range, rows.back().key);
        if (!range) break;
      }
    }
    return true;
  }

  bool take_edges(const std::vector<Row>& rows) {
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
    return true;
  }

  /// Gives the node a new anchor. Rescues all that hangs on it, all that those link to, and so on.
  void rescue(std::size_t at, NodeId anchor) {
    std::deque<std::size_t> reached;
    save(at, anchor, reached);
    FrontierStep step;
    std::vector<NodeId> ids;
    for (std::size_t fetched = 0; !reached.empty(); --fetched) {
      if (fetched == 0) {
        fetched = step.take(reached.size());
        ids.clear();
        for (std::size_t i = 0; i < fetched; ++i) ids.push_back(hanging_[reached[i]].id);
        nodes_.fetch(ids);
      }
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
      if (hanging_[node].rescued) continue;  // it already got another anchor
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
  std::size_t elements_ = 0;  // Trace::elements
  std::vector<Child> children_;
  Trace result_;
};

}  // namespace

Trace trace(View& view, const std::vector<NodeId>& adrift, bool others,
            base::FunctionRef<bool(NodeId)> pinned, std::size_t budget) {
  return Tracer(view, others, pinned).run(adrift, budget);
}

}  // namespace graven::graph
