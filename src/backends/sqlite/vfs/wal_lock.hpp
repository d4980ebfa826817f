// SPDX-License-Identifier: MIT
//
// Finds the processes that hold locks of a WAL database; for messages only. The kernel's list
// (listed_locks.hpp) names the process only for POSIX locks. Graven's locks belong to open file
// descriptions, so this searches the descriptors of each process. It cannot see processes of other
// users or outside this pid namespace.
//
// Always holds: no descriptor is opened on the database or its -shm. Closing one would drop every
// POSIX lock that another SQLite of this process has on it.
//
// Any thread. With many processes a call takes some milliseconds.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

namespace graven::sqlite {

/// "process 4711 (python3)", "this process", or "another process" if unknown. `path` is the
/// database's.
std::string write_lock_holder(const std::string& path);

/// The processes that hold locks on bytes `first` to `last` of a file; 0 stands for unknown
/// processes.
std::set<long> lock_holders(const std::string& path, long first, long last);

/// The processes that read from a database's WAL now. `path` is the database's.
std::set<long> wal_readers(const std::string& path);

/// "process 4711 (python3)", "this process" or "another process".
std::string process_name(long process);
/// How long the process has been running, if known.
std::optional<std::chrono::seconds> process_age(long process);

}  // namespace graven::sqlite
