// SPDX-License-Identifier: MIT
//
// A file layer (SQLite VFS) that gathers what a commit writes to the WAL. SQLite writes each
// frame with two calls, 24 bytes and a page; this layer keeps them in memory and writes a
// commit's frames with one, which halves the system time of a small commit.
//
// Always holds: what is gathered is in the file before SQLite can publish, sync, read or
// truncate it: only frames behind everything written so far are gathered, and they are written
// out with the last page of a commit (its frame header says that it is the last), when the
// buffer is full, and before any other call on the file. An error of that write is the error
// of SQLite's own write. Whatever is left when the write lock is given up belongs to a
// transaction that was rolled back, and is dropped: a moment later those bytes of the file are
// another connection's.
//
// Where commits are synced it makes a WAL longer by 120 KiB of zeros at a time, for each sync of a
// file that has become longer is two writes. They end it for a recovery, as its end would.
//
// It also spares readers the moving of marks. A reader locks a mark of how far the WAL goes, so
// that no checkpoint passes it, and first moves one to the WAL's end, with two locks of the file,
// after each commit. Here it does with a mark that is less than 64 frames behind, as SQLite has
// readers do when all marks are in use: a checkpoint meanwhile leaves those frames to the next.
//
// And it keeps copies of a reader's inner pages (page_copies.hpp). SQLite drops its page cache with
// each commit of another connection, though what it then reads again is what it was: the database
// file changes with checkpoints only, and frames of the WAL not before it begins anew.
//
// And it looks whether the files are still the store's (store_files.hpp): when it is asked to, and
// by itself before anything is moved from the WAL into the database or the WAL is taken away. Where
// they are not, it is as if somebody else were at it.
//
// The layer beneath may be any. Any thread, as SQLite uses a file: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <sqlite3.h>

#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/files/store_files.hpp"

namespace graven::sqlite {

/// The name of the layer over the one called `beneath` (empty: SQLite's default); registered at
/// the first call. UsageError when there is no layer of that name.
const std::string& file_layer_over(const std::string& beneath);

/// Has a connection keep copies of inner pages, up to so many bytes: what it reads again after
/// commits of others. Those there are go. Its own thread, outside of transactions.
void keep_inner_pages(sqlite3* connection, std::size_t bytes) noexcept;

/// Has `call(context)` called by the connection's own thread just before each release of the WAL's
/// write lock, commit or not, and before a checkpoint cuts the WAL to nothing; and `taken` just
/// after the lock was taken; nullptr: no longer. The connection was opened over such a layer.
void before_write_unlock(sqlite3* connection, void (*call)(void*), void* context,
                         void (*taken)(void*) = nullptr);

struct Looked {
  bool anew = false;    ///< not a moment ago
  std::string found{};  ///< what happened to them, or empty
};
/// Looks whether the files are still the store's, unless that was done a moment ago. With the write
/// lock held.
Looked look_at_files(sqlite3* connection);
/// The same for a commit that was just published.
std::string look_after_commit(sqlite3* connection);
/// Has the looks to come know a stamp that was just committed, which spares them a search.
void know_stamp(sqlite3* connection, const Stamp& stamp) noexcept;
/// The file that the connection has open as its database; nothing where that cannot be told.
std::optional<Identity> main_file_of(sqlite3* connection);
/// Whether the connection's WAL index was cut off by another program.
bool index_is_lost(sqlite3* connection) noexcept;

/// The connection's WAL index, mapped; nullptr where it is not.
const volatile std::uint32_t* wal_index_of(sqlite3* connection) noexcept;
/// Whether the WAL is the one of the index that others have in use. For a connection that has not
/// read yet; true also where nobody has one, or it cannot be told just now. UnavailableError where
/// no more files can be open.
bool index_fits_wal(sqlite3* connection);
/// Whether the main file has the stamp already that the connection's open transaction sees.
bool newest_stamp_is_moved(sqlite3* connection);
/// Whether the next commit may begin the WAL anew. With the write lock held.
bool may_begin_wal(sqlite3* connection) noexcept;

}  // namespace graven::sqlite
