// SPDX-License-Identifier: MIT
//
// The values of fields and items: a scalar, or a handle on a stored dict or list.
//
// Handles (Node, Dict, List) are small values that can be copied freely. While a process has a
// handle on a node, a node that this process unlinks stays readable and can be linked again. After
// the last handle has ended, an unreachable node is collected within a second. Other processes do
// not know of handles: a node that they unlink is collected, and the next use of its handle throws
// CollectedError, which names the uid. The first use of a handle is different: if the node is gone,
// the handle follows its path again and takes the node that is there now. So `db["a"]["b"][0]` is
// the old or the new value, never an error between them.
//
// A handle that was moved from can be assigned to and destroyed; any other use is a UsageError.
//
// Thread-safety: different handle objects may be used from different threads at once, also if they
// stand for the same node; one handle object is like a std::shared_ptr.
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

class Condition;
class Data;
class Query;
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

/// What Dict and List have in common: identity, parents, and conversion to plain data.
class Node {
 public:
  /// "prefix:D<ULID>" or "prefix:L<ULID>": the same in every process, and never used again.
  [[nodiscard]] std::string uid() const;
  [[nodiscard]] NodeKind kind() const;

  /// The number of different parents (a root has none).
  [[nodiscard]] std::size_t refcount() const;
  /// The uid of every parent, and how many times it links to this node.
  [[nodiscard]] std::map<std::string, std::int64_t> backrefs() const;

  /// A copy of everything reachable from this node as plain data, from one state. Shared parts stay
  /// shared and cycles stay cycles; the depth is not limited.
  [[nodiscard]] Data materialize() const;

  /// A summary in one line that starts with '@' and does not show the contents of children.
  [[nodiscard]] std::string repr() const;

  /// Whether the contents are equal, by value and through cycles (== compares identity).
  [[nodiscard]] bool equals(const Node& other) const;

  /// Whether the node still exists: false once it was collected.
  [[nodiscard]] bool exists() const;

  /// Same node of the same store.
  friend bool operator==(const Node& left, const Node& right) noexcept;

  explicit Node(std::shared_ptr<const graph::Pin> pin) : pin_(std::move(pin)) {}
  [[nodiscard]] const std::shared_ptr<const graph::Pin>& pin() const& { return pin_; }
  [[nodiscard]] std::shared_ptr<const graph::Pin> pin() && { return pin_.shared(); }

 protected:
  detail::Held<const graph::Pin> pin_;
};

/// A stored dict: text keys in insertion order. Every mutation is atomic, and one commit unless it
/// is part of a transaction.
///
/// Any call may throw: CollectedError if the node was collected, ClosedError after close(),
/// BusyError, UnavailableError; a write also WrongTypeError and BadValueError, which name the path
/// to the value that cannot be stored, and LimitError.
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
  /// get() without waiting: false if the answer is not in memory, and then `value` is empty.
  [[nodiscard]] bool peek(Text key, std::optional<Value>& value) const;

  /// `dict["a"]["b"] = …`: a place to read from or assign to.
  [[nodiscard]] Ref operator[](Text key) const;

  /// Sets a key; a new key goes to the end, an old one keeps its position.
  void set(Text key, const Data& value) const;
  /// The value of the key; if it is missing, stores `value` and returns it. Atomic.
  Value setdefault(Text key, const Data& value) const;
  /// Sets many keys atomically. `entries` must be a dict.
  void update(const Data& entries) const;

  /// Removes a key; false if it is missing.
  bool erase(Text key) const;
  /// Removes a key and returns its value; nothing if it is missing.
  std::optional<Value> pop(Text key) const;
  /// Removes and returns the newest entry; nothing if the dict is empty.
  std::optional<std::pair<std::string, Value>> popitem() const;
  void clear() const;

  /// The keys, oldest first, from one state.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// The values that satisfy a condition; see <graven/query.hpp>.
  [[nodiscard]] Query where(const Condition& condition) const;

  class Iterator;
  /// Iterates over (key, value), oldest first, of one state: changes by other threads and processes
  /// are not seen. UsageError if the iterating thread itself changes the size. A value that is a
  /// dict or list may have been unlinked since: using it then throws CollectedError (not for a dict
  /// of a Snapshot).
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
  /// The same iteration as an object (newest first with `reverse`).
  [[nodiscard]] std::shared_ptr<graph::DictCursor> cursor(bool reverse = false) const;
};

