// SPDX-License-Identifier: MIT
//
// Reads options by name: from a store's URL (?pool_size=20&persist=lazy) and from the environment
// (DATABASE_URL, DB_POOL_SIZE …). <graven/option_fields.hpp> lists all options.
//
// Pure functions, except that they read the environment. Any thread, while no thread changes the
// environment.
#pragma once

#include <string>

#include <graven/database.hpp>

namespace graven {

/// Sets the options that the environment gives. Returns its URL, or an empty text.
std::string from_environment(Options& options);

/// UsageError if options contradict each other or have impossible values.
void check_options(const Options& options);

/// The number of read connections that the options ask for.
int readers(const Options& options) noexcept;

}  // namespace graven
