// SPDX-License-Identifier: MIT
//
// graven.List: a stored list with the whole interface of a plain one.
//
// Always holds: operators are type slots; errors have the types and texts of list's; whatever
// gives items of several places takes them from one consistent state.
//
// Called with the GIL held, which is released around every use of the store.
#include "list.hpp"

#include <string>
#include <utility>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "node_members.hpp"
#include "views.hpp"

namespace graven::python {
namespace {

constexpr const char* kOutOfRange = "list index out of range";
constexpr const char* kAssignmentOutOfRange = "list assignment index out of range";

std::int64_t index_from(PyObject* number) {
  const Py_ssize_t index = PyNumber_AsSsize_t(number, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return index;
}

/// Runs `call` off the GIL; an index that is not there gets list's own words.
template <class Call>
auto at_index(const ListHandle& list, const char* message, Call&& call) {
  try {
    return off_gil(list.home(), std::forward<Call>(call));
  } catch (const IndexOutOfRange&) {
    throw_error(Errc::kIndexOutOfRange, message);
  }
}

nb::object item(const ListHandle& list, std::int64_t index) {
  if (auto known = on_gil(list.home(), [&] { return list.node().peek(index); })) {
    return to_python(*std::move(known), list.home_ptr());
  }
  const Value value = at_index(list, kOutOfRange, [&] { return list.node().at(index); });
  return to_python(value, list.home_ptr());
}

void set_item(const ListHandle& list, std::int64_t index, PyObject* value) {
  if (value == nullptr) {
    at_index(list, kAssignmentOutOfRange, [&] { list.node().erase(index); });
    return;
  }
  const Data data = data_from(value, Destination::at(index));
  at_index(list, kAssignmentOutOfRange, [&] { list.node().set(index, data); });
}

[[noreturn]] void throw_bad_index(PyObject* key) {
  PyErr_Format(PyExc_TypeError, "list indices must be integers or slices, not %s",
               Py_TYPE(key)->tp_name);
  throw nb::python_error();
}

PyObject* list_subscript(PyObject* self, PyObject* key) {
  return guarded_object([&] {
    const ListHandle& list = list_handle(self);
    if (PyIndex_Check(key)) return item(list, index_from(key));
    if (PySlice_Check(key)) return get_slice(list, key);
    throw_bad_index(key);
  });
}

int list_assign(PyObject* self, PyObject* key, PyObject* value) {
  return guarded(
      [&] {
        const ListHandle& list = list_handle(self);
        if (PyIndex_Check(key)) {
          set_item(list, index_from(key), value);
        } else if (PySlice_Check(key)) {
          set_slice(list, key, value);
        } else {
          throw_bad_index(key);
        }
        return 0;
      },
      -1);
}

PyObject* list_item(PyObject* self, Py_ssize_t index) {
  return guarded_object([&] { return item(list_handle(self), index); });
}

int list_assign_item(PyObject* self, Py_ssize_t index, PyObject* value) {
  return guarded([&] { return set_item(list_handle(self), index, value), 0; }, -1);
}

Py_ssize_t list_length(PyObject* self) {
  return guarded(
      [&] {
        const ListHandle& list = list_handle(self);
        return static_cast<Py_ssize_t>(off_gil(list.home(), [&] { return list.node().size(); }));
      },
      Py_ssize_t{-1});
}

int list_contains(PyObject* self, PyObject* wanted) {
  return guarded([&]() -> int { return contains(list_handle(self), wanted); }, -1);
}

PyObject* list_iterate(PyObject* self) {
  return guarded_object([&] { return iterate_list(list_handle(self), false); });
}

nb::object plain_copy(const ListHandle& list) {
  return to_python_list(all_values(list), list.home_ptr());
}

/// A plain list of what a List or list holds; nothing for other types.
nb::object plain_side(PyObject* side) {
  if (is_list_handle(side)) return plain_copy(list_handle(side));
  return PyList_Check(side) ? nb::borrow(side) : nb::object();
}

PyObject* list_compare(PyObject* self, PyObject* other, int operation) {
  return guarded_object([&]() -> nb::object {
    if (operation == Py_EQ || operation == Py_NE) {
      const auto equal = handle_equals(self, other);
      if (!equal) return nb::borrow(Py_NotImplemented);
      return nb::bool_(*equal == (operation == Py_EQ));
    }
    const nb::object right = plain_side(other);
    if (!right.is_valid()) return nb::borrow(Py_NotImplemented);
    return owned(PyObject_RichCompare(plain_side(self).ptr(), right.ptr(), operation));
  });
}

PyObject* list_repr(PyObject* self) {
  return guarded_object([&] { return repr_of(list_handle(self)); });
}

PyObject* list_call(PyObject* self, PyObject* arguments, PyObject* keywords) {
  return guarded_object([&] { return materialize_call(list_handle(self), arguments, keywords); });
}

PyObject* list_add(PyObject* left, PyObject* right) {
  return guarded_object([&]() -> nb::object {
    const nb::object first = plain_side(left);
    const nb::object second = plain_side(right);
    if (!first.is_valid() || !second.is_valid()) return nb::borrow(Py_NotImplemented);
    return owned(PySequence_Concat(first.ptr(), second.ptr()));
  });
}

PyObject* list_multiply(PyObject* left, PyObject* right) {
  return guarded_object([&]() -> nb::object {
    PyObject* list = is_list_handle(left) ? left : right;
    PyObject* times = list == left ? right : left;
    if (!PyIndex_Check(times)) return nb::borrow(Py_NotImplemented);
    return owned(PySequence_Repeat(plain_copy(list_handle(list)).ptr(),
                                   static_cast<Py_ssize_t>(index_from(times))));
  });
}

void extend(const ListHandle& list, PyObject* items) {
  const Data data = items_from(items, Destination::after(list));
  off_gil(list.home(), [&] { list.node().extend(data); });
}

PyObject* list_add_in_place(PyObject* self, PyObject* items) {
  return guarded_object([&] {
    extend(list_handle(self), items);
    return nb::borrow(self);
  });
}

PyObject* list_multiply_in_place(PyObject* self, PyObject* times) {
  return guarded_object([&]() -> nb::object {
    if (!PyIndex_Check(times)) return nb::borrow(Py_NotImplemented);
    repeat(list_handle(self), static_cast<Py_ssize_t>(index_from(times)));
    return nb::borrow(self);
  });
}

PyType_Slot slots[] = {
    {Py_mp_subscript, slot(list_subscript)},
    {Py_mp_ass_subscript, slot(list_assign)},
    {Py_mp_length, slot(list_length)},
    {Py_sq_length, slot(list_length)},
    {Py_sq_item, slot(list_item)},
    {Py_sq_ass_item, slot(list_assign_item)},
    {Py_sq_contains, slot(list_contains)},
    {Py_tp_iter, slot(list_iterate)},
    {Py_tp_richcompare, slot(list_compare)},
    {Py_tp_hash, slot(PyObject_HashNotImplemented)},
    {Py_tp_repr, slot(list_repr)},
    {Py_tp_call, slot(list_call)},
    {Py_nb_add, slot(list_add)},
    {Py_nb_inplace_add, slot(list_add_in_place)},
    {Py_nb_multiply, slot(list_multiply)},
    {Py_nb_inplace_multiply, slot(list_multiply_in_place)},
    {0, nullptr},
};

nb::object pop(const ListHandle& list, nb::handle index) {
  const std::int64_t place = index_from(index.ptr());
  try {
    const Value value = off_gil(list.home(), [&] { return list.node().pop(place); });
    return to_python(value, list.home_ptr());
  } catch (const IndexOutOfRange&) {
    const bool empty = off_gil(list.home(), [&] { return list.node().empty(); });
    throw_error(Errc::kIndexOutOfRange, empty ? "pop from empty list" : "pop index out of range");
  }
}

void construct(ListHandle* self, const DictHandle& home, nb::handle items) {
  const Database database = database_of(home.home());
  const HomePtr home_ptr = home.home_ptr();
  // A plain list keeps its shape, references to itself included.
  const Data data = PyList_CheckExact(items.ptr()) ? data_from(items.ptr(), Destination{})
                                                   : items_from(items.ptr(), Destination{});
  List node = off_gil(*home_ptr, [&] { return database.new_list(data); });
  new (self) ListHandle(home_ptr, std::move(node));
}

}  // namespace

void bind_list(nb::module_& module) {
  auto type = nb::class_<ListHandle>(
      module, "List", nb::type_slots(slots), nb::is_final() GRAVEN_POOLED,
      nb::sig("class List(MutableSequence[Any])"),
      "A list in a database. List(db, items) makes a new one that nothing links yet.\n"
      "\n"
      "It is used like a plain list. Calling it returns everything below it as plain, detached\n"
      "Python data. Each change is atomic.");
  list_type = reinterpret_cast<PyTypeObject*>(type.ptr());

  type.def("__init__", construct, nb::arg(), nb::arg() = nb::tuple(),
           nb::sig("def __init__(self, db: Dict, items: Iterable[Any] = (), /) -> None"),
           "A new list in the store of `db` (a DB or a Transactor).");

  type.def(
      "append",
      [](const ListHandle& self, nb::handle value) {
        const Data data = data_from(value.ptr(), Destination::after(self));
        off_gil(self.home(), [&] { self.node().push_back(data); });
      },
      nb::arg().none(), nb::sig("def append(self, value: Any, /) -> None"),
      "Adds a value at the end.");
  type.def(
      "extend", [](const ListHandle& self, nb::handle values) { extend(self, values.ptr()); },
      nb::arg(), nb::sig("def extend(self, values: Iterable[Any], /) -> None"),
      "Adds all values of an iterable at the end, in one step.");
  type.def(
      "insert",
      [](const ListHandle& self, nb::handle index, nb::handle value) {
        const std::int64_t place = index_from(index.ptr());
        const Data data = data_from(value.ptr(), Destination::at(place));
        off_gil(self.home(), [&] { self.node().insert(place, data); });
      },
      nb::arg(), nb::arg().none(),
      nb::sig("def insert(self, index: SupportsIndex, value: Any, /) -> None"),
      "Adds a value before an index.");
  type.def("pop", pop, nb::arg() = -1,
           nb::sig("def pop(self, index: SupportsIndex = -1, /) -> Any"),
           "Removes an item, by default the last one, and returns it.");
  type.def("remove", remove, nb::arg().none(), nb::sig("def remove(self, value: Any, /) -> None"),
           "Removes the first item equal to a value.");
  type.def(
      "clear", [](const ListHandle& self) { off_gil(self.home(), [&] { self.node().clear(); }); },
      "Removes everything.");
  type.def("index", index_of, nb::arg().none(), nb::arg() = 0, nb::arg() = PY_SSIZE_T_MAX,
           nb::sig("def index(self, value: Any, start: SupportsIndex = 0, stop: SupportsIndex = "
                   "..., /) -> int"),
           "The first index of an item equal to a value; ValueError if there is none.");
  type.def("count", count, nb::arg().none(), nb::sig("def count(self, value: Any, /) -> int"),
           "The number of items that equal a value.");
  type.def(
      "reverse",
      [](const ListHandle& self) { off_gil(self.home(), [&] { self.node().reverse(); }); },
      "Reverses the order of the items.");
  type.def("sort", sort, nb::kw_only(), nb::arg("key") = nb::none(),
           nb::arg("reverse").none() = false,
           nb::sig("def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: object = "
                   "False) -> None"),
           "Sorts in place like list.sort(): stable, in one atomic step.");
  type.def(
      "copy", [](const ListHandle& self) { return plain_copy(self); },
      nb::sig("def copy(self) -> list[Any]"),
      "A plain list of the items; nested dicts and lists stay handles.");
  type.def(
      "__reversed__", [](const ListHandle& self) { return iterate_list(self, true); },
      nb::sig("def __reversed__(self) -> Iterator[Any]"), "The items from last to first.");

  bind_node_members(type);
  bind_copying<ListHandle>(type, plain_copy, materialized, "call it");
}

}  // namespace graven::python
