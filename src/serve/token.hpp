// SPDX-License-Identifier: MIT
//
// The token file of `graven serve`. The main thread's.
#pragma once

#include <string>

#include "serve/log_lines.hpp"

namespace graven::console {

/// What is in a file, without the white space around it; nothing for no file. UsageError for what
/// is no token, and for a file that others can write; a warning for one that they can read.
std::string read_token(const std::string& file, const LogLines& log);

}  // namespace graven::console
