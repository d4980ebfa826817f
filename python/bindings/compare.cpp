// SPDX-License-Identifier: MIT
//
// What == says of stored and plain structures: by content, through shared parts and cycles.
//
// Stored against plain walks pairs of (container of the arena, Python object). A pair that was
// met before is taken to be equal while the walk goes on: two structures are equal when no
// difference can be found, which is what makes cycles comparable.
//
// A container compares its elements by identity first, so that a NaN equals itself there. What is
// stored is no object any more: any NaN counts as the same one as a stored NaN.
//
// Always holds: Python objects in the walk are owned, since comparing scalars may run code that
// changes the structure; nothing recurses but Python's own == on objects that graven does not
// store.
//
// Called with the GIL held; it is released while the store is read.
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "convert.hpp"
#include "errors.hpp"
#include "map_handle.hpp"

namespace graven::python {
namespace {

bool is_nan(PyObject* object) {
  return PyFloat_Check(object) && std::isnan(PyFloat_AS_DOUBLE(object));
}

/// Whether an element of a container equals another.
bool python_equal(PyObject* left, PyObject* right) {
  if (is_nan(left) && is_nan(right)) return true;
  const int equal = PyObject_RichCompareBool(left, right, Py_EQ);
  if (equal < 0) throw nb::python_error();
  return equal != 0;
}

/// Whether an object is of a type that never equals a dict or a list.
bool is_plain_scalar(PyObject* object) {
  return object == Py_None || PyUnicode_CheckExact(object) || PyLong_CheckExact(object) ||
         PyBool_Check(object) || PyFloat_CheckExact(object) || PyBytes_CheckExact(object) ||
         PyTuple_CheckExact(object) || PyAnySet_CheckExact(object);
}

class Comparison {
 public:
  Comparison(const Data& data, const HomePtr& home) : data_(data), home_(home) {}

  bool equals(PyObject* object) {
    push(data_.root(), object);
    while (!pairs_.empty()) {
      const auto [item, other] = std::move(pairs_.back());
      pairs_.pop_back();
      if (!same(*item, other)) return false;
    }
    return true;
  }

 private:
  struct Pair {
    const Data::Item* item;
    nb::object object;
  };
  using Met = std::pair<std::uint32_t, PyObject*>;
  struct HashMet {
    std::size_t operator()(const Met& met) const noexcept {
      return std::hash<const void*>()(met.second) * 31 + met.first;
    }
  };

  void push(const Data::Item& item, PyObject* object) {
    pairs_.push_back({&item, nb::borrow(object)});
  }

  bool same(const Data::Item& item, nb::object object) {
    const auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr) return python_equal(scalar(item).ptr(), object.ptr());
    if (is_handle(object.ptr())) object = contents_of(object);
    const Data::Container& container = data_.container(*index);
    const bool is_dict = container.kind == NodeKind::kDict;
    if (is_dict ? PyDict_Check(object.ptr()) : PyList_Check(object.ptr())) {
      if (!met_.emplace(index->at, object.ptr()).second) return true;
      kept_.push_back(object);  // or its address could come back as another object's
      return is_dict ? expand_dict(container, object.ptr()) : expand_list(container, object.ptr());
    }
    if (is_plain_scalar(object.ptr()) || PyDict_Check(object.ptr()) || PyList_Check(object.ptr())) {
      return false;
    }
    return python_equal(scalar(item).ptr(), object.ptr());
  }

  bool expand_dict(const Data::Container& container, PyObject* dict) {
    if (PyDict_Size(dict) != static_cast<Py_ssize_t>(container.items.size())) return false;
    for (std::size_t at = 0; at < container.items.size(); ++at) {
      const nb::object key = str_from(container.keys[at]);
      PyObject* value = PyDict_GetItemWithError(dict, key.ptr());
      if (value == nullptr) {
        if (PyErr_Occurred() != nullptr) throw nb::python_error();
        return false;
      }
      push(container.items[at], value);
    }
    return true;
  }

  bool expand_list(const Data::Container& container, PyObject* list) {
    if (PyList_GET_SIZE(list) != static_cast<Py_ssize_t>(container.items.size())) return false;
    for (std::size_t at = 0; at < container.items.size(); ++at) {
      push(container.items[at], PyList_GET_ITEM(list, static_cast<Py_ssize_t>(at)));
    }
    return true;
  }

  /// The Python object of an item; the whole arena is made once, for its containers.
  nb::object scalar(const Data::Item& item) {
    Data single;
    if (!std::holds_alternative<Data::Index>(item)) {
      single.set_root(item);
      return to_python(single, home_);
    }
    Data part = data_;
    part.set_root(item);
    return to_python(part, home_);
  }

  nb::object contents_of(const nb::object& handle) {
    nb::object& contents = contents_[handle.ptr()];
    if (!contents.is_valid()) {
      kept_.push_back(handle);
      contents = is_dict_handle(handle.ptr()) ? materialized(dict_handle(handle.ptr()))
                                              : materialized(list_handle(handle.ptr()));
    }
    return contents;
  }

