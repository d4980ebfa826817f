// SPDX-License-Identifier: MIT
//
// Logs failures in the background, where no caller gets the error. Any thread.
#pragma once

#include <string_view>

namespace graven::observe {

/// Called in a catch block: logs the current exception as an error. `what` is the name of a field,
/// such as "store" or "map"; `name` is its value.
void log_failure(std::string_view event, std::string_view what, std::string_view name) noexcept;

}  // namespace graven::observe
