// SPDX-License-Identifier: MIT
//
// One readable error for wrong arguments, whichever bound function was called.
//
// nanobind tells who calls a function with arguments that fit none of its signatures by listing all
// of them. Here every function that was bound is called through a step that, where that happened,
// has graven/arguments.py say which argument is wrong. Calls that fit pay for one more jump.
//
// Called with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace graven::python {

/// For all functions and methods of the module; once, after all of them are bound.
void explain_arguments(const nb::module_& module);

}  // namespace graven::python
