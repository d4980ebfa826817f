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
// A handle that was moved from can be assigned to and destroyed; any other use is a UsageError.
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

#include <graven/argument.hpp>
#include <graven/detail/held.ipp>
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
  [[nodiscard]] NodeKind kind() const;

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
  [[nodiscard]] const std::shared_ptr<const graph::Pin>& pin() const& { return pin_; }
  [[nodiscard]] std::shared_ptr<const graph::Pin> pin() && { return pin_.shared(); }

 protected:
  detail::Held<const graph::Pin> pin_;
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
  [[nodiscard]] bool contains(Text key) const;

  /// The value under a key; KeyNotFound when there is none.
  [[nodiscard]] Value at(Text key) const;
  /// The value under a key, or nothing.
  [[nodiscard]] std::optional<Value> get(Text key) const;
  /// get(), if the answer is in memory: false where it takes the store, and so perhaps a wait.
  [[nodiscard]] bool peek(Text key, std::optional<Value>& value) const;

  /// `dict["a"]["b"] = …`: a place to read from or assign to.
  [[nodiscard]] Ref operator[](Text key) const;

  /// Assigns; a new key goes to the end, an old one keeps its place.
  void set(Text key, const Data& value) const;
  /// The value there, or `value` after storing it, in one step.
  Value setdefault(Text key, const Data& value) const;
  /// Sets many keys in one step. `entries` must be a dict.
  void update(const Data& entries) const;

  /// Removes; false when the key is not there.
  bool erase(Text key) const;
  /// Removes and returns; nothing when the key is not there.
  std::optional<Value> pop(Text key) const;
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

/// A stored list. A ListIndex counts from 0, and from the end where it is negative.
/// Reading and writing at any place of a long list costs a few small records.
class List : public Node {
 public:
  using Node::Node;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// IndexOutOfRange when there is no such item.
  [[nodiscard]] Value at(ListIndex index) const;
  /// The value there, if it is and the answer is in memory; else nothing, and at() says why.
  [[nodiscard]] std::optional<Value> peek(ListIndex index) const;
  [[nodiscard]] Ref operator[](ListIndex index) const;
  /// `count` items from `start` on, cut at the end, of one consistent state; past either end means
  /// at that end.
  [[nodiscard]] std::vector<Value> slice(ListIndex start, Count count) const;

  void set(ListIndex index, const Data& value) const;
  void push_back(const Data& value) const;
  /// Appends every item of `items`, which must be a list.
  void extend(const Data& items) const;
  /// Inserts before `index`; past either end means at that end, as in Python.
  void insert(ListIndex index, const Data& value) const;
  void erase(ListIndex index) const;
  /// Removes and returns; IndexOutOfRange when there is no such item.
  Value pop(ListIndex index = -1) const;
  void clear() const;
  void reverse() const;

  /// Replaces what slice() gives with the items of `items`, a list, in one step.
  void splice(ListIndex start, Count count, const Data& items) const;
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

namespace detail {

/// What is stored as a bool, an integer or a float. Not long double, which has more digits than are
/// stored.
template <class T>
concept Number = Integer<T> || OneOf<T, bool, float, double>;

/// What is stored as it is, and all that Value::get() gives.
template <class T>
concept Scalar = Number<T> || OneOf<T, std::nullptr_t, std::string, Bytes, BigInt, Dict, List>;

BigInt big(std::uint64_t value);

/// A number as one of the alternatives of a variant like Value::Variant.
template <class Variant, Number T>
Variant from_number(T value) {
  if constexpr (std::same_as<T, bool>) {
    return value;
  } else if constexpr (std::floating_point<T>) {
    return double{value};
  } else {
    if (std::in_range<std::int64_t>(value)) return static_cast<std::int64_t>(value);
    return big(static_cast<std::uint64_t>(value));
  }
}

/// The alternatives of a Value.
using ScalarVariant = std::variant<std::nullptr_t, bool, std::int64_t, BigInt, double, std::string,
                                   Bytes, Dict, List>;

/// What is neither converted to a Value nor one.
template <class T>
concept NoValue = !Scalar<T> && !TextClass<T> && !CText<T> && !OneOf<T, Value, Ref, ScalarVariant>;

}  // namespace detail

/// Pointers, enumerations, characters, wide texts, long double, functions and the like: none of
/// them says what is to be stored. Convert to what is meant.
template <class T>
concept GravenCannotKeep = detail::NoValue<T>;

/// A scalar, or a handle on a dict or list.
class Value {
 public:
  using Variant = detail::ScalarVariant;

  Value() : variant_(nullptr) {}
  Value(std::nullptr_t) : variant_(nullptr) {}
  template <detail::Number T>
  Value(T value) : variant_(detail::from_number<Variant>(value)) {}
  Value(const char* value) : Value(Text(value)) {}
  template <detail::TextClass T>
  Value(const T& value) : variant_(std::string(std::string_view(value))) {}
  Value(std::string value) : variant_(std::move(value)) {}
  Value(Bytes value) : variant_(std::move(value)) {}
  Value(BigInt value) : variant_(std::move(value)) {}
  Value(Dict value) : variant_(std::move(value)) {}
  Value(List value) : variant_(std::move(value)) {}
  Value(Variant variant) : variant_(std::move(variant)) {}
  template <class T>
  Value(const T&) requires GravenCannotKeep<T>
  = delete;

  [[nodiscard]] bool is_null() const noexcept {
    return std::holds_alternative<std::nullptr_t>(variant_);
  }
  /// Whether it is one of the types of Variant.
  template <class T>
  [[nodiscard]] bool is() const noexcept;

  /// The value as T: bool, an integer of up to 64 bits or a float (LimitError when it does not
  /// fit), double (integers too, rounded), std::string, Bytes, BigInt, Dict or List. WrongTypeError
  /// otherwise.
  template <class T>
  [[nodiscard]] T get() const;

  [[nodiscard]] Dict as_dict() const;
  [[nodiscard]] List as_list() const;

  /// A step down, when this is a dict or a list.
  [[nodiscard]] Ref operator[](Text key) const;
  template <detail::Integer T>
  [[nodiscard]] Ref operator[](T index) const;

  /// The name of the type as in messages: "null", "bool", "int", "float", "str", "bytes" …
  [[nodiscard]] std::string_view type_name() const noexcept;

  [[nodiscard]] const Variant& variant() const& noexcept { return variant_; }
  [[nodiscard]] Variant variant() && noexcept { return std::move(variant_); }

  /// Scalars by value (1 == 1.0, as in Python), handles by identity.
  friend bool operator==(const Value& left, const Value& right) noexcept;

 private:
  Variant variant_;
};

}  // namespace graven

#include <graven/detail/value.ipp>
