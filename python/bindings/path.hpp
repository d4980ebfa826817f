// SPDX-License-Identifier: MIT
//
// Paths between Python and the system, which takes bytes: a str stands for those of the file
// system's encoding, and lone surrogates in it for bytes that are no letter there (os.fsencode()).
//
// Called with the GIL held.
#pragma once

#include <string>

#include <nanobind/nanobind.h>

namespace graven::python {

/// A parameter of this type takes a str, bytes or os.PathLike; a result is a str.
struct SystemPath {
  std::string bytes;
};

}  // namespace graven::python

namespace nanobind::detail {

template <>
struct type_caster<graven::python::SystemPath> {
  NB_TYPE_CASTER(graven::python::SystemPath,
                 io_name("str | bytes | os.PathLike[str] | os.PathLike[bytes]", "str"))

  bool from_python(handle source, std::uint8_t, cleanup_list*) noexcept {
    PyObject* text = PyOS_FSPath(source.ptr());
    PyObject* bytes = text;
    if (text != nullptr && PyUnicode_Check(text)) {
      bytes = PyUnicode_EncodeFSDefault(text);
      Py_DECREF(text);
    }
    if (bytes == nullptr) {
      PyErr_Clear();
      return false;
    }
    value.bytes.assign(PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes)));
    Py_DECREF(bytes);
    return true;
  }

  static handle from_cpp(const graven::python::SystemPath& path, rv_policy,
                         cleanup_list*) noexcept {
    return PyUnicode_DecodeFSDefaultAndSize(path.bytes.data(),
                                            static_cast<Py_ssize_t>(path.bytes.size()));
  }
};

}  // namespace nanobind::detail
