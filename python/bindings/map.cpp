// SPDX-License-Identifier: MIT
//
// graven.Map: a stored flat mapping with the interface of a dict.
//
// Always holds: reading and writing by key, `in` and get() are plain C functions that Python calls
// without a lookup; what is in memory is answered with the GIL kept and without graven::Data in
// between. Values are converted before the map is touched.
//
// Called with the GIL held.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "errors.hpp"
#include "map_handle.hpp"
#include "map_values.hpp"
#include "node_members.hpp"
#include "options.hpp"
#include "path.hpp"

namespace graven::python {

PyTypeObject* map_type = nullptr;

MapHandle::~MapHandle() {
  if (map.closed()) return;
  // The last one closes the map: a lazy one's writes go to the file now.
  const GilReleased release;
  map = Map(std::shared_ptr<map::Session>());
}

MapHandle& map_handle(PyObject* object) {
  if (!nb::inst_ready(object)) {
    throw UsageError("this map was never initialised: __init__ of its class did not run");
  }
  return *nb::inst_ptr<MapHandle>(object);
}

namespace {

// Reading.

/// The value under a key, or null without an error.
nb::object find(const MapHandle& self, PyObject* key) {
  if (PyObject* kept = self.kept.find(self.map, key)) [[likely]]
    return owned(kept);
  const auto text = key_to_find(key);
  if (!text) return {};
  const std::uint64_t hash = Map::hash(*text);
  Shown shown;
  MapStamp stamp;
  if (const auto known = self.map.peek(*text, hash, stamp, shown)) [[likely]] {
    if (!*known) return {};
    nb::object value = shown.take();
    self.kept.keep(key, hash, stamp, value.ptr());
    return value;
  }
  const auto value = off_gil(self.map, [&](const Map& map) { return map.get(*text); });
  return value ? map_value_from(*value) : nb::object();
}

PyObject* map_subscript(PyObject* self, PyObject* key) {
  return guarded_object([&] {
    nb::object value = find(map_handle(self), key);
    if (!value) set_key_not_found(key);
    return value;
  });
}

PyObject* map_get(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guarded_object([&]() -> nb::object {
    if (names != nullptr && PyTuple_GET_SIZE(names) != 0) [[unlikely]]
      throw WrongTypeError("get() takes its arguments by position");
    if (count < 1 || count > 2) {
      throw WrongTypeError(count < 1 ? "get() lacks the argument 'key'"
                                     : "get() takes at most 2 arguments by position, not " +
                                           std::to_string(count));
    }
    nb::object value = find(map_handle(self), arguments[0]);
    if (value) return value;
    return count == 2 ? nb::borrow(arguments[1]) : nb::none();
  });
}

int map_contains(PyObject* self, PyObject* key) {
  return guarded(
      [&]() -> int {
        const MapHandle& handle = map_handle(self);
        const auto text = key_to_find(key);
        if (!text) return 0;
        if (const auto known = handle.map.peek(*text, [](const MapValue&) {})) [[likely]]
          return *known ? 1 : 0;
        return off_gil(handle.map, [&](const Map& map) { return map.contains(*text); });
      },
      -1);
}

Py_ssize_t map_length(PyObject* self) {
  return guarded(
      [&] {
        return static_cast<Py_ssize_t>(
            off_gil(map_handle(self).map, [](const Map& map) { return map.size(); }));
      },
      Py_ssize_t{-1});
}

/// The values of many keys as far as they are in memory.
struct Peeked {
  nb::object list{};                   // null: none counts
  std::vector<std::size_t> unknown{};  // places in it that are empty
  std::uint64_t state = 0;             // Map::state() of the others

  [[nodiscard]] bool complete() const noexcept { return list && unknown.empty(); }
};

Peeked peek_many(const MapHandle& self, const Keys& keys, nb::handle otherwise) {
  const std::optional<std::uint64_t> state = self.map.state();
  if (!state) return {};
  nb::object list = owned(PyList_New(static_cast<Py_ssize_t>(keys.count())));
  const auto put = [&](std::size_t at, PyObject* object) {
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(at), object);
  };
  std::vector<std::size_t> others = self.kept.find_many(self.map, keys, put);
  std::vector<std::pair<std::size_t, Data>> nested;
  const auto show = [&](std::size_t i, const MapValue* value) {
    if (value == nullptr) {
      put(others[i], nb::handle(otherwise).inc_ref().ptr());
    } else if (value->kind == MapValue::Kind::kJson) {
      nested.emplace_back(others[i], value->to_data());
    } else {
      put(others[i], scalar_object(*value));
    }
  };
  const bool known = others.empty() || self.map.peek_many(keys.texts(others), show);
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
  if (self.map.state() != state) return {};
  if (!known) {
    for (const std::size_t at : others) {
      PyObject* const shown = PyList_GET_ITEM(list.ptr(), static_cast<Py_ssize_t>(at));
      put(at, nullptr);
      Py_XDECREF(shown);
    }
    return {std::move(list), std::move(others), *state};
  }
  for (const auto& [at, data] : nested) put(at, map_value_from(data).release().ptr());
  return {std::move(list), {}, *state};
}

nb::object get_many(const MapHandle& self, nb::handle iterable, nb::handle otherwise) {
  Keys keys(iterable.ptr(), "get_many()");
  Peeked peeked = peek_many(self, keys, otherwise);
  if (peeked.complete()) return std::move(peeked.list);
  keys.own();
  const auto read = [&](const Keys::Texts& texts) {
    return off_gil(self.map, [&](const Map& map) { return map.get_many(texts); });
  };
  const auto put = [&](nb::object& list, std::size_t at, const std::optional<Data>& read_value) {
    nb::object value = read_value ? map_value_from(*read_value) : nb::borrow(otherwise);
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(at), value.release().ptr());
  };
  // What is in memory is good, and counted as read, if the rest is of the same state.
  if (peeked.list && peeked.unknown.size() < keys.count()) {
    const auto values = read(keys.texts(peeked.unknown));
    if (self.map.state() == peeked.state) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        put(peeked.list, peeked.unknown[i], values[i]);
      }
      return std::move(peeked.list);
    }
  }
  const auto values = read(keys.texts());
  nb::object list = owned(PyList_New(static_cast<Py_ssize_t>(values.size())));
  for (std::size_t at = 0; at < values.size(); ++at) put(list, at, values[at]);
  return list;
}

