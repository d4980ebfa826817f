// SPDX-License-Identifier: MIT
//
// How a handle was come by: from which node, over which keys and indexes. With that a handle that
// finds its node gone when it is first used, because another process has put another one in its
// place since, finds that one.
//
// Always holds: a way keeps nothing alive. It begins at the root or at a node that the program has
// used through a handle of its own, and has no step but those of handles that were not used yet
// when the next was made of them: those of one expression.
//
// Short ways need no memory of their own. One thread at a time while it is made.
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

/// From a dict by its key, or from a list by an index; the key is not kept.
struct Step {
  std::string_view key{};
  std::int64_t index = 0;
  bool by_key = false;
};

class Way {
 public:
  static constexpr NodeId kRoot = -1;  // whichever node that is when the way is gone

  /// None.
  Way() noexcept {}  // NOLINT(modernize-use-equals-default): leaves near_ as it is
  [[nodiscard]] bool known() const noexcept { return from_ != 0; }
  void begin(NodeId from) noexcept { from_ = from; }
  /// Up to a step from where another one leads. False, and nothing, where that is too far.
  bool begin_behind(const Way& other, const Step& step);
  void go(const Step& step);

  /// Where it leads in this state, if to a dict or list.
  [[nodiscard]] std::optional<Link> follow(store::View& view, NodeId root) const;

 private:
  static constexpr std::size_t kLongest = 256;  // of a way of several steps

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
  std::uint32_t size_ = 0;  // of what is in near_
  // Of each step the size of its key, then that; or kIndex, then the index.
  static constexpr std::uint32_t kIndex = UINT32_MAX;
  std::array<char, 52> near_;
  std::unique_ptr<std::string> far_;
};

}  // namespace graven::graph
