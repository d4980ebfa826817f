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
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "errors.hpp"
#include "map_handle.hpp"
#include "map_values.hpp"
#include "options.hpp"

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

using Milliseconds = std::chrono::milliseconds;

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

PyObject* map_get(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return guarded_object([&]() -> nb::object {
    if (count < 1 || count > 2) throw nb::type_error("get() takes a key and perhaps a default");
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

// Writing.

void store(const MapHandle& self, PyObject* key, PyObject* value) {
  const std::string_view text = key_to_store(key);
  Scalar scalar;
  if (scalar.set(value)) [[likely]] {
    if (self.map.try_set_value(text, scalar.value())) return;
    return off_gil(self.map, [&](const Map& map) { map.set_value(text, scalar.value()); });
  }
  const Data data = data_from(value, Destination::under(key));
  off_gil(self.map, [&](const Map& map) { map.set(text, data); });
}

int map_assign(PyObject* self, PyObject* key, PyObject* value) {
  return guarded(
      [&] {
        const MapHandle& handle = map_handle(self);
        if (value != nullptr) {
          store(handle, key, value);
          return 0;
        }
        const auto text = key_to_find(key);
        if (text && off_gil(handle.map, [&](const Map& map) { return map.erase(*text); })) return 0;
        set_key_not_found(key);
        return -1;
      },
      -1);
}

/// Seconds or a timedelta.
Milliseconds time_to_live(nb::handle ttl) {
  nb::object given = nb::borrow(ttl);
  if (PyObject_HasAttrString(ttl.ptr(), "total_seconds") != 0) given = ttl.attr("total_seconds")();
  if (!PyFloat_Check(given.ptr()) && !PyLong_Check(given.ptr())) {
    throw WrongTypeError(std::string("ttl must be a number of seconds or a timedelta, not ") +
                         Py_TYPE(ttl.ptr())->tp_name);
  }
  const double seconds = PyFloat_AsDouble(given.ptr());
  if (seconds == -1.0 && PyErr_Occurred() != nullptr) throw nb::python_error();
  if (!(seconds > 0)) throw BadValueError("a ttl must be positive; without one a key stays");
  constexpr double kEver = 1e15;
  return Milliseconds(static_cast<std::int64_t>(std::ceil(std::min(seconds * 1000, kEver))));
}

void set(const MapHandle& self, nb::handle key, nb::handle value, nb::handle ttl) {
  if (ttl.is_none()) return store(self, key.ptr(), value.ptr());
  const Milliseconds lifetime = time_to_live(ttl);
  const std::string_view text = key_to_store(key.ptr());
  const Data data = data_from(value.ptr(), Destination::under(key.ptr()));
  off_gil(self.map, [&](const Map& map) { map.set(text, data, lifetime); });
}

void update(const MapHandle& self, PyObject* other, PyObject* keywords) {
  nb::object copy;
  if (other != nullptr && is_map_handle(other)) {
    copy = plain_copy(map_handle(other));
    other = copy.ptr();
  }
  const Entries entries(other, keywords);
  off_gil(self.map, [&](const Map& map) { map.update(entries.get()); });
}

nb::object setdefault(const MapHandle& self, nb::handle key, nb::handle otherwise) {
  const std::string_view text = key_to_store(key.ptr());
  const Data data = data_from(otherwise.ptr(), Destination::under(key.ptr()));
  return map_value_from(
      off_gil(self.map, [&](const Map& map) { return map.setdefault(text, data); }));
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

// As a whole.

PyObject* map_iterate(PyObject* self) {
  return guarded_object([&] { return iterate_map(map_handle(self), Part::kKeys); });
}

/// A dict as it is, a map as a dict; null for anything else.
nb::object dict_of(PyObject* object) {
  if (is_map_handle(object)) return plain_copy(map_handle(object));
  return PyDict_Check(object) ? nb::borrow(object) : nb::object();
}

PyObject* map_compare(PyObject* self, PyObject* other, int operation) {
  return guarded_object([&]() -> nb::object {
    const bool comparable = is_map_handle(other) || PyDict_Check(other);
    if (!comparable || (operation != Py_EQ && operation != Py_NE)) {
      return nb::borrow(Py_NotImplemented);
    }
    const Py_ssize_t left = PyObject_Size(self);
    const Py_ssize_t right = left < 0 ? -1 : PyObject_Size(other);
    if (right < 0) throw nb::python_error();
    if (left != right) return nb::bool_(operation == Py_NE);
    if (is_map_handle(other) && map_handle(self).map.session() == map_handle(other).map.session()) {
      return nb::bool_(operation == Py_EQ);
    }
    return owned(PyObject_RichCompare(dict_of(self).ptr(), dict_of(other).ptr(), operation));
  });
}

/// `left | right`, where one of them is a map: a plain dict.
PyObject* map_or(PyObject* left, PyObject* right) {
  return guarded_object([&]() -> nb::object {
    const auto fits = [](PyObject* side) { return is_map_handle(side) || PyDict_Check(side); };
    if (!fits(left) || !fits(right)) return nb::borrow(Py_NotImplemented);
    nb::object result = is_map_handle(left) ? dict_of(left) : owned(PyDict_Copy(left));
    if (PyDict_Update(result.ptr(), dict_of(right).ptr()) != 0) throw nb::python_error();
    return result;
  });
}

PyObject* map_or_in_place(PyObject* self, PyObject* other) {
  return guarded_object([&] {
    update(map_handle(self), other, nullptr);
    return nb::borrow(self);
  });
}

PyObject* map_repr(PyObject* self) {
  return guarded_object([&] {
    const MapHandle& handle = map_handle(self);
    const nb::object name = str_from(handle.map.name());
    const nb::object place = str_from(handle.place);
    return owned(PyUnicode_FromFormat("<graven.Map %R in %R, %s%s>", name.ptr(), place.ptr(),
                                      name_of(handle.persist),
                                      handle.map.closed() ? ", closed" : ""));
  });
}

PyMethodDef methods[] = {
    {"get", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(map_get)), METH_FASTCALL,
     "The value under a key, or the default."},
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
    {Py_nb_or, slot(map_or)},
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

void open(MapHandle* self, const std::string& url, const std::string& name,
          const std::string& persist, std::int64_t hot_capacity, double flush_interval,
          std::int64_t warm_bytes, std::int64_t pending_limit, std::int64_t memory_mb,
          bool read_only, bool create, const std::string& synchronous, double busy_timeout,
          double slow_operation, bool allow_network_file_system) {
  MapOptions options;
  options.name = name;
  options.persist = persist_from(persist);
  if (hot_capacity < 1) throw UsageError("hot_capacity must be at least 1");
  options.hot_capacity = static_cast<std::size_t>(hot_capacity);
  options.flush_interval = milliseconds(flush_interval, "flush_interval");
  if (warm_bytes < 0) throw UsageError("warm_bytes must not be negative");
  options.warm_bytes = static_cast<std::size_t>(warm_bytes);
  options.pending_limit = pending_limit_from(pending_limit);
  options.memory_mb = memory_from(memory_mb);
  options.read_only = read_only;
  options.create = create;
  options.synchronous = synchronous_from(synchronous);
  options.busy_timeout = milliseconds(busy_timeout, "busy_timeout");
  options.slow_operation = milliseconds(slow_operation, "slow_operation");
  options.allow_network_file_system = allow_network_file_system;
  options.stamps = true;
  const std::size_t most_kept = share_to_keep(options.memory_mb);
  Map map = [&] {
    const GilReleased release;
    return Map(url, options);
  }();
  new (self) MapHandle(std::move(map), url, most_kept);
}

void bind_writing(nb::class_<MapHandle>& type) {
  type.def("set", set, nb::arg("key").none(), nb::arg("value").none(), nb::arg("ttl") = nb::none(),
           nb::sig("def set(self, key: str, value: Any, ttl: float | timedelta | None = None) -> "
                   "None"),
           "Sets a key. After its time to live, in seconds, it is gone again; without one it\n"
           "stays, also if it had one before.");
  type.def("setdefault", setdefault, nb::arg("key").none(), nb::arg("default") = nb::none(),
           nb::sig("def setdefault(self, key: str, default: Any = None, /) -> Any"),
           "The value under a key, or the default after storing it, in one step.");
  type.def(
      "update",
      [](const MapHandle& self, const nb::args& other, const nb::kwargs& more) {
        if (other.size() > 1) throw nb::type_error("update expected at most 1 argument");
        update(self, other.size() == 0 ? nullptr : nb::handle(other[0]).ptr(), more.ptr());
      },
      nb::sig("def update(self, other: Any = (), /, **kwargs: Any) -> None"),
      "Sets the entries of a mapping, an iterable of pairs and keywords, in one step.");
  type.def(
      "bulk_insert",
      [](const MapHandle& self, nb::handle entries) { update(self, entries.ptr(), nullptr); },
      nb::arg("entries"),
      nb::sig("def bulk_insert(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]], /) "
              "-> None"),
      "update() under another name.");
  type.def(
      "pop",
      [](const MapHandle& self, nb::handle key) {
        nb::object value = pop(self, key);
        if (!value) throw_key_not_found(key.ptr());
        return value;
      },
      nb::arg("key").none(), nb::sig("def pop(self, key: str, /) -> Any"),
      "Removes a key and gives its value.");
  type.def(
      "pop",
      [](const MapHandle& self, nb::handle key, nb::handle otherwise) {
        nb::object value = pop(self, key);
        return value ? value : nb::borrow(otherwise);
      },
      nb::arg("key").none(), nb::arg("default").none(),
      nb::sig("def pop(self, key: str, default: Any, /) -> Any"));
  type.def("popitem", popitem, nb::sig("def popitem(self) -> tuple[str, Any]"),
           "Removes and gives the entry with the first key.");
  type.def("delete_many", delete_many, nb::arg("keys"),
           nb::sig("def delete_many(self, keys: Iterable[str], /) -> int"),
           "Removes those keys that are there, in one step; gives how many were.");
  type.def(
      "clear",
      [](const MapHandle& self) { off_gil(self.map, [](const Map& map) { map.clear(); }); },
      "Removes everything.");
}

/// For graven/map.py and graven/aio.py.
void bind_parts(nb::module_& module) {
  module.def(
      "iterate_map",
      [](const MapHandle& map, const std::string& part) {
        return iterate_map(map, part == "keys"     ? Part::kKeys
                                : part == "values" ? Part::kValues
                                                   : Part::kItems);
      },
      nb::arg("map"), nb::arg("part"),
      nb::sig("def iterate_map(map: FlatMap, part: str, /) -> Iterator[Any]"),
      "Steps through the 'keys', 'values' or 'items'.");
  module.def(
      "peek",
      [](const MapHandle& self, nb::handle key, nb::handle missing, nb::handle unknown) {
        const auto text = key_to_find(key.ptr());
        Shown shown;
        const auto known = text ? self.map.peek(*text, shown) : false;
        if (!known) return nb::borrow(unknown);
        return *known ? shown.take() : nb::borrow(missing);
      },
      nb::arg("map"), nb::arg("key").none(), nb::arg("missing").none(), nb::arg("unknown").none(),
      nb::sig("def peek(map: FlatMap, key: str, missing: Any, unknown: Any, /) -> Any"),
      "The value under a key or `missing`; `unknown` if the store would have to be waited for.");
  module.def(
      "peek_many",
      [](const MapHandle& self, nb::handle keys, nb::handle otherwise) {
        Peeked peeked = peek_many(self, Keys(keys.ptr(), "get_many()"), otherwise);
        return peeked.complete() ? std::move(peeked.list) : nb::none();
      },
      nb::arg("map"), nb::arg("keys"), nb::arg("default").none(),
      nb::sig("def peek_many(map: FlatMap, keys: Iterable[str], default: Any, /) -> list[Any] | "
              "None"),
      "get_many(), or None if the store would have to be waited for.");
  module.def(
      "try_set",
      [](const MapHandle& self, nb::handle key, nb::handle value) {
        const std::string_view text = key_to_store(key.ptr());
        Scalar scalar;
        return scalar.set(value.ptr()) && self.map.try_set_value(text, scalar.value());
      },
      nb::arg("map"), nb::arg("key").none(), nb::arg("value").none(),
      nb::sig("def try_set(map: FlatMap, key: str, value: Any, /) -> bool"),
      "Sets a key if nothing needs to be waited for.");
}

}  // namespace

void bind_map(nb::module_& module) {
  bind_map_iterator(module);
  bind_map_stats(module);
  auto type = nb::class_<MapHandle>(module, "FlatMap", nb::type_slots(slots),
                                    nb::sig("class FlatMap(MutableMapping[str, Any])"),
                                    "What graven.Map is made of.");
  map_type = reinterpret_cast<PyTypeObject*>(type.ptr());

  type.def("__init__", open, nb::arg("url"), nb::arg("name") = "main",
           nb::arg("persist") = "writethrough", nb::arg("hot_capacity") = 1'000'000,
           nb::arg("flush_interval") = 1.0, nb::arg("warm_bytes") = std::int64_t{64} << 20U,
           nb::arg("pending_limit") = std::int64_t{256} << 20U, nb::arg("memory_mb") = 0,
           nb::arg("read_only") = false, nb::arg("create") = true,
           nb::arg("synchronous") = "normal", nb::arg("busy_timeout") = 30.0,
           nb::arg("slow_operation") = 0.0, nb::arg("allow_network_file_system") = false,
           "Opens a map of the store at a path or URL.");
  type.def("get_many", get_many, nb::arg("keys"), nb::arg("default") = nb::none(),
           nb::sig("def get_many(self, keys: Iterable[str], default: Any = None) -> list[Any]"),
           "The values of many keys, of one state of the map; the default where there is none.");
  type.def(
      "copy", [](const MapHandle& self) { return plain_copy(self); },
      nb::sig("def copy(self) -> dict[str, Any]"), "A plain dict of all that is in the map.");
  bind_writing(type);
  bind_map_lifetime(type);
  bind_parts(module);
}

}  // namespace graven::python
