// SPDX-License-Identifier: MIT
//
// What graven.Dict and graven.List have in common: identity, parents, materialising, repr; and what
// one of them and graven.Map have.
//
// Called with the GIL held, which is released around every use of the store.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include "convert.hpp"
#include "errors.hpp"
#include "handles.hpp"

namespace nb = nanobind;

namespace graven::python {

/// The repr; also for a handle that has nothing to show any more, or debuggers and logs would
/// fail on it.
template <class Handle>
nb::object repr_of(const Handle& handle) {
  try {
    return str_from(off_gil(handle.home(), [&] { return handle.node().repr(); }));
  } catch (const CollectedError&) {
    return str_from("@<collected " + handle.node().uid() + ">");
  } catch (const ClosedError&) {
    return str_from("@<closed>");
  }
}

/// The body of a type's call slot.
template <class Handle>
nb::object materialize_call(const Handle& handle, PyObject* arguments, PyObject* keywords) {
  if (PyTuple_GET_SIZE(arguments) != 0 || (keywords != nullptr && PyDict_Size(keywords) != 0)) {
    throw nb::type_error("materialising takes no arguments");
  }
  return materialized(handle);
}

/// `how` says how to get plain data of it.
[[noreturn]] inline void refuse_pickling(nb::handle self, const char* how) {
  throw WrongTypeError("a " + type_of(self.ptr()) + " stands for stored data and is not pickled: " +
                       how + " and pickle the plain data that gives");
}

/// copy.copy() and copy.deepcopy() give plain data, and pickling is refused in words.
template <class Handle>
void bind_copying(nb::class_<Handle>& type, nb::object (*shallow)(const Handle&),
                  nb::object (*deep)(const Handle&), const char* how) {
  type.def(
      "__copy__", [shallow](const Handle& self) { return shallow(self); },
      nb::sig("def __copy__(self) -> Any"), "The same as copy().");
  type.def(
      "__deepcopy__", [deep](const Handle& self, nb::handle) { return deep(self); },
      nb::arg().none(), nb::sig("def __deepcopy__(self, memo: object, /) -> Any"),
      "Everything below as plain, detached data.");
  type.def(
      "__reduce_ex__", [how](nb::handle self, nb::handle) { refuse_pickling(self, how); },
      nb::arg(), nb::sig("def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn"),
      "Raises WrongTypeError: a handle cannot be pickled.");
}

/// `pop` gives null where there is no such key.
template <class Handle>
void bind_pop(nb::class_<Handle>& type, nb::object (*pop)(const Handle&, nb::handle key)) {
  type.def(
      "pop",
      [pop](const Handle& self, nb::handle key) {
        nb::object value = pop(self, key);
        if (!value) throw_key_not_found(key.ptr());
        return value;
      },
      nb::arg().none(), nb::sig("def pop(self, key: str, /) -> Any"),
      "Removes a key and returns its value.");
  type.def(
      "pop",
      [pop](const Handle& self, nb::handle key, nb::handle otherwise) {
        nb::object value = pop(self, key);
        return value ? value : nb::borrow(otherwise);
      },
      nb::arg().none(), nb::arg().none(),
      nb::sig("def pop(self, key: str, default: Any, /) -> Any"));
}

/// `update_with` is given a null `otherwise` where there is no default.
template <class Handle>
void bind_update_with(nb::class_<Handle>& type,
                      nb::object (*update_with)(const Handle&, nb::handle key, nb::handle function,
                                                nb::handle otherwise),
                      const char* about) {
  type.def(
      "update_with",
      [update_with](const Handle& self, nb::handle key, nb::handle function) {
        return update_with(self, key, function, nb::handle());
      },
      nb::arg().none(), nb::arg(),
      nb::sig("def update_with(self, key: str, function: Callable[[Any], Any], /) -> Any"), about);
  type.def(
      "update_with",
      [update_with](const Handle& self, nb::handle key, nb::handle function, nb::handle otherwise) {
        return update_with(self, key, function, otherwise);
      },
      nb::arg().none(), nb::arg(), nb::arg("default").none(),
      nb::sig("def update_with(self, key: str, function: Callable[[Any], Any], /, default: Any)"
              " -> Any"));
}

template <class Handle>
void bind_node_members(nb::class_<Handle>& type) {
  type.def(
      "where",
      [](nb::handle self, nb::handle condition) {
        return nb::module_::import_("graven.query").attr("where")(self, condition);
      },
      nb::arg("condition").none() = nb::none(),
      nb::sig(
          "def where(self, condition: Condition | Field | Callable[[Any], Any] | None = None, /)"
          " -> Query"),
      "The values that satisfy a condition, `where(F.age >= 18)`: a Query, which reads nothing "
      "yet.\n"
      "\n"
      "A function of a row, `where(lambda u: u.age > 18)`, is called for each row in Python.\n"
      "None: all.");
  type.def_prop_ro(
      "uid", [](const Handle& self) { return self.node().uid(); },
      "The name of this node: the same in every process, and never used for another node.");
  type.def_prop_ro(
      "refcount",
      [](const Handle& self) {
        return off_gil(self.home(), [&] { return self.node().refcount(); });
      },
      "The number of different containers that link to this node.");
  type.def_prop_ro(
      "backrefs",
      [](const Handle& self) {
        return off_gil(self.home(), [&] { return self.node().backrefs(); });
      },
      "The uid of each container that links to this node, with its number of links.");
  type.def(
      "exists",
      [](const Handle& self) { return off_gil(self.home(), [&] { return self.node().exists(); }); },
      "Whether the node still exists; false after it was collected.");
}

}  // namespace graven::python
