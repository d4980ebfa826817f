// SPDX-License-Identifier: MIT
//
// Changes the graph to agree with its links: prefixes of nodes, links to missing nodes, anchors,
// back-references. Removes unreachable nodes. A root without a prefix gets a new prefix.
//
// An anchor is kept if it is a parent and its chain ends in a root or a listed orphan. The other
// anchors are chosen downwards from those nodes, so no chain gets a cycle. One thread at a time.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "integrity/repair_state.hpp"

namespace graven::integrity::repairing {
namespace {

using checking::LinkInfo;
using checking::Stream;
using graph::NodeRecord;
using port::Record;
using port::Row;
using port::Space;

enum class Reach : std::uint8_t { kNothing, kRoot, kHandle, kLeftover };

/// All links from one node to another.
struct Edge {
  std::uint32_t child;
  std::uint32_t parent;
  std::int64_t count;
};

class Graph {
 public:
  Graph(Mending& mending, Inspection& all, base::FunctionRef<bool(std::int64_t)> alive)
      : mending_(mending), all_(all), nodes_(all.nodes), work_(mending.work), alive_(alive) {}

  void mend() {
    gather_edges();
    reach_.assign(nodes_.size(), Reach::kNothing);
    claim_.assign(nodes_.size(), 0);
    reach_all();
    if (mending_.changed) return;
    collect_unreached();
    if (mending_.changed) return;
    mend_links();
    if (mending_.changed) return;
    mend_anchors();
    mend_edges();
  }

 private:
  // --- Links as edges between indexes of nodes_

  void gather_edges() {
    std::sort(all_.links.begin(), all_.links.end(), [](const LinkInfo& a, const LinkInfo& b) {
      return std::tie(a.child, a.parent) < std::tie(b.child, b.parent);
    });
    down_.resize(nodes_.size());
    up_.resize(nodes_.size());
    for (std::size_t i = 0; i < all_.links.size();) {
      const LinkInfo& link = all_.links[i];
      const std::size_t first = i;
      while (i < all_.links.size() && all_.links[i].child == link.child &&
             all_.links[i].parent == link.parent) {
        ++i;
      }
      const std::uint32_t child = all_.find(link.child);
      if (child == kNoNode) continue;
      edges_.push_back({child, link.parent, static_cast<std::int64_t>(i - first)});
    }
    for (std::uint32_t i = 0; i < edges_.size(); ++i) {
      down_[edges_[i].parent].push_back(i);
      up_[edges_[i].child].push_back(i);
    }
  }

  // --- Reachability

  struct Step {
    std::uint32_t node;
    std::int64_t prefix;
  };

  /// Marks what is reachable from `from`. First follows links to nodes whose record names the same
  /// prefix; links to other nodes afterwards.
  void spread(std::vector<Step> from, Reach how) {
    std::vector<Step> others;
    while (!from.empty()) {
      std::vector<Step> queue;
      for (const Step& step : from) claim(step, how, queue);
      for (std::size_t at = 0; at < queue.size(); ++at) {
        const Step step = queue[at];
        for (const std::uint32_t edge : down_[step.node]) {
          const Step next{edges_[edge].child, step.prefix};
          if (nodes_[next.node].prefix == next.prefix) {
            claim(next, how, queue);
          } else {
            others.push_back(next);
          }
        }
      }
      from = std::exchange(others, {});
      std::erase_if(from, [&](const Step& step) { return reach_[step.node] != Reach::kNothing; });
    }
  }

  void claim(const Step& step, Reach how, std::vector<Step>& queue) {
    if (reach_[step.node] != Reach::kNothing) return;
    reach_[step.node] = how;
    claim_[step.node] = step.prefix;
    queue.push_back(step);
  }

