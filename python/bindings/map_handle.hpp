// SPDX-License-Identifier: MIT
//
// The C++ half of graven.Map, and of iterators over one.
//
// Always holds: what may wait for the store or for another thread runs through off_gil(). What is
// in memory is read, and where nothing needs to be waited for written, with the GIL kept: letting
// go of it and taking it again costs more than that.
//
// Called with the GIL held.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <nanobind/nanobind.h>

#include <graven/graven.hpp>

#include "gil.hpp"
#include "handles.hpp"
#include "kept_values.hpp"
#include "views.hpp"

namespace nb = nanobind;

namespace graven::python {

struct MapHandle {
  MapHandle(Map opened, std::string at, std::size_t most_kept)
      : map(std::move(opened)), place(std::move(at)), persist(map.persist()), kept(most_kept) {}
  MapHandle(const MapHandle&) = delete;
  MapHandle& operator=(const MapHandle&) = delete;
  ~MapHandle();

  Map map;
  const std::string place;  // the path or URL
  const Persist persist;
  mutable KeptValues kept;
};

/// Runs `call` on the map, without the GIL; it must not touch Python.
template <class Call>
auto off_gil(const Map& map, Call&& call) {
  Entry::check_map(map);
  const GilReleased release;
  return call(map);
}

extern PyTypeObject* map_type;

inline bool is_map_handle(PyObject* object) noexcept {
  return PyObject_TypeCheck(object, map_type) != 0;
}
/// The C++ half of an object that is_map_handle(); UsageError when __init__ was never called.
MapHandle& map_handle(PyObject* object);

/// Keys, values or items of a range, in order of the keys, as Map's cursors go.
nb::object iterate_map(const MapHandle& handle, Part part, MapRange range = {});
/// All of it as a dict.
nb::object plain_copy(const MapHandle& handle);

/// Whether a map's contents are those of a dict, a Dict or another map.
bool map_equals(const MapHandle& map, PyObject* other);
void store_in_map(const MapHandle& map, PyObject* key, PyObject* value);
/// As dict.update(), in one step; either of the entries may be null.
void update_map(const MapHandle& map, PyObject* other, PyObject* keywords, nb::handle ttl);

void bind_map_iterator(nb::module_& module);
void bind_map_stats(nb::module_& module);
void bind_map_writing(nb::class_<MapHandle>& type);
void bind_map_lifetime(nb::class_<MapHandle>& type);

}  // namespace graven::python
