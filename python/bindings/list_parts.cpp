// SPDX-License-Identifier: MIT
//
// Slices, searching, sorting and repeating of graven.List.
//
// Always holds: what is computed from a list and then changes it happens in one Atomic step, so
// nobody can change the list in between; what only reads takes one consistent state.
//
// Called with the GIL held, which is released around every use of the store. Comparisons and
// key functions run under it, inside the step.
#include <algorithm>
#include <numeric>
#include <utility>

#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "list.hpp"

namespace graven::python {
namespace {

struct Slice {
  Py_ssize_t start;
  Py_ssize_t stop;
  Py_ssize_t step;
  Py_ssize_t count = 0;

  explicit Slice(PyObject* slice) : start(0), stop(0), step(1) {
    if (PySlice_Unpack(slice, &start, &stop, &step) != 0) throw nb::python_error();
  }
  void adjust(std::size_t size) {
    count = PySlice_AdjustIndices(static_cast<Py_ssize_t>(size), &start, &stop, step);
  }
  /// The lowest index and one past the highest, once adjusted.
  [[nodiscard]] std::pair<std::size_t, std::size_t> hull() const {
    if (count == 0) return {0, 0};
    const Py_ssize_t last = start + (count - 1) * step;
    return {static_cast<std::size_t>(std::min(start, last)),
            static_cast<std::size_t>(std::max(start, last)) + 1};
  }
  [[nodiscard]] std::vector<std::size_t> places() const {
    std::vector<std::size_t> result;
    result.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t at = 0; at < count; ++at) {
      result.push_back(static_cast<std::size_t>(start + at * step));
    }
    return result;
  }
};

/// The items of a slice, given the items from `first` on.
std::vector<Value> pick(std::vector<Value> values, const Slice& slice, std::size_t first) {
  if (slice.step == 1) return values;
  std::vector<Value> picked;
  picked.reserve(static_cast<std::size_t>(slice.count));
  for (const std::size_t place : slice.places()) picked.push_back(std::move(values[place - first]));
  return picked;
}

std::vector<Value> read_slice(const List& list, Slice slice) {
  const auto whole_step = static_cast<std::size_t>(std::max<Py_ssize_t>(slice.step, 1));
  if (slice.start >= 0 && slice.stop >= 0 && slice.step > 0) {
    // The length does not matter: one read, cut at the end.
    if (slice.stop <= slice.start) return {};
    const auto first = static_cast<std::size_t>(slice.start);
    std::vector<Value> values = list.slice(first, static_cast<std::size_t>(slice.stop) - first);
    if (whole_step == 1) return values;
    std::vector<Value> picked;
    for (std::size_t at = 0; at < values.size(); at += whole_step) {
      picked.push_back(std::move(values[at]));
      if (values.size() - at <= whole_step) break;  // whole_step may be near the largest number
    }
    return picked;
  }
  const std::size_t size = list.size();
  Slice adjusted = slice;
  adjusted.adjust(size);
  const auto [low, high] = adjusted.hull();
  std::vector<Value> values = list.slice(low, high - low);
  if (list.size() == size) return pick(std::move(values), adjusted, low);
  // The length changed meanwhile: take it and the items from one state.
  values = list.slice(0, kToTheEnd);
  slice.adjust(values.size());
  const auto [first, last] = slice.hull();
  values.erase(values.begin() + static_cast<std::ptrdiff_t>(last), values.end());
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(first));
  return pick(std::move(values), slice, first);
}

void erase_places(const List& list, const Slice& slice, std::size_t size) {
  std::vector<std::size_t> places = slice.places();
  std::sort(places.begin(), places.end());
  constexpr std::size_t kOneByOne = 64;
  if (places.size() <= kOneByOne) {
    for (std::size_t at = places.size(); at-- > 0;) {
      list.erase(static_cast<std::int64_t>(places[at]));
    }
    return;
  }
  std::vector<std::size_t> kept;
  kept.reserve(size - places.size());
  auto next = places.begin();
  for (std::size_t at = 0; at < size; ++at) {
    if (next != places.end() && *next == at) {
      ++next;
    } else {
      kept.push_back(at);
    }
  }
  list.rearrange(kept);
}

Py_ssize_t clipped(nb::handle number) {
  if (!PyIndex_Check(number.ptr())) {
    throw nb::type_error("slice indices must be integers or have an __index__ method");
  }
  const Py_ssize_t value = PyNumber_AsSsize_t(number.ptr(), nullptr);
  if (value == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return value;
}

}  // namespace

std::vector<Value> all_values(const ListHandle& list) {
  return off_gil(list.home(), [&] { return list.node().slice(0, kToTheEnd); });
}

nb::object get_slice(const ListHandle& list, PyObject* slice) {
  const Slice wanted(slice);
  const auto values = off_gil(list.home(), [&] { return read_slice(list.node(), wanted); });
  return to_python_list(values, list.home_ptr());
}

