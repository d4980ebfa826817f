// SPDX-License-Identifier: MIT
//
// Python values to what a map keeps and back: scalars straight from and to the bytes they are in
// memory, everything else through graven::Data (convert.hpp).
//
// Always holds: making a scalar's object runs no Python code, so it may be done while a map shows
// the value; what is nested is only copied then.
//
// Called with the GIL held.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include <nanobind/nanobind.h>

#include <graven/graven.hpp>

#include "convert.hpp"
#include "errors.hpp"

namespace nb = nanobind;

namespace graven::python {

/// A scalar of a map as a Python object: a new reference, or null with the Python error set. Not
/// for nested data.
PyObject* scalar_object(const MapValue& value) noexcept;

/// What a map shows of one key.
class Shown {
 public:
  Shown() = default;
  Shown(const Shown&) = delete;
  Shown& operator=(const Shown&) = delete;
  ~Shown() { Py_XDECREF(object_); }
  void operator()(const MapValue& value) {
    if (value.kind == MapValue::Kind::kJson) [[unlikely]] {
      nested_ = value.to_data();
    } else {
      object_ = scalar_object(value);
    }
  }
  /// Once, after something was shown.
  nb::object take();

 private:
  PyObject* object_ = nullptr;
  std::optional<Data> nested_;
};

/// The object of a value that was copied out of a map.
nb::object map_value_from(const Data& data);

/// A Python value as one that lies in memory, where it is that simple: the value lives as long as
/// the object and this.
class Scalar {
 public:
  /// False: it needs data_from().
  bool set(PyObject* object) noexcept;
  [[nodiscard]] const MapValue& value() const noexcept { return value_; }
  /// The same in memory of somebody else's.
  [[nodiscard]] MapValue value_in(std::uint64_t& number) const noexcept {
    if (value_.bytes.data() != number_) return value_;
    std::memcpy(&number, number_, sizeof number);
    return {value_.kind, {reinterpret_cast<const char*>(&number), sizeof number}};
  }

 private:
  MapValue value_;
  char number_[8];
};

/// Many entries, kept alive in a dict of their own, so that they may be read without the GIL.
class Entries {
 public:
  /// As dict.update() takes them; either may be null.
  Entries(PyObject* other, PyObject* keywords);
  [[nodiscard]] const std::vector<MapEntry>& get() const noexcept { return entries_; }

 private:
  nb::object owner_;
  std::vector<std::uint64_t> numbers_;
  std::deque<Data> data_;
  std::vector<MapEntry> entries_;
};

/// Keys to look up, of an iterable: a list or tuple is looked at in place.
class Keys {
 public:
  using Texts = std::vector<std::string_view>;

  /// `what` is the method, for errors.
  Keys(PyObject* iterable, const char* what);
  [[nodiscard]] std::size_t count() const noexcept {
    return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence_.ptr()));
  }
  [[nodiscard]] PyObject* operator[](std::size_t at) const noexcept { return items()[at]; }
  /// Their texts, which live as long as nobody takes the keys away: for what is no str, one that no
  /// map has; TypeError for what cannot be hashed.
  [[nodiscard]] Texts texts() const;
  /// The texts of those at these places.
  [[nodiscard]] Texts texts(const std::vector<std::size_t>& places) const;
  /// Before the GIL is released or other code runs: from here on nobody else can take the keys
  /// away.
  void own() const;

 private:
  [[nodiscard]] PyObject** items() const noexcept { return PySequence_Fast_ITEMS(sequence_.ptr()); }
  template <class Place>
  [[nodiscard]] Texts texts_at(std::size_t count, const Place& place) const;

  mutable nb::object sequence_;
};

}  // namespace graven::python
