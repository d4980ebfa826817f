// SPDX-License-Identifier: MIT
//
// Converts plain Data to stored elements and nodes. check_storable() refuses what cannot be stored
// before anything changes. build() then makes the nodes with the same shape: a container that is
// shared in the data becomes one node, and cycles stay cycles.
//
// Always holds: the anchors of new nodes form a tree under the parent they are built for.
// check_storable() only reads; build() works on the Work it is given. Nothing recurses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <graven/data.hpp>

#include "graph/scope.hpp"

namespace graven::graph {

// Limits, in bytes.
inline constexpr std::size_t kMaxKey = 65'535;
inline constexpr std::size_t kMaxText = 512U << 20U;

/// Throws BadValueError, WrongTypeError or LimitError if any part of the data cannot be stored
/// through this scope. The error names the path to that part, starting at `place`.
void check_storable(const Scope& scope, const Data& data, const std::string& place);
void check_key(std::string_view key);

/// Makes an element of `item`, and nodes for the containers it reaches, linked from `parent`. The
/// data must have passed check_storable(). It may link `parent` itself; `parent` is therefore
/// reloaded and is up to date afterwards.
std::string build(store::Work& work, Session& session, NodeRecord& parent, const Data& data,
                  const Data::Item& item);

/// A sequence of elements in one buffer.
class Elements {
 public:
  /// Ends an element: it consists of the bytes appended to bytes() since the last call.
  void end_one() { ends_.push_back(bytes_.size()); }
  std::string& bytes() noexcept { return bytes_; }

  [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  [[nodiscard]] std::vector<std::string> apart() const {
    std::vector<std::string> all;
    all.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) all.emplace_back((*this)[i]);
    return all;
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

/// build() for every item of a list.
Elements build_items(store::Work& work, Session& session, NodeRecord& parent, const Data& data,
                     const std::vector<Data::Item>& items);

/// Makes a node of the data's root, which must be a container. No parent links it: only this
/// process's handles keep it (an orphan).
NodeId build_unlinked(store::Work& work, Session& session, const Data& data);

}  // namespace graven::graph
