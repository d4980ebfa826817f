// SPDX-License-Identifier: MIT
//
// Logging what went wrong in the background, where nobody is there to be told. Any thread.
#pragma once

#include <string_view>

namespace graven::base {

/// Inside a handler: logs the exception that is being handled as an error. `what` is a field's
/// name, as "store" or "map", `name` whose.
void log_failure(std::string_view event, std::string_view what, std::string_view name) noexcept;

}  // namespace graven::base
