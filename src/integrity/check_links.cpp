// SPDX-License-Identifier: MIT
//
// The passes of check() over the graph. Links and back-references are read in the order (child,
// parent) and compared. Then anchors are followed up, and links are followed down from the roots,
// from nodes that handles hold, and from nodes pending deletion.
//
// Always holds: only nodes pending deletion, and what hangs on them, may have links to missing
// nodes: reclaiming removes a node after what hangs on it. One thread at a time.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "integrity/check_state.hpp"

namespace graven::integrity::checking {
namespace {

using port::Row;
using port::Space;

/// From where a node is reachable; the first way that is found counts.
enum class Reach : std::uint8_t { kNothing, kRoot, kHandle, kLeftover, kUnsound };

/// All links in one array: the children of node i are targets[starts[i]] up to, but not including,
/// targets[starts[i+1]].
struct Downwards {
  std::vector<std::uint64_t> starts;
  std::vector<std::uint32_t> targets;
};

class Graph {
 public:
  Graph(Inspection& all, base::FunctionRef<bool(std::int64_t)> alive)
      : all_(all), nodes_(all.nodes), links_(all.links), alive_(alive) {}

  void inspect() {
    all_.report.links = links_.size();
    std::sort(links_.begin(), links_.end(), [](const LinkInfo& left, const LinkInfo& right) {
      return std::tie(left.child, left.parent) < std::tie(right.child, right.parent);
    });
    merge_links();
    index_links();
    reach_.assign(nodes_.size(), Reach::kNothing);
    reach_from_roots();
    reach_from_handles();
    reach_from_leftovers();
    follow_anchors();
    find_unreached();
    report_dangling();
  }

 private:
  // --- Links and back-references

  /// Merges children, links and edge records, all sorted by child.
  void merge_links() {
    Stream edges(all_.view, Space::kEdge);
    std::size_t link = 0;
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      const NodeId id = nodes_[node].id;
      for (; link < links_.size() && links_[link].child < id; ++link)
        dangling_.push_back(links_[link]);
      for (Row* row; (row = edges.peek()) != nullptr && row->key.a < id; edges.pop())
        no_child(*row);
      link = merge_node(node, link, edges);
    }
    for (; link < links_.size(); ++link) dangling_.push_back(links_[link]);
    for (Row* row; (row = edges.peek()) != nullptr; edges.pop()) no_child(*row);
  }

  void no_child(const Row& row) {
    all_.looked();
    all_.problem(fmt::format("a back-reference of {}, which does not exist, from {}",
                             all_.named(row.key.a), all_.named(row.key.b)));
  }

  /// Compares the links to one node, from `link` on, with its edge records. Returns the first link
  /// to another node.
  std::size_t merge_node(std::uint32_t child, std::size_t link, Stream& edges) {
    const NodeInfo& node = nodes_[child];
    bool anchor_links = false;
    while (link < links_.size() && links_[link].child == node.id) {
      const std::uint32_t parent = links_[link].parent;
      const std::size_t first = link;
      while (link < links_.size() && links_[link].child == node.id &&
             links_[link].parent == parent) {
        ++link;
      }
      const auto count = static_cast<std::int64_t>(link - first);
      compare_kinds(child, first, link);
      const NodeId parent_id = nodes_[parent].id;
      leftovers_before(child, edges, parent_id);
      const Row* edge = edges.peek();
      const bool recorded = edge != nullptr && edge->key.a == node.id && edge->key.b == parent_id;
      if (node.anchored() && node.anchor == parent_id) {
        anchor_links = true;
        if (node.links != count) {
          all_.problem(child, fmt::format("its anchor {} links here {} times, its record says {}",
                                          all_.uid(parent), count, node.links));
        }
        if (recorded) {
          all_.problem(child, fmt::format("the back-reference from its anchor {} is left over",
                                          all_.uid(parent)));
        }
      } else if (!recorded) {
        all_.problem(child,
                     fmt::format("the back-reference from {} is missing: it links here {} times",
                                 all_.uid(parent), count));
      } else if (edge->record.integers[0] != count) {
        all_.problem(child, fmt::format("the back-reference from {} counts {} links, there are {}",
                                        all_.uid(parent), edge->record.integers[0], count));
      }
      if (recorded) edges.pop();
    }
    leftovers_before(child, edges, std::nullopt);
    if (node.anchored() && !anchor_links) bad_anchor(child);
    return link;
  }

