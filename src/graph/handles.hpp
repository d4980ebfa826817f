// SPDX-License-Identifier: MIT
//
// Decodes stored elements to values with handles, and runs every operation of Dict and List:
// checks the scope, reads or writes, reads again if a collection committed meanwhile, looks up
// the node of an unused handle again if that node is gone, and creates a new root if the prefix
// was deleted.
//
// Used by dict.cpp, list.cpp, database.cpp and similar files. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <type_traits>

#include "graph/scope.hpp"
#include "graph/value/stored.hpp"

namespace graven::graph {

/// The value of an element that contains its whole value; nothing for a link or a blob.
std::optional<Value> scalar(const jsonb::Element& element);

/// Decodes elements to values. Pins the nodes of the handles it makes.
class Decoder {
 public:
  /// Decodes in the pin's scope. The pin must outlive this.
  explicit Decoder(const Pin& from)
      : scope_(from.shared_scope()), from_(scope_->moving() ? &from : nullptr) {}
  explicit Decoder(const std::shared_ptr<Scope>& scope) : scope_(scope) {}

  /// Elements decoded after this call were found at this key or index of the pin's node.
  void at(std::string_view key) { step_ = {.key = key, .by_key = true}; }
  void at(std::int64_t index) { step_ = {.index = index}; }

  Value value(const jsonb::Element& element, port::View& view);
  Value value(std::string_view element, port::View& view) {
    return value(jsonb::parse(element), view);
  }
  /// `element` must not be a blob.
  Value inline_value(const jsonb::Element& element);
  /// Nothing for a blob.
  std::optional<Value> try_inline(const jsonb::Element& element);
  Value handle(NodeId id, NodeKind kind);

  /// Whether a handle was made; then reading() must check that no collection came between.
  [[nodiscard]] bool made_handles() const noexcept { return made_handles_; }

 private:
  Value finish(Stored stored);

  const std::shared_ptr<Scope>& scope_;
  const Pin* from_ = nullptr;  // set if new handles must remember their path (Way) from this pin
  std::optional<Step> step_;
  bool made_handles_ = false;
};

/// Whether two scopes belong to the same prefix of the same store, opened once in this process.
bool same_prefix(const Scope& left, const Scope& right);
/// Checks a handle that is to be stored through a scope: BadValueError if it belongs to another
/// prefix or store.
void require_same_prefix(const Scope& scope, const Pin& handle);

/// Call this in a handler of CollectedError, when the pin's node `lost` is gone. Returns if the pin
/// refers to another node now: one found again by the pin's path, or a new root after the prefix
/// was deleted. Otherwise throws the CollectedError, with the uid.
void find_again(const Pin& pin, NodeId lost);

/// Runs `body`, which uses a pin; runs it again if the pin's node had to be found again.
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

/// Reads with `body(Decoder&)`. Reads again if handles were made and this process committed a
/// collection between the read and the pinning.
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

/// Reads the node's newest record in memory with `body(Decoder&, Layout, body)`. Never waits.
/// False if the record is not in memory, if `body` returns false, or if a collection came between.
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

/// The same, but `body` returns by how much the container's size changes, and this thread's
/// iterations are informed. `body` itself cannot do that: it may run on another writer's thread.
template <class F>
void resizing(const Pin& pin, F&& body) {
  std::int64_t by = 0;
  writing(pin, [&](store::Work& work, NodeRecord& node) { by = body(work, node); });
  pin.scope().iterations.changed(pin.id(), by);
}

/// Removes all entries of a container; returns the change of its size (zero or negative).
std::int64_t clear(store::Work& work, NodeRecord& node);

/// The node's current record; CollectedError if the node is gone.
NodeRecord current(const Pin& pin);
/// The same in a view.
inline NodeRecord load_node(port::View& view, const Pin& pin) {
  return load_node(view, pin.id(), pin.kind());
}

}  // namespace graven::graph
