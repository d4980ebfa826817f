// SPDX-License-Identifier: MIT
//
// The process that owns a private server: starts it, starts it again should it die, and ends it
// when its last user has ended, however that ended.
//
// Always holds: the server does not outlive the watchdog. Both hold the server lock, so whoever
// gets it knows that neither is left.
#pragma once

namespace graven::redis {

/// All that the watchdog needs, made before it is forked.
struct Watch {
  int folder;           ///< the private server's folder
  int users;            ///< the users lock: a description of the watchdog's own, not locked
  int server_lock;      ///< locked exclusively
  int log;              ///< takes what the server and the watchdog write
  const char* program;  ///< the server program's path
  const char* data;     ///< the .rdb, relative to the folder
};

/// Starts a watchdog, a process without ties to this one: no descriptors but those above, a session
/// of its own, no signals. Returns 0 or the error number. The caller then closes its descriptors.
int start_watchdog(const Watch& watch) noexcept;

}  // namespace graven::redis
