// SPDX-License-Identifier: MIT
//
// Writing to a graven.Map.
//
// Always holds: values are converted before the map is touched; a function of the caller's runs
// with the GIL and with nothing of the map locked.
//
// Called with the GIL held, which is released around every use of the store.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "map_handle.hpp"
#include "map_values.hpp"
#include "node_members.hpp"

namespace graven::python {
namespace {

using Lifetime = std::optional<std::chrono::milliseconds>;

/// A number as a float; infinite if no float is so large.
double real_from(const nb::object& number) {
  double real = PyFloat_AsDouble(number.ptr());
  if (real == -1.0 && PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) == 0) throw nb::python_error();
    PyErr_Clear();  // an int that no float holds
    const int negative = PyObject_RichCompareBool(number.ptr(), nb::int_(0).ptr(), Py_LT);
    if (negative < 0) throw nb::python_error();
    real = negative != 0 ? -HUGE_VAL : HUGE_VAL;
  }
  return real;
}

/// Seconds or a timedelta; nothing for None. What is too long for a clock is for ever.
Lifetime lifetime_of(nb::handle ttl) {
  if (ttl.is_none()) return std::nullopt;
  nb::object given = nb::borrow(ttl);
  if (PyObject_HasAttrString(ttl.ptr(), "total_seconds") != 0) given = ttl.attr("total_seconds")();
  const bool number = PyFloat_Check(given.ptr()) || PyIndex_Check(given.ptr()) ||
                      PyObject_HasAttrString(given.ptr(), "__float__") != 0;
  if (!number || PyBool_Check(given.ptr())) {
    throw WrongTypeError("ttl must be a number of seconds or a timedelta, not " +
                         type_of(ttl.ptr()));
  }
  const double seconds = real_from(given);
  if (!(seconds > 0)) throw BadValueError("a ttl must be positive; without one a key stays");
  constexpr double kEver = 1e15;
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(std::ceil(std::min(seconds * 1000, kEver))));
}

/// A point in time: seconds since 1970, or a datetime. What is too far away for a clock is the end.
std::chrono::sys_time<std::chrono::milliseconds> time_from(nb::handle when) {
  nb::object given = nb::borrow(when);
  if (PyObject_HasAttrString(when.ptr(), "timestamp") != 0) given = when.attr("timestamp")();
  if (PyFloat_Check(given.ptr()) == 0 &&
      (!PyLong_Check(given.ptr()) || PyBool_Check(given.ptr()))) {
    throw WrongTypeError("the time must be a datetime or a number of seconds since 1970, not " +
                         type_of(when.ptr()));
  }
  const double seconds = real_from(given);
  if (std::isnan(seconds)) throw BadValueError("the time is not a number");
  constexpr double kEver = 1e15;
  return std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(
      static_cast<std::int64_t>(std::ceil(std::clamp(seconds * 1000, -kEver, kEver)))));
}

/// A number as data; the map refuses what is none.
Data number_from(nb::handle number) { return data_from(number.ptr(), Destination{}); }

}  // namespace

void store_in_map(const MapHandle& self, PyObject* key, PyObject* value) {
  const std::string_view text = key_to_store(key);
  Scalar scalar;
  if (scalar.set(value)) [[likely]] {
    if (self.map.try_set_value(text, scalar.value())) return;
    return off_gil(self.map, [&](const Map& map) { map.set_value(text, scalar.value()); });
  }
  const Data data = data_from(value, Destination::under(key));
  off_gil(self.map, [&](const Map& map) { map.set(text, data); });
}

void update_map(const MapHandle& self, PyObject* other, PyObject* keywords, nb::handle ttl) {
  nb::object copy;
  if (other != nullptr && is_map_handle(other)) {
    copy = plain_copy(map_handle(other));
    other = copy.ptr();
  }
  const auto lifetime = lifetime_of(ttl);
  const Entries entries(other, keywords);
  off_gil(self.map, [&](const Map& map) { map.update(entries.get(), lifetime); });
}

