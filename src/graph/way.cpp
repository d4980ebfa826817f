// SPDX-License-Identifier: MIT
//
// Follows a path (Way) again, and moves a handle to the node found there. See way.hpp and
// scope.hpp.
#include "graph/way.hpp"

#include <chrono>
#include <thread>

#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "graph/scope.hpp"

namespace graven::graph {

bool Way::begin_behind(const Way& other, const Step& step) {
  const std::string_view steps = other.steps();
  if (!other.known() || steps.size() + step.key.size() > kLongest) return false;
  from_ = other.from_;
  append(steps.data(), steps.size());
  return true;
}

void Way::go(const Step& step) {
  const std::uint32_t size = step.by_key ? static_cast<std::uint32_t>(step.key.size()) : kIndex;
  const void* what = step.by_key ? static_cast<const void*>(step.key.data()) : &step.index;
  const std::size_t bytes = step.by_key ? step.key.size() : sizeof step.index;
  if (!far_ && size_ + sizeof size + bytes <= near_.size()) [[likely]] {
    char* end = near_.data() + size_;
    std::memcpy(end, &size, sizeof size);
    if (bytes != 0) std::memcpy(end + sizeof size, what, bytes);
    size_ += static_cast<std::uint32_t>(sizeof size + bytes);
    return;
  }
  append(&size, sizeof size);
  append(what, bytes);
}

std::optional<Link> Way::follow(port::View& view, NodeId root) const {
  Link at{.id = from_ == kRoot ? root : from_, .kind = NodeKind::kDict};
  for (std::string_view rest = steps(); !rest.empty();) {
    std::uint32_t size = 0;
    std::memcpy(&size, rest.data(), sizeof size);
    rest.remove_prefix(sizeof size);
    const std::optional<NodeRecord> node = find_node(view, at.id);
    if (!node || (node->kind() == NodeKind::kDict) != (size != kIndex)) return std::nullopt;
    std::optional<std::string> element;
    if (size != kIndex) {
      element = dict_content::find(view, *node, rest.substr(0, size));
      rest.remove_prefix(size);
    } else {
      std::int64_t index = 0;
      std::memcpy(&index, rest.data(), sizeof index);
      rest.remove_prefix(sizeof index);
      const auto place = list_content::place_of(index, list_content::size(*node));
      if (!place) return std::nullopt;
      element = list_content::items(view, *node, *place, 1).at(0);
    }
    const std::optional<Link> link = element ? link_of(jsonb::parse(*element)) : std::nullopt;
    if (!link) return std::nullopt;
    at = *link;
  }
  return at;
}

// --- Pins

void Pin::come_from(const Pin& parent, const Step& step) {
  if (parent.root()) {
    way_.begin(Way::kRoot);
  } else if (parent.used() || !way_.begin_behind(parent.way_, step)) {
    way_.begin(parent.id());
  }
  way_.go(step);
}

bool Pin::find_again(NodeId lost) const {
  if (id() != lost) return true;  // another thread has found it again
  if (used() || !way_.known()) return false;
  for (;; std::this_thread::sleep_for(std::chrono::microseconds(20))) {
    const std::uint64_t before = scope_->collections();
    if (before % 2 != 0) continue;
    std::optional<Link> link;
    scope_->read([&](port::View& view) { link = way_.follow(view, scope_->session().root()); });
    if (!move_to(link, lost)) return false;
    // As in reading(): the node may have been collected before it was pinned.
    if (scope_->collections() == before) return true;
  }
}

bool Pin::find_again(NodeId lost, store::Work& work) const {
  if (used() || !way_.known()) return false;
  return move_to(way_.follow(work, scope_->session().root()), lost);
}

bool Pin::move_to(const std::optional<Link>& link, NodeId lost) const {
  if (!link || link->kind != kind_ || link->id == lost) return false;
  Pins::Count* count = &scope_->session().pins().pin(link->id);
  while (moving_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  id_.store(link->id, std::memory_order_release);
  std::swap(count_, count);
  moving_.store(false, std::memory_order_release);
  Pins::unpin(*count);
  return true;
}

}  // namespace graven::graph
