// SPDX-License-Identifier: MIT
//
// Graven's SQLite VFS (file layer), on top of any other VFS. It
// * writes each commit to the WAL with one call instead of two for each frame, which halves the
//   system time of a small commit;
// * extends a WAL whose commits are synced by 120 KiB at a time, because syncing a file that has
//   grown costs two disk writes;
// * lets a reader use a recent read mark instead of moving one, which takes two file locks;
// * keeps a reader's inner B-tree pages across commits of other connections (page_copies.hpp);
// * checks that the files are still the store's (store_files.hpp), on request and before a
//   checkpoint or the removal of the WAL; if they are not, SQLite gets a busy or an I/O error.
//
// Always holds: the frames of a commit are in the file before SQLite can publish, sync, read or
// truncate the WAL. If writing them fails, SQLite's own write fails with that error.
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
