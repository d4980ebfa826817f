// SPDX-License-Identifier: MIT
//
// Iterators and dict views.
//
// A view is its dict and which part of it one looks at; keys and items are sets, and their
// operators are those of Python's set on what the view holds at that moment.
//
// Always holds: while a cursor steps without the GIL its iterator is marked busy, so a second
// thread gets an error and not a race.
//
// Called with the GIL held.
#include "views.hpp"

#include <memory>
#include <string>
#include <utility>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"

namespace graven::python {
namespace {

struct DictIterator {
  HomePtr home;
  std::shared_ptr<graph::DictCursor> cursor;  // empty at the end
  Part part;
  bool busy = false;
};

struct ListIterator {
  HomePtr home;
  std::shared_ptr<graph::ListCursor> cursor;  // empty at the end
  bool busy = false;
};

struct View {
  nb::object dict;
  Part part;
};
// One C++ type for each Python type.
struct KeysView : View {};
struct ValuesView : View {};
struct ItemsView : View {};

View& view(PyObject* self) { return *nb::inst_ptr<View>(self); }
DictHandle& dict_of(PyObject* self) { return dict_handle(view(self).dict.ptr()); }

nb::object pair(const nb::object& key, const nb::object& value) {
  return owned(PyTuple_Pack(2, key.ptr(), value.ptr()));
}

PyObject* dict_iterator_next(PyObject* self) {
  return guarded_object([&]() -> nb::object {
    auto& iterator = *nb::inst_ptr<DictIterator>(self);
    if (!iterator.cursor) return {};
    const InUse in_use(iterator.busy, "this iterator");
    std::string key;
    Value value;
    if (!off_gil(*iterator.home, [&] { return iterator.cursor->next(key, value); })) {
      iterator.cursor.reset();
      return {};
    }
    switch (iterator.part) {
      case Part::kKeys:
        return str_from(key);
      case Part::kValues:
        return to_python(value, iterator.home);
      default:
        return pair(str_from(key), to_python(value, iterator.home));
    }
  });
}

PyObject* list_iterator_next(PyObject* self) {
  return guarded_object([&]() -> nb::object {
    auto& iterator = *nb::inst_ptr<ListIterator>(self);
    if (!iterator.cursor) return {};
    const InUse in_use(iterator.busy, "this iterator");
    Value value;
    if (!off_gil(*iterator.home, [&] { return iterator.cursor->next(value); })) {
      iterator.cursor.reset();
      return {};
    }
    return to_python(value, iterator.home);
  });
}

PyType_Slot dict_iterator_slots[] = {{Py_tp_iter, slot(PyObject_SelfIter)},
                                     {Py_tp_iternext, slot(dict_iterator_next)},
                                     {0, nullptr}};
PyType_Slot list_iterator_slots[] = {{Py_tp_iter, slot(PyObject_SelfIter)},
                                     {Py_tp_iternext, slot(list_iterator_next)},
                                     {0, nullptr}};

// The views.

Py_ssize_t view_length(PyObject* self) {
  return guarded(
      [&] {
        DictHandle& dict = dict_of(self);
        return static_cast<Py_ssize_t>(off_gil(dict.home(), [&] { return dict.node().size(); }));
      },
      Py_ssize_t{-1});
}

PyObject* view_iterate(PyObject* self) {
  return guarded_object([&] { return iterate_dict(dict_of(self), view(self).part, false); });
}

bool has_item(const DictHandle& dict, PyObject* item) {
  if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) return false;
  const auto text = key_to_find(PyTuple_GET_ITEM(item, 0));
  if (!text) return false;
  const auto value = off_gil(dict.home(), [&] { return dict.node().get(*text); });
  return value && value_equals(*value, PyTuple_GET_ITEM(item, 1), dict.home_ptr());
}

bool has_value(const DictHandle& dict, PyObject* wanted) {
  const auto values = off_gil(dict.home(), [&] {
    std::vector<Value> found;
    std::string key;
    Value value;
    for (const auto cursor = dict.node().cursor(); cursor->next(key, value);) {
      found.push_back(std::move(value));
    }
    return found;
  });
  return Probe(wanted, dict.home_ptr()).find(values, 0, values.size()) >= 0;
}

int view_contains(PyObject* self, PyObject* wanted) {
  return guarded(
      [&]() -> int {
        const DictHandle& dict = dict_of(self);
        if (view(self).part == Part::kValues) return has_value(dict, wanted);
        if (view(self).part == Part::kItems) return has_item(dict, wanted);
        const auto text = key_to_find(wanted);
        return text && off_gil(dict.home(), [&] { return dict.node().contains(*text); });
      },
      -1);
}

PyObject* view_repr(PyObject* self) {
  return guarded_object([&] {
    const nb::object list = list_of_iterable(self);
    const nb::handle type(reinterpret_cast<PyObject*>(Py_TYPE(self)));
    return owned(
        PyUnicode_FromFormat("%U(%R)", nb::object(type.attr("__name__")).ptr(), list.ptr()));
  });
}

nb::object set_of(PyObject* iterable) { return owned(PySet_New(iterable)); }

/// `method` is a set's in-place method: one side becomes a set, the other may be any iterable.
PyObject* set_operation(PyObject* left, PyObject* right, const char* method) {
  return guarded_object([&]() -> nb::object {
    nb::object set = set_of(left);
    set.attr(method)(nb::handle(right));
    return set;
  });
}

PyObject* view_and(PyObject* left, PyObject* right) {
  return set_operation(left, right, "intersection_update");
}
PyObject* view_or(PyObject* left, PyObject* right) { return set_operation(left, right, "update"); }
PyObject* view_subtract(PyObject* left, PyObject* right) {
  return set_operation(left, right, "difference_update");
}
PyObject* view_xor(PyObject* left, PyObject* right) {
  return set_operation(left, right, "symmetric_difference_update");
}

bool is_set_like(PyObject* object) {
  if (PyAnySet_Check(object)) return true;
  const nb::object set = nb::module_::import_("collections.abc").attr("Set");
  const int is_set = PyObject_IsInstance(object, set.ptr());
  if (is_set < 0) throw nb::python_error();
  return is_set != 0;
}

/// Whether every element of `part` is in `whole`; no element needs to be hashable.
bool all_in(PyObject* part, PyObject* whole) {
  const nb::object elements = owned(PyObject_GetIter(part));
  while (true) {
    const nb::object element = nb::steal(PyIter_Next(elements.ptr()));
    if (!element.is_valid()) {
      if (PyErr_Occurred() != nullptr) throw nb::python_error();
      return true;
    }
    const int found = PySequence_Contains(whole, element.ptr());
    if (found < 0) throw nb::python_error();
    if (found == 0) return false;
  }
}

PyObject* view_compare(PyObject* self, PyObject* other, int operation) {
  return guarded_object([&]() -> nb::object {
    if (!is_set_like(other)) return nb::borrow(Py_NotImplemented);
    const Py_ssize_t left = PyObject_Size(self);
    const Py_ssize_t right = left < 0 ? -1 : PyObject_Size(other);
    if (right < 0) throw nb::python_error();
    switch (operation) {
      case Py_EQ:
        return nb::bool_(left == right && all_in(self, other));
      case Py_NE:
        return nb::bool_(!(left == right && all_in(self, other)));
      case Py_LT:
        return nb::bool_(left < right && all_in(self, other));
      case Py_LE:
        return nb::bool_(left <= right && all_in(self, other));
      case Py_GT:
        return nb::bool_(left > right && all_in(other, self));
      default:
        return nb::bool_(left >= right && all_in(other, self));
    }
  });
}

#define GRAVEN_VIEW_SLOTS                                                        \
  {Py_mp_length, slot(view_length)}, {Py_sq_length, slot(view_length)},          \
      {Py_sq_contains, slot(view_contains)}, {Py_tp_iter, slot(view_iterate)}, { \
    Py_tp_repr, slot(view_repr)                                                  \
  }
#define GRAVEN_SET_SLOTS                                                                         \
  {Py_nb_and, slot(view_and)}, {Py_nb_or, slot(view_or)}, {Py_nb_subtract, slot(view_subtract)}, \
      {Py_nb_xor, slot(view_xor)}, {Py_tp_richcompare, slot(view_compare)}, {                    \
    Py_tp_hash, slot(PyObject_HashNotImplemented)                                                \
  }

PyType_Slot values_slots[] = {GRAVEN_VIEW_SLOTS, {0, nullptr}};
PyType_Slot set_slots[] = {GRAVEN_VIEW_SLOTS, GRAVEN_SET_SLOTS, {0, nullptr}};

#undef GRAVEN_VIEW_SLOTS
#undef GRAVEN_SET_SLOTS

template <class ViewType>
nb::class_<ViewType> bind_view(nb::module_& module, const char* name, PyType_Slot* slots,
                               const char* signature, const char* reversed, const char* doc) {
  auto type = nb::class_<ViewType>(module, name, nb::type_slots(slots), nb::is_final(),
                                   nb::sig(signature), doc);
  type.def(
      "__reversed__",
      [](nb::handle self) {
        return iterate_dict(dict_of(self.ptr()), view(self.ptr()).part, true);
      },
      nb::sig(reversed), "The same in reverse order, newest first.");
  type.def_prop_ro(
      "mapping", [](nb::handle self) { return view(self.ptr()).dict; },
      nb::sig("def mapping(self) -> Dict"), "The Dict that this is a view of.");
  return type;
}

template <class ViewType>
void bind_isdisjoint(nb::class_<ViewType>& type) {
  type.def(
      "isdisjoint",
      [](nb::handle self, nb::handle other) -> bool {
        const nb::object set = set_of(self.ptr());
        return nb::cast<bool>(set.attr("isdisjoint")(other));
      },
      nb::arg("other"), nb::sig("def isdisjoint(self, other: Iterable[Any]) -> bool"),
      "Whether no element is in both.");
}

template <class ViewType>
nb::object make_view(nb::handle dict, Part part) {
  nb::object object = nb::inst_alloc(nb::type<ViewType>());
  new (nb::inst_ptr<ViewType>(object)) ViewType{{nb::borrow(dict), part}};
  nb::inst_mark_ready(object);
  return object;
}

}  // namespace

