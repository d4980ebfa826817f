// SPDX-License-Identifier: MIT
//
// How many errors of each code this process has constructed since it started, in order of the
// codes. Any thread.
#pragma once

#include <vector>

#include <graven/stats.hpp>

namespace graven::base {

std::vector<ErrorCount> error_counts();

}  // namespace graven::base
