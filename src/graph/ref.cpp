// SPDX-License-Identifier: MIT
//
// Ref: a path to a place, and the operations on that place. If the cache has the whole path in one
// state, a read follows it there and makes no handles for the nodes on the path. Otherwise it goes
// step by step. Any thread.
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <graven/data.hpp>
#include <graven/error.hpp>
#include <graven/path.hpp>

#include "base/hash.hpp"
#include "base/of_thread.hpp"
#include "graph/entry_points.hpp"
#include "graph/handles.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"

namespace graven {

using graph::Layout;
using graph::Link;
using graph::NodeId;
using graph::Pin;
using graph::Scope;

/// Iterates over the steps of a path.
class Ref::Steps {
 public:
  explicit Steps(std::string_view steps) : rest_(steps) { next(); }

  /// Whether the current step is the last one.
  [[nodiscard]] bool last() const noexcept { return rest_.empty(); }
  /// Where the current step begins in the path's bytes.
  [[nodiscard]] const char* begin() const noexcept { return begin_; }
  [[nodiscard]] const std::string_view* key() const noexcept { return is_key_ ? &key_ : nullptr; }
  [[nodiscard]] std::int64_t index() const noexcept { return index_; }

  void next() {
    if (rest_.empty()) detail::throw_moved_from();
    begin_ = rest_.data();
    const auto first = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    is_key_ = first != kIndex;
    std::uint64_t number = first;
    if (first >= kLongKey) {
      std::memcpy(&number, rest_.data(), sizeof number);
      rest_.remove_prefix(sizeof number);
    }
    index_ = static_cast<std::int64_t>(number);
    if (!is_key_) return;
    key_ = rest_.substr(0, number);
    rest_.remove_prefix(number);
  }

  /// The value that the current step leads to from a dict or list.
  [[nodiscard]] Value from(const Value& container) const {
    return is_key_ ? container.as_dict().at(key_) : container.as_list().at(index_);
  }