/// The first or the last item; None if there is none.
nb::object end_of(const MapHandle& self, bool last) {
  const auto entry =
      off_gil(self.map, [&](const Map& map) { return last ? map.last() : map.first(); });
  if (!entry) return nb::none();
  return owned(PyTuple_Pack(2, str_from(entry->first).ptr(), map_value_from(entry->second).ptr()));
}

nb::object ttl_of(const MapHandle& self, nb::handle key) {
  const auto text = key_to_find(key.ptr());
  if (!text) throw_key_not_found(key.ptr());
  try {
    const auto left = off_gil(self.map, [&](const Map& map) { return map.ttl(*text); });
    if (!left) return nb::none();
    return nb::float_(static_cast<double>(left->count()) / 1000);
  } catch (const KeyNotFound&) {
    throw_key_not_found(key.ptr());
  }
}

// Writing.

int map_assign(PyObject* self, PyObject* key, PyObject* value) {
  return guarded(
      [&] {
        const MapHandle& handle = map_handle(self);
        if (value != nullptr) {
          store_in_map(handle, key, value);
          return 0;
        }
        const auto text = key_to_find(key);
        if (text && off_gil(handle.map, [&](const Map& map) { return map.erase(*text); })) return 0;
        set_key_not_found(key);
        return -1;
      },
      -1);
}

// As a whole.

PyObject* map_iterate(PyObject* self) {
  return guarded_object([&] { return iterate_map(map_handle(self), Part::kKeys); });
}

PyObject* map_compare(PyObject* self, PyObject* other, int operation) {
  return guarded_object([&]() -> nb::object {
    const bool comparable = is_map_handle(other) || is_dict_handle(other) || PyDict_Check(other);
    if (!comparable || (operation != Py_EQ && operation != Py_NE)) {
      return nb::borrow(Py_NotImplemented);
    }
    return nb::bool_(map_equals(map_handle(self), other) == (operation == Py_EQ));
  });
}

PyObject* map_or_in_place(PyObject* self, PyObject* other) {
  return guarded_object([&] {
    update_map(map_handle(self), other, nullptr, nb::none());
    return nb::borrow(self);
  });
}

PyObject* map_repr(PyObject* self) {
  return guarded_object([&] {
    const MapHandle& handle = map_handle(self);
    const nb::object name = str_from(handle.map.name());
    const nb::object place = nb::cast(SystemPath{handle.place});
    return owned(PyUnicode_FromFormat("<graven.Map %R in %R, %s%s>", name.ptr(), place.ptr(),
                                      option_name(handle.persist).data(),
                                      handle.map.closed() ? ", closed" : ""));
  });
}

