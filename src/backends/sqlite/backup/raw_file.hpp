// SPDX-License-Identifier: MIT
//
// Reads the bytes of a database file through SQLite's own VFS. Closing a descriptor of ours would
// drop the locks that another SQLite of this process has on the file (spared.hpp).
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

class RawFile {
 public:
  /// UnavailableError if it cannot be opened.
  explicit RawFile(const Target& target);
  ~RawFile();
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  /// Reads `size` bytes at offset `from`; bytes beyond the end of the file read as zeros.
  void read(void* into, std::size_t size, std::uint64_t from);

 private:
  sqlite3_file* raw() noexcept { return reinterpret_cast<sqlite3_file*>(storage_.data()); }
  void require(int code);

  const std::string name_;
  std::vector<std::max_align_t> storage_;  // SQLite's file object, of the VFS's size
  std::unique_ptr<const char, void (*)(const char*)> path_;
};

}  // namespace graven::sqlite
