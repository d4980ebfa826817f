// SPDX-License-Identifier: MIT
//
// Reads the token file of `graven serve`. Called by the main thread.
#pragma once

#include <string>

#include "serve/log_lines.hpp"

namespace graven::serve {

/// The content of the file, without surrounding white space; empty if `file` is empty. UsageError
/// if it is not a token or if others can write the file; logs a warning if others can read it.
std::string read_token(const std::string& file, const LogLines& log);

}  // namespace graven::serve