PyMethodDef methods[] = {
    {"get", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(map_get)),
     METH_FASTCALL | METH_KEYWORDS, "The value under a key, or the default."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_mp_subscript, slot(map_subscript)},
    {Py_mp_ass_subscript, slot(map_assign)},
    {Py_mp_length, slot(map_length)},
    {Py_sq_contains, slot(map_contains)},
    {Py_tp_iter, slot(map_iterate)},
    {Py_tp_richcompare, slot(map_compare)},
    {Py_tp_hash, slot(PyObject_HashNotImplemented)},
    {Py_tp_repr, slot(map_repr)},
    {Py_nb_or, slot(union_of)},
    {Py_nb_inplace_or, slot(map_or_in_place)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

/// Bytes for the objects that are kept: an eighth of what the file may take, which is left for
/// them.
std::size_t share_to_keep(std::size_t& memory_mb) {
  constexpr std::size_t unless_told = 64;
  if (memory_mb == 0) return unless_told << 20U;
  constexpr std::size_t least = 16;  // that a file wants
  const std::size_t share = std::min(memory_mb / 8, memory_mb - std::min(memory_mb, least));
  memory_mb -= share;
  return share << 20U;
}

constexpr std::size_t kByPosition = 4;  // name, persist, hot_capacity, flush_interval

void open(MapHandle* self, const std::optional<SystemPath>& place, const nb::args& by_position,
          const nb::kwargs& by_name) {
  if (!place) {
    throw WrongTypeError("Map(): path_or_url must be str, bytes or os.PathLike, not None");
  }
  const SystemPath& path = *place;
  auto options = options_from<MapOptions>(by_position, by_name, kByPosition);
  options.stamps = true;
  const std::size_t most_kept = share_to_keep(options.memory_mb);
  Map map = [&] {
    const GilReleased release;
    return Map(path.bytes, options);
  }();
  new (self) MapHandle(std::move(map), path.bytes, most_kept);
}

/// For graven/map.py and graven/aio.py.
void bind_parts(nb::module_& module) {
  module.def(
      "map_options",
      [](const nb::args& by_position, const nb::kwargs& by_name) {
        return told(options_from<MapOptions>(by_position, by_name, 0));
      },
      nb::sig("def map_options(**options: Any) -> list[dict[str, Any]]"),
      "A description of each option of a Map; the given options have the given values.");
  module.def(
      "peek",
      [](const MapHandle& self, nb::handle key, nb::handle missing, nb::handle unknown) {
        const auto text = key_to_find(key.ptr());
        Shown shown;
        const std::optional<bool> known = text ? self.map.peek(*text, shown) : false;
        if (!known) return nb::borrow(unknown);
        return *known ? shown.take() : nb::borrow(missing);
      },
      nb::arg("map"), nb::arg("key").none(), nb::arg("missing").none(), nb::arg("unknown").none(),
      nb::sig("def peek(map: FlatMap, key: str, missing: Any, unknown: Any, /) -> Any"),
      "The value under a key or `missing`; `unknown` if the answer needs a wait for the store.");
  module.def(
      "peek_many",
      [](const MapHandle& self, nb::handle keys, nb::handle otherwise) {
        Peeked peeked = peek_many(self, Keys(keys.ptr(), "get_many()"), otherwise);
        return peeked.complete() ? std::move(peeked.list) : nb::none();
      },
      nb::arg("map"), nb::arg("keys"), nb::arg("default").none(),
      nb::sig("def peek_many(map: FlatMap, keys: Iterable[str], default: Any, /) -> list[Any] | "
              "None"),
      "get_many(), or None if the answer needs a wait for the store.");
  module.def(
      "try_set",
      [](const MapHandle& self, nb::handle key, nb::handle value) {
        const std::string_view text = key_to_store(key.ptr());
        Scalar scalar;
        return scalar.set(value.ptr()) && self.map.try_set_value(text, scalar.value());
      },
      nb::arg("map"), nb::arg("key").none(), nb::arg("value").none(),
      nb::sig("def try_set(map: FlatMap, key: str, value: Any, /) -> bool"),
      "Sets a key if that needs no wait; returns whether it did.");
}

}  // namespace

void bind_map(nb::module_& module) {
  bind_map_iterator(module);
  bind_map_stats(module);
  auto type = nb::class_<MapHandle>(module, "FlatMap", nb::type_slots(slots),
                                    nb::sig("class FlatMap(MutableMapping[str, Any])"),
                                    "The base class of graven.Map.");
  map_type = reinterpret_cast<PyTypeObject*>(type.ptr());

  const std::string signature = signature_of_init<MapOptions>(
      "str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None", kByPosition);
  type.def("__init__", open, nb::arg("path_or_url") = nb::none(), nb::arg("by_position"),
           nb::arg("by_name"), nb::sig(signature.c_str()),
           "Opens a map of the store at a path or URL.");
  type.def("get_many", get_many, nb::arg("keys"), nb::arg("default") = nb::none(),
           nb::sig("def get_many(self, keys: Iterable[str], default: Any = None) -> list[Any]"),
           "The values of many keys, all of one state of the map; the default for a missing key.");
  type.def(
      "first", [](const MapHandle& self) { return end_of(self, false); },
      nb::sig("def first(self) -> tuple[str, Any] | None"),
      "The (key, value) pair with the first key, or None if the map is empty.");
  type.def(
      "last", [](const MapHandle& self) { return end_of(self, true); },
      nb::sig("def last(self) -> tuple[str, Any] | None"),
      "The (key, value) pair with the last key, or None if the map is empty.");
  type.def("ttl", ttl_of, nb::arg("key").none(), nb::sig("def ttl(self, key: str) -> float | None"),
           "How many seconds a key will live; None if it stays. KeyNotFound if it is missing.");
  type.def(
      "copy", [](const MapHandle& self) { return plain_copy(self); },
      nb::sig("def copy(self) -> dict[str, Any]"), "A plain dict of everything in the map.");
  bind_map_writing(type);
  bind_map_lifetime(type);
  bind_copying<MapHandle>(type, plain_copy, plain_copy, "call copy()");
  bind_parts(module);
}

}  // namespace graven::python
