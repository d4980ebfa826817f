// SPDX-License-Identifier: MIT
//
// Graven's SQLite VFS (file layer), on top of any other VFS.
//
// It writes each commit to the WAL with one call. SQLite makes two calls for each frame, a header
// of 24 bytes and a page; this layer buffers them. That halves the system time of a small commit.
// Always holds: buffered frames are in the file before SQLite can publish, sync, read or truncate
// the WAL. The layer buffers only frames beyond everything written so far. It writes them with the
// last page of a commit (marked in its frame header), when the buffer is full, and before any other
// call on the file. If that write fails, SQLite's own write fails with the same error. Frames that
// are left when the write lock is released belong to a transaction that was rolled back; they are
// dropped, because another connection may use that part of the file next.
//
// If commits are synced, it extends the WAL by 120 KiB of zeros at a time, because syncing a file
// that has grown costs two disk writes. Recovery stops at the zeros, as at the end of the file.
//
// It lets readers skip moving a read mark. A reader locks a read mark, which says how much of the
// WAL it reads, so that no checkpoint goes beyond it. After each commit SQLite first moves a mark
// to the end of the WAL, which takes two file locks. This layer makes it use a mark that is less
// than 64 frames behind, as SQLite does when all marks are in use. A checkpoint during that read
// leaves those frames to the next one.
//
// It keeps copies of the inner B-tree pages that a reader uses (page_copies.hpp). SQLite drops its
// page cache after each commit of another connection, although most pages have not changed: only
// checkpoints change the database file, and a frame of the WAL does not change before the WAL
// starts over.
//
// It checks that the files are still the store's (store_files.hpp): on request, and by itself
// before a checkpoint and before the WAL is removed. If they are not, SQLite gets a busy or an I/O
// error.
//
// Any thread, but one at a time for each file, as SQLite does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <sqlite3.h>

#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/files/store_files.hpp"

namespace graven::sqlite {

/// The name of the layer on top of the VFS `beneath` (empty: SQLite's default). The first call
/// registers it. UsageError if there is no such VFS.
const std::string& file_layer_over(const std::string& beneath);

/// Lets a connection keep up to `bytes` of copies of inner pages, and drops the present copies.
/// Call from the connection's thread, outside transactions.
void keep_inner_pages(sqlite3* connection, std::size_t bytes) noexcept;

/// The connection's thread will call `call(context)` just before each release of the WAL's write
/// lock, after a commit or a rollback, and before a checkpoint truncates the WAL to nothing. It
/// will call `taken(context)` just after taking the lock. nullptr ends that. The connection must
/// have been opened through this layer.
void before_write_unlock(sqlite3* connection, void (*call)(void*), void* context,
                         void (*taken)(void*) = nullptr);

struct Looked {
  bool anew = false;    ///< false: the last look was a moment ago, so there was no new one
  std::string found{};  ///< what happened to the files, or empty
};
/// Checks whether the files are still the store's, unless that was done within the last
/// millisecond. Call with the write lock held.
Looked look_at_files(sqlite3* connection);
/// The same after a commit was published; empty if all is well. It looks again unless no name in
/// the folder has changed since the last look.
std::string look_after_commit(sqlite3* connection);
/// Tells later looks about a stamp that was just committed, so that they need not search the WAL.
void know_stamp(sqlite3* connection, const Stamp& stamp) noexcept;
/// The main file that the connection has open; nothing if that is unknown.
std::optional<Identity> main_file_of(sqlite3* connection);
/// Whether another program truncated the connection's WAL index.
bool index_is_lost(sqlite3* connection) noexcept;

/// The connection's mapped WAL index, or nullptr.
const volatile std::uint32_t* wal_index_of(sqlite3* connection) noexcept;
/// Whether the WAL belongs to the WAL index that other connections use. Call before the
/// connection's first read. Also true if no other connection uses an index, or if it cannot be
/// determined now. UnavailableError if no more files can be opened.
bool index_fits_wal(sqlite3* connection);
/// Whether a checkpoint has already moved the stamp that the connection's open transaction sees to
/// the main file.
bool newest_stamp_is_moved(sqlite3* connection);
/// Whether the next commit may start the WAL over. Call with the write lock held.
bool may_begin_wal(sqlite3* connection) noexcept;

}  // namespace graven::sqlite
