// SPDX-License-Identifier: MIT
//
// Turns SQLite's POSIX file locks into open-file-description locks. A process loses its POSIX locks
// on a file when anything in it closes that file: another SQLite (Python's sqlite3, a plugin's), or
// code that copies the file. Graven's SQLite makes its system calls through this file
// (xSetSystemCall); SQLite's source is not changed.
//
// Always holds: the process takes all its locks on one inode through one descriptor, the lock
// descriptor, which is opened only for that and never read, written, mapped or duplicated. One is
// needed because SQLite counts locks per inode: it may take a lock through one connection's
// descriptor and release it through another's. SQLite's own descriptor of the -shm file cannot be
// used: a mapping keeps its open file description, with the locks on it, after close() and in the
// child of a fork. The child closes its copies of the lock descriptors; the locks stay with the
// parent and end with it.
//
// Any thread. Calls for one inode come one at a time: SQLite makes them under a mutex of the inode.
#pragma once

/// sqlite3_initialize() calls this; returns SQLITE_OK or an error code.
extern "C" int graven_sqlite_use_lock_descriptors(const char* unused);
