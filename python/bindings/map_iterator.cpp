// SPDX-License-Identifier: MIT
//
// Stepping through a map: some entries at a time are taken from its cursor without the GIL, and
// handed out one by one.
//
// Always holds: an iterator keeps the map open in the sense of memory only; after close() its next
// step raises. While a cursor steps without the GIL its iterator is marked busy, so a second
// thread gets an error and not a race.
//
// Called with the GIL held.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "errors.hpp"
#include "map_handle.hpp"
#include "map_values.hpp"

namespace graven::python {
namespace {

constexpr std::size_t kAtATime = 256;

void require_open(const Map& map) {
  if (map.closed()) throw ClosedError("the map '" + map.name() + "' was closed");
}

class MapIterator {
 public:
  MapIterator(Map map, Part part, MapRange range = {})
      : map_(std::move(map)), part_(part), range_(std::move(range)) {}
  MapIterator(const MapIterator&) = delete;
  MapIterator& operator=(const MapIterator&) = delete;
  ~MapIterator() {
    // It may be what keeps a map that nobody closed.
    const GilReleased release;
    cursor_.reset();
    map_.reset();
  }

  /// The next one; null at the end.
  const std::pair<std::string, Data>* next_entry() {
    if (busy_) throw UsageError("this iterator is in use by another thread");
    if (map_) require_open(*map_);
    if (cursor_) cursor_->require_none_added();
    if (at_ == entries_.size() && !fill()) return nullptr;
    return &entries_[at_++];
  }
  nb::object next() {
    const auto* entry = next_entry();
    if (entry == nullptr) return {};
    const auto& [key, value] = *entry;
    switch (part_) {
      case Part::kKeys:
        return str_from(key);
      case Part::kValues:
        return map_value_from(value);
      default:
        return owned(PyTuple_Pack(2, str_from(key).ptr(), map_value_from(value).ptr()));
    }
  }

 private:
  bool fill() {
    if (!map_) return false;
    busy_ = true;
    try {
      off_gil(*map_, [&](const Map& map) {
        at_ = 0;
        entries_.clear();
        if (!cursor_) cursor_ = map.cursor(range_);
        std::pair<std::string, Data> entry;
        Data* value = part_ == Part::kKeys ? nullptr : &entry.second;
        while (entries_.size() < kAtATime && cursor_->next(entry.first, value)) {
          entries_.push_back(std::move(entry));
        }
      });
    } catch (...) {
      busy_ = false;
      throw;
    }
    if (entries_.empty()) {
      const GilReleased release;
      cursor_.reset();
      map_.reset();
    }
    busy_ = false;
    return map_.has_value();
  }

  std::optional<Map> map_;  // empty at the end
  const Part part_;
  const MapRange range_;
  std::shared_ptr<map::Cursor> cursor_;
  std::vector<std::pair<std::string, Data>> entries_;
  std::size_t at_ = 0;
  bool busy_ = false;
};

Part part_from(const std::string& name) {
  if (name == "keys") return Part::kKeys;
  return name == "values" ? Part::kValues : Part::kItems;
}

std::string bound_from(nb::handle text, const char* what) {
  if (PyUnicode_Check(text.ptr()) == 0) {
    throw WrongTypeError(std::string("the ") + what + " of a range of keys must be a str, not " +
                         type_of(text.ptr()));
  }
  return std::string(key_to_store(text.ptr()));
}

std::optional<std::string> bound_if(nb::handle text, const char* what) {
  if (text.is_none()) return std::nullopt;
  return bound_from(text, what);
}

std::size_t limit_from(nb::handle limit) {
  if (limit.is_none()) return SIZE_MAX;
  if (PyIndex_Check(limit.ptr()) == 0) {
    throw WrongTypeError("limit must be an int or None, not " + type_of(limit.ptr()));
  }
  const Py_ssize_t count = PyNumber_AsSsize_t(limit.ptr(), nullptr);  // the nearest one it can be
  if (count == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  if (count < 0) throw BadValueError("limit must not be negative; None is no limit");
  return static_cast<std::size_t>(count);
}

PyObject* iterator_next(PyObject* self) {
  return guarded_object([&] { return nb::inst_ptr<MapIterator>(self)->next(); });
}

PyType_Slot slots[] = {
    {Py_tp_iter, slot(PyObject_SelfIter)}, {Py_tp_iternext, slot(iterator_next)}, {0, nullptr}};

}  // namespace

nb::object iterate_map(const MapHandle& handle, Part part, MapRange range) {
  require_open(handle.map);
  nb::object object = nb::inst_alloc(nb::type<MapIterator>());
  new (nb::inst_ptr<MapIterator>(object)) MapIterator(handle.map, part, std::move(range));
  nb::inst_mark_ready(object);
  return object;
}

bool map_equals(const MapHandle& map, PyObject* other) {
  nb::object dict = nb::borrow(other);
  if (is_map_handle(other)) {
    if (map.map.session() == map_handle(other).map.session()) return true;
    dict = plain_copy(map_handle(other));
  } else if (is_dict_handle(other)) {
    dict = materialized(dict_handle(other));
  }
  const std::size_t size = off_gil(map.map, [](const Map& each) { return each.size(); });
  if (size != static_cast<std::size_t>(PyDict_Size(dict.ptr()))) return false;
  static const HomePtr nowhere;  // a map's values hold no handles
  MapIterator entries(map.map, Part::kItems);
  while (const auto* entry = entries.next_entry()) {
    PyObject* value = PyDict_GetItemWithError(dict.ptr(), str_from(entry->first).ptr());
    if (value == nullptr && PyErr_Occurred() != nullptr) throw nb::python_error();
    if (value == nullptr) return false;
    const nb::object kept = nb::borrow(value);
    if (!data_equals(entry->second, kept.ptr(), nowhere)) return false;
  }
  return true;
}

nb::object plain_copy(const MapHandle& handle) {
  nb::object result = owned(PyDict_New());
  MapIterator items(handle.map, Part::kItems);
  while (const nb::object item = items.next()) {
    if (PyDict_SetItem(result.ptr(), PyTuple_GET_ITEM(item.ptr(), 0),
                       PyTuple_GET_ITEM(item.ptr(), 1)) != 0) {
      throw nb::python_error();
    }
  }
  return result;
}

void bind_map_iterator(nb::module_& module) {
  nb::class_<MapIterator>(module, "MapIterator", nb::type_slots(slots), nb::is_final(),
                          nb::sig("class MapIterator(Iterator[Any])"),
                          "Iterates over a Map in the order of its keys.");
  module.def(
      "iterate_map",
      [](const MapHandle& map, const std::string& part, nb::handle prefix, nb::handle start,
         nb::handle stop, bool reverse, nb::handle limit) {
        return iterate_map(map, part_from(part),
                           {.prefix = bound_from(prefix, "prefix"),
                            .start = bound_if(start, "start"),
                            .stop = bound_if(stop, "stop"),
                            .reverse = reverse,
                            .limit = limit_from(limit)});
      },
      nb::arg("map"), nb::arg("part"), nb::kw_only(), nb::arg("prefix").none() = "",
      nb::arg("start") = nb::none(), nb::arg("stop") = nb::none(), nb::arg("reverse") = false,
      nb::arg("limit") = nb::none(),
      nb::sig("def iterate_map(map: FlatMap, part: str, *, prefix: str = \"\", "
              "start: str | None = None, stop: str | None = None, reverse: bool = False, "
              "limit: int | None = None) -> Iterator[Any]"),
      "Iterates over the 'keys', 'values' or 'items' of a range.");
}

}  // namespace graven::python
