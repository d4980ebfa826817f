// SPDX-License-Identifier: MIT
//
// Which files make up a store, and whether a path leads to one of them: whoever writes a file for
// any other purpose asks here first, because what it overwrites is gone.
//
// Always holds: symbolic links, relative paths and /proc/self/fd are followed, hard links are told
// by the inode. Nothing is opened but through SQLite's own file layer (file_checks.hpp).
//
// Any thread.
#pragma once

#include <array>
#include <optional>
#include <string>

namespace graven::sqlite {

/// What lies beside a store under its name. With the first two it would lose commits.
inline constexpr std::array kBesideStore{"-wal", "-journal", "-shm", "-owners", "-changes"};

struct StoreFile {
  std::string store{};  ///< path of the store; empty where only the kind of file is known
  std::string what{};   ///< in words: "the store", "the -wal of a store"
  bool main = false;    ///< the store's own file, not one beside it
};

/// What the file at `path` is to a store, or nothing. `known`: a store whose files are recognised
/// wherever they are linked; others by their names and by what is in them.
std::optional<StoreFile> store_file(const std::string& path, const std::string& known = {});

/// UsageError for a path that leads to a file beside a store: for those who may replace a store.
void refuse_beside_store(const std::string& name, const std::string& path,
                         const std::string& known = {});

}  // namespace graven::sqlite
