// SPDX-License-Identifier: MIT
//
// The bytes of a database file, read through SQLite's own file layer: closing a descriptor of ours
// would drop the locks that another SQLite of this process has on the file (spared.hpp).
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
  /// UnavailableError where it cannot be opened.
  explicit RawFile(const Target& target);
  ~RawFile();
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  /// Reads so many bytes from there; what lies past the end comes as zeros.
  void read(void* into, std::size_t size, std::uint64_t from);

 private:
  sqlite3_file* raw() noexcept { return reinterpret_cast<sqlite3_file*>(storage_.data()); }
  void require(int code);

  const std::string name_;
  std::vector<std::max_align_t> storage_;  // the layer's own layout
  std::unique_ptr<const char, void (*)(const char*)> path_;
};

}  // namespace graven::sqlite
