// SPDX-License-Identifier: MIT
//
// Calls SQLite's VFS for raw_file.hpp. One thread at a time.
#include "backends/sqlite/backup/raw_file.hpp"

#include <graven/error.hpp>

#include <cerrno>

namespace graven::sqlite {
namespace {

sqlite3_vfs& layer_of(const Target& target) {
  sqlite3_vfs* vfs = sqlite3_vfs_find(target.vfs.empty() ? nullptr : target.vfs.c_str());
  if (vfs == nullptr) throw UsageError("no SQLite file layer is called '" + target.vfs + "'");
  return *vfs;
}

}  // namespace

RawFile::RawFile(const Target& target)
    : name_(target.name),
      path_(sqlite3_create_filename(target.path.c_str(), "", "", 0, nullptr),
            [](const char* made) { sqlite3_free_filename(made); }) {
  sqlite3_vfs& vfs = layer_of(target);
  storage_.resize(static_cast<std::size_t>(vfs.szOsFile) / sizeof(std::max_align_t) + 1);
  int opened = 0;
  require(vfs.xOpen(&vfs, path_.get(), raw(), SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, &opened));
}

RawFile::~RawFile() {
  if (raw()->pMethods != nullptr) raw()->pMethods->xClose(raw());
}

void RawFile::read(void* into, std::size_t size, std::uint64_t from) {
  const int code =
      raw()->pMethods->xRead(raw(), into, static_cast<int>(size), static_cast<sqlite3_int64>(from));
  if (code != SQLITE_IOERR_SHORT_READ) require(code);
}

void RawFile::require(int code) {
  if (code != SQLITE_OK) throw_fault({.code = code, .system = errno, .message = {}}, name_);
}

}  // namespace graven::sqlite
