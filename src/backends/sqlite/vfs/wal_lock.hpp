// SPDX-License-Identifier: MIT
//
// Who holds the locks of a WAL database, for messages only. Its processes are listed by the kernel
// (listed_locks.hpp) only for POSIX locks; graven's belong to open file descriptions, and whose
// those are is looked for in each process's descriptors. Of another user's process, and outside
// this pid namespace, it cannot be told.
//
// Always holds: no descriptor is opened on the database or its -shm. Closing one would drop every
// POSIX lock that another SQLite of this process has on it.
//
// Any thread. With many processes it takes some milliseconds.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

namespace graven::sqlite {

/// "process 4711 (python3)", "this process", or "another process" where it cannot be told.
/// `path` is the database's.
std::string write_lock_holder(const std::string& path);

/// The processes that hold locks on bytes `first` to `last` of a file; 0 stands for those that
/// cannot be told.
std::set<long> lock_holders(const std::string& path, long first, long last);

/// The processes that read from a database's WAL just now. `path` is the database's.
std::set<long> wal_readers(const std::string& path);

/// "process 4711 (python3)" and so on.
std::string process_name(long process);
/// How long it has been running, where that can be told.
std::optional<std::chrono::seconds> process_age(long process);

}  // namespace graven::sqlite
