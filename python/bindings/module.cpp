// SPDX-License-Identifier: MIT
//
// The extension module graven._graven. What programs import is the package around it.
//
// Always holds: importing it imports graven.errors first, where the exception classes are.
//
// Called once, with the GIL held, in the process's main interpreter. Types, their caches and the
// log's thread are the process's, so another interpreter is refused before any of them is made.
#include <nanobind/nanobind.h>

#include <array>
#include <cstddef>

#include <graven/database.hpp>
#include <graven/version.hpp>

#include "arguments.hpp"
#include "bind.hpp"
#include "errors.hpp"

namespace nb = nanobind;

NB_MODULE(graven_core, module) {
  // Handles in module globals may outlive the interpreter; that is no leak of ours.
  nb::set_leak_warnings(false);
  module.doc() = "graven's core; use it through the package graven.";
  const std::string_view version = graven::version();
  module.attr("__version__") = nb::str(version.data(), version.size());

  graven::python::init_errors();
  graven::python::bind_views(module);
  graven::python::bind_dict(module);
  graven::python::bind_list(module);
  graven::python::bind_backup(module);
  graven::python::bind_copy(module);
  graven::python::bind_database(module);
  graven::python::bind_transactor(module);
  graven::python::bind_watch(module);
  graven::python::bind_interrupt(module);
  graven::python::bind_bulk_import(module);
  graven::python::bind_sql(module);
  graven::python::bind_map(module);
  graven::python::bind_log(module);
  graven::python::bind_query(module);
  graven::python::explain_arguments(module);
  graven::prepare();
}

namespace {

/// Makes the module, still empty.
PyObject* make_module(PyObject* spec, PyModuleDef*) {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "graven works in a process's main interpreter only, not in a subinterpreter; "
                    "import it in the main one (under mod_wsgi: WSGIApplicationGroup %{GLOBAL})");
    return nullptr;
  }
  const nb::object name = nb::steal(PyObject_GetAttrString(spec, "name"));
  return name.is_valid() ? PyModule_NewObject(name.ptr()) : nullptr;
}

}  // namespace

/// The module's name is what the importer asked for.
extern "C" NB_EXPORT PyObject* PyInit__graven() {
  auto* definition = reinterpret_cast<PyModuleDef*>(PyInit_graven_core());
  static std::array<PyModuleDef_Slot, 8> slots{
      {{Py_mod_create, reinterpret_cast<void*>(make_module)}}};
  for (std::size_t i = 0; definition != nullptr && definition->m_slots != slots.data(); ++i) {
    slots.at(i + 1) = definition->m_slots[i];
    if (definition->m_slots[i].slot == 0) definition->m_slots = slots.data();
  }
  return reinterpret_cast<PyObject*>(definition);
}
