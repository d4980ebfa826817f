// SPDX-License-Identifier: MIT
//
// The path by which a handle was found: the node it started from, and the keys and indexes it
// followed. Another process may replace a handle's node before the first use of the handle. Then
// the handle follows its path again and finds the new node.
//
// Always holds: a path (Way) keeps no node alive. It begins at the root or at a node that the
// program has used through a handle. Its steps come only from handles that were not used before
// the next handle was made from them; that is, from the handles of one expression.
//
// Short paths are stored inline. One thread at a time while the path is built.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "graph/value/stored.hpp"
#include "port/backend.hpp"

namespace graven::graph {

/// One step: a key of a dict or an index of a list. The key is not copied.
struct Step {
  std::string_view key{};
  std::int64_t index = 0;
  bool by_key = false;
};

class Way {
 public:
  static constexpr NodeId kRoot = -1;  // the node that is the root when the path is followed

  /// An unknown path.
  Way() noexcept {}  // NOLINT(modernize-use-equals-default): leaves near_ as it is
  [[nodiscard]] bool known() const noexcept { return from_ != 0; }
  void begin(NodeId from) noexcept { from_ = from; }
  /// Begins with a copy of the path `other`. False, with the path left unknown, if `other` and
  /// `step` together are too long. Does not add `step`: go() does.
  bool begin_behind(const Way& other, const Step& step);
  void go(const Step& step);

  /// The dict or list that the path leads to in this state, if any.
  [[nodiscard]] std::optional<Link> follow(port::View& view, NodeId root) const;

 private:
  static constexpr std::size_t kLongest = 256;  // bytes of a path with several steps

  [[nodiscard]] std::string_view steps() const noexcept {
    return far_ ? std::string_view(*far_) : std::string_view(near_.data(), size_);
  }
  void append(const void* bytes, std::size_t count) {
    if (!far_ && size_ + count <= near_.size()) {
      std::memcpy(near_.data() + size_, bytes, count);
      size_ += static_cast<std::uint32_t>(count);
      return;
    }
    if (!far_) far_ = std::make_unique<std::string>(near_.data(), size_);
    far_->append(static_cast<const char*>(bytes), count);
  }

  NodeId from_ = 0;
  std::uint32_t size_ = 0;  // bytes used in near_
  // For each step: the size of its key, then the key; or kIndex, then the index.
  static constexpr std::uint32_t kIndex = UINT32_MAX;
  std::array<char, 52> near_;
  std::unique_ptr<std::string> far_;
};

}  // namespace graven::graph