  void reach_all() {
    std::vector<Step> seeds;
    for (const checking::PrefixInfo& prefix : all_.prefixes) {
      const std::uint32_t root = all_.find(prefix.root);
      if (root != kNoNode) seeds.push_back({root, prefix.id});
      roots_.insert(prefix.root);
    }
    // All prefixes at once, so that each one keeps the nodes whose records name it.
    spread(std::move(seeds), Reach::kRoot);
    for (const bool living : {true, false}) {
      seeds.clear();
      for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
        const NodeInfo& info = nodes_[node];
        if (!info.listed || (info.anchor < 0 && alive_(-info.anchor)) != living) continue;
        seeds.push_back({node, info.prefix});
      }
      spread(std::move(seeds), living ? Reach::kHandle : Reach::kLeftover);
    }
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      const NodeInfo& info = nodes_[node];
      if (reach_[node] != Reach::kNothing) continue;
      if (info.root() && info.kind() == NodeKind::kDict) {
        const bool taken = std::any_of(
            all_.prefixes.begin(), all_.prefixes.end(),
            [&](const checking::PrefixInfo& prefix) { return prefix.id == info.prefix; });
        const bool usable = !taken && info.prefix > 0 && info.prefix <= port::kMostId;
        make_prefix(mending_, all_, info.id, usable ? info.prefix : free_prefix_id(all_));
      } else if (info.anchor < 0 && info.anchor > INT64_MIN && alive_(-info.anchor)) {
        work_.put(graph::orphan_key(-info.anchor, info.id), Record{});
        mending_.kept(all_.uid(node), "a running process holds it: it is listed as held again");
      }
    }
  }

