// SPDX-License-Identifier: MIT
//
// What can be known about a path before SQLite touches it: the reasons to refuse it, each
// with a message that says what to do. Nothing here changes a byte or creates a file.
//
// Always holds: the database is opened and closed only through SQLite's own file layer. Closing a
// descriptor of ours would drop the locks that another SQLite of this process has on the file
// (spared.hpp).
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

/// What the first bytes of a file say.
struct Header {
  bool exists = false;
  bool empty = true;              // no file, or no byte in it
  bool ready = false;             // in WAL mode, its making finished
  bool blank = false;             // a SQLite database without tables or application id
  bool wal = false;               // in WAL mode
  bool cut = false;               // the file is shorter than it says it is
  std::uint32_t application = 0;  // application_id
  std::uint32_t page_size = 0;    // 0: it is empty
  Epoch epoch = 0;                // of its stamp
};

/// The file as it stands.
struct FileState {
  bool exists = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t changed = 0;  // last modification, nanoseconds

  friend bool operator==(const FileState&, const FileState&) = default;
  /// "device:inode"
  [[nodiscard]] std::string identity() const;
};

FileState file_state(const std::string& path);

/// The absolute path, symbolic links of existing files resolved.
std::string resolve(const std::string& name);

/// Refuses directories, devices, missing folders, missing permission and, unless allowed,
/// network file systems. Returns the file's state.
FileState check_path(const Target& target, bool read_only, bool allow_network_file_system);

/// Refuses what is not SQLite, or is SQLite but somebody else's. Reads the first 108 bytes.
Header check_header(const Target& target, const FileState& file);

/// Whether a read-only file can only be read without locks: nothing can be created beside it
/// and there is no WAL to read.
bool needs_immutable(const Target& target);

/// The path as a URI, for the one mode SQLite takes from a URI only.
std::string immutable_uri(const std::string& path);

/// Whether a path lies on a file system that keeps its files in memory.
bool in_memory(const std::string& path) noexcept;

/// "NFS" and the like, or empty for a file system whose locks and shared memory work. `type` is
/// statfs()'s, `mounted_as` the type the mount table names ("fuse.sshfs"), which may be empty.
std::string_view network_file_system(std::uint64_t type, std::string_view mounted_as) noexcept;

/// The same of the file system a path lies on.
std::string network_file_system_of(const std::string& path);

}  // namespace graven::sqlite
