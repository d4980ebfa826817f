// SPDX-License-Identifier: MIT
//
// Plain data: nested dicts, lists and scalars in memory, independent of any store. Programs assign
// it, and materialize() returns it.
//
// The containers of one Data are in one arena and refer to each other by index. So parts may be
// shared and form cycles, nothing recurses, and a copy copies everything.
// A Data may hold handles (Dict, List): assigning it to a store links their nodes without a copy.
//
// A value type: as thread-safe as std::vector.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <graven/value.hpp>

namespace graven {

namespace detail {

/// The reference type of std::vector<bool>; it is stored as a bool.
using BoolPlace = std::vector<bool>::reference;

template <class T>
concept StoredAlone =
    Scalar<T> || TextClass<T> || CText<T> || OneOf<T, Value, Ref, Data> || OneOf<T, BoolPlace>;

/// A class of the program that has `operator graven::Data() const`.
template <class T>
concept ConvertsItself = std::is_class_v<T> && requires(const T& value) {
  value.operator Data();
};

template <class T>
concept Range = std::is_class_v<T> && requires(const T& range, decltype(range.begin()) it) {
  it != range.end();
  ++it;
  *it;
};
template <Range T>
using Element = std::remove_cvref_t<decltype(*std::declval<const T&>().begin())>;

/// A map in which each key occurs once.
template <class T>
concept MapRange = Range<T> && requires(const T& map, const typename T::key_type& key) {
  map.at(key);
  typename T::mapped_type;
};

template <class T>
constexpr bool storable() {
  if constexpr (StoredAlone<T> || ConvertsItself<T>) {
    return true;
  } else if constexpr (MapRange<T>) {
    return !GravenWantsTextNot<typename T::key_type> && storable<typename T::mapped_type>();
  } else if constexpr (Range<T>) {
    if constexpr (std::same_as<Element<T>, T>) {
      return false;  // a std::filesystem::path is a range of paths
    } else {
      // It could mean bytes or small numbers: convert to Bytes, or to int.
      return !std::same_as<Element<T>, unsigned char> && storable<Element<T>>();
    }
  } else {
    return false;
  }
}

template <class T>
concept StoredRange = !StoredAlone<T> && !ConvertsItself<T> && Range<T> && storable<T>();

}  // namespace detail

/// Types that graven cannot store because their meaning is not clear: pointers, arrays, functions,
/// enumerations, characters, wide texts, long double, ranges of unsigned char, maps whose keys are
/// not text. Convert them first.
template <class T>
concept GravenCannotStore = !detail::storable<T>();

/// A null, a bool, a number, a text, Bytes, a dict, a list, or a handle.
///
/// These types convert to it: nullptr, bool, float, double, integers of up to 64 bits, std::string
/// and classes that convert to std::string_view, const char*, Bytes, BigInt, Value, Ref, Dict and
/// List; ranges of these (a list), maps of these with text keys (a dict); and a class that has
/// `operator graven::Data() const`. Other types do not compile.
///
/// What braces mean:
///
///   {{"name", "Ada"}, {"age", 36}}    a dict: each element is in braces itself, a text and a value
///   {1, "two", {3, 4}}, {"x"}         a list, if not all elements are such pairs
///   {data}                            that Data itself, if it is the only element
///   {}                                null
///
/// The written form decides, not the values: a Data that holds a text is not a key. To say which
/// one is meant, use Data::dict() or Data::list(): Data::list({data}) is a list of one item.
class Data {
 public:
  /// A reference to a container of the same arena.
  struct Index {
    std::uint32_t at;
    friend bool operator==(const Index&, const Index&) = default;
  };
  using Item = std::variant<std::nullptr_t, bool, std::int64_t, BigInt, double, std::string, Bytes,
                            Dict, List, Index>;
  struct Container {
    NodeKind kind;
    std::vector<std::string> keys;  // of a dict, parallel to items; distinct; empty for a list
    std::vector<Item> items;
  };
  class Braced;  // an element of braces

  Data() : root_(nullptr) {}
  Data(std::nullptr_t) : root_(nullptr) {}
  template <detail::Number T>
  Data(T value) : root_(detail::from_number<Item>(value)) {}
  Data(detail::BoolPlace value) : root_(static_cast<bool>(value)) {}
  Data(const char* value) : Data(Text(value)) {}
  template <detail::TextClass T>
  Data(const T& value) : root_(std::string(std::string_view(value))) {}
  Data(std::string value) : root_(std::move(value)) {}
  Data(Bytes value) : root_(std::move(value)) {}
  Data(BigInt value) : root_(std::move(value)) {}
  Data(Dict value) : root_(std::move(value)) {}
  Data(List value) : root_(std::move(value)) {}
  Data(const Value& value);
  Data(const Ref& place);
  template <detail::StoredRange T>
  Data(const T& range);
  template <class T>
  Data(const T&) requires GravenCannotStore<T>
  = delete;

