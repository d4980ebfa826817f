// SPDX-License-Identifier: MIT
//
// See arguments.hpp. nanobind calls a function through a pointer in it, one of a few that depend on
// the parameters' kinds; each of those has a step of its own here, so that the way back to it needs
// no look-up.
//
// Called with the GIL held.
#include "arguments.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include "errors.hpp"

namespace graven::python {
namespace {

constexpr std::size_t kMost = 8;
std::array<vectorcallfunc, kMost> originals{};

/// Whether the error that is set is nanobind's for arguments that do not fit.
bool arguments_did_not_fit() {
  if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) return false;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  bool found = type == PyExc_TypeError && traceback == nullptr;
  if (found) {
    PyObject* text = PyObject_Str(value);
    const char* utf8 = text != nullptr ? PyUnicode_AsUTF8(text) : nullptr;
    found = utf8 != nullptr && std::string_view(utf8).find(
                                   "(): incompatible function arguments. The following "
                                   "argument types are supported:") != std::string_view::npos;
    Py_XDECREF(text);
    PyErr_Clear();
  }
  PyErr_Restore(type, value, traceback);
  return found;
}

void explain(PyObject* function, PyObject* const* arguments, std::size_t flags, PyObject* names) {
  if (!arguments_did_not_fit()) return;
  PyErr_Clear();
  try {
    // Beside Python's own flag nanobind has one below it.
    const std::size_t count = flags & ((PY_VECTORCALL_ARGUMENTS_OFFSET >> 1U) - 1);
    nb::list positional;
    for (std::size_t i = 0; i < count; ++i) positional.append(nb::borrow(arguments[i]));
    nb::dict keywords;
    const Py_ssize_t named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < named; ++i) {
      keywords[nb::handle(PyTuple_GET_ITEM(names, i))] =
          nb::borrow(arguments[count + static_cast<std::size_t>(i)]);
    }
    nb::module_::import_("graven.arguments")
        .attr("refuse")(nb::borrow(function), positional, keywords);
    PyErr_SetString(PyExc_TypeError, "the arguments do not fit");
  } catch (...) {
    set_error_from_current_exception();
  }
}

template <std::size_t I>
PyObject* step(PyObject* function, PyObject* const* arguments, std::size_t flags,
               PyObject* names) noexcept {
  PyObject* const result = originals[I](function, arguments, flags, names);
  if (result == nullptr) [[unlikely]]
    explain(function, arguments, flags, names);
  return result;
}

template <std::size_t... I>
constexpr std::array<vectorcallfunc, kMost> make_steps(std::index_sequence<I...>) {
  return {step<I>...};
}
constexpr std::array<vectorcallfunc, kMost> kSteps = make_steps(std::make_index_sequence<kMost>());

void wrap(PyObject* object) {
  const std::string_view type = Py_TYPE(object)->tp_name;
  if (type != "nanobind.nb_func" && type != "nanobind.nb_method") return;
  char* const place = reinterpret_cast<char*>(object) + Py_TYPE(object)->tp_vectorcall_offset;
  vectorcallfunc original = nullptr;
  std::memcpy(&original, place, sizeof original);
  for (std::size_t i = 0; i < kMost; ++i) {
    if (original == kSteps[i]) return;
    if (originals[i] == nullptr) originals[i] = original;
    if (originals[i] == original) {
      std::memcpy(place, &kSteps[i], sizeof original);
      return;
    }
  }
}

void wrap_all(nb::handle names) {
  for (const nb::handle object : names.attr("values")()) {
    wrap(object.ptr());
    if (PyType_Check(object.ptr())) wrap_all(object.attr("__dict__"));
  }
}

}  // namespace

void explain_arguments(const nb::module_& module) { wrap_all(module.attr("__dict__")); }

}  // namespace graven::python
