// SPDX-License-Identifier: MIT
//
// graven.Dict: a stored dict with the whole interface of a plain one.
//
// Always holds: reading and writing by key are type slots, from Python's bytecode to the core
// without another call; keys are read in place from the str that holds them; values are
// converted before the store is touched.
//
// Called with the GIL held, which is released around every use of the store.
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "map_handle.hpp"
#include "node_members.hpp"
#include "views.hpp"

namespace graven::python {
namespace {

std::optional<Value> find(const DictHandle& dict, std::string_view key) {
  std::optional<Value> value;
  if (!on_gil(dict.home(), [&] { return dict.node().peek(key, value); })) {
    value = off_gil(dict.home(), [&] { return dict.node().get(key); });
  }
  return value;
}

/// The value under a key, or null with the Python error set.
PyObject* dict_subscript(PyObject* self, PyObject* key) {
  return guarded_object([&]() -> nb::object {
    const DictHandle& dict = dict_handle(self);
    if (const auto text = key_to_find(key)) {
      if (auto value = find(dict, *text)) [[likely]]
        return to_python(*std::move(value), dict.home_ptr());
    }
    set_key_not_found(key);
    return {};
  });
}

int dict_assign(PyObject* self, PyObject* key, PyObject* value) {
  return guarded(
      [&] {
        const DictHandle& dict = dict_handle(self);
        if (value != nullptr) {
          const auto text = key_to_store(key);
          const Data data = data_from(value, Destination::under(key));
          off_gil(dict.home(), [&] { dict.node().set(text, data); });
          return 0;
        }
        const auto text = key_to_find(key);
        if (text && off_gil(dict.home(), [&] { return dict.node().erase(*text); })) return 0;
        set_key_not_found(key);
        return -1;
      },
      -1);
}

Py_ssize_t dict_length(PyObject* self) {
  return guarded(
      [&] {
        const DictHandle& dict = dict_handle(self);
        return static_cast<Py_ssize_t>(off_gil(dict.home(), [&] { return dict.node().size(); }));
      },
      Py_ssize_t{-1});
}

int dict_contains(PyObject* self, PyObject* key) {
  return guarded(
      [&]() -> int {
        const DictHandle& dict = dict_handle(self);
        const auto text = key_to_find(key);
        return text && off_gil(dict.home(), [&] { return dict.node().contains(*text); });
      },
      -1);
}

PyObject* dict_iterate(PyObject* self) {
  return guarded_object([&] { return iterate_dict(dict_handle(self), Part::kKeys, false); });
}

PyObject* dict_compare(PyObject* self, PyObject* other, int operation) {
  return guarded_object([&]() -> nb::object {
    if (operation != Py_EQ && operation != Py_NE) return nb::borrow(Py_NotImplemented);
    const auto equal = handle_equals(self, other);
    if (!equal) return nb::borrow(Py_NotImplemented);
    return nb::bool_(*equal == (operation == Py_EQ));
  });
}

PyObject* dict_repr(PyObject* self) {
  return guarded_object([&] { return repr_of(dict_handle(self)); });
}

PyObject* dict_call(PyObject* self, PyObject* arguments, PyObject* keywords) {
  return guarded_object([&] { return materialize_call(dict_handle(self), arguments, keywords); });
}

}  // namespace

nb::object plain_copy(const DictHandle& dict) {
  std::vector<std::pair<std::string, Value>> entries;
  off_gil(dict.home(), [&] {
    std::string key;
    Value value;
    for (const auto cursor = dict.node().cursor(); cursor->next(key, value);) {
      entries.emplace_back(std::move(key), std::move(value));
    }
  });
  nb::object result = owned(PyDict_New());
  for (const auto& [key, value] : entries) {
    if (PyDict_SetItem(result.ptr(), str_from(key).ptr(),
                       to_python(value, dict.home_ptr()).ptr()) != 0) {
      throw nb::python_error();
    }
  }
  return result;
}

PyObject* union_of(PyObject* left, PyObject* right) noexcept {
  return guarded_object([&]() -> nb::object {
    const auto side = [](PyObject* object) -> nb::object {
      if (is_dict_handle(object)) return plain_copy(dict_handle(object));
      if (is_map_handle(object)) return plain_copy(map_handle(object));
      return PyDict_Check(object) ? owned(PyDict_Copy(object)) : nb::object();
    };
    for (PyObject* each : {left, right}) {
      if (!is_dict_handle(each) && !is_map_handle(each) && !PyDict_Check(each)) {
        return nb::borrow(Py_NotImplemented);
      }
    }
    nb::object result = side(left);
    if (PyDict_Update(result.ptr(), side(right).ptr()) != 0) throw nb::python_error();
    return result;
  });
}

namespace {

void update(const DictHandle& dict, PyObject* other, PyObject* keywords) {
  const Data entries = entries_from(other, keywords);
  off_gil(dict.home(), [&] { dict.node().update(entries); });
}

PyObject* dict_or_in_place(PyObject* self, PyObject* other) {
  return guarded_object([&]() -> nb::object {
    update(dict_handle(self), other, nullptr);
    return nb::borrow(self);
  });
}

PyType_Slot slots[] = {
    {Py_mp_subscript, slot(dict_subscript)},
    {Py_mp_ass_subscript, slot(dict_assign)},
    {Py_mp_length, slot(dict_length)},
    {Py_sq_contains, slot(dict_contains)},
    {Py_tp_iter, slot(dict_iterate)},
    {Py_tp_richcompare, slot(dict_compare)},
    {Py_tp_hash, slot(PyObject_HashNotImplemented)},
    {Py_tp_repr, slot(dict_repr)},
    {Py_tp_call, slot(dict_call)},
    {Py_nb_or, slot(union_of)},
    {Py_nb_inplace_or, slot(dict_or_in_place)},
    {0, nullptr},
};

nb::object get(const DictHandle& dict, nb::handle key, nb::handle otherwise) {
  if (const auto text = key_to_find(key.ptr())) {
    if (auto value = find(dict, *text)) return to_python(*std::move(value), dict.home_ptr());
  }
  return nb::borrow(otherwise);
}

nb::object pop(const DictHandle& dict, nb::handle key) {
  const auto text = key_to_find(key.ptr());
  if (!text) return {};
  const auto value = off_gil(dict.home(), [&] { return dict.node().pop(*text); });
  return value ? to_python(*value, dict.home_ptr()) : nb::object();
}

nb::object setdefault(const DictHandle& dict, nb::handle key, nb::handle otherwise) {
  const auto text = key_to_store(key.ptr());
  const Data data = data_from(otherwise.ptr(), Destination::under(key.ptr()));
  const Value value = off_gil(dict.home(), [&] { return dict.node().setdefault(text, data); });
  return to_python(value, dict.home_ptr());
}

nb::object popitem(const DictHandle& dict) {
  const auto entry = off_gil(dict.home(), [&] { return dict.node().popitem(); });
  if (!entry) throw_error(Errc::kKeyNotFound, "popitem(): dictionary is empty");
  return owned(PyTuple_Pack(2, str_from(entry->first).ptr(),
                            to_python(entry->second, dict.home_ptr()).ptr()));
}

nb::object update_with(const DictHandle& dict, nb::handle key, nb::handle function,
                       nb::handle otherwise) {
  const auto text = key_to_store(key.ptr());
  Atomic step(dict.home_ptr());
  const auto old = off_gil(dict.home(), [&] { return dict.node().get(text); });
  if (!old && !otherwise.is_valid()) throw_key_not_found(key.ptr());
  const nb::object before = old ? to_python(*old, dict.home_ptr()) : nb::borrow(otherwise);
  const nb::object value = or_stay([&] { return function(before); });
  const Data data = data_from(value.ptr(), Destination::under(key.ptr()));
  const auto stored = off_gil(dict.home(), [&] {
    dict.node().set(text, data);
    return dict.node().get(text);
  });
  step.commit();
  return stored ? to_python(*stored, dict.home_ptr()) : nb::none();
}

/// Any keyword is an entry, also one called `self`, `db` or `data`.
void construct(DictHandle* self, const nb::args& arguments, const nb::kwargs& more) {
  const std::size_t count = arguments.size();
  if (count < 1 || count > 2 || !is_dict_handle(nb::handle(arguments[0]).ptr())) {
    throw nb::next_overload();  // so it is refused as any other call that does not fit
  }
  const HomePtr home_ptr = dict_handle(nb::handle(arguments[0]).ptr()).home_ptr();
  PyObject* const given = count == 2 ? nb::handle(arguments[1]).ptr() : Py_None;
  const Database database = database_of(*home_ptr);
  const bool as_it_is = PyDict_CheckExact(given) && more.size() == 0;
  const Data entries = as_it_is ? data_from(given, Destination{})
                                : entries_from(given == Py_None ? nullptr : given, more.ptr());
  Dict node = off_gil(*home_ptr, [&] { return database.new_dict(entries); });
  new (self) DictHandle(home_ptr, std::move(node));
}

}  // namespace

void bind_dict(nb::module_& module) {
  auto type = nb::class_<DictHandle>(
      module, "Dict", nb::type_slots(slots) GRAVEN_POOLED,
      nb::sig("class Dict(MutableMapping[str, Any])"),
      "A dict in a database. Dict(db, data) makes a new one that nothing links yet.\n"
      "\n"
      "It is used like a plain dict with str keys. Calling it returns everything below it as\n"
      "plain, detached Python data. Each change is atomic.");
  dict_type = reinterpret_cast<PyTypeObject*>(type.ptr());

  type.def("__init__", construct,
           nb::sig("def __init__(self, db: Dict, data: Mapping[str, Any] | Iterable[tuple[str, "
                   "Any]] | None = None, /, **kwargs: Any) -> None"),
           "A new dict in the store of `db` (a DB or a Transactor).");

  type.def("get", get, nb::arg().none(), nb::arg() = nb::none(),
           nb::sig("def get(self, key: str, default: Any = None, /) -> Any"),
           "The value under a key, or the default.");
  type.def("setdefault", setdefault, nb::arg().none(), nb::arg() = nb::none(),
           nb::sig("def setdefault(self, key: str, default: Any = None, /) -> Any"),
           "Returns the value under a key, or stores the default and returns it, in one step.");
  type.def(
      "update",
      [](const DictHandle& self, const nb::args& other, const nb::kwargs& more) {
        if (other.size() > 1) throw nb::next_overload();
        update(self, other.size() == 0 ? nullptr : nb::handle(other[0]).ptr(), more.ptr());
      },
      nb::sig("def update(self, other: Any = (), /, **kwargs: Any) -> None"),
      "Sets the entries of a mapping, an iterable of pairs and keywords, in one step.");
  bind_pop(type, pop);
  type.def("popitem", popitem, nb::sig("def popitem(self) -> tuple[str, Any]"),
           "Removes the newest entry and returns it.");
  type.def(
      "clear", [](const DictHandle& self) { off_gil(self.home(), [&] { self.node().clear(); }); },
      "Removes everything.");
  type.def(
      "copy", [](const DictHandle& self) { return plain_copy(self); },
      nb::sig("def copy(self) -> dict[str, Any]"),
      "A plain dict of the keys and values; nested dicts and lists stay handles.");
  bind_update_with(
      type, update_with,
      "Replaces the value under a key by function(value) in one atomic step, also across\n"
      "processes, and returns the new value. With a default, a missing key gets\n"
      "function(default).");

  type.def(
      "keys", [](nb::handle self) { return view_of(self, Part::kKeys); },
      nb::sig("def keys(self) -> DictKeys"), "A live view of the keys.");
  type.def(
      "values", [](nb::handle self) { return view_of(self, Part::kValues); },
      nb::sig("def values(self) -> DictValues"), "A live view of the values.");
  type.def(
      "items", [](nb::handle self) { return view_of(self, Part::kItems); },
      nb::sig("def items(self) -> DictItems"), "A live view of the (key, value) pairs.");
  type.def(
      "__reversed__", [](const DictHandle& self) { return iterate_dict(self, Part::kKeys, true); },
      nb::sig("def __reversed__(self) -> Iterator[str]"), "The keys, newest first.");

  bind_node_members(type);
  bind_copying<DictHandle>(type, plain_copy, materialized, "call it");
}

}  // namespace graven::python
