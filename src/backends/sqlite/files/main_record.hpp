// SPDX-License-Identifier: MIT
//
// Which file a WAL's commits were written for, noted in a region of `<database>-owners`. It tells
// what the stamps (wal_owner.hpp) cannot: that a main file was replaced by a copy of the very
// state its WAL began with, to which the WAL fits.
//
// Always holds: the note counts only on the same boot, in the same -owners and for a WAL with the
// salts that were noted; and of the file's size and time only where nothing can have changed them
// since: the same -shm, and in it the state of checkpoints that was noted. It is not synced, and an
// absent or stale one is no evidence of anything.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "backends/sqlite/files/store_files.hpp"

namespace graven::sqlite {

/// Notes the main file in the open -owners, unless something changes just then, or the path leads
/// to another by now. `index`: the WAL index, mapped.
void note_main_file(int owners, const std::string& path, Identity main,
                    const volatile std::uint32_t* index);

/// Whether the main file is another than the one noted, or was written since. While nobody has the
/// store open.
bool main_file_was_replaced(const std::string& path);

}  // namespace graven::sqlite
