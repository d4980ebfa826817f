// SPDX-License-Identifier: MIT
//
// Plain data: nested dicts, lists and scalars in memory, detached from any store. It is what
// one assigns and what materialize() returns.
//
// The containers of one Data live in one arena and refer to each other by index, so shared
// parts and cycles are as easy as trees, nothing recurses, and copying copies everything.
// A Data may hold handles (Dict, List): assigning it links them, without a copy.
//
// A plain value type: no thread-safety beyond that of std::vector.
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

  Data() : root_(nullptr) {}
  Data(std::nullptr_t) : root_(nullptr) {}
  Data(bool value) : root_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) Data(T value)
      : root_(from_integer(value)) {}
  Data(double value) : root_(value) {}
  Data(const char* value) : root_(std::string(value)) {}
  Data(std::string_view value) : root_(std::string(value)) {}
  Data(std::string value) : root_(std::move(value)) {}
  Data(Bytes value) : root_(std::move(value)) {}
  Data(BigInt value) : root_(std::move(value)) {}
  Data(Dict value) : root_(std::move(value)) {}
  Data(List value) : root_(std::move(value)) {}
  Data(const Value& value);
  Data(const Ref& place);

  /// `{{"name", "Ada"}, {"tags", {"x", "y"}}}`: a dict when every element is a pair whose first
  /// is text, else a list. Where that would guess wrong, say dict() or list().
  Data(std::initializer_list<Data> elements);
  static Data dict(std::initializer_list<std::pair<std::string, Data>> entries = {});
  static Data list(std::initializer_list<Data> items = {});

  // The arena, for those who build or walk large structures.
  Index add(NodeKind kind);
  [[nodiscard]] Container& container(Index index) { return containers_[index.at]; }
  [[nodiscard]] const Container& container(Index index) const { return containers_[index.at]; }
  [[nodiscard]] std::size_t container_count() const noexcept { return containers_.size(); }
  [[nodiscard]] const Item& root() const noexcept { return root_; }
  void set_root(Item root) { root_ = std::move(root); }
  /// Takes another's containers into this arena; returns what its root is called here.
  Item adopt(Data other);

  // Reading.
  [[nodiscard]] bool is_dict() const noexcept;
  [[nodiscard]] bool is_list() const noexcept;
  /// Entries of a dict or items of a list; WrongTypeError for a scalar.
  [[nodiscard]] std::size_t size() const;
  /// A copy of a part, with everything it reaches. KeyNotFound, IndexOutOfRange, WrongTypeError.
  [[nodiscard]] Data at(std::string_view key) const;
  [[nodiscard]] Data at(std::size_t index) const;
  /// The scalar as T; see Value::get.
  template <class T>
  [[nodiscard]] T get() const {
    return scalar().get<T>();
  }
  /// The root as a Value; WrongTypeError when it is a plain container.
  [[nodiscard]] Value scalar() const;

  /// By content, through shared parts and cycles; the order of a dict's keys does not matter.
  /// Handles compare by identity.
  friend bool operator==(const Data& left, const Data& right);

 private:
  template <std::integral T>
  static Item from_integer(T value) {
    if (std::in_range<std::int64_t>(value)) return static_cast<std::int64_t>(value);
    return from_unsigned(static_cast<std::uint64_t>(value));
  }
  static Item from_unsigned(std::uint64_t value);
  [[nodiscard]] Data part(const Item& item) const;

  std::vector<Container> containers_;
  Item root_;
};

/// A place below a dict or a list: what `db["a"]["b"]` is before it is read or assigned. It keeps
/// where it begins alive, not what lies on the way, and goes the way anew each time it is used:
/// KeyNotFound, IndexOutOfRange or WrongTypeError where it leads nowhere.
class Ref {
 public:
  Ref(const Dict& dict, std::string_view key) : from_(dict.pin()) { step(key); }
  Ref(const List& list, std::int64_t index) : from_(list.pin()) { step(index); }
  /// A key of the root dict.
  Ref(std::shared_ptr<graph::Scope> scope, std::string_view key) : from_(std::move(scope)) {
    step(key);
  }

  /// Stores the data at this place. (Assigning another place copies or links its value.)
  const Ref& operator=(const Data& value) const;
  const Ref& operator=(std::initializer_list<Data> elements) const {
    return *this = Data(elements);
  }
  const Ref& operator=(const Ref& other) const;
  Ref(const Ref&) = default;
  Ref(Ref&&) = default;
  ~Ref() = default;

  /// The value here: KeyNotFound or IndexOutOfRange when there is none.
  [[nodiscard]] Value value() const;
  operator Value() const { return value(); }
  template <class T>
  [[nodiscard]] T get() const {
    return value().template get<T>();
  }
  [[nodiscard]] Dict as_dict() const { return value().as_dict(); }
  [[nodiscard]] List as_list() const { return value().as_list(); }
  [[nodiscard]] Data materialize() const;
  /// False too where a dict or list on the way is missing.
  [[nodiscard]] bool exists() const;
  /// Removes what is here; false when there is nothing.
  bool erase() const;

  /// A step further down.
  [[nodiscard]] Ref operator[](std::string_view key) const& { return Ref(*this)[key]; }
  [[nodiscard]] Ref operator[](std::string_view key) && {
    step(key);
    return std::move(*this);
  }
  [[nodiscard]] Ref operator[](std::int64_t index) const& { return Ref(*this)[index]; }
  [[nodiscard]] Ref operator[](std::int64_t index) && {
    step(index);
    return std::move(*this);
  }
  [[nodiscard]] Ref operator[](const char* key) const& { return (*this)[std::string_view(key)]; }
  [[nodiscard]] Ref operator[](const char* key) && {
    return std::move(*this)[std::string_view(key)];
  }
  [[nodiscard]] Ref operator[](int index) const& { return (*this)[std::int64_t{index}]; }
  [[nodiscard]] Ref operator[](int index) && { return std::move(*this)[std::int64_t{index}]; }

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
  void step(std::int64_t index) { step(kIndex, static_cast<std::uint64_t>(index)); }
  void step(unsigned char what, std::uint64_t number) {
    steps_.push_back(static_cast<char>(what));
    steps_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  [[nodiscard]] std::optional<Value> glance() const;
  [[nodiscard]] Value container(Steps& steps) const;

  std::variant<std::shared_ptr<const graph::Pin>, std::shared_ptr<graph::Scope>> from_;
  std::string steps_;  // short ways without an allocation
};

/// Input iterators of Dict and List, for range-for.
class Dict::Iterator {
 public:
  using value_type = std::pair<std::string, Value>;
  using difference_type = std::ptrdiff_t;
  explicit Iterator(std::shared_ptr<graph::DictCursor> cursor);
  const value_type& operator*() const noexcept { return current_; }
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
  const value_type& operator*() const noexcept { return current_; }
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

/// Steps through a dict; next() gives false at the end. Not for use by two threads at once.
class DictCursor {
 public:
  virtual ~DictCursor() = default;
  virtual bool next(std::string& key, Value& value) = 0;
};

/// Steps through a list.
class ListCursor {
 public:
  virtual ~ListCursor() = default;
  virtual bool next(Value& value) = 0;
};

}  // namespace graph

}  // namespace graven
