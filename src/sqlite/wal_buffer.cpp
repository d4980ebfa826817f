// SPDX-License-Identifier: MIT
//
// The layer is a copy of the one beneath with an xOpen of its own. A WAL gets an object with
// the buffer, a database one that knows its WAL, since the locks of a WAL are taken through the
// database's file; each lies before the file object of the layer beneath. Other files are the
// layer beneath's alone. The format of frames is SQLite's "WAL File Format"
// (https://sqlite.org/fileformat2.html#walformat).
//
// One thread at a time per connection, as SQLite promises a file layer.
#include "sqlite/wal_buffer.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <new>
#include <vector>

#include <sqlite3.h>

namespace graven::sqlite {
namespace {

constexpr std::size_t kCapacity = std::size_t{128} << 10U;
constexpr int kFrameHeader = 24;
constexpr sqlite3_int64 kWalHeader = 32;
constexpr int kWriteLock = 0;  // the lock of a WAL that a writer holds

struct Layer {
  sqlite3_vfs vfs;  // first: SQLite hands it back to xOpen
  sqlite3_vfs* beneath;
  std::string name;
};

/// What both kinds begin with.
struct File {
  sqlite3_file base;  // first: this is what SQLite holds
  sqlite3_file* beneath;
};

struct WalFile;

/// A database file; passes everything on.
struct DatabaseFile : File {
  WalFile* wal;  // while it is open
  void (*before_unlock)(void*);
  void* context;
};

/// A WAL file with what was written to it and not yet passed on.
struct WalFile : File {
  DatabaseFile* database;
  std::vector<unsigned char> gathered;
  sqlite3_int64 start = 0;  // where `gathered` belongs
  sqlite3_int64 end = 0;    // behind everything this transaction wrote
  bool last_frame = false;  // the header gathered last is that of a commit's last frame

  int flush() {
    if (gathered.empty()) return SQLITE_OK;
    const int code = beneath->pMethods->xWrite(beneath, gathered.data(),
                                               static_cast<int>(gathered.size()), start);
    gathered.clear();
    return code;
  }

  void end_transaction() noexcept {
    gathered.clear();
    end = 0;
    last_frame = false;
  }

