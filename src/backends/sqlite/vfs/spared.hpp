// SPDX-License-Identifier: MIT
//
// Closes files of a store without dropping another library's locks. When a process closes *any*
// descriptor of a file, it loses all its POSIX locks on that file. So graven's close() would drop
// the locks of another SQLite in this process, and another program could then write in the middle
// of its transaction. While there are such locks, the descriptor stays open ("spared"). The next
// open_sparing() of the same file gets it; otherwise the first close_sparing() that finds no such
// lock closes it.
//
// Always holds: a file has at most as many spared descriptors as it once had open at the same time.
//
// Not covered: a lock that another library takes in the few microseconds between the check and
// close() is lost.
//
// Any thread. The child of a fork closes the spared descriptors: it has no POSIX locks to lose.
#pragma once

namespace graven::sqlite {

/// Closes now or later; returns what close() would. `ask` is another descriptor of the same file,
/// through which it looks for locks; locks of its own open file description do not count.
int close_sparing(int descriptor, int ask) noexcept;
inline int close_sparing(int descriptor) noexcept { return close_sparing(descriptor, descriptor); }

/// Like open(), but prefers a spared descriptor of that file.
int open_sparing(const char* path, int flags, int mode) noexcept;

/// The number of spared descriptors; for tests.
int spared_descriptors() noexcept;

/// Lets the child of a fork close them. Call once, before the first close_sparing().
void guard_spared_against_fork();

}  // namespace graven::sqlite
