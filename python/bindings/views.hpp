// SPDX-License-Identifier: MIT
//
// Iterators over stored dicts and lists, and the live views that Dict.keys(), values() and
// items() give.
//
// Always holds: an iterator keeps its home and reads one consistent state of a dict; a view
// keeps its dict and reads it anew for each call. One thread at a time is inside an iterator.
//
// Called with the GIL held.
#pragma once

#include <cstdint>

#include <nanobind/nanobind.h>

#include "handles.hpp"

namespace nb = nanobind;

namespace graven::python {

enum class Part : std::uint8_t { kKeys, kValues, kItems };

nb::object iterate_dict(const DictHandle& dict, Part part, bool reverse);
nb::object iterate_list(const ListHandle& list, bool reverse);

/// A live view of a Dict object.
nb::object view_of(nb::handle dict, Part part);

}  // namespace graven::python
