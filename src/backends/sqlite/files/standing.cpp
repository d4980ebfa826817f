// SPDX-License-Identifier: MIT
//
// The checks around each commit (standing.hpp). One thread at a time: the one that has the writer's
// connection.
#include "backends/sqlite/files/standing.hpp"

#include <graven/error.hpp>

#include <optional>

#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/files/store_files.hpp"
#include "backends/sqlite/vfs/file_layer.hpp"

namespace graven::sqlite {

void Standing::require() const {
  if (!lost()) return;
  throw UnavailableError("the files of " + name_ +
                         " are no longer those that it was opened with, so nothing more is "
                         "written; " +
                         remedy_for_files(name_));
}

void Standing::before_commit(Connection& connection) {
  // While commits follow one another closely, this look is skipped; the look after the commit is
  // not.
  const Looked looked = look_at_files(connection.handle());
  if (!looked.found.empty()) {
    throw UnavailableError(looked.found + " while " + name_ + " was open; nothing was changed; " +
                           remedy_for_files(name_));
  }
  const Owners::Stay stayed =
      looked.anew || owners_.displaced() ? owners_.stay() : Owners::Stay::kInPlace;
  if (stayed == Owners::Stay::kMadeAnew) main_moved();  // the record of the main file is lost
  if (stayed == Owners::Stay::kTaken) {
    throw BusyError(name_ + "-owners was deleted while " + name_ +
                    " was open, and another process has opened the store since and is its only "
                    "writer; close it there or here");
  }
  has_written_.store(true, std::memory_order_relaxed);
  if (!may_begin_wal(connection.handle())) return;
  if (const int code = write_stamp(connection.handle()); code != SQLITE_OK) connection.fail(code);
  main_moved();
}

bool Standing::published(Connection& connection) {
  what_ = look_after_commit(connection.handle());
  if (what_.empty()) return true;
  lost_.store(true);
  return false;
}

CommitUnknownError Standing::unknown() const {
  return CommitUnknownError(
      what_ + " while " + name_ +
      " was open: the last commit is in the former files, and nothing more is written; " +
      remedy_for_files(name_));
}

void Standing::note_main(Connection& connection) {
  if (!note_due_.exchange(false)) return;
  const std::optional<Identity> main = main_file_of(connection.handle());
  if (main) owners_.note_main(*main, wal_index_of(connection.handle()));
}

}  // namespace graven::sqlite
