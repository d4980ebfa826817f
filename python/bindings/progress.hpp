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

#include "gil.hpp"

namespace nb = nanobind;

namespace graven::python {

using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

/// Nothing for None: signals (Ctrl-C) the work lets through by itself. `callback` must outlive it.
inline Progress progress_of(const nb::object& callback) {
  if (callback.is_none()) return {};
  return [&callback](std::uint64_t done, std::uint64_t total) {
    const GilHeld gil;
    or_stay([&] { callback(done, total); });
  };
}

}  // namespace graven::python
