// SPDX-License-Identifier: MIT
//
// Giving up the GIL while the store is waited for, and taking it again also when the interpreter
// is on its way out.
#pragma once

#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

namespace graven::python {

/// The GIL is free from construction to destruction. A daemon thread that wants it back while the
/// interpreter ends is told to exit by Python (up to 3.13) through pthread_exit(), which unwinds
/// the stack; in C++ that ends the process by std::terminate(). So such a thread stays here, as
/// it does in Python from 3.14 on, and goes with the process. It holds no lock of graven's.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;
  ~GilReleased() {
    try {
      PyEval_RestoreThread(state_);
    } catch (const abi::__forced_unwind&) {
      for (;;) ::pause();
    }
  }

 private:
  PyThreadState* state_;
};

}  // namespace graven::python