  int write(const unsigned char* data, int size, sqlite3_int64 offset) {
    const auto bytes = static_cast<std::size_t>(size);
    if (offset < end || offset < kWalHeader || bytes > kCapacity) {
      // The WAL's header; or a frame is changed in place: SQLite may do that last of all.
      if (const int code = flush(); code != SQLITE_OK) return code;
      end = std::max(end, offset + size);
      return beneath->pMethods->xWrite(beneath, data, size, offset);
    }
    const bool next = !gathered.empty() && offset == end && gathered.size() + bytes <= kCapacity;
    if (!next) {
      if (const int code = flush(); code != SQLITE_OK) return code;
      start = offset;
    }
    const bool header = size == kFrameHeader;
    const bool completes = !header && last_frame;
    // Bytes 4 to 7 of a frame header: the size of the database after a commit, else zero.
    last_frame = header && std::any_of(data + 4, data + 8, [](unsigned char b) { return b != 0; });
    gathered.insert(gathered.end(), data, data + size);
    end = offset + size;
    return completes ? flush() : SQLITE_OK;
  }
};

WalFile& wal(sqlite3_file* file) { return *reinterpret_cast<WalFile*>(file); }

/// Calls a method of the file beneath a file of either kind.
template <auto Method, class... Arguments>
auto pass_on(sqlite3_file* file, Arguments... arguments) {
  sqlite3_file* beneath = reinterpret_cast<File*>(file)->beneath;
  return (beneath->pMethods->*Method)(beneath, arguments...);
}

/// Calls a method of the file beneath, once everything gathered is there.
template <auto Method, class... Arguments>
int after_flush(sqlite3_file* file, Arguments... arguments) {
  WalFile& self = wal(file);
  if (const int code = self.flush(); code != SQLITE_OK) return code;
  return (self.beneath->pMethods->*Method)(self.beneath, arguments...);
}

int write_wal(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  try {
    return wal(file).write(static_cast<const unsigned char*>(data), size, offset);
  } catch (const std::bad_alloc&) {
    return SQLITE_IOERR_NOMEM;
  }
}

int close_wal(sqlite3_file* file) {
  WalFile& self = wal(file);
  if (self.database != nullptr) self.database->wal = nullptr;
  const int code = self.beneath->pMethods->xClose(self.beneath);
  self.~WalFile();
  return code;
}

int lock_shared_memory(sqlite3_file* file, int offset, int count, int flags) {
  DatabaseFile& self = *reinterpret_cast<DatabaseFile*>(file);
  const bool gives_up = offset == kWriteLock && (flags & SQLITE_SHM_UNLOCK) != 0;
  if (gives_up && self.wal != nullptr) self.wal->end_transaction();
  if (gives_up && self.before_unlock != nullptr) self.before_unlock(self.context);
  return self.beneath->pMethods->xShmLock(self.beneath, offset, count, flags);
}

using Methods = sqlite3_io_methods;

constexpr Methods wal_methods() {
  Methods m{};
  m.iVersion = 1;
  m.xClose = close_wal;
  m.xRead = after_flush<&Methods::xRead, void*, int, sqlite3_int64>;
  m.xWrite = write_wal;
  m.xTruncate = after_flush<&Methods::xTruncate, sqlite3_int64>;
  m.xSync = after_flush<&Methods::xSync, int>;
  m.xFileSize = after_flush<&Methods::xFileSize, sqlite3_int64*>;
  m.xLock = after_flush<&Methods::xLock, int>;
  m.xUnlock = after_flush<&Methods::xUnlock, int>;
  m.xCheckReservedLock = after_flush<&Methods::xCheckReservedLock, int*>;
  m.xFileControl = after_flush<&Methods::xFileControl, int, void*>;
  m.xSectorSize = pass_on<&Methods::xSectorSize>;
  m.xDeviceCharacteristics = pass_on<&Methods::xDeviceCharacteristics>;
  return m;
}

/// The table for a database over a file whose own table has `version`.
constexpr Methods database_methods(int version) {
  Methods m{};
  m.iVersion = version;
  m.xClose = pass_on<&Methods::xClose>;
  m.xRead = pass_on<&Methods::xRead, void*, int, sqlite3_int64>;
  m.xWrite = pass_on<&Methods::xWrite, const void*, int, sqlite3_int64>;
  m.xTruncate = pass_on<&Methods::xTruncate, sqlite3_int64>;
  m.xSync = pass_on<&Methods::xSync, int>;
  m.xFileSize = pass_on<&Methods::xFileSize, sqlite3_int64*>;
  m.xLock = pass_on<&Methods::xLock, int>;
  m.xUnlock = pass_on<&Methods::xUnlock, int>;
  m.xCheckReservedLock = pass_on<&Methods::xCheckReservedLock, int*>;
  m.xFileControl = pass_on<&Methods::xFileControl, int, void*>;
  m.xSectorSize = pass_on<&Methods::xSectorSize>;
  m.xDeviceCharacteristics = pass_on<&Methods::xDeviceCharacteristics>;
  m.xShmMap = pass_on<&Methods::xShmMap, int, int, int, void volatile**>;
  m.xShmLock = lock_shared_memory;
  m.xShmBarrier = pass_on<&Methods::xShmBarrier>;
  m.xShmUnmap = pass_on<&Methods::xShmUnmap, int>;
  m.xFetch = pass_on<&Methods::xFetch, sqlite3_int64, int, void**>;
  m.xUnfetch = pass_on<&Methods::xUnfetch, sqlite3_int64, void*>;
  return m;
}

constexpr Methods kWalMethods = wal_methods();
constexpr std::array<Methods, 3> kDatabaseMethods{database_methods(1), database_methods(2),
                                                  database_methods(3)};

constexpr std::size_t kBeneathOffset =
    (std::max(sizeof(WalFile), sizeof(DatabaseFile)) + alignof(std::max_align_t) - 1) /
    alignof(std::max_align_t) * alignof(std::max_align_t);

int open_file(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
  sqlite3_vfs* beneath = reinterpret_cast<Layer*>(vfs)->beneath;
  if ((flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) == 0) {
    return beneath->xOpen(beneath, name, file, flags, out);
  }
  file->pMethods = nullptr;
  auto* inner =
      reinterpret_cast<sqlite3_file*>(reinterpret_cast<unsigned char*>(file) + kBeneathOffset);
  const int code = beneath->xOpen(beneath, name, inner, flags, out);
  if (code != SQLITE_OK) {
    if (inner->pMethods != nullptr) inner->pMethods->xClose(inner);
    return code;
  }
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
    const auto version = static_cast<std::size_t>(std::clamp(inner->pMethods->iVersion, 1, 3));
    new (file) DatabaseFile{{{&kDatabaseMethods[version - 1]}, inner}, nullptr, nullptr, nullptr};
    return SQLITE_OK;
  }
  auto* holder = reinterpret_cast<DatabaseFile*>(sqlite3_database_file_object(name));
  auto* self = new (file) WalFile{{{&kWalMethods}, inner}, holder, {}};
  holder->wal = self;
  return SQLITE_OK;
}

}  // namespace

const std::string& buffered_wal_over(const std::string& beneath) {
  static auto* layers = new std::map<std::string, std::unique_ptr<Layer>>;  // SQLite keeps them
  // SQLite's mutex for applications: free in the child of a fork, whoever held it before.
  sqlite3_initialize();
  const std::unique_ptr<sqlite3_mutex, void (*)(sqlite3_mutex*)> lock(
      sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1), sqlite3_mutex_leave);
  sqlite3_mutex_enter(lock.get());
  std::unique_ptr<Layer>& layer = (*layers)[beneath];
  if (!layer) {
    sqlite3_vfs* under = sqlite3_vfs_find(beneath.empty() ? nullptr : beneath.c_str());
    if (under == nullptr) {
      layers->erase(beneath);
      throw UsageError("no SQLite file layer is called '" + beneath + "'");
    }
    auto made =
        std::make_unique<Layer>(Layer{*under, under, "graven-" + std::string(under->zName)});
    made->vfs.zName = made->name.c_str();
    made->vfs.pNext = nullptr;
    made->vfs.szOsFile = static_cast<int>(kBeneathOffset) + under->szOsFile;
    made->vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&made->vfs, 0) != SQLITE_OK) {
      throw UnavailableError("SQLite refused to register a file layer");
    }
    layer = std::move(made);
  }
  return layer->name;
}

void before_write_unlock(sqlite3* connection, void (*call)(void*), void* context) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  auto& database = *reinterpret_cast<DatabaseFile*>(file);
  database.before_unlock = call;
  database.context = context;
}

}  // namespace graven::sqlite
