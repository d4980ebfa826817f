// SPDX-License-Identifier: MIT
//
// What a field or an item can be: a scalar, or a handle on a stored dict or list.
//
// Handles (Node, Dict, List) are small values: copy them freely. A handle keeps its node:
// while one lives in this process, a node unlinked by this process stays readable and can be
// linked again. The last handle gone, an unreachable node is collected within a second. Other
// processes do not know of it: what they unlink is gone, and its handle's next use is a
// CollectedError that names the uid. Only the first use of a handle then takes what has been put in
// the node's place, so that `db["a"]["b"][0]` is the old or the new value and never half a way.
//
// Thread-safety: different handles may be used from different threads at once, also when
// they stand for the same node; one handle object is like a std::shared_ptr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <graven/error.hpp>

namespace graven {

class Data;
class Value;
class Ref;
namespace graph {
class Pin;
class Scope;
class DictCursor;
class ListCursor;
}  // namespace graph

/// Raw bytes; not text.
struct Bytes {
  std::string data;
  friend bool operator==(const Bytes&, const Bytes&) = default;
};

/// An integer outside the range of std::int64_t: lower-case hexadecimal digits without leading
/// zeros, after a '-' when negative. "8000000000000000" is 2^63.
struct BigInt {
  std::string hex;
  friend bool operator==(const BigInt&, const BigInt&) = default;
};

enum class NodeKind : std::uint8_t { kDict, kList };

/// What Dict and List have in common: identity, parents, and the way back to plain data.
class Node {
 public:
  /// "prefix:D<ULID>" or "prefix:L<ULID>": the same in every process, never given out again.
  [[nodiscard]] std::string uid() const;
  [[nodiscard]] NodeKind kind() const noexcept;

  /// The number of distinct parents (a root has none).
  [[nodiscard]] std::size_t refcount() const;
  /// The uid of every parent, and how many times it links here.
  [[nodiscard]] std::map<std::string, std::int64_t> backrefs() const;

  /// Everything reachable from here as plain, detached data, from one consistent state. Shared
  /// parts stay shared, cycles stay cycles; there is no limit of depth.
  [[nodiscard]] Data materialize() const;

  /// A one-line summary that starts with '@' and never expands children.
  [[nodiscard]] std::string repr() const;

  /// Whether the contents are equal, by value and through cycles (== compares identity).
  [[nodiscard]] bool equals(const Node& other) const;

  /// Whether the node is still there: false once collected.
  [[nodiscard]] bool exists() const;

  /// Same node of the same store.
  friend bool operator==(const Node& left, const Node& right) noexcept;

  explicit Node(std::shared_ptr<const graph::Pin> pin) : pin_(std::move(pin)) {}
  [[nodiscard]] const std::shared_ptr<const graph::Pin>& pin() const noexcept { return pin_; }

 protected:
  std::shared_ptr<const graph::Pin> pin_;
};

/// A stored dict: text keys in insertion order. Every mutation is one atomic, durable step.
///
/// Errors of any call: CollectedError when the node is gone, ClosedError after close(),
/// BusyError, UnavailableError; of writes also WrongTypeError and BadValueError, which name the
/// path to the value that cannot be stored, and LimitError.
class Dict : public Node {
 public:
  using Node::Node;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] bool contains(std::string_view key) const;

  /// The value under a key; KeyNotFound when there is none.
  [[nodiscard]] Value at(std::string_view key) const;
  /// The value under a key, or nothing.
  [[nodiscard]] std::optional<Value> get(std::string_view key) const;
  /// get(), if the answer is in memory: false where it takes the store, and so perhaps a wait.
  [[nodiscard]] bool peek(std::string_view key, std::optional<Value>& value) const;

  /// `dict["a"]["b"] = …`: a place to read from or assign to.
  [[nodiscard]] Ref operator[](std::string_view key) const;

  /// Assigns; a new key goes to the end, an old one keeps its place.
  void set(std::string_view key, const Data& value) const;
  /// The value there, or `value` after storing it, in one step.
  Value setdefault(std::string_view key, const Data& value) const;
  /// Sets many keys in one step. `entries` must be a dict.
  void update(const Data& entries) const;

  /// Removes; false when the key is not there.
  bool erase(std::string_view key) const;
  /// Removes and returns; nothing when the key is not there.
  std::optional<Value> pop(std::string_view key) const;
  /// Removes and returns the newest entry; nothing when empty.
  std::optional<std::pair<std::string, Value>> popitem() const;
  void clear() const;

