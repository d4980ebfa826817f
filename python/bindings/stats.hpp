// SPDX-License-Identifier: MIT
//
// Stats as plain dicts, under the names of <graven/stats.hpp>; graven/stats.py says their types.
//
// Called with the GIL held.
#pragma once

#include <vector>

#include <graven/stats.hpp>

#include "bind.hpp"

namespace graven::python {

nb::dict to_python(const Stats& stats);
/// By the pool's name.
nb::dict to_python(const std::vector<PoolStats>& pools);

}  // namespace graven::python