  void compare_kinds(std::uint32_t child, std::size_t first, std::size_t last) {
    const NodeInfo& node = nodes_[child];
    const std::uint32_t parent = links_[first].parent;
    const bool as_list =
        std::any_of(links_.begin() + static_cast<std::ptrdiff_t>(first),
                    links_.begin() + static_cast<std::ptrdiff_t>(last),
                    [](const LinkInfo& link) { return link.kind == NodeKind::kList; });
    const bool as_dict =
        std::any_of(links_.begin() + static_cast<std::ptrdiff_t>(first),
                    links_.begin() + static_cast<std::ptrdiff_t>(last),
                    [](const LinkInfo& link) { return link.kind == NodeKind::kDict; });
    if (node.known_layout() && (node.kind() == NodeKind::kDict ? as_list : as_dict)) {
      all_.problem(parent, fmt::format("it links to {} as a {}, which it is not", all_.uid(child),
                                       as_list ? "list" : "dict"));
    }
    if (nodes_[parent].prefix != node.prefix) {
      all_.problem(parent,
                   fmt::format("it links to {}, which is of another prefix", all_.uid(child)));
    }
  }

  /// Reports the edge records of a child before `parent` (or all that are left), which have no
  /// links.
  void leftovers_before(std::uint32_t child, Stream& edges, std::optional<NodeId> parent) {
    const NodeId id = nodes_[child].id;
    for (Row* row; (row = edges.peek()) != nullptr && row->key.a == id; edges.pop()) {
      if (parent && row->key.b >= *parent) return;
      all_.looked();
      const std::uint32_t from = all_.find(row->key.b);
      all_.problem(child,
                   from == kNoNode
                       ? fmt::format("a back-reference from {}, which does not exist",
                                     all_.named(row->key.b))
                       : fmt::format("the back-reference from {} is left over: it does not link "
                                     "here",
                                     all_.uid(from)));
    }
  }

  void bad_anchor(std::uint32_t child) {
    const std::uint32_t anchor = all_.find(nodes_[child].anchor);
    all_.problem(
        child, anchor == kNoNode
                   ? fmt::format("its anchor, {}, does not exist", all_.named(nodes_[child].anchor))
                   : fmt::format("its anchor {} does not link here", all_.uid(anchor)));
  }

  // --- Reachability

  /// Builds down_ from links_, which are sorted by child.
  void index_links() {
    down_.starts.assign(nodes_.size() + 1, 0);
    for (const LinkInfo& link : links_) ++down_.starts[link.parent + 1];
    for (std::size_t i = 1; i < down_.starts.size(); ++i) down_.starts[i] += down_.starts[i - 1];
    std::vector<std::uint64_t> next(down_.starts.begin(), down_.starts.end() - 1);
    down_.targets.assign(links_.size(), kNoNode);
    std::uint32_t child = 0;
    for (const LinkInfo& link : links_) {
      while (child < nodes_.size() && nodes_[child].id < link.child) ++child;
      if (child < nodes_.size() && nodes_[child].id == link.child) {
        down_.targets[next[link.parent]++] = child;
      }
    }
    links_.clear();
    links_.shrink_to_fit();
  }

  /// Marks all nodes that are reachable from a node and not marked yet; returns how many.
  std::uint64_t spread(std::uint32_t from, Reach reach) {
    if (reach_[from] != Reach::kNothing) return 0;
    std::uint64_t count = 0;
    queue_.assign(1, from);
    reach_[from] = reach;
    while (!queue_.empty()) {
      const std::uint32_t node = queue_.back();
      queue_.pop_back();
      ++count;
      for (std::uint64_t at = down_.starts[node]; at < down_.starts[node + 1]; ++at) {
        const std::uint32_t child = down_.targets[at];
        if (child == kNoNode || reach_[child] != Reach::kNothing) continue;
        reach_[child] = reach;
        queue_.push_back(child);
      }
    }
    all_.looked(count);
    return count;
  }

  void reach_from_roots() {
    for (const PrefixInfo& prefix : all_.prefixes) {
      roots_.insert(prefix.root);
      const std::uint32_t root = all_.find(prefix.root);
      if (root != kNoNode) spread(root, Reach::kRoot);
    }
  }

  void reach_from_handles() {
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      if (nodes_[node].anchor < 0 && nodes_[node].listed && owner_lives(-nodes_[node].anchor)) {
        all_.report.held += spread(node, Reach::kHandle);
      }
    }
  }