  /// See above.
  Data(std::initializer_list<Braced> elements);
  static Data dict(std::initializer_list<std::pair<Text, Data>> entries = {});
  static Data list(std::initializer_list<Data> items = {});

  Data(const Data&) = default;
  Data(Data&& other) noexcept
      : containers_(std::move(other.containers_)), root_(std::exchange(other.root_, nullptr)) {}
  Data& operator=(const Data&) = default;
  Data& operator=(Data&& other) noexcept {
    Data moved(std::move(other));
    containers_.swap(moved.containers_);
    root_.swap(moved.root_);
    return *this;
  }
  ~Data() = default;

  // The arena, for code that builds or walks large structures.
  Index add(NodeKind kind);
  [[nodiscard]] Container& container(Index index) & { return containers_[index.at]; }
  [[nodiscard]] const Container& container(Index index) const& { return containers_[index.at]; }
  [[nodiscard]] Container container(Index index) && { return std::move(containers_[index.at]); }
  [[nodiscard]] std::size_t container_count() const noexcept { return containers_.size(); }
  [[nodiscard]] const Item& root() const& noexcept { return root_; }
  [[nodiscard]] Item root() && noexcept { return std::move(root_); }
  void set_root(Item root) { root_ = std::move(root); }
  /// Moves the containers of another Data into this arena; returns its root as an Item of this one.
  Item adopt(Data other);

  // Reading.
  [[nodiscard]] bool is_dict() const noexcept;
  [[nodiscard]] bool is_list() const noexcept;
  /// Entries of a dict or items of a list; WrongTypeError for a scalar.
  [[nodiscard]] std::size_t size() const;
  /// A copy of a child, with everything it reaches. KeyNotFound, IndexOutOfRange, WrongTypeError.
  [[nodiscard]] Data at(Text key) const;
  template <detail::Integer T>
  [[nodiscard]] Data at(T index) const {
    return item_at(index);
  }
  /// The scalar as T; see Value::get.
  template <class T>
  [[nodiscard]] T get() const {
    return scalar().get<T>();
  }
  /// The root as a Value; WrongTypeError if it is a plain container.
  [[nodiscard]] Value scalar() const;

  /// Compares the contents, also through shared parts and cycles; the order of a dict's keys does
  /// not matter. Handles compare by identity.
  friend bool operator==(const Data& left, const Data& right);

 private:
  [[nodiscard]] Data item_at(ListIndex index) const;
  [[nodiscard]] Data part(const Item& item) const;
  /// become() makes this an empty container; append() adds an item.
  void become(NodeKind kind) { root_ = add(kind); }
  void append(Data item);
  void append(std::string_view key, Data item);

  std::vector<Container> containers_;
  Item root_;
};

/// An element of braces, and how it was written. Only used while braces are converted to a Data.
class Data::Braced {
 public:
  Braced(std::initializer_list<Braced> elements);
  Braced(const Data& data) : data_(data), written_(Written::kData) {}
  Braced(Data&& data) : data_(std::move(data)), written_(Written::kData) {}
  template <detail::Number T>
  Braced(T value) : data_(value) {}
  Braced(const char* value) : data_(value), written_(Written::kText) {}
  template <class T>
  requires(!detail::Number<std::remove_cvref_t<T>> && !detail::CText<std::remove_cvref_t<T>> &&
           !std::same_as<std::remove_cvref_t<T>, Data> &&
           !std::same_as<std::remove_cvref_t<T>, Braced> &&
           detail::storable<std::remove_cvref_t<T>>()) Braced(T&& value)
      : data_(std::forward<T>(value)),
        written_(detail::TextClass<std::remove_cvref_t<T>> ? Written::kText : Written::kOther) {}
  template <class T>
  Braced(const T&) requires GravenCannotStore<T>
  = delete;

 private:
  friend class Data;
  enum class Written : std::uint8_t { kOther, kText, kData, kPair };

  // The elements of an initializer_list are const, but nobody else uses them: they are moved from.
  mutable Data data_;
  Written written_ = Written::kOther;
};

template <detail::StoredRange T>
Data::Data(const T& range) : root_(nullptr) {
  if constexpr (detail::MapRange<T>) {
    become(NodeKind::kDict);
    for (const auto& [key, value] : range) append(Text(key), Data(value));
  } else {
    become(NodeKind::kList);
    for (auto&& item : range) append(Data(static_cast<detail::Element<T>>(item)));
  }
}

/// A path below a dict or a list: the type of `db["a"]["b"]` before it is read or assigned. It
/// keeps its first container alive, not those on the path, and follows the path each time it is
/// used: KeyNotFound, IndexOutOfRange or WrongTypeError if the path leads to nothing.
class Ref {
 public:
  Ref(const Dict& dict, Text key) : from_(FromNode(dict.pin())) { step(key); }
  Ref(const List& list, ListIndex index) : from_(FromNode(list.pin())) { step(index); }
  /// A key of the root dict.
  Ref(std::shared_ptr<graph::Scope> scope, Text key) : from_(FromRoot(std::move(scope))) {
    step(key);
  }

