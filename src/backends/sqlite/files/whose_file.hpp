// SPDX-License-Identifier: MIT
//
// Knows which files make up a store, and whether a path leads to one of them. Code that writes a
// file for another purpose (a dump, a backup) asks here first, so that it does not overwrite a
// store.
//
// Always holds: symbolic links, relative paths and /proc/self/fd are followed; hard links are
// recognised by the inode. Files are opened only through SQLite's own VFS (file_checks.hpp).
//
// Any thread.
#pragma once

#include <array>
#include <optional>
#include <string>

namespace graven::sqlite {

/// Suffixes of the files beside a store. Without the first two the store would lose commits.
inline constexpr std::array kBesideStore{"-wal", "-journal", "-shm", "-owners", "-changes"};

struct StoreFile {
  std::string store{};  ///< path of the store; empty if only the kind of file is known
  std::string what{};   ///< in words: "the store", "the -wal of a store"
  bool main = false;    ///< the database file, not one beside it
};

/// What the file at `path` is to a store, or nothing. `known`: a store whose files are recognised
/// under any name; files of other stores are recognised by name and content.
std::optional<StoreFile> store_file(const std::string& path, const std::string& known = {});

/// UsageError if the path leads to a file beside a store. For callers that may replace a store's
/// main file.
void refuse_beside_store(const std::string& name, const std::string& path,
                         const std::string& known = {});

}  // namespace graven::sqlite
