// SPDX-License-Identifier: MIT
//
// The extension module graven._graven. What programs import is the package around it.
//
// Always holds: importing it imports graven.errors first, where the exception classes are.
//
// Called once, with the GIL held.
#include <nanobind/nanobind.h>

#include <graven/database.hpp>
#include <graven/version.hpp>

#include "bind.hpp"
#include "errors.hpp"

namespace nb = nanobind;

NB_MODULE(_graven, module) {
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
  graven::python::bind_database(module);
  graven::python::bind_transactor(module);
  graven::python::bind_watch(module);
  graven::python::bind_bulk_import(module);
  graven::python::bind_sql(module);
  graven::python::bind_map(module);
  graven::python::bind_log(module);
  graven::prepare();
}
