// SPDX-License-Identifier: MIT
//
// The types of arguments: keys, names, indexes and numbers. C++ has many implicit conversions: a
// literal 0 becomes a key, 'a' becomes an index, 2.5 becomes 2. These classes accept only the types
// that make sense; the compiler refuses all others with one line:
//
//     dict[0]        use of deleted function … requires GravenWantsTextNot<T> [with T = int]
//     list.at(2.5)   use of deleted function … requires GravenWantsAnIndexNot<T> [with T = double]
//
// A Text is a view, like std::string_view: its characters must live as long as the call. All are
// value types.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

namespace graven {

namespace detail {

template <class T, class... U>
concept OneOf = (std::same_as<T, U> || ...);

/// Integers of up to 64 bits. Character types are excluded: 'a' could mean a text.
template <class T>
concept Integer = std::integral<T> && sizeof(T) <= sizeof(std::int64_t) &&
                  !OneOf<T, bool, char, wchar_t, char8_t, char16_t, char32_t>;

/// Classes that convert to std::string_view: std::string, std::string_view, other string classes.
template <class T>
concept TextClass = std::is_class_v<T> && std::convertible_to<const T&, std::string_view>;

/// Literals, const char* and char*; they end with a NUL.
template <class T>
concept CText = std::same_as < std::remove_const_t<std::remove_pointer_t<std::decay_t<T>>>,
char > &&std::is_pointer_v<std::decay_t<T>>;

[[noreturn]] void throw_null_text();
[[noreturn]] void throw_negative_count();
[[noreturn]] void throw_large_addend();

/// False for every type: for assertions in code that must not be instantiated.
template <class>
inline constexpr bool kNever = false;

}  // namespace detail

template <class T>
concept GravenWantsTextNot = !detail::TextClass<T> && !detail::CText<T>;

template <class T>
concept GravenWantsAnIndexNot = !detail::Integer<T>;

template <class T>
concept GravenWantsACountNot = !detail::Integer<T>;

template <class T>
concept GravenWantsAnIntegerNot = !detail::Integer<T>;

/// A key, a name or a path: from a std::string, a std::string_view, a literal, or a class that
/// converts to std::string_view. UsageError for a null pointer.
class Text : public std::string_view {
 public:
  constexpr Text() noexcept = default;
  constexpr Text(const char* text) : std::string_view(checked(text)) {}
  template <detail::TextClass T>
  constexpr Text(const T& text) : std::string_view(text) {}
  template <class T>
  Text(const T&) requires GravenWantsTextNot<T>
  = delete;

 private:
  static constexpr const char* checked(const char* text) {
    if (text == nullptr) detail::throw_null_text();
    return text;
  }
};

/// An index, from any integer type; a negative one counts from the end.
class ListIndex {
 public:
  template <detail::Integer T>
  constexpr ListIndex(T index) noexcept
      : index_(std::in_range<std::int64_t>(index) ? static_cast<std::int64_t>(index)
                                                  : std::numeric_limits<std::int64_t>::max()) {}
  template <class T>
  ListIndex(const T&) requires GravenWantsAnIndexNot<T>
  = delete;
  constexpr operator std::int64_t() const noexcept { return index_; }

 private:
  std::int64_t index_;  // no list has an item with a larger index
};

/// A count, from any integer type. UsageError for a negative number.
class Count {
 public:
  template <detail::Integer T>
  constexpr Count(T count) : count_(static_cast<std::uint64_t>(count)) {
    if (!std::in_range<std::uint64_t>(count)) detail::throw_negative_count();
  }
  template <class T>
  Count(const T&) requires GravenWantsACountNot<T>
  = delete;
  constexpr operator std::uint64_t() const noexcept { return count_; }

 private:
  std::uint64_t count_;
};

/// The number to add to a counter, from any integer type. LimitError if it does not fit
/// std::int64_t.
class Addend {
 public:
  template <detail::Integer T>
  constexpr Addend(T number) : number_(static_cast<std::int64_t>(number)) {
    if (!std::in_range<std::int64_t>(number)) detail::throw_large_addend();
  }
  template <class T>
  Addend(const T&) requires GravenWantsAnIntegerNot<T>
  = delete;
  constexpr operator std::int64_t() const noexcept { return number_; }

 private:
  std::int64_t number_;
};

}  // namespace graven
