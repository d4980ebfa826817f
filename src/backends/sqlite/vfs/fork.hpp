// SPDX-License-Identifier: MIT
//
// Lets SQLite survive fork(). SQLite keeps a table of the file locks that its process holds,
// because POSIX locks are per process. A child inherits the table but not the locks, so its new
// connections would find their locks "already held" and take none (measured in
// docs/design/fork.md). With the bundled SQLite, the child's table is emptied. The table of a
// system SQLite cannot be reached, so there every use in a child throws UsageError.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace graven::sqlite {

/// Installs the fork handlers once per process. Call before the first connection is opened.
void guard_sqlite_against_fork();

/// Throws UsageError if the store was opened in a parent process and this SQLite cannot be used
/// after a fork. `generation`: base::fork_generation() when the store was opened.
void refuse_after_fork(std::uint64_t generation, const std::string& name);

/// Throws UsageError for using a view or transaction of the parent process.
[[noreturn]] void throw_begun_by_parent(const std::string& name);

}  // namespace graven::sqlite