  /// The keys, oldest first, from one consistent state.
  [[nodiscard]] std::vector<std::string> keys() const;

  class Iterator;
  /// Iteration over (key, value), oldest first, of one consistent state: what other threads and
  /// processes change meanwhile is not seen. UsageError when the iterating thread itself changes
  /// the size. A dict or list among the values that somebody has unlinked since is CollectedError
  /// when it is used; of a Snapshot's dict never.
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
  /// The same as an object that is asked step by step (newest first with `reverse`).
  [[nodiscard]] std::shared_ptr<graph::DictCursor> cursor(bool reverse = false) const;
};

/// A stored list. Indexes count from 0; where `std::int64_t`, negative ones count from the end.
/// Reading and writing at any place of a long list costs a few small records.
class List : public Node {
 public:
  using Node::Node;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// IndexOutOfRange when there is no such item.
  [[nodiscard]] Value at(std::int64_t index) const;
  /// The value there, if it is and the answer is in memory; else nothing, and at() says why.
  [[nodiscard]] std::optional<Value> peek(std::int64_t index) const;
  [[nodiscard]] Ref operator[](std::int64_t index) const;
  /// Items [start, start + count), cut at the end, of one consistent state.
  [[nodiscard]] std::vector<Value> slice(std::size_t start, std::size_t count) const;

  void set(std::int64_t index, const Data& value) const;
  void push_back(const Data& value) const;
  /// Appends every item of `items`, which must be a list.
  void extend(const Data& items) const;
  /// Inserts before `index`; past either end means at that end, as in Python.
  void insert(std::int64_t index, const Data& value) const;
  void erase(std::int64_t index) const;
  /// Removes and returns; IndexOutOfRange when there is no such item.
  Value pop(std::int64_t index = -1) const;
  void clear() const;
  void reverse() const;

  /// Replaces items [start, start + count) with the items of `items`, a list, in one step.
  void splice(std::size_t start, std::size_t count, const Data& items) const;
  /// The list made anew of its own items: the i-th becomes what was at order[i]. Items may be
  /// left out or repeated. IndexOutOfRange when an index is not there.
  void rearrange(const std::vector<std::size_t>& order) const;
  /// Assigns to several places in one step: places[i] gets the i-th item of `items`, a list.
  void set_many(const std::vector<std::size_t>& places, const Data& items) const;

  class Iterator;
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
  /// Items from first to last, of one consistent state, but for what the iterating thread itself
  /// changes meanwhile, which is seen, as of Python's lists.
  [[nodiscard]] std::shared_ptr<graph::ListCursor> cursor(bool reverse = false) const;
};

/// A scalar, or a handle on a dict or list.
class Value {
 public:
  using Variant = std::variant<std::nullptr_t, bool, std::int64_t, BigInt, double, std::string,
                               Bytes, Dict, List>;

  Value() : variant_(nullptr) {}
  Value(Variant variant) : variant_(std::move(variant)) {}

  [[nodiscard]] bool is_null() const noexcept {
    return std::holds_alternative<std::nullptr_t>(variant_);
  }
  template <class T>
  [[nodiscard]] bool is() const noexcept {
    return std::holds_alternative<T>(variant_);
  }

  /// The value as T: bool, any integer type (LimitError when it does not fit), double (integers
  /// too), std::string, Bytes, BigInt, Dict or List. WrongTypeError otherwise.
  template <class T>
  [[nodiscard]] T get() const;

  [[nodiscard]] Dict as_dict() const { return get<Dict>(); }
  [[nodiscard]] List as_list() const { return get<List>(); }

  /// A step down, when this is a dict or a list.
  [[nodiscard]] Ref operator[](std::string_view key) const;
  [[nodiscard]] Ref operator[](std::int64_t index) const;

  /// The name of the type as in messages: "null", "bool", "int", "float", "str", "bytes" …
  [[nodiscard]] std::string_view type_name() const noexcept;

  [[nodiscard]] const Variant& variant() const& noexcept { return variant_; }
  [[nodiscard]] Variant&& variant() && noexcept { return std::move(variant_); }

  /// Scalars by value (1 == 1.0, as in Python), handles by identity.
  friend bool operator==(const Value& left, const Value& right) noexcept;

 private:
  Variant variant_;
};

}  // namespace graven

#include <graven/detail/value.ipp>
