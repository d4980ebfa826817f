// SPDX-License-Identifier: MIT
//
// What is wrong or unwise about the surroundings of a store: its file, its folder, its disk,
// what is beside it, the SQLite it is used with. Whether the store itself is sound is
// Database::check()'s to say.
//
// Always holds: nothing is written, and the store is not opened: no lock is taken or waited for.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <graven/argument.hpp>

namespace graven {

enum class Severity : std::uint8_t { kNote, kWarning, kError };

struct Finding {
  Severity severity = Severity::kNote;
  std::string code{};    ///< which kind; does not change: "disk_space", "wal_large" ...
  std::string what{};    ///< in words, with the file or process
  std::string remedy{};  ///< what to do about it; empty where nothing needs to be done
};

/// Looks at the store's file at `path`. UnavailableError where there is none, ForeignFileError
/// where it is not graven's.
std::vector<Finding> examine(Text path);

/// What a file is to a store, in words ("the -wal of a store (/srv/state.db)"), or nothing: for
/// those who are about to write a file of their own. Links are followed, and files beside a store
/// count too; those of `store` are recognised under whatever other name they are linked.
std::string store_file(std::string_view path, std::string_view store = {});

/// The version of the SQLite that graven uses: "3.51.3".
std::string_view sqlite_version() noexcept;

}  // namespace graven