namespace {

void set(const MapHandle& self, nb::handle key, nb::handle value, nb::handle ttl) {
  const auto lifetime = lifetime_of(ttl);
  if (!lifetime) return store_in_map(self, key.ptr(), value.ptr());
  const std::string_view text = key_to_store(key.ptr());
  const Data data = data_from(value.ptr(), Destination::under(key.ptr()));
  off_gil(self.map, [&](const Map& map) { map.set(text, data, lifetime); });
}

nb::object setdefault(const MapHandle& self, nb::handle key, nb::handle otherwise, nb::handle ttl) {
  const std::string_view text = key_to_store(key.ptr());
  const Data data = data_from(otherwise.ptr(), Destination::under(key.ptr()));
  const auto lifetime = lifetime_of(ttl);
  return map_value_from(
      off_gil(self.map, [&](const Map& map) { return map.setdefault(text, data, lifetime); }));
}

bool touch(const MapHandle& self, nb::handle key, nb::handle ttl) {
  const auto text = key_to_find(key.ptr());
  const auto lifetime = lifetime_of(ttl);
  return text && off_gil(self.map, [&](const Map& map) { return map.touch(*text, lifetime); });
}

bool expire_at(const MapHandle& self, nb::handle key, nb::handle when) {
  const auto text = key_to_find(key.ptr());
  const auto time = time_from(when);
  return text && off_gil(self.map, [&](const Map& map) { return map.expire_at(*text, time); });
}

nb::object pop_many(const MapHandle& self, nb::handle iterable, nb::handle otherwise) {
  Keys keys(iterable.ptr(), "pop_many()");
  keys.own();
  const Keys::Texts texts = keys.texts();
  const auto values = off_gil(self.map, [&](const Map& map) { return map.pop_many(texts); });
  nb::object list = owned(PyList_New(static_cast<Py_ssize_t>(values.size())));
  for (std::size_t at = 0; at < values.size(); ++at) {
    nb::object value = values[at] ? map_value_from(*values[at]) : nb::borrow(otherwise);
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(at), value.release().ptr());
  }
  return list;
}

/// Null when there is none.
nb::object pop(const MapHandle& self, nb::handle key) {
  const auto text = key_to_find(key.ptr());
  if (!text) return {};
  const auto value = off_gil(self.map, [&](const Map& map) { return map.pop(*text); });
  return value ? map_value_from(*value) : nb::object();
}

nb::object popitem(const MapHandle& self) {
  const auto entry = off_gil(self.map, [](const Map& map) { return map.popitem(); });
  if (!entry) throw_error(Errc::kKeyNotFound, "popitem(): map is empty");
  return owned(PyTuple_Pack(2, str_from(entry->first).ptr(), map_value_from(entry->second).ptr()));
}

std::size_t delete_many(const MapHandle& self, nb::handle iterable) {
  Keys keys(iterable.ptr(), "delete_many()");
  keys.own();
  const Keys::Texts texts = keys.texts();
  return off_gil(self.map, [&](const Map& map) { return map.erase_many(texts); });
}

nb::object add_to(const MapHandle& self, nb::handle key, nb::handle by, nb::handle otherwise,
                  nb::handle ttl, bool down) {
  const std::string_view text = key_to_store(key.ptr());
  const Data step = number_from(by);
  const Data initial = number_from(otherwise);
  const auto lifetime = lifetime_of(ttl);
  return map_value_from(off_gil(self.map, [&](const Map& map) {
    return down ? map.decr(text, step, initial, lifetime) : map.incr(text, step, initial, lifetime);
  }));
}

bool add(const MapHandle& self, nb::handle key, nb::handle value, nb::handle ttl) {
  const std::string_view text = key_to_store(key.ptr());
  const Data data = data_from(value.ptr(), Destination::under(key.ptr()));
  const auto lifetime = lifetime_of(ttl);
  return off_gil(self.map, [&](const Map& map) { return map.add(text, data, lifetime); });
}

/// With a null `otherwise`, KeyNotFound for a missing key.
nb::object update_with(const MapHandle& self, nb::handle key, nb::handle function,
                       nb::handle otherwise) {
  const std::string_view text = key_to_store(key.ptr());
  if (PyCallable_Check(function.ptr()) == 0) throw nb::next_overload();
  const Data initial =
      otherwise.is_valid() ? data_from(otherwise.ptr(), Destination::under(key.ptr())) : Data();
  const auto changed = [&](const Data& old) {
    const GilHeld gil;
    const nb::object value_before = map_value_from(old);
    const nb::object value = or_stay([&] { return function(value_before); });
    return data_from(value.ptr(), Destination::under(key.ptr()));
  };
  try {
    return map_value_from(off_gil(self.map, [&](const Map& map) {
      return otherwise.is_valid() ? map.update_with(text, changed, initial)
                                  : map.update_with(text, changed);
    }));
  } catch (const KeyNotFound&) {
    throw_key_not_found(key.ptr());
  }
}