/// A stored list. A ListIndex counts from 0; a negative one counts from the end.
/// Reading or writing at any position of a long list costs a few small records. Mutations and
/// errors: as for Dict.
class List : public Node {
 public:
  using Node::Node;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// The item; IndexOutOfRange if there is none.
  [[nodiscard]] Value at(ListIndex index) const;
  /// at() without waiting: nothing if the answer is not in memory or there is no such item.
  [[nodiscard]] std::optional<Value> peek(ListIndex index) const;
  [[nodiscard]] Ref operator[](ListIndex index) const;
  /// `count` items from `start` on, or fewer at the end of the list, from one state. A start past
  /// either end means that end.
  [[nodiscard]] std::vector<Value> slice(ListIndex start, Count count) const;

  void set(ListIndex index, const Data& value) const;
  void push_back(const Data& value) const;
  /// Appends every item of `items`, which must be a list.
  void extend(const Data& items) const;
  /// Inserts before `index`; an index past either end means that end, as in Python.
  void insert(ListIndex index, const Data& value) const;
  /// Removes an item; IndexOutOfRange if there is none.
  void erase(ListIndex index) const;
  /// Removes and returns an item; IndexOutOfRange if there is none.
  Value pop(ListIndex index = -1) const;
  void clear() const;
  void reverse() const;

  /// Replaces the items that slice() returns with those of `items`, a list, atomically.
  void splice(ListIndex start, Count count, const Data& items) const;
  /// Rearranges the list: the new i-th item is the old one at order[i]. Items may be left out or
  /// repeated. IndexOutOfRange if an index is too large.
  void rearrange(const std::vector<std::size_t>& order) const;
  /// Sets several items atomically: places[i] gets the i-th item of `items`, a list.
  void set_many(const std::vector<std::size_t>& places, const Data& items) const;

  /// The items that satisfy a condition; see <graven/query.hpp>.
  [[nodiscard]] Query where(const Condition& condition) const;

  class Iterator;
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
  /// Iterates from first to last (or in `reverse`) over one state; only changes that the iterating
  /// thread itself makes meanwhile are seen, as with Python's lists.
  [[nodiscard]] std::shared_ptr<graph::ListCursor> cursor(bool reverse = false) const;
};

namespace detail {

/// Types that are stored as a bool, an integer or a float. Not long double, which has more digits
/// than are stored.
template <class T>
concept Number = Integer<T> || OneOf<T, bool, float, double>;

/// Types that are stored as they are, and that Value::get() can return.
template <class T>
concept Scalar = Number<T> || OneOf<T, std::nullptr_t, std::string, Bytes, BigInt, Dict, List>;

BigInt big(std::uint64_t value);

/// Converts a number to an alternative of a variant like Value::Variant.
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

/// Types that are not a Value and do not convert to one.
template <class T>
concept NoValue = !Scalar<T> && !TextClass<T> && !CText<T> && !OneOf<T, Value, Ref, ScalarVariant>;

}  // namespace detail

/// Types that graven cannot store because their meaning is not clear: pointers, enumerations,
/// characters, wide texts, long double, functions and the like. Convert them first.
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

  /// The value as T: bool, an integer of up to 64 bits or a float (LimitError if it does not fit),
  /// double (also from an integer, rounded), std::string, Bytes, BigInt, Dict or List.
  /// WrongTypeError if the value is of another type.
  template <class T>
  [[nodiscard]] T get() const;

  [[nodiscard]] Dict as_dict() const;
  [[nodiscard]] List as_list() const;

  /// The place one step down, if this is a dict or a list.
  [[nodiscard]] Ref operator[](Text key) const;
  template <detail::Integer T>
  [[nodiscard]] Ref operator[](T index) const;

  /// The name of the type in messages: "null", "bool", "int", "float", "str", "bytes" …
  [[nodiscard]] std::string_view type_name() const noexcept;

  [[nodiscard]] const Variant& variant() const& noexcept { return variant_; }
  [[nodiscard]] Variant variant() && noexcept { return std::move(variant_); }

  /// Compares scalars by value (1 == 1.0, as in Python), handles by identity.
  friend bool operator==(const Value& left, const Value& right) noexcept;

 private:
  Variant variant_;
};

}  // namespace graven

#include <graven/detail/value.ipp>