  const Data& data_;
  const HomePtr& home_;
  std::vector<Pair> pairs_;
  std::vector<nb::object> kept_;
  std::unordered_set<Met, HashMet> met_;
  std::unordered_map<PyObject*, nb::object> contents_;
};

bool has_nan(const Data& data) {
  for (std::uint32_t at = 0; at < data.container_count(); ++at) {
    for (const Data::Item& item : data.container(Data::Index{at}).items) {
      const auto* real = std::get_if<double>(&item);
      if (real != nullptr && std::isnan(*real)) return true;
    }
  }
  return false;
}

template <class Handle>
bool equals_plain(const Handle& handle, PyObject* plain, Py_ssize_t plain_size) {
  const HomePtr home = handle.home_ptr();
  std::optional<Data> data;
  off_gil(*home, [&] {
    // Most comparisons end here, before anything below is read.
    if (static_cast<Py_ssize_t>(handle.node().size()) != plain_size) return;
    data = handle.node().materialize();
  });
  return data.has_value() && Comparison(*data, home).equals(plain);
}

template <class Handle>
bool equals_handle(const Handle& left, const Handle& right) {
  if (static_cast<const Node&>(left.node()) == static_cast<const Node&>(right.node()) &&
      left.home_ptr() == right.home_ptr()) {
    off_gil(left.home(), [&] { std::ignore = left.node().size(); });  // raises when it is gone
    return true;
  }
  const HomePtr right_home = right.home_ptr();
  const Entry entry(*right_home);
  Data ours;
  Data theirs;
  const bool equal = off_gil(left.home(), [&] {
    ours = left.node().materialize();
    theirs = right.node().materialize();
    return ours == theirs;  // as C++ has it: no NaN equals another
  });
  if (equal || !has_nan(ours) || !has_nan(theirs)) return equal;
  return data_equals(ours, to_python(theirs, right_home).ptr(), left.home_ptr());
}

}  // namespace

bool data_equals(const Data& data, PyObject* object, const HomePtr& home) {
  return Comparison(data, home).equals(object);
}

std::optional<bool> handle_equals(PyObject* handle, PyObject* other) {
  if (is_dict_handle(handle)) {
    const DictHandle& left = dict_handle(handle);
    if (is_dict_handle(other)) return equals_handle(left, dict_handle(other));
    if (PyDict_Check(other)) return equals_plain(left, other, PyDict_Size(other));
    if (is_map_handle(other)) return map_equals(map_handle(other), handle);
  } else {
    const ListHandle& left = list_handle(handle);
    if (is_list_handle(other)) return equals_handle(left, list_handle(other));
    if (PyList_Check(other)) return equals_plain(left, other, PyList_GET_SIZE(other));
  }
  return std::nullopt;
}

bool value_equals(const Value& value, PyObject* object, const HomePtr& home) {
  const nb::object here = to_python(value, home);
  if ((value.is<Dict>() || value.is<List>()) && is_plain_scalar(object)) return false;
  return python_equal(here.ptr(), object);
}

Probe::Probe(PyObject* wanted, HomePtr home) : wanted_(wanted), home_(std::move(home)) {
  const bool plain = wanted == Py_None || PyBool_Check(wanted) || PyUnicode_CheckExact(wanted) ||
                     PyLong_CheckExact(wanted) || PyBytes_CheckExact(wanted);
  if (!plain) return;
  if (PyUnicode_CheckExact(wanted) && !utf8(wanted)) return;  // equals nothing that is stored
  scalar_ = data_from(wanted, Destination{}).scalar();
}

Probe::Verdict Probe::compare(const Value& value) const noexcept {
  if (!scalar_) return Verdict::kAskPython;
  const auto& left = value.variant();
  const auto& right = scalar_->variant();
  const auto number = [](const Value::Variant& each) -> std::optional<std::int64_t> {
    if (const auto* boolean = std::get_if<bool>(&each)) return *boolean ? 1 : 0;
    if (const auto* integer = std::get_if<std::int64_t>(&each)) return *integer;
    return std::nullopt;
  };
  if (left.index() == right.index()) {
    // The wanted value is no float and no handle.
    return value == *scalar_ ? Verdict::kYes : Verdict::kNo;
  }
  const auto wanted = number(right);
  if (!wanted && !std::holds_alternative<BigInt>(right)) return Verdict::kNo;  // None, str, bytes
  if (const auto here = number(left)) {
    return wanted && *here == *wanted ? Verdict::kYes : Verdict::kNo;
  }
  // An int against a float is Python's business; against anything else it is unequal.
  return std::holds_alternative<double>(left) ? Verdict::kAskPython : Verdict::kNo;
}

std::ptrdiff_t Probe::find(const std::vector<Value>& values, std::size_t from,
                           std::size_t to) const {
  for (std::size_t at = from; at < to && at < values.size(); ++at) {
    Verdict verdict = compare(values[at]);
    if (verdict == Verdict::kAskPython) {
      verdict = value_equals(values[at], wanted_, home_) ? Verdict::kYes : Verdict::kNo;
    }
    if (verdict == Verdict::kYes) return static_cast<std::ptrdiff_t>(at);
  }
  return -1;
}

}  // namespace graven::python