  /// Stores the data at this place. Assigning another Ref stores that place's value: a scalar is
  /// copied, a dict or list is linked. A Ref variable cannot be assigned another Ref, because that
  /// would look like making the variable stand for the other place.
  const Ref& operator=(const Data& value) const;
  const Ref& operator=(std::initializer_list<Data::Braced> elements) const {
    return *this = Data(elements);
  }
  const Ref& operator=(const Ref& other) const&&;
  template <std::same_as<Ref> Other>
  const Ref& operator=(const Other&) const& {
    static_assert(
        detail::kNever<Other>,
        "graven: a Ref cannot be made to stand for another place, so it cannot be swapped "
        "or moved to either; to store the value there, say place = other.value()");
    return *this;
  }
  Ref(const Ref&) = default;
  Ref(Ref&&) = default;
  ~Ref() = default;

  /// The value at this place; KeyNotFound or IndexOutOfRange if there is none.
  [[nodiscard]] Value value() const;
  operator Value() const { return value(); }
  /// The value as T, see Value::get(); errors name the path.
  template <class T>
  [[nodiscard]] T get() const {
    return detail::get<T>(value(), this);
  }
  [[nodiscard]] Dict as_dict() const { return get<Dict>(); }
  [[nodiscard]] List as_list() const { return get<List>(); }
  [[nodiscard]] Data materialize() const;
  /// Whether there is a value; false also if a dict or list on the path is missing.
  [[nodiscard]] bool exists() const;
  /// Removes the value; false if there is none.
  bool erase() const;
  /// The children of the dict or list at this place that satisfy a condition; see
  /// <graven/query.hpp>. The place is looked up now.
  [[nodiscard]] Query where(const Condition& condition) const;

  /// A Ref one step further down.
  [[nodiscard]] Ref operator[](Text key) const& { return Ref(*this)[key]; }
  [[nodiscard]] Ref operator[](Text key) && {
    step(key);
    return std::move(*this);
  }
  template <detail::Integer T>
  [[nodiscard]] Ref operator[](T index) const& {
    return Ref(*this)[index];
  }
  template <detail::Integer T>
  [[nodiscard]] Ref operator[](T index) && {
    step(ListIndex(index));
    return std::move(*this);
  }

  /// The path from the first container, as parse_path() takes it, for messages.
  [[nodiscard]] std::string path() const;

 private:
  class Steps;
  static constexpr unsigned char kLongKey = 254;  // its size follows
  static constexpr unsigned char kIndex = 255;    // the index follows

  void step(std::string_view key) {
    if (key.size() < kLongKey) {
      steps_.push_back(static_cast<char>(key.size()));
    } else {
      step(kLongKey, key.size());
    }
    steps_.append(key);
  }
  void step(ListIndex list_index) {
    const std::int64_t index = list_index;
    step(kIndex, static_cast<std::uint64_t>(index));
  }
  void step(unsigned char what, std::uint64_t number) {
    steps_.push_back(static_cast<char>(what));
    steps_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  [[nodiscard]] std::optional<Value> glance() const;
  [[nodiscard]] Value container(Steps& steps) const;

  using FromNode = detail::Held<const graph::Pin>;
  using FromRoot = detail::Held<graph::Scope>;
  std::variant<FromNode, FromRoot> from_;
  std::string steps_;  // a short path needs no allocation
};

template <detail::Integer T>
Ref Value::operator[](T index) const {
  return as_list()[index];
}

/// Input iterators of Dict and List, for range-for.
class Dict::Iterator {
 public:
  using value_type = std::pair<std::string, Value>;
  using difference_type = std::ptrdiff_t;
  explicit Iterator(std::shared_ptr<graph::DictCursor> cursor);
  const value_type& operator*() const& noexcept { return current_; }
  value_type operator*() && noexcept { return std::move(current_); }
  const value_type* operator->() const noexcept { return &current_; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
    return it.cursor_ == nullptr;
  }

 private:
  std::shared_ptr<graph::DictCursor> cursor_;
  value_type current_;
};

class List::Iterator {
 public:
  using value_type = Value;
  using difference_type = std::ptrdiff_t;
  explicit Iterator(std::shared_ptr<graph::ListCursor> cursor);
  const value_type& operator*() const& noexcept { return current_; }
  value_type operator*() && noexcept { return std::move(current_); }
  const value_type* operator->() const noexcept { return &current_; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
    return it.cursor_ == nullptr;
  }

 private:
  std::shared_ptr<graph::ListCursor> cursor_;
  value_type current_;
};

namespace graph {

/// Iterates over a dict; next() returns false at the end. One thread at a time.
class DictCursor {
 public:
  virtual ~DictCursor() = default;
  virtual bool next(std::string& key, Value& value) = 0;
};

/// Iterates over a list; next() returns false at the end. One thread at a time.
class ListCursor {
 public:
  virtual ~ListCursor() = default;
  virtual bool next(Value& value) = 0;
};

}  // namespace graph

}  // namespace graven
