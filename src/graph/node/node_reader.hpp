// SPDX-License-Identifier: MIT
//
// Reads many nodes of one state. A walk that knows its next nodes fetches them (the frontier) at
// once. Otherwise there is read-ahead: nodes made together have consecutive ids, so one scan
// replaces many look-ups when a walk asks for nodes with near ids.
//
// Always holds: a pointer it returns is valid until the next call. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/node/node.hpp"

namespace graven::graph {

class NodeReader {
 public:
  explicit NodeReader(port::View& view) : view_(view) {}

  /// The most ids to pass to fetch(): half of what is kept.
  static constexpr std::size_t kMostAtOnce = 2048;

  /// Reads all of them in one request; find() has them until the next fetch().
  void fetch(std::span<const NodeId> ids) {
    std::vector<port::Key> keys;
    const auto want_missing = [&] {
      for (const NodeId id : ids) {
        if (!ahead_.contains(id)) keys.push_back(node_key(id));
      }
    };
    want_missing();
    if (keys.size() < 2) return;  // find() does it
    if (ahead_.size() + keys.size() > kKept) {
      ahead_.clear();
      keys.clear();
      want_missing();
    }
    view_.load_many(keys, [&](std::size_t i, port::Record* record) {
      if (record == nullptr) return;
      ahead_.insert_or_assign(keys[i].a, to_raw_node(keys[i].a, std::move(*record)));
    });
  }

  /// The node if it was already read.
  [[nodiscard]] const NodeRecord* at_hand(NodeId id) const {
    const auto it = ahead_.find(id);
    return it == ahead_.end() ? nullptr : &it->second;
  }

  /// The node, or nullptr if there is none.
  const NodeRecord* find(NodeId id) {
    if (const auto it = ahead_.find(id); it != ahead_.end()) return sound(it->second);
    // Ids in a damaged or foreign store may be any number: avoid overflow.
    const bool usual = id > kSpan && id < kMost - kSpan;
    const bool near = usual && std::llabs(id - last_) <= kNear;
    const bool down = id < last_;
    if (usual) last_ = id;
    if (!near) {
      std::optional<NodeRecord> node = find_node(view_, id);
      if (!node) return nullptr;
      if (ahead_.size() >= kKept) ahead_.clear();
      return &ahead_.insert_or_assign(id, std::move(*node)).first->second;
    }
    port::Range range{.space = port::Space::kNode};
    range.from = down ? id - kSpan : id;
    range.to = down ? id : id + kSpan;
    range.reverse = down;
    if (ahead_.size() + kBatch > kKept) ahead_.clear();
    for (port::Row& row : view_.scan(range, kBatch)) {
      ahead_.insert_or_assign(row.key.a, to_raw_node(row.key.a, std::move(row.record)));
    }
    const auto it = ahead_.find(id);
    return it == ahead_.end() ? nullptr : sound(it->second);
  }

 private:
  /// Nodes that were read ahead are checked when find() returns them, not before.
  static const NodeRecord* sound(const NodeRecord& node) {
    require_sound(node);
    return &node;
  }

  static constexpr NodeId kMost = std::numeric_limits<NodeId>::max();
  static constexpr NodeId kNear = 128;
  static constexpr NodeId kSpan = 512;
  static constexpr std::size_t kBatch = 64;
  static constexpr std::size_t kKept = 4096;

  port::View& view_;
  NodeId last_ = 0;
  std::unordered_map<NodeId, NodeRecord> ahead_;
};

/// How much of a frontier to fetch at a time: little at first, because the walk may end soon, then
/// more.
class FrontierStep {
 public:
  /// How many to fetch next, if `left` are left.
  std::size_t take(std::size_t left) {
    const std::size_t size = std::min(left, step_);
    step_ = std::min(step_ * 8, NodeReader::kMostAtOnce);
    return size;
  }

 private:
  std::size_t step_ = 256;
};

}  // namespace graven::graph
