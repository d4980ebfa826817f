// SPDX-License-Identifier: MIT
//
// Ctrl-C, any other handler of a signal that raises, and what graven.aio cancels: they end what
// waits in the core.
//
// Always holds: only the interpreter's main thread, where Python runs handlers, takes the GIL to
// look for signals. It is in no wait when the interpreter ends; other threads would stay in PyEval
// for ever then, perhaps next in line for a lock.
#include <Python.h>

#include <atomic>

#include <graven/interrupt.hpp>

#include "bind.hpp"
#include "errors.hpp"
#include "gil.hpp"

namespace graven::python {
namespace {

std::atomic<unsigned long> main_thread{0};

void check_signals() {
  if (PyThread_get_thread_ident() != main_thread.load(std::memory_order_relaxed)) return;
  if (Py_IsInitialized() == 0) return;
  const nb::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

}  // namespace

void bind_interrupt(nb::module_& module) {
  const nb::object main = nb::module_::import_("threading").attr("main_thread")();
  main_thread.store(nb::cast<unsigned long>(main.attr("ident")));
  set_interrupt_check(check_signals);
  const nb::module_ os = nb::module_::import_("os");
  if (nb::hasattr(os, "register_at_fork")) {
    // The thread that forked is the child's main thread.
    os.attr("register_at_fork")(nb::arg("after_in_child") = nb::cpp_function(
                                    [] { main_thread.store(PyThread_get_thread_ident()); }));
  }

  nb::class_<Cancellation>(module, "Cancellation", "Ends the waits of one thread in graven.")
      .def(nb::init<>())
      .def("cancel", &Cancellation::cancel, "Cancels, finally. Any thread may call it.")
      .def_prop_ro("cancelled", &Cancellation::cancelled, "Whether cancel() was called.")
      .def(
          "run",
          [](const Cancellation& self, const nb::object& function) {
            nb::object result;
            self.run([&] { result = or_stay([&] { return function(); }); });
            return result;
          },
          nb::arg("function"), nb::sig("def run(self, function: Callable[[], T], /) -> T"),
          "Returns function(). After cancel(), a wait in it raises AbortedError.");
}

}  // namespace graven::python
