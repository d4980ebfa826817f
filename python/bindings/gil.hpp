// SPDX-License-Identifier: MIT
//
// Giving up the GIL while the store is waited for, and taking it again also when the interpreter
// is on its way out.
//
// Always holds: a daemon thread that wants the GIL while the interpreter ends is told to exit by
// Python (up to 3.13) through pthread_exit(), which unwinds the stack; in C++ that ends the process
// by std::terminate(). So wherever it may want it inside a call of graven, it stays there, as it
// does in Python from 3.14 on, and goes with the process.
#pragma once

#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

#include <utility>

namespace graven::python {

/// Runs what may want the GIL; a thread that is told to exit there stays.
template <class Call>
auto or_stay(Call&& call) -> decltype(call()) {
  try {
    return std::forward<Call>(call)();
  } catch (const abi::__forced_unwind&) {
    for (;;) ::pause();
  }
}

/// The GIL is free from construction to destruction. At its end the thread holds no lock of
/// graven's.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;
  ~GilReleased() {
    or_stay([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* state_;
};

/// The GIL is held from construction to destruction, inside GilReleased: for a function of the
/// program's that the core calls.
class GilHeld {
 public:
  GilHeld() : state_(or_stay([] { return PyGILState_Ensure(); })) {}
  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;
  ~GilHeld() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

}  // namespace graven::python
