// SPDX-License-Identifier: MIT
//
// Records in `<database>-owners` for which main file the WAL's commits were written. The record
// detects what the stamps (wal_owner.hpp) cannot: that the main file was replaced by a copy of
// exactly the state with which the WAL began, so that the WAL fits the copy too.
//
// Always holds: the record counts only on the same boot, in the same -owners file and for a WAL
// with the recorded salts. Its file size and time count only if nothing can have changed them
// since: the -shm file and its checkpoint state must be the recorded ones. The record is not
// synced. A missing or outdated record proves nothing.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "backends/sqlite/files/store_files.hpp"

namespace graven::sqlite {

/// Writes the record into the open -owners file, unless a checkpoint is going on or the path now
/// leads to another file. `index`: the mapped WAL index.
void note_main_file(int owners, const std::string& path, Identity main,
                    const volatile std::uint32_t* index);

/// Whether the main file is not the recorded one, or was written since. Call only while no process
/// has the store open.
bool main_file_was_replaced(const std::string& path);

}  // namespace graven::sqlite