void bind_changes(nb::class_<MapHandle>& type) {
  type.def(
      "incr",
      [](const MapHandle& self, nb::handle key, nb::handle by, nb::handle otherwise,
         nb::handle ttl) { return add_to(self, key, by, otherwise, ttl, false); },
      nb::arg("key").none(), nb::arg("by").none() = 1, nb::arg("default").none() = 0,
      nb::arg("ttl") = nb::none(),
      nb::sig("def incr(self, key: str, by: float = 1, default: float = 0, "
              "ttl: float | timedelta | None = None) -> Any"),
      "Adds to the number under a key and returns the sum, in one step: no change of another\n"
      "thread, or with persist=\"writethrough\" of another process, comes between. Integers are\n"
      "exact and have any size. A missing key counts as `default`. An existing key keeps its\n"
      "time to live; `ttl` is for a new key. Raises WrongTypeError if the value is not a\n"
      "number.");
  type.def(
      "decr",
      [](const MapHandle& self, nb::handle key, nb::handle by, nb::handle otherwise,
         nb::handle ttl) { return add_to(self, key, by, otherwise, ttl, true); },
      nb::arg("key").none(), nb::arg("by").none() = 1, nb::arg("default").none() = 0,
      nb::arg("ttl") = nb::none(),
      nb::sig("def decr(self, key: str, by: float = 1, default: float = 0, "
              "ttl: float | timedelta | None = None) -> Any"),
      "Subtracts from the number under a key and returns the difference, like incr().");
  type.def("add", add, nb::arg("key").none(), nb::arg("value").none(), nb::arg("ttl") = nb::none(),
           nb::sig("def add(self, key: str, value: Any, ttl: float | timedelta | None = None) -> "
                   "bool"),
           "Sets a key if it is missing, in one step like incr(); returns False if it exists.");
  bind_update_with(
      type, update_with,
      "Replaces the value under a key by function(value), in one step like incr(), and returns\n"
      "the new value. With a default, a missing key gets function(default). The key keeps its\n"
      "time to live. No lock is held while the function runs: it may use the map. It runs again\n"
      "if others changed the value in the meantime, so it should have no side effects.");
}

}  // namespace

void bind_map_writing(nb::class_<MapHandle>& type) {
  type.def("set", set, nb::arg("key").none(), nb::arg("value").none(), nb::arg("ttl") = nb::none(),
           nb::sig("def set(self, key: str, value: Any, ttl: float | timedelta | None = None) -> "
                   "None"),
           "Sets a key. After its time to live, in seconds, the key is removed; without one it\n"
           "stays, also if it had one before.");
  type.def("setdefault", setdefault, nb::arg().none(), nb::arg() = nb::none(),
           nb::arg("ttl") = nb::none(),
           nb::sig("def setdefault(self, key: str, default: Any = None, /, "
                   "ttl: float | timedelta | None = None) -> Any"),
           "Returns the value under a key, or stores the default and returns it, in one step.\n"
           "`ttl` is for a new key.");
  type.def("touch", touch, nb::arg("key").none(), nb::arg("ttl").none(),
           nb::sig("def touch(self, key: str, ttl: float | timedelta | None) -> bool"),
           "Gives a key a new time to live, in seconds from now; with None the key stays. Returns\n"
           "False if it is missing.");
  type.def("expire_at", expire_at, nb::arg("key").none(), nb::arg("when").none(),
           nb::sig("def expire_at(self, key: str, when: float | datetime) -> bool"),
           "Lets a key expire at a time: a datetime, or seconds since 1970 as of time.time(). If\n"
           "that has passed, the key is removed. Returns False if it is missing.");
  type.def(
      "update",
      [](const MapHandle& self, const nb::args& other, const nb::kwargs& more) {
        if (other.size() > 1) throw nb::next_overload();
        nb::object ttl = nb::none();
        if (more.contains("ttl")) {
          ttl = more["ttl"];
          PyDict_DelItemString(more.ptr(), "ttl");
          if (other.size() == 0 && more.size() == 0) {
            throw UsageError(
                "update() was given nothing but ttl, which is a time to live; a key of that name "
                "goes in a mapping: update({'ttl': ...})");
          }
        }
        update_map(self, other.size() == 0 ? nullptr : nb::handle(other[0]).ptr(), more.ptr(), ttl);
      },
      nb::sig("def update(self, other: Any = (), /, *, ttl: float | timedelta | None = None, "
              "**kwargs: Any) -> None"),
      "Sets the entries of a mapping, an iterable of pairs and keywords, in one step. ttl: as\n"
      "in set(), for each of them; a key with the name `ttl` must be in the mapping.");
  type.def(
      "bulk_insert",
      [](const MapHandle& self, nb::handle entries, nb::handle ttl) {
        update_map(self, entries.ptr(), nullptr, ttl);
      },
      nb::arg(), nb::arg("ttl") = nb::none(),
      nb::sig("def bulk_insert(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]], /, "
              "ttl: float | timedelta | None = None) -> None"),
      "update() under another name.");
  bind_pop(type, pop);
  type.def("popitem", popitem, nb::sig("def popitem(self) -> tuple[str, Any]"),
           "Removes the entry with the first key and returns it.");
  type.def(
      "pop_many", pop_many, nb::arg("keys"), nb::arg("default").none() = nb::none(),
      nb::sig("def pop_many(self, keys: Iterable[str], default: Any = None) -> list[Any]"),
      "Removes the given keys in one step and returns their values; the default for a missing\n"
      "key.");
  type.def("delete_many", delete_many, nb::arg(),
           nb::sig("def delete_many(self, keys: Iterable[str], /) -> int"),
           "Removes the given keys in one step; returns how many of them existed.");
  type.def(
      "clear",
      [](const MapHandle& self) { off_gil(self.map, [](const Map& map) { map.clear(); }); },
      "Removes everything.");
  bind_changes(type);
}

}  // namespace graven::python
