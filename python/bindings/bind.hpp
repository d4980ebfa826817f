// SPDX-License-Identifier: MIT
//
// The parts of the module graven._graven, bound in this order.
//
// The operators of the containers are type slots, plain C functions that Python calls without
// a lookup; everything else is bound the usual way, with its signature written out for the
// stubs.
//
// Called once, while the module is imported.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace graven::python {

#if NB_VERSION_MAJOR > 2 || NB_VERSION_MINOR >= 15
// Handles come and go with every step through a structure: their memory is kept for the next.
#define GRAVEN_POOLED , nb::pooled(64)
#else
#define GRAVEN_POOLED
#endif

template <class Function>
void* slot(Function* function) noexcept {
  return reinterpret_cast<void*>(function);
}

void bind_views(nb::module_& module);
void bind_dict(nb::module_& module);
void bind_list(nb::module_& module);
void bind_database(nb::module_& module);
void bind_transactor(nb::module_& module);
void bind_map(nb::module_& module);
void bind_watch(nb::module_& module);
void bind_interrupt(nb::module_& module);
void bind_bulk_import(nb::module_& module);
void bind_sql(nb::module_& module);
void bind_log(nb::module_& module);
void bind_backup(nb::module_& module);
void bind_copy(nb::module_& module);
void bind_query(nb::module_& module);

}  // namespace graven::python
