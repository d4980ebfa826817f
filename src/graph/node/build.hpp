// SPDX-License-Identifier: MIT
//
// Building: plain Data into stored elements and nodes. check() refuses what cannot be stored
// before anything is touched; build() then makes the nodes, with the same shape: what is
// shared in the data is one node, cycles stay cycles.
//
// Always holds: the anchors of new nodes form a tree under the parent they are built for.
// check() is a pure function; build() works on the Work it is given. Nothing recurses.
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

/// Throws BadValueError, WrongTypeError or LimitError, naming the path from `place`, if any part
/// of the data cannot be stored through this scope.
void check_storable(const Scope& scope, const Data& data, const std::string& place);
void check_key(std::string_view key);

/// Makes an element of `item`, with nodes for the containers it reaches, linked from `parent`,
/// which is the newest again afterwards: it may be linked itself. The data has passed
/// check_storable().
std::string build(store::Work& work, Session& session, NodeRecord& parent, const Data& data,
                  const Data::Item& item);

/// Elements, one behind the other.
class Elements {
 public:
  /// What was appended to bytes() since the last one is one.
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

/// The same for every item of a list.
Elements build_items(store::Work& work, Session& session, NodeRecord& parent, const Data& data,
                     const std::vector<Data::Item>& items);

/// Makes a node of the data's root, a container, that only this process's handles hold.
NodeId build_unlinked(store::Work& work, Session& session, const Data& data);

}  // namespace graven::graph