 private:
  const char* begin_ = nullptr;
  std::string_view rest_;
  std::string_view key_;
  std::int64_t index_ = 0;
  bool is_key_ = false;
};

namespace {

/// Remembers where a path led in one state of a store, because programs often read the same place
/// repeatedly.
struct Memo {
  std::uint64_t cache = 0;  // number of the cache; `sequence`: the state it had then
  std::uint64_t sequence = 0;
  NodeId from = 0;
  std::string way{};
  NodeId to = 0;
};

Memo& memo_of(std::string_view way) noexcept {
  auto& memos = base::of_thread<std::array<Memo, 16>>();
  return memos[base::hash(way, 0) % memos.size()];
}

/// Follows `step` and all steps after it from a node. Returns the scalar there, if `glance` has
/// every record on the path.
template <class Steps>
std::optional<Value> look(cache::Glance& glance, std::uint64_t cache, NodeId from, Steps step) {
  NodeId at = from;
  Memo* memo = nullptr;
  if (!step.last()) {
    Steps last = step;
    while (!last.last()) last.next();
    const std::string_view way(step.begin(), static_cast<std::size_t>(last.begin() - step.begin()));
    memo = &memo_of(way);
    if (memo->cache == cache && memo->sequence == glance.sequence() && memo->from == from &&
        memo->way == way) {
      at = memo->to;
      step = last;
    } else {
      *memo = {.from = from, .way = std::string(way)};  // has no state until the path was followed
    }
  }
  for (;; step.next()) {
    std::optional<Link> link;
    std::optional<Value> value;
    const auto take = [&](const jsonb::Element& element) {
      if (step.last()) {
        value = graph::scalar(element);
      } else {
        link = graph::link_of(element);
      }
    };
    bool large = false;
    const bool known = glance.show(graph::node_key(at), [&](const cache::RecordView& node) {
      const Layout layout = graph::layout_of(node);
      large = layout == Layout::kLargeDict;
      if (layout == Layout::kDict && step.key() != nullptr) {
        if (const auto found = jsonb::find(jsonb::parse(node.body), *step.key())) take(*found);
      } else if (layout == Layout::kList && step.key() == nullptr) {
        const jsonb::Element items = jsonb::parse(node.body);
        const auto place = graph::list_content::place_of(step.index(), jsonb::count(items));
        if (place) take(jsonb::nth(items, *place));
      }
    });
    if (!known) return std::nullopt;
    if (large && step.key() != nullptr) graph::dict_content::look(glance, at, *step.key(), take);
    if (step.last()) {
      if (!value || !glance.holds()) return std::nullopt;
      if (memo != nullptr && memo->cache == 0) {
        memo->to = at;
        memo->sequence = glance.sequence();
        memo->cache = cache;
      }
      return value;
    }
    if (!link) return std::nullopt;
    at = link->id;
  }
}

}  // namespace

/// The scalar at this place, if it can be found in memory.
std::optional<Value> Ref::glance() const {
  const auto* pin = std::get_if<FromNode>(&from_);
  Scope& scope = pin != nullptr ? (*pin)->scope() : *std::get<FromRoot>(from_);
  cache::Cache* cache = scope.cache();
  if (cache == nullptr) return std::nullopt;
  const NodeId from = pin != nullptr ? (*pin)->id() : scope.session().root();
  for (int tries = 0; tries < cache::kTriesInMemory; ++tries) {
    cache::Glance glance(*cache);
    if (std::optional<Value> seen = look(glance, cache->number(), from, Steps(steps_))) return seen;
    if (!glance.undone()) break;
  }
  return std::nullopt;
}

/// The dict or list on which the last step is done; `steps` is then at that step. WrongTypeError if
/// it is neither.
Value Ref::container(Steps& steps) const {
  const auto* pin = std::get_if<FromNode>(&from_);
  Value at = pin == nullptr                      ? Value(graph::root_of(std::get<FromRoot>(from_)))
             : (*pin)->kind() == NodeKind::kDict ? Value(Dict(*pin))
                                                 : Value(List(*pin));
  for (;; steps.next()) {
    const bool dict = steps.key() != nullptr;
    if (!(dict ? at.is<Dict>() : at.is<List>())) {
      Ref here = *this;
      here.steps_.resize(static_cast<std::size_t>(steps.begin() - steps_.data()));
      detail::refuse(at, dict ? detail::wanted<Dict>() : detail::wanted<List>(), &here);
    }
    if (steps.last()) return at;
    at = steps.from(at);
  }
}

std::string Ref::path() const {
  Path path;
  if (!steps_.empty()) {
    for (Steps steps(steps_);; steps.next()) {
      path.push_back(steps.key() != nullptr ? std::string(*steps.key())
                                            : std::to_string(steps.index()));
      if (steps.last()) break;
    }
  }
  return format_path(path);
}

Value Ref::value() const {
  if (std::optional<Value> seen = glance()) return *std::move(seen);
  Steps steps(steps_);
  return steps.from(container(steps));
}

const Ref& Ref::operator=(const Data& value) const {
  Steps steps(steps_);
  const Value here = container(steps);
  if (steps.key() != nullptr) {
    here.as_dict().set(*steps.key(), value);
  } else {
    here.as_list().set(steps.index(), value);
  }
  return *this;
}

const Ref& Ref::operator=(const Ref& other) const&& { return *this = Data(other.value()); }

Data Ref::materialize() const {
  const Value here = value();
  if (here.is<Dict>()) return here.as_dict().materialize();
  if (here.is<List>()) return here.as_list().materialize();
  return Data(here);
}

bool Ref::exists() const {
  Steps steps(steps_);
  try {
    const Value here = container(steps);
    if (steps.key() != nullptr) return here.as_dict().contains(*steps.key());
    const auto size = static_cast<std::int64_t>(here.as_list().size());
    return steps.index() >= -size && steps.index() < size;
  } catch (const KeyNotFound&) {
    return false;
  } catch (const IndexOutOfRange&) {
    return false;
  }
}

bool Ref::erase() const {
  if (!exists()) return false;
  Steps steps(steps_);
  const Value here = container(steps);
  if (steps.key() != nullptr) return here.as_dict().erase(*steps.key());
  here.as_list().erase(steps.index());
  return true;
}

}  // namespace graven
