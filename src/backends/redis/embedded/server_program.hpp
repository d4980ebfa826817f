// SPDX-License-Identifier: MIT
//
// Which server program a private server runs, and with which configuration.
//
// Any thread.
#pragma once

#include <string>

namespace graven::redis {

/// The path of redis-server or valkey-server: what GRAVEN_REDIS_SERVER names, else from PATH,
/// /usr/bin or /usr/local/bin. UsageError if there is none, or it is older than Redis 7.
std::string find_server_program();

/// Writes the configuration into the folder. UnavailableError.
void write_configuration(int folder);

}  // namespace graven::redis
