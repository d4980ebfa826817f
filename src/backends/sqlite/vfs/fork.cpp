// SPDX-License-Identifier: MIT
//
// Holds SQLite's mutexes during fork(). The guard exists as long as the process. Any thread; the
// handlers run in the thread that forks.
#include "backends/sqlite/vfs/fork.hpp"

#include <graven/error.hpp>

#include <sqlite3.h>

#include "backends/sqlite/vfs/spared.hpp"
#include "base/fork.hpp"

#ifndef GRAVEN_SQLITE_SYSTEM
extern "C" {
void graven_sqlite_fork_prepare();
void graven_sqlite_fork_parent();
void graven_sqlite_fork_child();
}
#endif

namespace graven::sqlite {

#ifdef GRAVEN_SQLITE_SYSTEM

void guard_sqlite_against_fork() { guard_spared_against_fork(); }

void refuse_after_fork(std::uint64_t generation, const std::string& name) {
  if (generation == base::fork_generation()) return;
  throw UsageError(name +
                   " was opened before this process was forked, and this build uses the "
                   "system's SQLite, which cannot be used after a fork; start the process anew "
                   "(spawn) or build graven with its own SQLite");
}

#else

namespace {

class SqliteGuard final : private base::ForkGuard {
  void prepare_fork() noexcept override { graven_sqlite_fork_prepare(); }
  void parent_after_fork() noexcept override { graven_sqlite_fork_parent(); }
  void child_after_fork() noexcept override { graven_sqlite_fork_child(); }

  base::ForkEnrolment enrolment_{*this, base::kForkRankSqlite};
};

}  // namespace

void guard_sqlite_against_fork() {
  // Never destroyed: a thread may fork while the process exits. SQLite must be initialised first,
  // because only then its mutexes exist.
  static const auto* guard = [] {
    sqlite3_initialize();
    return new SqliteGuard;
  }();
  static_cast<void>(guard);
}

void refuse_after_fork(std::uint64_t, const std::string&) {}

#endif

void throw_begun_by_parent(const std::string& name) {
  throw UsageError("this view or transaction of " + name +
                   " was begun by the parent process; begin a new one in the child");
}

}  // namespace graven::sqlite