nb::object iterate_dict(const DictHandle& dict, Part part, bool reverse) {
  auto cursor = off_gil(dict.home(), [&] { return dict.node().cursor(reverse); });
  nb::object object = nb::inst_alloc(nb::type<DictIterator>());
  new (nb::inst_ptr<DictIterator>(object)) DictIterator{dict.home_ptr(), std::move(cursor), part};
  nb::inst_mark_ready(object);
  return object;
}

nb::object iterate_list(const ListHandle& list, bool reverse) {
  auto cursor = off_gil(list.home(), [&] { return list.node().cursor(reverse); });
  nb::object object = nb::inst_alloc(nb::type<ListIterator>());
  new (nb::inst_ptr<ListIterator>(object)) ListIterator{list.home_ptr(), std::move(cursor)};
  nb::inst_mark_ready(object);
  return object;
}

nb::object view_of(nb::handle dict, Part part) {
  switch (part) {
    case Part::kKeys:
      return make_view<KeysView>(dict, part);
    case Part::kValues:
      return make_view<ValuesView>(dict, part);
    default:
      return make_view<ItemsView>(dict, part);
  }
}

void bind_views(nb::module_& module) {
  nb::class_<DictIterator>(module, "DictIterator", nb::type_slots(dict_iterator_slots),
                           nb::is_final(), nb::sig("class DictIterator(Iterator[Any])"),
                           "Iterates over one consistent state of a Dict.");
  nb::class_<ListIterator>(module, "ListIterator", nb::type_slots(list_iterator_slots),
                           nb::is_final(), nb::sig("class ListIterator(Iterator[Any])"),
                           "Iterates over a List.");
  auto keys = bind_view<KeysView>(module, "DictKeys", set_slots, "class DictKeys(KeysView[str])",
                                  "def __reversed__(self) -> Iterator[str]",
                                  "A live view of the keys of a Dict, oldest first; it is a set.");
  bind_isdisjoint(keys);
  bind_view<ValuesView>(module, "DictValues", values_slots, "class DictValues(ValuesView[Any])",
                        "def __reversed__(self) -> Iterator[Any]",
                        "A live view of the values of a Dict, oldest first.");
  auto items = bind_view<ItemsView>(
      module, "DictItems", set_slots, "class DictItems(ItemsView[str, Any])",
      "def __reversed__(self) -> Iterator[tuple[str, Any]]",
      "A live view of the (key, value) pairs of a Dict, oldest first; it is a set.");
  bind_isdisjoint(items);
}

}  // namespace graven::python
