// SPDX-License-Identifier: MIT
//
// Python values to graven::Data and back, and comparison between the two.
//
// Always holds: nothing recurses, so depth is bounded by memory alone; what is one object in
// Python is one node in the store and the other way round (but for tuples, which are values:
// each occurrence is a list of its own); a value that cannot be stored is found before anything
// is touched, and the error names the path to it.
//
// Called with the GIL held.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nanobind/nanobind.h>

#include <graven/graven.hpp>

#include "handles.hpp"

namespace nb = nanobind;

namespace graven::python {

/// Where a value is about to go, for the path in an error: under a key, at an index, at the
/// end of a list (whose length is asked for only if there is an error), or nowhere yet.
struct Destination {
  PyObject* key = nullptr;
  std::optional<Py_ssize_t> index{};
  const ListHandle* end_of = nullptr;

  static Destination under(PyObject* key) { return {.key = key}; }
  static Destination at(Py_ssize_t index) { return {.index = index}; }
  static Destination after(const ListHandle& list) { return {.end_of = &list}; }
};

/// A str as UTF-8, valid as long as the str; nothing when it has a lone surrogate.
std::optional<std::string_view> utf8(PyObject* text) noexcept;

/// A key to look up; nothing when no dict in a store can have it, because it is no str, for one. As
/// with a dict, TypeError for what cannot be hashed.
std::optional<std::string_view> any_key_to_find(PyObject* key);

/// Text that lies in the str as UTF-8, which is read without a call.
inline bool is_ascii_str(PyObject* object) noexcept {
  return PyUnicode_Check(object) && PyUnicode_IS_COMPACT_ASCII(object);
}
inline std::string_view ascii_of(PyObject* text) noexcept {
  return {static_cast<const char*>(PyUnicode_DATA(text)),
          static_cast<std::size_t>(PyUnicode_GET_LENGTH(text))};
}

inline std::optional<std::string_view> key_to_find(PyObject* key) {
  if (is_ascii_str(key)) [[likely]]
    return ascii_of(key);
  return any_key_to_find(key);
}

/// A key to store under: WrongTypeError unless it is a str, BadValueError for a lone surrogate.
std::string_view any_key_to_store(PyObject* key);

inline std::string_view key_to_store(PyObject* key) {
  if (is_ascii_str(key)) [[likely]]
    return ascii_of(key);
  return any_key_to_store(key);
}

/// Any value. Dict and List handles stay handles.
Data data_from(PyObject* value, const Destination& to);
/// The entries of what dict.update() takes: a mapping, an iterable of pairs, keywords. Either
/// may be null.
Data entries_from(PyObject* other, PyObject* keywords);
/// The same as a new plain dict, its values not looked at.
nb::object dict_from(PyObject* other, PyObject* keywords);
/// A plain dict of a mapping, as dict(other) makes it: by its keys(), else an iterable of pairs.
nb::object dict_of_entries(PyObject* other);
/// `left | right` of a Dict, a Map or a dict each: a plain dict. The body of a type's slot.
PyObject* union_of(PyObject* left, PyObject* right) noexcept;
/// Keys and values as they are now, values of nested containers as handles.
nb::object plain_copy(const DictHandle& dict);
/// A new list of what an iterable gives, whatever it says about its length.
nb::object list_of_iterable(PyObject* iterable);
/// The type of an object, with its module.
std::string type_of(PyObject* object);
/// The items of an iterable; `first` is where the first is to go.
Data items_from(PyObject* iterable, const Destination& first);
/// A list of values that are stored already.
Data list_of(const std::vector<Value>& values);

nb::object to_python(const Value& value, const HomePtr& home);
nb::object to_python(Value&& value, const HomePtr& home);
nb::object to_python(const Data& data, const HomePtr& home);
nb::object to_python_list(const std::vector<Value>& values, const HomePtr& home);
nb::object str_from(std::string_view utf8_text);
/// What was made of something stored, or the error of that: CorruptionError for text that is none.
[[noreturn]] void throw_undecoded();
inline nb::object decoded(PyObject* made) {
  if (made == nullptr) [[unlikely]]
    throw_undecoded();
  return nb::steal(made);
}

/// Everything below a handle as plain Python, from one consistent state.
nb::object materialized(const DictHandle& handle);
nb::object materialized(const ListHandle& handle);

/// Whether plain data equals a Python object, by content and through cycles.
bool data_equals(const Data& data, PyObject* object, const HomePtr& home);
/// Whether a stored value equals a Python object, as Python's == says.
bool value_equals(const Value& value, PyObject* object, const HomePtr& home);
/// Whether a handle's contents equal a Python object; nothing when Python should ask the other.
std::optional<bool> handle_equals(PyObject* handle, PyObject* other);

/// What to look for among many values, prepared once: plain scalars are compared without
/// making Python objects of every value.
class Probe {
 public:
  Probe(PyObject* wanted, HomePtr home);
  /// The index of the first equal value in [from, to), or -1.
  std::ptrdiff_t find(const std::vector<Value>& values, std::size_t from, std::size_t to) const;

 private:
  enum class Verdict : std::uint8_t { kNo, kYes, kAskPython };
  [[nodiscard]] Verdict compare(const Value& value) const noexcept;

  PyObject* wanted_;
  HomePtr home_;
  std::optional<Value> scalar_;
};

}  // namespace graven::python
