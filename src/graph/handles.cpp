// SPDX-License-Identifier: MIT
//
// Decodes elements, and implements the methods that Dict and List share. See handles.hpp.
#include "graph/handles.hpp"

#include <utility>

#include <graven/repair.hpp>

#include "graph/collector/links.hpp"
#include "graph/collector/reclaim.hpp"
#include "graph/node/materialize.hpp"

namespace graven {

using graph::Pin;

namespace graph {

std::optional<Value> scalar(const jsonb::Element& element) {
  if (element.type == jsonb::Type::kInt) {
    if (const auto number = jsonb::integer(element)) return Value(*number);
  }
  if (element.type == jsonb::Type::kObject && (link_of(element) || blob_of(element))) {
    return std::nullopt;
  }
  return std::visit(
      [](auto&& part) -> std::optional<Value> {
        using T = std::remove_cvref_t<decltype(part)>;
        if constexpr (std::is_same_v<T, Link>) {
          return std::nullopt;
        } else {
          return Value(Value::Variant(std::move(part)));
        }
      },
      read_inline(element));
}

Value Decoder::handle(NodeId id, NodeKind kind) {
  const bool root = id == scope_->session().root();
  auto pin = std::make_shared<Pin>(scope_, id, kind, root);
  if (from_ != nullptr && step_ && !root) pin->come_from(*from_, *step_);
  made_handles_ = made_handles_ || !root;
  if (kind == NodeKind::kDict) return Value(Dict(std::move(pin)));
  return Value(List(std::move(pin)));
}

Value Decoder::value(const jsonb::Element& element, port::View& view) {
  return finish(read(element, view));
}

Value Decoder::inline_value(const jsonb::Element& element) { return finish(read_inline(element)); }

std::optional<Value> Decoder::try_inline(const jsonb::Element& element) {
  if (const std::optional<Link> link = link_of(element)) return handle(link->id, link->kind);
  return scalar(element);
}

Value Decoder::finish(Stored stored) {
  return std::visit(
      [&](auto&& part) -> Value {
        using T = std::remove_cvref_t<decltype(part)>;
        if constexpr (std::is_same_v<T, Link>) {
          return handle(part.id, part.kind);
        } else {
          return Value(Value::Variant(std::move(part)));
        }
      },
      std::move(stored));
}

bool same_prefix(const Scope& left, const Scope& right) {
  const Session& one = left.session();
  const Session& other = right.session();
  return &one.heap() == &other.heap() && one.prefix_id() == other.prefix_id();
}

void require_same_prefix(const Scope& scope, const Pin& handle) {
  if (same_prefix(scope, handle.scope())) return;
  throw BadValueError(
      "this handle belongs to another database or prefix: give a handle of this one");
}

void find_again(const Pin& pin, NodeId lost) {
  Session& session = pin.scope().session();
  if (pin.root()) {
    if (!session.heap().backend().facts().read_only && !session.heap().store().in_transaction()) {
      session.open_prefix();
      if (pin.id() != lost) return;
    }
  } else if (pin.find_again(lost)) {
    return;
  }
  const std::optional<NodeRecord> node = pin.scope().node(lost);
  if (!node || (pin.root() && node->adrift())) throw_collected(uid_of(session, lost, pin.kind()));
  throw;
}

/// Reads the nodes that elements link to, many at once: then each is known.
void read_nodes(store::Work& work, const std::vector<std::string>& elements) {
  constexpr std::size_t kAtOnce = 4'096;
  std::vector<port::Key> keys;
  const auto read = [&] {
    work.load_many(keys, [](std::size_t, port::Record*) {});
    keys.clear();
  };
  for (const std::string& element : elements) {
    if (const std::optional<Link> link = link_of(jsonb::parse(element))) {
      keys.push_back(node_key(link->id));
    }
    if (keys.size() == kAtOnce) read();
  }
  read();
}

std::int64_t clear(store::Work& work, NodeRecord& node) {
  std::int64_t size = 0;
  std::vector<std::string> released;
  drain(work, node, SIZE_MAX, [&](std::string_view element) {
    ++size;
    if (jsonb::parse(element).type == jsonb::Type::kObject) released.emplace_back(element);
  });
  read_nodes(work, released);
  for (const std::string& element : released) release(work, node.id, element);
  return -size;
}

NodeRecord current(const Pin& pin) {
  std::optional<NodeRecord> node = pin.scope().node(pin.id());
  if (!node) throw_collected();
  require_kind(*node, pin.kind());
  return std::move(*node);
}

}  // namespace graph

std::string Node::uid() const {
  pin_->use();  // who knows the uid must keep the same node
  return graph::uid_of(pin_->scope().session(), pin_->id(), pin_->kind());
}

NodeKind Node::kind() const { return pin_->kind(); }

bool operator==(const Node& left, const Node& right) noexcept {
  const Pin* a = left.pin_.get();
  const Pin* b = right.pin_.get();
  if (a == nullptr || b == nullptr) return a == b;  // moved from
  return a->id() == b->id() &&
         a->scope().session().store_constant() == b->scope().session().store_constant();
}

bool Node::exists() const {
  if (pin_->root()) return pin_->scope().node(pin_->id()).has_value();
  try {
    graph::using_pin(*pin_, [&] { (void)graph::current(*pin_); });
    return true;
  } catch (const CollectedError&) {
    return false;
  }
}

std::size_t Node::refcount() const {
  std::size_t count = 0;
  graph::using_pin(*pin_, [&] {
    pin_->scope().read([&](port::View& view) {
      count = graph::parents_of(view, graph::load_node(view, *pin_)).size();
    });
  });
  return count;
}

std::map<std::string, std::int64_t> Node::backrefs() const {
  std::map<std::string, std::int64_t> result;
  graph::using_pin(*pin_, [&] {
    pin_->scope().read([&](port::View& view) {
      result.clear();
      for (const graph::Parent& parent : graph::parents_of(view, graph::load_node(view, *pin_))) {
        const graph::NodeRecord node = graph::load_node(view, parent.id);
        result[graph::uid_of(pin_->scope().session(), parent.id, node.kind())] = parent.links;
      }
    });
  });
  return result;
}

Data Node::materialize() const {
  Data data;
  graph::using_pin(*pin_, [&] {
    (void)graph::current(*pin_);  // also decides whether the node is alive
    pin_->scope().read(
        [&](port::View& view) { data = graph::materialize(view, pin_->id(), pin_->kind()); });
  });
  return data;
}

Data salvage(const Node& node, std::vector<Repaired>& left_out) {
  Data data;
  const graph::Pin& pin = *node.pin();
  graph::using_pin(pin, [&] {
    pin.scope().read([&](port::View& view) {
      left_out.clear();
      const auto tell = [&](graph::NodeId id, NodeKind kind, std::string what) {
        left_out.push_back({graph::uid_of(pin.scope().session(), id, kind), std::move(what), {}});
      };
      data = graph::salvage(view, pin.id(), pin.kind(), tell);
    });
  });
  return data;
}

bool Node::equals(const Node& other) const {
  return *this == other || materialize() == other.materialize();
}

}  // namespace graven
