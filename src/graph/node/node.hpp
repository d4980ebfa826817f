// SPDX-License-Identifier: MIT
//
// A node: the record of one stored dict or list, with names for its fields. A small node is one
// record whose body is the whole container; a large one has a header in the body and its contents
// in records of their own.
//
// A node's *anchor* is the parent on its path to the root. Its value is: a parent's id; the node's
// own id for a root; 0 for a detached (adrift) node, which nothing holds and which is about to be
// collected; minus the number of a process for an orphan, which only that process's handles keep.
//
// Plain values, and functions on the View or Work they are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <graven/error.hpp>
#include <graven/value.hpp>

#include "cache/cache.hpp"
#include "graph/value/stored.hpp"
#include "store/work.hpp"

namespace graven::graph {

enum class Layout : std::int64_t { kDict = 0, kList = 1, kLargeDict = 2, kLargeList = 3 };

inline constexpr NodeId kNobody = 0;

/// The value of `links` for a sealed (condemned) node: it is pending deletion, its removal has
/// begun, and no handle can rescue it any more.
inline constexpr std::int64_t kCondemned = -1;

struct NodeRecord {
  NodeId id = 0;
  std::uint64_t version = 0;
  std::int64_t prefix = 0;
  Layout layout = Layout::kDict;
  NodeId anchor = kNobody;
  std::int64_t links = 0;  // how many times the anchor links here
  std::string body{};      // JSONB: the container, or the header of a large one

  [[nodiscard]] NodeKind kind() const noexcept {
    return layout == Layout::kDict || layout == Layout::kLargeDict ? NodeKind::kDict
                                                                   : NodeKind::kList;
  }
  [[nodiscard]] bool large() const noexcept {
    return layout == Layout::kLargeDict || layout == Layout::kLargeList;
  }
  [[nodiscard]] bool root() const noexcept { return anchor == id; }
  [[nodiscard]] bool held() const noexcept { return anchor < 0; }  // an orphan of a process
  [[nodiscard]] bool adrift() const noexcept { return anchor == kNobody; }
  [[nodiscard]] bool condemned() const noexcept { return adrift() && links == kCondemned; }
  [[nodiscard]] bool anchored() const noexcept { return anchor > 0 && anchor != id; }
};

inline port::Key node_key(NodeId id) { return {.space = port::Space::kNode, .a = id}; }
inline port::Key edge_key(NodeId child, NodeId parent) {
  return {.space = port::Space::kEdge, .a = child, .b = parent};
}
inline port::Key orphan_key(std::int64_t owner, NodeId node) {
  return {.space = port::Space::kOrphan, .a = owner, .b = node};
}

/// The layout of a node record.
inline Layout layout_of(const cache::RecordView& record) noexcept {
  return static_cast<Layout>(record.integer(1));
}

/// Fields of a node's record, without decoding it.
inline std::int64_t prefix_of(const port::Record& record) noexcept { return record.integers[0]; }
inline bool is_anchored(const port::Record& record, NodeId id) noexcept {
  return record.integers[2] > 0 && record.integers[2] != id;
}

/// Decodes the record; its body is moved. CorruptionError if the body is no container of the kind
/// that the record states.
NodeRecord to_node(NodeId id, port::Record&& record);
/// The same without that check, for code that looks for damage.
NodeRecord to_raw_node(NodeId id, port::Record&& record);
void require_sound(const NodeRecord& node);
port::Record to_record(NodeRecord node);

std::optional<NodeRecord> find_node(port::View& view, NodeId id);
std::optional<NodeRecord> find_raw_node(port::View& view, NodeId id);
/// The node; CollectedError if it does not exist.
NodeRecord load_node(port::View& view, NodeId id);
/// The same for a node that must be of this kind: CorruptionError if it is not.
NodeRecord load_node(port::View& view, NodeId id, NodeKind kind);
void require_kind(const NodeRecord& node, NodeKind kind);
/// For code that does not know the node's uid: find_again() adds it to the error.
[[noreturn]] void throw_collected();
[[noreturn]] void throw_collected(const std::string& what);

/// The cause in an error's text, without its advice.
std::string_view cause_of(const Error& error) noexcept;

/// Checks a walk up a chain of anchors for cycles: CorruptionError if it comes back to a node.
class ChainWalk {
 public:
  void at(NodeId id) {
    if (id == mark_ && steps_ != 0) throw_circle();
    if (++steps_ < next_) return;
    mark_ = id;
    next_ *= 2;
  }

 private:
  [[noreturn]] static void throw_circle();

  NodeId mark_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t next_ = 1;
};

inline void save(store::Work& work, NodeRecord node) {
  const NodeId id = node.id;
  work.put(node_key(id), to_record(std::move(node)));
}

}  // namespace graven::graph
