// SPDX-License-Identifier: MIT
//
// Closing files of a store without harm to others. A POSIX lock goes with *any* descriptor of its
// process on the file, so our close() would drop those that another SQLite in this process holds:
// another program would then write into its open transaction. A descriptor is spared while there
// are such locks: it stays open, is given to whoever opens the same file again, and is closed by
// the first close_sparing() that finds the locks gone.
//
// Always holds: no more descriptors are spared for a file than it had open at a time.
//
// What another library locks between the look and the close (some microseconds) is dropped all the
// same; no order of calls can help that.
//
// Any thread; also around fork(), whose child closes them: it has no POSIX locks to lose.
#pragma once

namespace graven::sqlite {

/// close(), now or later; its answer. Over `ask`, another descriptor on the file, it looks for
/// locks: those of ask's own open file description are not in the way.
int close_sparing(int descriptor, int ask) noexcept;
inline int close_sparing(int descriptor) noexcept { return close_sparing(descriptor, descriptor); }

/// open(), or a spared descriptor on that file.
int open_sparing(const char* path, int flags, int mode) noexcept;

/// How many there are; for tests.
int spared_descriptors() noexcept;

/// Has the child of a fork close them. Once, before the first close_sparing().
void guard_spared_against_fork();

}  // namespace graven::sqlite
