// SPDX-License-Identifier: MIT
//
// What the two halves of graven.List share: list.cpp has single items and whole lists,
// list_parts.cpp slices, searching and sorting.
//
// Called with the GIL held.
#pragma once

#include <cstddef>
#include <vector>

#include <nanobind/nanobind.h>

#include "handles.hpp"

namespace nb = nanobind;

namespace graven::python {

inline constexpr auto kToTheEnd = static_cast<std::size_t>(-1);

/// All items, from one consistent state.
std::vector<Value> all_values(const ListHandle& list);

nb::object get_slice(const ListHandle& list, PyObject* slice);
/// Assigns, or deletes when `value` is null.
void set_slice(const ListHandle& list, PyObject* slice, PyObject* value);

bool contains(const ListHandle& list, PyObject* wanted);
Py_ssize_t index_of(const ListHandle& list, nb::handle wanted, nb::handle start, nb::handle stop);
Py_ssize_t count(const ListHandle& list, nb::handle wanted);
void remove(const ListHandle& list, nb::handle wanted);
void sort(const ListHandle& list, nb::handle key, nb::handle reverse);
void repeat(const ListHandle& list, Py_ssize_t times);

}  // namespace graven::python
