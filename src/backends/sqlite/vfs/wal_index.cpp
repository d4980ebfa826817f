// SPDX-License-Identifier: MIT
//
// Maps and reads the header of the WAL index. Its fields, as 32-bit words in the machine's byte
// order: iVersion, unused, iChange, (isInit, bigEndCksum, szPage), mxFrame, nPage, aFrameCksum[2],
// aSalt[2], aCksum[2].
//
// Any thread, once made.
#include "backends/sqlite/vfs/wal_index.hpp"

#include <sys/mman.h>

#include <array>
#include <utility>

namespace graven::sqlite {
namespace {

constexpr std::uint32_t kVersion = 3007000;
constexpr int kRegion = 32768;  // the size of SQLite's mappings
constexpr std::size_t kMapped = 4096;

std::uint32_t field(const port::Mark& mark, std::size_t i) noexcept {
  return static_cast<std::uint32_t>(mark.words[i / 2] >> (32 * (i % 2)));
}

/// SQLite's mapping of the first region of the index.
volatile void* region_of(sqlite3* handle) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2) {
    return nullptr;
  }
  volatile void* region = nullptr;
  const int code = file->pMethods->xShmMap(file, 0, kRegion, 0, &region);
  return code == SQLITE_OK || code == SQLITE_READONLY ? region : nullptr;
}

}  // namespace

std::unique_ptr<WalIndex> WalIndex::watch(std::unique_ptr<Connection> pin) {
  if (pin->text("PRAGMA journal_mode") != "wal" || pin->text("PRAGMA locking_mode") != "normal") {
    return nullptr;
  }
  pin->integer("SELECT count(*) FROM main.prefix");  // opening alone does not lock the file
  volatile void* region = region_of(pin->handle());
  if (region == nullptr) return nullptr;
  // With an old size of zero, mremap() maps the same pages a second time. That mapping is ours.
  void* mapped = ::mremap(const_cast<void*>(region), 0, kMapped, MREMAP_MAYMOVE);
  if (mapped == MAP_FAILED) return nullptr;
  if (::mprotect(mapped, kMapped, PROT_READ) != 0) {
    ::munmap(mapped, kMapped);
    return nullptr;
  }
  return std::unique_ptr<WalIndex>(
      new WalIndex(std::move(pin), static_cast<const port::MarkWords*>(mapped)));
}

WalIndex::WalIndex(std::unique_ptr<Connection> pin, const port::MarkWords* words)
    : pin_(std::move(pin)), words_(words), guarded_(words, kMapped) {}

WalIndex::~WalIndex() {
  guarded_ = {};
  ::munmap(const_cast<port::MarkWords*>(words_), kMapped);
}

bool WalIndex::distinctive(const port::Mark& mark) noexcept {
  const bool initialised = (field(mark, 3) & 0xffU) == 1;
  const bool blank = mark.words[3] == 0 && mark.words[4] == 0;
  if (field(mark, 0) != kVersion || !initialised || blank) return false;
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  for (std::size_t i = 0; i < 10; i += 2) {
    first += field(mark, i) + second;
    second += field(mark, i + 1) + first;
  }
  return first == field(mark, 10) && second == field(mark, 11);
}

std::uint32_t WalIndex::commits(const port::Mark& mark) noexcept { return field(mark, 2); }

}  // namespace graven::sqlite
