// SPDX-License-Identifier: MIT
//
// Progress callbacks of Python's, for work that is done off the GIL. What one raises passes
// through the work and ends it.
//
// Made with the GIL held; called without it.
#pragma once

#include <cstdint>
#include <functional>

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace graven::python {

using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

/// For None it lets signals through (Ctrl-C), on the main thread. `callback` must outlive it.
inline Progress progress_of(const nb::object& callback) {
  if (callback.is_none()) {
    return [](std::uint64_t, std::uint64_t) {
      const nb::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    };
  }
  return [&callback](std::uint64_t done, std::uint64_t total) {
    const nb::gil_scoped_acquire acquire;
    callback(done, total);
  };
}

}  // namespace graven::python
