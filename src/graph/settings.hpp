// SPDX-License-Identifier: MIT
//
// Options by name: as a store's URL carries them (?pool_size=20&persist=lazy) and as the
// environment does (DATABASE_URL, DB_POOL_SIZE …). <graven/option_fields.hpp> has them all.
//
// Pure functions but for the environment; any thread, while nobody changes the environment.
#pragma once

#include <string>
#include <string_view>

#include <graven/database.hpp>

namespace graven {

/// What the environment says, where it says something: the URL (else empty) and options.
std::string from_environment(Options& options);

/// UsageError where options contradict each other or cannot be.
void check_options(const Options& options);

/// Connections for reading that options ask for.
int readers(const Options& options) noexcept;

}  // namespace graven