  void collect_unreached() {
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      if (reach_[node] != Reach::kNothing) continue;
      const std::optional<Record> record = work_.load(graph::node_key(nodes_[node].id));
      work_.erase(graph::node_key(nodes_[node].id));
      mending_.lost(all_.uid(node), "nothing reached it: no root, no handle",
                    record ? std::string_view(record->body) : std::string_view());
    }
  }

  // --- Links

  void mend_links() {
    std::map<std::uint32_t, std::map<NodeId, std::optional<NodeKind>>> bad;  // nothing: make null
    for (const LinkInfo& link : all_.links) {
      const std::uint32_t child = all_.find(link.child);
      if (child == kNoNode) {
        if (reach_[link.parent] != Reach::kLeftover) bad[link.parent][link.child] = std::nullopt;
      } else if (claim_[child] != claim_[link.parent]) {
        bad[link.parent][link.child] = std::nullopt;
      } else if (nodes_[child].kind() != link.kind) {
        bad[link.parent].emplace(link.child, nodes_[child].kind());
      }
    }
    for (const auto& one : bad) {
      const std::uint32_t parent = one.first;
      const auto& targets = one.second;
      const std::string uid = all_.uid(parent);
      replace_links(mending_, nodes_[parent], [&](Link link) -> std::optional<std::string> {
        const auto found = targets.find(link.id);
        if (found == targets.end() || found->second == link.kind) return std::nullopt;
        std::string element;
        if (found->second) {
          graph::put_link(element, {.id = link.id, .kind = *found->second});
        } else {
          jsonb::put_null(element);
          mending_.lost(uid, fmt::format("a link to {}, which {}: it is null now",
                                         all_.uid(link.id, claim_[parent], link.kind),
                                         all_.find(link.id) == kNoNode ? "does not exist"
                                                                       : "is of another prefix"));
        }
        return element;
      });
    }
  }

  // --- Anchors and back-references

  [[nodiscard]] const Edge* edge_from(std::uint32_t child, NodeId parent) const {
    for (const std::uint32_t edge : up_[child]) {
      if (nodes_[edges_[edge].parent].id == parent) return &edges_[edge];
    }
    return nullptr;
  }

  void mend_anchors() {
    enum class Chain : std::uint8_t { kNew, kOnThis, kSound, kBroken };
    std::vector<Chain> chains(nodes_.size(), Chain::kNew);
    std::vector<std::uint32_t> path;
    for (std::uint32_t start = 0; start < nodes_.size(); ++start) {
      path.clear();
      std::uint32_t node = start;
      Chain end = Chain::kBroken;
      for (;;) {
        if (chains[node] == Chain::kOnThis) break;
        if (chains[node] != Chain::kNew) {
          end = chains[node];
          break;
        }
        chains[node] = Chain::kOnThis;
        path.push_back(node);
        const NodeInfo& info = nodes_[node];
        if (roots_.contains(info.id) || info.listed) {
          end = Chain::kSound;
          break;
        }
        const Edge* up = info.anchored() ? edge_from(node, info.anchor) : nullptr;
        if (up == nullptr) break;
        node = up->parent;
      }
      for (const std::uint32_t passed : path) chains[passed] = end;
    }
    anchors_.resize(nodes_.size());
    std::vector<std::uint32_t> queue;
    for (const Reach from : {Reach::kRoot, Reach::kHandle, Reach::kLeftover}) {
      for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
        if (reach_[node] == from && chains[node] == Chain::kSound) queue.push_back(node);
      }
    }
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      anchors_[node] = roots_.contains(nodes_[node].id) ? nodes_[node].id : nodes_[node].anchor;
    }
    for (std::size_t at = 0; at < queue.size(); ++at) {
      for (const std::uint32_t edge : down_[queue[at]]) {
        const std::uint32_t child = edges_[edge].child;
        if (chains[child] == Chain::kSound) continue;
        chains[child] = Chain::kSound;
        anchors_[child] = nodes_[queue[at]].id;
        queue.push_back(child);
      }
    }
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) mend_record(node);
  }

  void mend_record(std::uint32_t place) {
    const NodeInfo& info = nodes_[place];
    std::int64_t links = info.links;
    if (anchors_[place] == info.id) {
      if (info.anchor != info.id) links = 0;
    } else if (const Edge* edge =
                   anchors_[place] > 0 ? edge_from(place, anchors_[place]) : nullptr) {
      links = edge->count;
    }
    if (info.anchor == anchors_[place] && info.links == links && info.prefix == claim_[place]) {
      return;
    }
    NodeRecord node = graph::load_node(work_, info.id);
    node.anchor = anchors_[place];
    node.links = links;
    node.prefix = claim_[place];
    graph::save(work_, std::move(node));
    mending_.changed = true;
  }

  void mend_edges() {
    Stream stored(work_, Space::kEdge);
    const auto drop_before = [&](std::optional<std::pair<NodeId, NodeId>> next) {
      for (Row* row; (row = stored.peek()) != nullptr; stored.pop()) {
        if (next && std::pair(row->key.a, row->key.b) >= *next) return;
        work_.erase(row->key);
        mending_.changed = true;
      }
    };
    for (const Edge& edge : edges_) {
      const NodeId child = nodes_[edge.child].id;
      const NodeId parent = nodes_[edge.parent].id;
      if (anchors_[edge.child] == parent && parent != child) continue;
      drop_before(std::pair(child, parent));
      const Row* row = stored.peek();
      const bool there = row != nullptr && row->key.a == child && row->key.b == parent;
      if (!there || row->record.integers[0] != edge.count) {
        work_.put(graph::edge_key(child, parent), Record{.integers = {edge.count}});
        mending_.changed = true;
      }
      if (there) stored.pop();
    }
    drop_before(std::nullopt);
  }

  Mending& mending_;
  Inspection& all_;
  std::vector<NodeInfo>& nodes_;
  store::Work& work_;
  base::FunctionRef<bool(std::int64_t)> alive_;
  std::vector<Edge> edges_;  // by child and parent
  std::vector<std::vector<std::uint32_t>> down_;
  std::vector<std::vector<std::uint32_t>> up_;
  std::vector<Reach> reach_;
  std::vector<std::int64_t> claim_;  // the prefix from which each node is reachable
  std::set<NodeId> roots_;
  std::vector<NodeId> anchors_;
};

}  // namespace

void mend_graph(Mending& mending, Inspection& all, base::FunctionRef<bool(std::int64_t)> alive) {
  Graph(mending, all, alive).mend();
}

}  // namespace graven::integrity::repairing
