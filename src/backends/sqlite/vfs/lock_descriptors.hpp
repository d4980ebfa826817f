// SPDX-License-Identifier: MIT
//
// SQLite's file locks, made to belong to open file descriptions. Its "unix" file layer asks for
// POSIX locks, which a process loses when anything in it closes the file: another SQLite (Python's
// sqlite3, a plugin's), or a plain copy of it. graven's SQLite has its system calls go through here
// (xSetSystemCall), and its source stays as released.
//
// Always holds: all that this process locks on an inode it locks over one descriptor, which is made
// for that and never read, written, mapped or duplicated. SQLite counts locks by inode, takes one
// over some connection's descriptor and gives it up over another's: with a description each, locks
// would stay behind. A mapping keeps its description, and the locks on it, also after close() and
// in the child of a fork: so SQLite's own descriptor of the -shm will not do. The child closes its
// copies: the locks are the parent's and end with it.
//
// Any thread. Calls for one inode come one at a time: SQLite makes them under a mutex of the inode.
#pragma once

/// Called by sqlite3_initialize(); SQLITE_OK.
extern "C" int graven_sqlite_use_lock_descriptors(const char* unused);
