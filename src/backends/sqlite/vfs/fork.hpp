// SPDX-License-Identifier: MIT
//
// Makes SQLite survive fork(). SQLite keeps a table of the locks its process holds, since
// POSIX locks are per process; a child inherits the table but not the locks, so its new
// connections would find their locks "already held" and take none (docs/design/fork.md has
// the measurement). With the bundled SQLite the child's table is emptied; a system SQLite
// cannot be reached into, and there every use in a child is refused.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace graven::sqlite {

/// Installs the fork handlers, once per process; before the first connection.
void guard_sqlite_against_fork();

/// Throws UsageError where `generation` (base::fork_generation() when the store was opened)
/// belongs to a parent and SQLite cannot be used across a fork.
void refuse_after_fork(std::uint64_t generation, const std::string& name);

/// Throws the UsageError for a view or transaction of the parent.
[[noreturn]] void throw_begun_by_parent(const std::string& name);

}  // namespace graven::sqlite