  /// Marks nodes pending deletion, nodes that dead processes held, and what those reach.
  void reach_from_leftovers() {
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      if (nodes_[node].anchor <= 0 && nodes_[node].listed) {
        all_.report.reclaiming += spread(node, Reach::kLeftover);
      }
    }
  }

  bool owner_lives(std::int64_t owner) {
    const auto known = owners_.find(owner);
    if (known != owners_.end()) return known->second;
    return owners_.emplace(owner, alive_(owner)).first->second;
  }

  // --- Anchors

  /// Checks that every chain of anchors ends. (merge_links() checked that each anchor is a parent.)
  void follow_anchors() {
    enum class Walk : std::uint8_t { kNew, kOnThis, kDone };
    std::vector<Walk> walks(nodes_.size(), Walk::kNew);
    std::vector<std::uint32_t> path;
    for (std::uint32_t start = 0; start < nodes_.size(); ++start) {
      path.clear();
      std::uint32_t node = start;
      while (node != kNoNode && walks[node] == Walk::kNew) {
        walks[node] = Walk::kOnThis;
        path.push_back(node);
        node = nodes_[node].anchored() ? all_.find(nodes_[node].anchor) : kNoNode;
      }
      if (node != kNoNode && walks[node] == Walk::kOnThis) {
        all_.problem(node, "its chain of anchors comes back to it");
      }
      for (const std::uint32_t passed : path) walks[passed] = Walk::kDone;
    }
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) inspect_end(node);
  }

  /// A node at the end of a chain must be a root or be listed as an orphan.
  void inspect_end(std::uint32_t node) {
    const NodeInfo& info = nodes_[node];
    if (info.anchored() || info.listed) return;
    if (info.anchor == graph::kNobody) {
      all_.problem(node, "it has no anchor and is not listed as pending deletion");
      spread(node, Reach::kUnsound);
    } else if (info.anchor < 0) {
      all_.problem(node, fmt::format("it is held by process number {}, which does not list it",
                                     -info.anchor));
      spread(node, Reach::kUnsound);
    } else if (!roots_.contains(info.id)) {
      all_.problem(node, "it is a root of no prefix");
      spread(node, Reach::kUnsound);
    }
  }

  /// Reports unreachable nodes: each connected piece once, with its top node.
  void find_unreached() {
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      if (reach_[node] != Reach::kNothing) continue;
      const std::uint32_t top = top_of(node);
      for (const std::uint32_t one : {top, node}) {
        if (reach_[one] != Reach::kNothing) continue;
        all_.problem(one, "nothing reaches it: no root, no handle");
        spread(one, Reach::kUnsound);
      }
    }
  }

  std::uint32_t top_of(std::uint32_t node) {
    std::unordered_set<std::uint32_t> passed;
    while (nodes_[node].anchored() && passed.insert(node).second) {
      const std::uint32_t up = all_.find(nodes_[node].anchor);
      if (up == kNoNode || reach_[up] != Reach::kNothing) break;
      node = up;
    }
    return node;
  }

  void report_dangling() {
    for (const LinkInfo& link : dangling_) {
      if (reach_[link.parent] == Reach::kLeftover) continue;
      all_.problem(link.parent,
                   fmt::format("it links to {}, which does not exist",
                               all_.uid(link.child, nodes_[link.parent].prefix, link.kind)));
    }
  }

  Inspection& all_;
  std::vector<NodeInfo>& nodes_;
  std::vector<LinkInfo>& links_;
  base::FunctionRef<bool(std::int64_t)> alive_;
  std::vector<LinkInfo> dangling_;
  Downwards down_;
  std::vector<Reach> reach_;
  std::vector<std::uint32_t> queue_;
  std::set<NodeId> roots_;
  std::map<std::int64_t, bool> owners_;  // whether these processes still run
};

}  // namespace

void inspect_orphans(Inspection& all) {
  Stream stream(all.view, Space::kOrphan);
  for (; Row* row = stream.peek(); stream.pop()) {
    all.looked();
    const std::int64_t owner = row->key.a;
    const std::uint32_t node = all.find(row->key.b);
    const bool right = node != kNoNode && owner >= 0 && all.nodes[node].anchor == -owner;
    if (!right) all.strays.push_back(row->key);
    if (node == kNoNode) {
      all.problem(fmt::format("{} is listed as an orphan of {}, but does not exist",
                              all.named(row->key.b), owner));
    } else if (!right) {
      const NodeId anchor = all.nodes[node].anchor;
      all.problem(node, fmt::format("it is listed as an orphan of {}, but {}", owner,
                                    anchor > 0    ? "has the anchor " + all.named(anchor)
                                    : anchor == 0 ? std::string("is pending deletion")
                                                  : fmt::format("is held by {}", -anchor)));
    } else {
      all.nodes[node].listed = true;
    }
  }
}

void inspect_links(Inspection& all, base::FunctionRef<bool(std::int64_t)> alive) {
  Graph(all, alive).inspect();
}

}  // namespace graven::integrity::checking
