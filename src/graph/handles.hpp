// SPDX-License-Identifier: MIT
//
// From stored elements to values with handles, and the frame every operation of Dict and List
// runs in: check the scope, read or write, look again when a collection came between, find a
// handle's node again on its first use, open the root anew when its prefix was deleted.
//
// Used by dict.cpp, list.cpp, database.cpp and their like; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "graph/scope.hpp"
#include "graph/value/stored.hpp"

namespace graven::graph {

/// The value of an element that says everything itself; nothing for a link or a blob.
std::optional<Value> scalar(const jsonb::Element& element);

/// Makes values of elements; handles among them are pinned in the scope.
class Decoder {
 public:
  /// For the scope of a pin, which outlives this.
  explicit Decoder(const Pin& from)
      : scope_(from.shared_scope()), from_(scope_->moving() ? &from : nullptr) {}
  explicit Decoder(const std::shared_ptr<Scope>& scope) : scope_(scope) {}

  /// What is decoded from here on was found there, a step from the pin's node.
  void at(std::string_view key) { step_ = {.key = key, .by_key = true}; }
  void at(std::int64_t index) { step_ = {.index = index}; }

  Value value(const jsonb::Element& element, store::View& view);
  Value value(std::string_view element, store::View& view) {
    return value(jsonb::parse(element), view);
  }
  /// An element that is no blob.
  Value inline_value(const jsonb::Element& element);
  /// Nothing for a blob.
  std::optional<Value> try_inline(const jsonb::Element& element);
  Value handle(NodeId id, NodeKind kind);

  /// Whether a handle was made, and so the reading must be proven (see reading()).
  [[nodiscard]] bool made_handles() const noexcept { return made_handles_; }

 private:
  Value finish(Stored stored);

  const std::shared_ptr<Scope>& scope_;
  const Pin* from_ = nullptr;  // where handles keep the way they were found by
  std::optional<Step> step_;
  bool made_handles_ = false;
};

/// Whether what two scopes show is of one prefix of one store, as it was opened in this process.
bool same_prefix(const Scope& left, const Scope& right);
/// For a handle given to what a scope is of: BadValueError where it is of another prefix or store.
void require_same_prefix(const Scope& scope, const Pin& handle);

/// For a use that found `lost`, which the pin stood for, gone: returns if it stands for another
/// node now, because it is found again or, a root that was deleted with its prefix, made anew. To
/// be called in a handler of the CollectedError; throws it, with the uid, where that is not so.
void find_again(const Pin& pin, NodeId lost);

/// Runs a use of a pin, again where its node had to be found again.
template <class F>
auto using_pin(const Pin& pin, F&& body) {
  for (;;) {
    const NodeId id = pin.id();
    try {
      if constexpr (std::is_void_v<decltype(body())>) {
        body();
        return pin.use();
      } else {
        auto result = body();
        pin.use();
        return result;
      }
    } catch (const CollectedError&) {
      find_again(pin, id);
    }
  }
}

/// Reads through `body(Decoder&)`; again when handles were made and a collection of this process
/// committed between the reading and the pinning.
template <class F>
auto reading(const Pin& pin, F&& body) {
  Scope& scope = pin.scope();
  return using_pin(pin, [&] {
    for (;;) {
      const std::uint64_t before = scope.collections();
      Decoder decoder(pin);
      auto result = body(decoder);
      if (!decoder.made_handles()) return result;
      if (before % 2 == 0 && scope.collections() == before) return result;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  });
}

/// Looks at the node's newest record in memory through `body(Decoder&, Layout, body)`. False,
/// without having waited, where that cannot be had, `body` says so, or a collection came between.
template <class F>
bool peeking(const Pin& pin, F&& body) {
  Scope& scope = pin.scope();
  const std::uint64_t before = scope.collections();
  if (before % 2 != 0) return false;
  Decoder decoder(pin);
  bool told = false;
  const bool seen = scope.peek(pin.id(), [&](Layout layout, std::string_view record) {
    told = body(decoder, layout, record);
  });
  if (!seen || !told || (decoder.made_handles() && scope.collections() != before)) return false;
  pin.use();
  return true;
}

/// One atomic mutation of the pinned node: `body(Work&, NodeRecord&)`.
template <class F>
void writing(const Pin& pin, F&& body) {
  using_pin(pin, [&] {
    pin.scope().write([&](store::Work& work) {
      const NodeId id = pin.id();
      if (!pin.root()) pin.scope().session().heap().collect_if_doomed(work, id);
      NodeRecord node = load_node(work, id, pin.kind());
      if (pin.root() && node.adrift()) throw_collected();  // its prefix is being deleted
      body(work, node);
    });
  });
}

/// The same, where `body` returns by how much the container's size changes: iterations of this
/// thread are told. Not by `body` itself, which may run on another writer's thread.
template <class F>
void resizing(const Pin& pin, F&& body) {
  std::int64_t by = 0;
  writing(pin, [&](store::Work& work, NodeRecord& node) { by = body(work, node); });
  pin.scope().iterations.changed(pin.id(), by);
}

/// Takes everything out of a container; returns by how much it grows.
std::int64_t clear(store::Work& work, NodeRecord& node);

/// The node as it is now; CollectedError when it is gone.
NodeRecord current(const Pin& pin);
/// The same in a view.
inline NodeRecord load_node(store::View& view, const Pin& pin) {
  return load_node(view, pin.id(), pin.kind());
}

}  // namespace graven::graph
