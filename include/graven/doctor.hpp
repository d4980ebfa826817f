// SPDX-License-Identifier: MIT
//
// Finds problems in the surroundings of a store: its file, its folder, its disk, the files beside
// it, the SQLite in use. Database::check() checks the store itself.
//
// Always holds: nothing is written, the store is not opened, and no lock is taken or waited for.
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
  std::string code{};    ///< the stable name of the kind: "disk_space", "wal_large" ...
  std::string what{};    ///< a text that names the file or process
  std::string remedy{};  ///< what to do about it; empty if nothing needs to be done
};

/// Examines the store's file at `path`. UnavailableError if there is none, ForeignFileError if it
/// is not graven's.
std::vector<Finding> examine(Text path);

/// Whether a file belongs to a store, for programs that are about to write a file: a text such as
/// "the -wal of a store (/srv/state.db)", or empty if it does not. Links are followed, and files
/// beside a store count. The files of `store` are recognised also under other names (hard links).
std::string store_file(std::string_view path, std::string_view store = {});

/// The version of the SQLite that graven uses, for example "3.51.3".
std::string_view sqlite_version() noexcept;

}  // namespace graven
