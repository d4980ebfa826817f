// SPDX-License-Identifier: MIT
//
// The state that the passes of check() share: the view, what they found about nodes, links and
// large values, and the report. Each pass reads one or two spaces completely in key order and
// leaves sorted vectors. So memory grows only with the number of nodes and links. Nothing recurses.
//
// Always holds: `nodes` is sorted by id; every problem that a pass finds is in `report`; damage
// does not end a pass if it can continue. One thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <graven/database.hpp>

#include "base/interrupt.hpp"
#include "graph/node/node.hpp"
#include "graph/scope.hpp"
#include "integrity/check.hpp"
#include "port/scan.hpp"

namespace graven::integrity::checking {

using graph::Layout;
using graph::NodeId;

struct NodeInfo {
  NodeId id = 0;
  NodeId anchor = 0;
  std::int64_t links = 0;
  std::int64_t prefix = 0;
  Layout layout = Layout::kDict;
  bool listed = false;  // an orphan record names it, and its anchor agrees

  [[nodiscard]] bool known_layout() const noexcept {
    return layout >= Layout::kDict && layout <= Layout::kLargeList;
  }
  [[nodiscard]] NodeKind kind() const noexcept {
    return layout == Layout::kList || layout == Layout::kLargeList ? NodeKind::kList
                                                                   : NodeKind::kDict;
  }
  [[nodiscard]] bool root() const noexcept { return anchor == id; }
  [[nodiscard]] bool anchored() const noexcept { return anchor > 0 && anchor != id; }
};

/// One link as it was read. `parent` is an index in `nodes`.
struct LinkInfo {
  NodeId child;
  std::uint32_t parent;
  NodeKind kind;
};

/// One element that stands for a large value.
struct BlobUse {
  std::int64_t blob;
  std::uint32_t node;
  bool text;
};

struct PrefixInfo {
  std::string name;
  std::int64_t id;
  NodeId root;
};

inline constexpr std::uint32_t kNoNode = std::numeric_limits<std::uint32_t>::max();

/// Reads one whole space in key order, in batches.
class Stream {
 public:
  Stream(port::View& view, port::Space space) : view_(view), rest_(port::whole(space)) {}

  /// The current record, or nullptr at the end.
  port::Row* peek();
  void pop() noexcept { ++at_; }

 private:
  void fetch();

  port::View& view_;
  port::Batches rest_;
  std::vector<port::Row> batch_;
  std::size_t at_ = 0;
  std::size_t limit_ = 256;
};

class Inspection {
 public:
  using Progress = std::function<void(std::uint64_t, std::uint64_t)>;
  Inspection(std::uint64_t store_constant, port::View& state, const Progress& progress,
             ItemProof prove_item = nullptr)
      : view(state), constant_(store_constant), progress_(progress), prove_item_(prove_item) {}

  port::View& view;
  std::vector<PrefixInfo> prefixes;
  std::vector<NodeInfo> nodes;  // by id
  std::vector<LinkInfo> links;  // sorted by (child, parent) in the pass over the links
  std::vector<BlobUse> blobs;
  CheckReport report;
  bool incomplete = false;  // the store has the mark of an incomplete copy
  // For repair(): indexes of nodes with problems, and stray records, which belong to nothing.
  std::set<std::uint32_t> damaged;
  std::vector<port::Key> strays;

  /// The index of a node in `nodes`, or kNoNode.
  [[nodiscard]] std::uint32_t find(NodeId id) const noexcept;

  void problem(std::string what) { add({}, std::move(what)); }
  void problem(std::uint32_t node, std::string what) {
    damaged.insert(node);
    add(uid(nodes[node].id, nodes[node].prefix, nodes[node].kind()), std::move(what));
  }
  /// The uid of a node, which may be missing.
  [[nodiscard]] std::string uid(NodeId id, std::int64_t prefix, NodeKind kind) const;
  [[nodiscard]] std::string uid(std::uint32_t node) const {
    return uid(nodes[node].id, nodes[node].prefix, nodes[node].kind());
  }

  /// The uid of a node that some record names. If the node is missing, `kind` is only a guess.
  [[nodiscard]] std::string named(NodeId id, NodeKind kind = NodeKind::kDict) const {
    const std::uint32_t place = find(id);
    return place == kNoNode ? uid(id, 0, kind) : uid(place);
  }

  /// Counts records that were read, and reports progress from time to time.
  void looked(std::uint64_t records = 1) {
    done_ += records;
    poll_.now_and_then();
    if (done_ >= told_ + kTellEvery) tell(0);
  }
  void finish();

  /// The problem with the value of a map's item, or an empty text.
  [[nodiscard]] std::string item_problem(const port::Record& item) const;

  /// Notes an id or a version that was read: none may be greater than the clock.
  void saw_id(std::int64_t id) noexcept { greatest_ = std::max(greatest_, id); }
  void saw_version(std::uint64_t version) noexcept {
    greatest_ = std::max(greatest_, static_cast<std::int64_t>(version));
  }
  [[nodiscard]] std::int64_t greatest() const noexcept { return greatest_; }

 private:
  static constexpr std::uint64_t kTellEvery = 16'384;
  static constexpr std::size_t kMostProblems = 10'000;

  void add(std::string node, std::string what);
  void tell(std::uint64_t total);

  std::uint64_t constant_;
  const Progress& progress_;
  base::InterruptPoll poll_;
  ItemProof prove_item_;
  std::uint64_t done_ = 0;
  std::uint64_t told_ = 0;
  std::uint64_t untold_ = 0;  // problems beyond kMostProblems
  std::int64_t greatest_ = 0;
};

/// The value of an integer element; CorruptionError with the text `otherwise` if it is none.
std::int64_t integer_of(jsonb::Element element, const char* otherwise);

// The passes, in this order; inspect() runs all of them.
void inspect(Inspection& all, base::FunctionRef<bool(std::int64_t owner)> alive);
void inspect_prefixes(Inspection& all);
void inspect_nodes(Inspection& all);
void inspect_roots(Inspection& all);
void inspect_large_dicts(Inspection& all);
void inspect_large_lists(Inspection& all);
void inspect_blobs(Inspection& all);
void inspect_orphans(Inspection& all);
/// Checks links, back-references, anchors and reachability. `alive` says whether a process that
/// holds nodes still runs.
void inspect_links(Inspection& all, base::FunctionRef<bool(std::int64_t owner)> alive);
void inspect_counters(Inspection& all);
void inspect_maps(Inspection& all);
void inspect_clock(Inspection& all);

/// Checks one stored value; notes it if it is a link or a large value. `where` gives its place, for
/// messages.
void inspect_element(Inspection& all, std::uint32_t node, jsonb::Element element,
                     base::FunctionRef<std::string()> where);

}  // namespace graven::integrity::checking
