// SPDX-License-Identifier: MIT
//
// Checks a path before SQLite opens it, and refuses it with a message that says what to do. Nothing
// here changes a byte or creates a file.
//
// Always holds: the database is opened and closed only through SQLite's own VFS. Closing a
// descriptor of ours would drop the locks that another SQLite of this process has on the file
// (spared.hpp).
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

/// What the header of the file says.
struct Header {
  bool exists = false;
  bool empty = true;              // no file, or a file of 0 bytes
  bool ready = false;             // in WAL mode, and completely created
  bool blank = false;             // a SQLite database without tables or application id
  bool wal = false;               // in WAL mode
  bool cut = false;               // the file is shorter than its header says
  std::uint32_t application = 0;  // application_id
  std::uint32_t page_size = 0;    // 0: the file is empty
  Epoch epoch = 0;                // of its stamp
};

/// The file's size, time and identity at one moment.
struct FileState {
  bool exists = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t changed = 0;  // last modification, in nanoseconds

  friend bool operator==(const FileState&, const FileState&) = default;
  /// "device:inode"
  [[nodiscard]] std::string identity() const;
};

FileState file_state(const std::string& path);

/// The absolute path, with the symbolic links of existing files resolved.
std::string resolve(const std::string& name);

/// Refuses directories, devices, missing folders, missing permission and, unless allowed, network
/// file systems. Returns the file's state.
FileState check_path(const Target& target, bool read_only, bool allow_network_file_system);

/// UnavailableError, which lists the names, if the file has several names (hard links). Each name
/// would lead to its own -wal and -shm.
void require_one_name(const Target& target);

/// Refuses a file that is not SQLite, or is another program's SQLite database. Reads the first 108
/// bytes.
Header check_header(const Target& target, const FileState& file);

/// Whether a read-only file can only be read without locks: no file can be created beside it and
/// there is no WAL to read.
bool needs_immutable(const Target& target);

/// The path as a URI, for SQLite's immutable mode, which needs one.
std::string immutable_uri(const std::string& path);

/// Whether the path is on a file system that keeps its files in memory.
bool in_memory(const std::string& path) noexcept;

}  // namespace graven::sqlite
