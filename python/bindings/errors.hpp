// SPDX-License-Identifier: MIT
//
// C++ exceptions become Python exceptions. The classes are those of graven/errors.py, one for
// each code of <graven/error.hpp>.
//
// Always holds: whatever leaves a type slot as a C++ exception would end the process, so each
// slot runs its body through guarded().
//
// Called with the GIL held.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <nanobind/nanobind.h>

#include <graven/error.hpp>

namespace nb = nanobind;

namespace graven::python {

/// Finds the classes and makes nanobind translate the exceptions of bound functions.
void init_errors();

/// The Python class for a code.
PyObject* error_class(Errc code) noexcept;

/// Sets the Python error for the exception being handled. Only inside a catch block.
void set_error_from_current_exception() noexcept;

/// `graven.KeyNotFound(key)`, as a dict raises KeyError(key).
void set_key_not_found(PyObject* key) noexcept;
[[noreturn]] void throw_key_not_found(PyObject* key);

/// Throws a graven error of this code and text as its Python class.
[[noreturn]] void throw_error(Errc code, const char* text);

/// The transactor's conflict.
[[noreturn]] void throw_watch_error();

/// Runs the body of a type slot; an exception becomes the Python error and `failed`.
template <class Body, class Result = std::invoke_result_t<Body>>
Result guarded(Body&& body, Result failed) noexcept {
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    set_error_from_current_exception();
    return failed;
  }
}

/// The same for slots that return a new reference.
template <class Body>
PyObject* guarded_object(Body&& body) noexcept {
  try {
    nb::object result = std::forward<Body>(body)();
    return result.release().ptr();
  } catch (...) {
    set_error_from_current_exception();
    return nullptr;
  }
}

/// Turns a C API failure (null, an error is set) into an exception, else takes the reference.
nb::object owned(PyObject* new_reference);

}  // namespace graven::python
