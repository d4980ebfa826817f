// SPDX-License-Identifier: MIT
//
// The life of a watchdog (watchdog.hpp). Calls only what is async-signal-safe.
#pragma once

#include "backends/redis/embedded/watchdog.hpp"

namespace graven::redis {

/// clone() without handlers; the parent gets the signal `at_end` (0: none).
int raw_fork(int at_end) noexcept;

/// Runs until the last user has ended, in the folder as its working directory; the exit status.
int run_watchdog(const Watch& watch) noexcept;

}  // namespace graven::redis
