// SPDX-License-Identifier: MIT
//
// Who holds the locks of a WAL database: read from /proc/locks, for messages only.
//
// Always holds: no descriptor is opened on the database or its -shm. Closing one would drop
// every POSIX lock this process has on it, SQLite's included.
//
// Any thread.
#pragma once

#include <set>
#include <string>

namespace graven::sqlite {

/// "process 4711 (python3)", "this process", or "another process" where it cannot be told.
/// `path` is the database's.
std::string write_lock_holder(const std::string& path);

/// The processes that hold locks on bytes `first` to `last` of a file.
std::set<long> lock_holders(const std::string& path, long first, long last);

/// "process 4711 (python3)" and so on.
std::string process_name(long process);

}  // namespace graven::sqlite