void set_slice(const ListHandle& list, PyObject* slice, PyObject* value) {
  Slice places(slice);
  Data items = Data::list();
  if (value != nullptr) {
    items = items_from(value, places.start >= 0 && places.step == 1 ? Destination::at(places.start)
                                                                    : Destination{});
  }
  Atomic step(list.home_ptr());
  const std::size_t size = off_gil(list.home(), [&] { return list.node().size(); });
  places.adjust(size);
  if (places.step != 1 && value != nullptr &&
      items.size() != static_cast<std::size_t>(places.count)) {
    PyErr_Format(PyExc_ValueError,
                 "attempt to assign sequence of size %zd to extended slice of size %zd",
                 static_cast<Py_ssize_t>(items.size()), places.count);
    throw nb::python_error();
  }
  off_gil(list.home(), [&] {
    const List& node = list.node();
    if (places.step == 1) {
      node.splice(static_cast<std::size_t>(places.start), static_cast<std::size_t>(places.count),
                  items);
    } else if (value != nullptr) {
      node.set_many(places.places(), items);
    } else if (places.count != 0) {
      erase_places(node, places, size);
    }
  });
  step.commit();
}

bool contains(const ListHandle& list, PyObject* wanted) {
  const auto values = all_values(list);
  return Probe(wanted, list.home_ptr()).find(values, 0, values.size()) >= 0;
}

Py_ssize_t index_of(const ListHandle& list, nb::handle wanted, nb::handle start, nb::handle stop) {
  Py_ssize_t from = clipped(start);
  Py_ssize_t to = clipped(stop);
  const auto values = all_values(list);
  PySlice_AdjustIndices(static_cast<Py_ssize_t>(values.size()), &from, &to, 1);
  const std::ptrdiff_t found = Probe(wanted.ptr(), list.home_ptr())
                                   .find(values, static_cast<std::size_t>(from),
                                         static_cast<std::size_t>(std::max(from, to)));
  if (found < 0) {
    PyErr_Format(PyExc_ValueError, "%R is not in list", wanted.ptr());
    throw nb::python_error();
  }
  return found;
}

Py_ssize_t count(const ListHandle& list, nb::handle wanted) {
  const auto values = all_values(list);
  const Probe probe(wanted.ptr(), list.home_ptr());
  Py_ssize_t found = 0;
  for (std::size_t at = 0; at < values.size(); ++at) {
    found += probe.find(values, at, at + 1) >= 0 ? 1 : 0;
  }
  return found;
}

void remove(const ListHandle& list, nb::handle wanted) {
  Atomic step(list.home_ptr());
  const auto values = all_values(list);
  const std::ptrdiff_t found = Probe(wanted.ptr(), list.home_ptr()).find(values, 0, values.size());
  if (found < 0) throw nb::value_error("list.remove(x): x not in list");
  off_gil(list.home(), [&] { list.node().erase(static_cast<std::int64_t>(found)); });
  step.commit();
}

void sort(const ListHandle& list, nb::handle key, nb::handle reverse) {
  const int descending = PyObject_IsTrue(reverse.ptr());
  if (descending < 0) throw nb::python_error();
  Atomic step(list.home_ptr());
  const auto values = all_values(list);
  nb::object keys = to_python_list(values, list.home_ptr());
  if (!key.is_none()) {
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(keys.ptr()); ++at) {
      const nb::object value = nb::borrow(PyList_GET_ITEM(keys.ptr(), at));
      nb::object of_value = or_stay([&] { return key(value); });
      PyList_SetItem(keys.ptr(), at, of_value.release().ptr());
    }
  }
  // Python's own sort, of the indexes by their keys: stable, also in reverse.
  const nb::module_ builtins = nb::module_::import_("builtins");
  const nb::object sorted = builtins.attr("sorted")(builtins.attr("range")(values.size()),
                                                    nb::arg("key") = keys.attr("__getitem__"),
                                                    nb::arg("reverse") = descending != 0);
  std::vector<std::size_t> order;
  order.reserve(values.size());
  for (Py_ssize_t at = 0; at < PyList_GET_SIZE(sorted.ptr()); ++at) {
    order.push_back(PyLong_AsSize_t(PyList_GET_ITEM(sorted.ptr(), at)));
  }
  const bool changed = off_gil(list.home(), [&] {
    if (list.node().size() != values.size()) return true;
    if (!std::is_sorted(order.begin(), order.end())) list.node().rearrange(order);
    return false;
  });
  if (changed) throw nb::value_error("list modified during sort");
  step.commit();
}

void repeat(const ListHandle& list, Py_ssize_t times) {
  if (times == 1) return;
  if (times <= 0) {
    off_gil(list.home(), [&] { list.node().clear(); });
    return;
  }
  Atomic step(list.home_ptr());
  off_gil(list.home(), [&] {
    const std::vector<Value> once = list.node().slice(0, kToTheEnd);
    std::vector<Value> values;
    values.reserve(once.size() * static_cast<std::size_t>(times - 1));
    for (Py_ssize_t at = 1; at < times; ++at) values.insert(values.end(), once.begin(), once.end());
    list.node().extend(list_of(values));
  });
  step.commit();
}

}  // namespace graven::python
