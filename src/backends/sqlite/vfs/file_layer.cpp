// SPDX-License-Identifier: MIT
//
// The layer copies the VFS beneath it and has its own xOpen. A WAL file gets an object with a
// buffer. A database file gets an object that knows its WAL, because the locks of a WAL are taken
// through the database file. SQLite's object for the file beneath follows it in the same memory.
// Other files go directly to the VFS beneath. The frame format is SQLite's "WAL File Format"
// (https://sqlite.org/fileformat2.html#walformat).
//
// One thread at a time per connection, as SQLite promises to a VFS.
#include "backends/sqlite/vfs/file_layer.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <sqlite3.h>

#include "backends/sqlite/files/store_files.hpp"
#include "backends/sqlite/files/wal_owner.hpp"
#include "backends/sqlite/vfs/bus_guard.hpp"
#include "backends/sqlite/vfs/page_copies.hpp"

namespace graven::sqlite {
namespace {

constexpr std::size_t kCapacity = (std::size_t{128} << 10U) - 1;  // no write can be longer
constexpr int kFrameHeader = 24;
constexpr int kAhead = 120 << 10;  // bytes by which a WAL is extended
constexpr sqlite3_int64 kWalHeader = 32;

// The locks of a WAL: writer, checkpoint, recovery; then one for each read mark. A read mark says
// how much of the WAL its readers use; the first one means none of it.
constexpr int kWriteLock = 0;
constexpr int kCheckpointLock = 1;
constexpr int kFirstReader = 3;
constexpr std::uint32_t kReaders = 5;
// The WAL index, in 32-bit words.
constexpr std::size_t kFrames = 4;
constexpr std::size_t kSalts = 8;
constexpr std::size_t kBackfilled = 24;
constexpr std::size_t kMarks = 25;
constexpr std::size_t kAttempted = 32;
/// A reader uses an existing mark if it is at most this far behind the end of the WAL.
constexpr std::uint32_t kRecent = 64;  // frames

struct Layer {
  sqlite3_vfs vfs;  // first: SQLite passes it back to xOpen
  sqlite3_vfs* beneath;
  std::string name;
};

/// The start of both kinds of file objects.
struct File {
  sqlite3_file base;  // first: SQLite's file object
  sqlite3_file* beneath;
};

struct WalFile;

/// A database file. Passes most calls on.
struct DatabaseFile : File {
  WalFile* wal = nullptr;  // while it is open
  void (*before_unlock)(void*) = nullptr;
  void (*lock_taken)(void*) = nullptr;
  void* context = nullptr;
  const volatile std::uint32_t* index = nullptr;  // the WAL index, while mapped
  unsigned locks = 0;                             // bits: the locks held exclusively
  int mark = -1;                                  // the read mark held; 0: reads no WAL; -1: none
  std::uint32_t backfilled = 0;                   // frames moved when the mark was taken
  std::unique_ptr<PageCopies> copies = nullptr;
  std::string path{};
  std::unique_ptr<StoreFiles> files = nullptr;  // made by the first look
  std::vector<GuardedRange> guarded{};          // the index, by regions

  [[nodiscard]] bool index_lost() const noexcept {
    return std::any_of(guarded.begin(), guarded.end(),
                       [](const GuardedRange& range) { return range.lost(); });
  }
  /// The open files; makes `files` if necessary.
  OpenFiles open_files();
  /// Returns what happened to the files, or empty.
  std::string look(const Stamp& newest = {});
  /// Whether the files are the store's; false if unknown.
  bool in_place() noexcept;
  bool moves = false;  // a checkpoint writes here and has looked

  // Reads a word of the index, which others may be changing.
  [[nodiscard, gnu::no_sanitize("thread")]] std::uint32_t word(std::size_t i) const noexcept {
    return index == nullptr ? 0 : index[i];
  }

  /// What copies of pages depend on; nothing if the files must be read. Only checkpoints change the
  /// database file; a frame of the WAL stays until the WAL starts over.
  [[nodiscard]] std::optional<PageCopies::State> state() const noexcept {
    // Without a mark, others may start the WAL over meanwhile.
    if (!copies || mark <= 0) return std::nullopt;
    const std::uint32_t now = word(kBackfilled);
    if (now != backfilled) return std::nullopt;
    // A checkpoint is still running, or recovery has reset the count of moved frames.
    if (now == 0 && word(kAttempted) != 0) return std::nullopt;
    const std::uint64_t salts = std::uint64_t{word(kSalts)} << 32U | word(kSalts + 1);
    if (salts == 0) return std::nullopt;
    return PageCopies::State{salts, now};
  }
};

void unmap_index(DatabaseFile& self) noexcept {
  self.index = nullptr;
  self.files.reset();
  self.guarded.clear();
}

/// A WAL file and its buffer of frames. Only frames beyond everything written so far are buffered.
/// They are written with the last page of a commit (its frame header says so), when the buffer is
/// full, and before any other call on the file. Frames left when the write lock is released were
/// rolled back and are dropped: another connection may write there next.
struct WalFile : File {
  DatabaseFile* database;
  std::vector<unsigned char> gathered;
  sqlite3_int64 start = 0;   // offset of `gathered` in the file
  sqlite3_int64 end = 0;     // behind everything that this transaction wrote
  sqlite3_int64 length = 0;  // known length of the file
  bool last_frame = false;   // the last header was that of a commit's last frame
  bool complete = false;     // a commit is written; reset with the write lock

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
    complete = false;
  }

  /// Extends the file by zeros after a commit that grew it and will be synced, so that later syncs
  /// need not write a new length. Recovery stops at the zeros. Called with the write lock held.
  void grow_ahead() noexcept {
    static std::array<unsigned char, kAhead> zeros;
    if (!complete || end <= length) return;
    if (beneath->pMethods->xFileSize(beneath, &length) != SQLITE_OK || length > end) return;
    // May fail: nothing depends on it.
    if (beneath->pMethods->xWrite(beneath, zeros.data(), kAhead, end) == SQLITE_OK) {
      length = end + kAhead;
    }
  }

  int write(const unsigned char* data, int size, sqlite3_int64 offset) {
    const auto bytes = static_cast<std::size_t>(size);
    if (offset < end || offset < kWalHeader || bytes > kCapacity) {
      // The WAL's header, or a frame that SQLite rewrites at the end of a commit.
      if (const int code = flush(); code != SQLITE_OK) return code;
      if (offset == 0) length = 0;  // others may have truncated it
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
    // Bytes 4-7 of a frame header: the database size in a commit's last frame, else zero.
    last_frame = header && std::any_of(data + 4, data + 8, [](unsigned char b) { return b != 0; });
    gathered.insert(gathered.end(), data, data + size);
    end = offset + size;
    if (completes) complete = true;
    return completes ? flush() : SQLITE_OK;
  }
};

OpenFiles DatabaseFile::open_files() {
  if (!files) files = std::make_unique<StoreFiles>(path);
  return {beneath, wal != nullptr ? wal->beneath : nullptr, index, index_lost()};
}

std::string DatabaseFile::look(const Stamp& newest) {
  const OpenFiles open = open_files();
  return files->look(open, newest);
}

bool DatabaseFile::in_place() noexcept {
  try {
    return look().empty();
  } catch (const std::bad_alloc&) {
    return false;
  }
}

WalFile& wal(sqlite3_file* file) { return *reinterpret_cast<WalFile*>(file); }

using Methods = sqlite3_io_methods;

/// Calls a method of the file beneath; for both kinds of files.
template <auto Method, class... Arguments>
auto pass_on(sqlite3_file* file, Arguments... arguments) {
  sqlite3_file* beneath = reinterpret_cast<File*>(file)->beneath;
  return (beneath->pMethods->*Method)(beneath, arguments...);
}

/// Calls a method of the file beneath after writing the buffered frames.
template <auto Method, class... Arguments>
int after_flush(sqlite3_file* file, Arguments... arguments) {
  WalFile& self = wal(file);
  if (const int code = self.flush(); code != SQLITE_OK) return code;
  return (self.beneath->pMethods->*Method)(self.beneath, arguments...);
}

int sync_wal(sqlite3_file* file, int flags) {
  WalFile& self = wal(file);
  if (const int code = self.flush(); code != SQLITE_OK) return code;
  self.grow_ahead();
  return self.beneath->pMethods->xSync(self.beneath, flags);
}

int truncate_wal(sqlite3_file* file, sqlite3_int64 size) {
  WalFile& self = wal(file);
  self.length = 0;
  // Callback first: the state version (Mark) has changed already, and truncating takes a while.
  const DatabaseFile* holder = self.database;
  const bool writes = holder != nullptr && (holder->locks & (1U << unsigned{kWriteLock})) != 0;
  if (size == 0 && writes && holder->before_unlock != nullptr) {
    holder->before_unlock(holder->context);
  }
  return after_flush<&Methods::xTruncate>(file, size);
}

// If the index was lost, SQLite finds no frames and reads an old state of the database. Nothing
// based on that may get into the WAL.

int write_wal(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  const DatabaseFile* holder = wal(file).database;
  if (holder != nullptr && holder->index_lost()) return SQLITE_IOERR_WRITE;
  try {
    return wal(file).write(static_cast<const unsigned char*>(data), size, offset);
  } catch (const std::bad_alloc&) {
    return SQLITE_IOERR_NOMEM;
  }
}

int close_wal(sqlite3_file* file) {
  WalFile& self = wal(file);
  if (self.database != nullptr) {
    self.database->wal = nullptr;
    self.database->files.reset();  // the next WAL may be another file
  }
  const int code = self.beneath->pMethods->xClose(self.beneath);
  self.~WalFile();
  return code;
}

DatabaseFile& database(sqlite3_file* file) { return *reinterpret_cast<DatabaseFile*>(file); }

int close_database(sqlite3_file* file) {
  DatabaseFile& self = database(file);
  const int code = self.beneath->pMethods->xClose(self.beneath);
  self.~DatabaseFile();
  return code;
}

/// Reads a page from the file or from its copy.
int read_page(DatabaseFile& database, const PageCopies::Place& place, sqlite3_file* beneath,
              void* into) {
  const auto read = [&] {
    return beneath->pMethods->xRead(beneath, into, static_cast<int>(place.size), place.offset);
  };
  const std::optional<PageCopies::State> state = database.state();
  if (!state) return read();
  PageCopies& copies = *database.copies;
  copies.begin(*state);
  if (const unsigned char* copy = copies.find(place)) {
    std::memcpy(into, copy, place.size);
    return SQLITE_OK;
  }
  const int code = read();
  const auto* page = static_cast<const unsigned char*>(into);
  if (code == SQLITE_OK && PageCopies::is_inner(page)) copies.keep(place, page);
  return code;
}

int read_database(sqlite3_file* file, void* into, int size, sqlite3_int64 offset) {
  DatabaseFile& self = database(file);
  if (self.index_lost()) return SQLITE_IOERR_READ;
  const bool page = PageCopies::is_page_size(size) && offset % size == 0;
  if (!page) {
    return self.beneath->pMethods->xRead(self.beneath, into, size, offset);
  }
  const int code =
      read_page(self, {false, offset, static_cast<std::size_t>(size)}, self.beneath, into);
  if (code != SQLITE_IOERR_SHORT_READ || offset == 0) return code;
  // SQLite reads a page beyond the end of the file as zeros; that is wrong for a partial page.
  sqlite3_int64 length = 0;
  const int sized = self.beneath->pMethods->xFileSize(self.beneath, &length);
  // If the file has grown meanwhile, the page is not partial.
  const bool part = length > offset && length < offset + size;
  return sized == SQLITE_OK && part ? SQLITE_CORRUPT : code;
}

int read_wal(sqlite3_file* file, void* into, int size, sqlite3_int64 offset) {
  WalFile& self = wal(file);
  if (const int code = self.flush(); code != SQLITE_OK) return code;
  const sqlite3_int64 before = offset - kWalHeader - kFrameHeader;
  const sqlite3_int64 frame = size + kFrameHeader;
  const bool page = PageCopies::is_page_size(size) && before >= 0 && before % frame == 0;
  // Frames behind the last commit may still be overwritten.
  if (!page || self.database == nullptr || before / frame >= self.database->word(kFrames)) {
    return self.beneath->pMethods->xRead(self.beneath, into, size, offset);
  }
  return read_page(*self.database, {true, offset, static_cast<std::size_t>(size)}, self.beneath,
                   into);
}

int map_shared_memory(sqlite3_file* file, int region, int size, int extend, void volatile** at) {
  const int code = pass_on<&Methods::xShmMap>(file, region, size, extend, at);
  DatabaseFile& self = database(file);
  if (region == 0) self.index = static_cast<const volatile std::uint32_t*>(*at);
  if (*at == nullptr) return code;
  try {
    const auto number = static_cast<std::size_t>(region);
    if (self.guarded.size() <= number) self.guarded.resize(number + 1);
    self.guarded[number] = GuardedRange(*at, static_cast<std::size_t>(size));
  } catch (const std::bad_alloc&) {
    return SQLITE_IOERR_NOMEM;
  }
  return code;
}

int unmap_shared_memory(sqlite3_file* file, int remove) {
  unmap_index(database(file));
  return pass_on<&Methods::xShmUnmap>(file, remove);
}

/// In WAL mode only checkpoints write here, in page order: the page with the stamp comes first.
int write_database(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  DatabaseFile& self = database(file);
  if (self.wal != nullptr) {
    const auto now = std::chrono::steady_clock::now();
    const bool looked = self.moves && self.files && self.files->recent(now);
    if (!looked && !self.in_place()) return SQLITE_IOERR_WRITE;
    self.moves = true;
  }
  return self.beneath->pMethods->xWrite(self.beneath, data, size, offset);
}

/// When the last connection closes it takes the exclusive lock, moves the WAL into the database and
/// removes WAL and index by name.
int lock_database(sqlite3_file* file, int level) {
  DatabaseFile& self = database(file);
  self.moves = false;
  const int code = self.beneath->pMethods->xLock(self.beneath, level);
  if (code != SQLITE_OK || level != SQLITE_LOCK_EXCLUSIVE || self.wal == nullptr) return code;
  if (self.in_place()) return SQLITE_OK;
  self.beneath->pMethods->xUnlock(self.beneath, SQLITE_LOCK_SHARED);
  return SQLITE_BUSY;
}

/// Whether a read mark is recent enough to use. SQLite checks it again after locking it. A
/// checkpoint meanwhile leaves the frames after that mark to the next one.
bool has_recent_mark(const DatabaseFile& self) noexcept {
  if (self.index == nullptr) return false;
  const std::uint32_t end = self.word(kFrames);
  for (std::size_t i = 1; i < kReaders; ++i) {
    const std::uint32_t mark = self.word(kMarks + i);
    if (mark <= end && end - mark < kRecent) return true;
  }
  return false;
}

int lock_shared_memory(sqlite3_file* file, int offset, int count, int flags) {
  DatabaseFile& self = database(file);
  const bool alone = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  const bool takes = (flags & SQLITE_SHM_LOCK) != 0;
  // Only a reader that wants to move a mark asks for this; if busy, it uses a mark as it is.
  const bool moves_mark = takes && alone && count == 1 && offset > kFirstReader && self.locks == 0;
  if (moves_mark && has_recent_mark(self)) return SQLITE_BUSY;

  if (takes && self.index_lost()) return SQLITE_IOERR_SHMLOCK;
  const bool checkpoints = takes && alone && count == 1 && offset == kCheckpointLock;
  if (checkpoints) self.moves = false;
  if (checkpoints && !self.in_place()) return SQLITE_BUSY;

  const bool gives_up = offset == kWriteLock && (flags & SQLITE_SHM_UNLOCK) != 0;
  if (gives_up && self.wal != nullptr) self.wal->end_transaction();
  if (gives_up && self.before_unlock != nullptr) self.before_unlock(self.context);
  const int code = self.beneath->pMethods->xShmLock(self.beneath, offset, count, flags);
  if (code == SQLITE_OK && alone && offset < kFirstReader) {
    const unsigned these = ((1U << static_cast<unsigned>(count)) - 1)
                           << static_cast<unsigned>(offset);
    self.locks = takes ? self.locks | these : self.locks & ~these;
    if (takes && offset == kWriteLock && self.lock_taken != nullptr) self.lock_taken(self.context);
  }
  if (code == SQLITE_OK && !alone && offset >= kFirstReader) {
    self.mark = takes ? offset - kFirstReader : -1;
    if (takes) self.backfilled = self.word(kBackfilled);
  }
  return code;
}

constexpr Methods wal_methods() {
  Methods m{};
  m.iVersion = 1;
  m.xClose = close_wal;
  m.xRead = read_wal;
  m.xWrite = write_wal;
  m.xTruncate = truncate_wal;
  m.xSync = sync_wal;
  m.xFileSize = after_flush<&Methods::xFileSize, sqlite3_int64*>;
  m.xLock = after_flush<&Methods::xLock, int>;
  m.xUnlock = after_flush<&Methods::xUnlock, int>;
  m.xCheckReservedLock = after_flush<&Methods::xCheckReservedLock, int*>;
  m.xFileControl = after_flush<&Methods::xFileControl, int, void*>;
  m.xSectorSize = pass_on<&Methods::xSectorSize>;
  m.xDeviceCharacteristics = pass_on<&Methods::xDeviceCharacteristics>;
  return m;
}

/// The method table for a database file; `version` is that of the table beneath.
constexpr Methods database_methods(int version) {
  Methods m{};
  m.iVersion = version;
  m.xClose = close_database;
  m.xRead = read_database;
  m.xWrite = write_database;
  m.xTruncate = pass_on<&Methods::xTruncate, sqlite3_int64>;
  m.xSync = pass_on<&Methods::xSync, int>;
  m.xFileSize = pass_on<&Methods::xFileSize, sqlite3_int64*>;
  m.xLock = lock_database;
  m.xUnlock = pass_on<&Methods::xUnlock, int>;
  m.xCheckReservedLock = pass_on<&Methods::xCheckReservedLock, int*>;
  m.xFileControl = pass_on<&Methods::xFileControl, int, void*>;
  m.xSectorSize = pass_on<&Methods::xSectorSize>;
  m.xDeviceCharacteristics = pass_on<&Methods::xDeviceCharacteristics>;
  m.xShmMap = map_shared_memory;
  m.xShmLock = lock_shared_memory;
  m.xShmBarrier = pass_on<&Methods::xShmBarrier>;
  m.xShmUnmap = unmap_shared_memory;
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
    auto* self = new (file) DatabaseFile{{{&kDatabaseMethods[version - 1]}, inner}};
    if (name != nullptr) self->path = name;
    return SQLITE_OK;
  }
  DatabaseFile* holder = &database(sqlite3_database_file_object(name));
  auto* self = new (file) WalFile{{{&kWalMethods}, inner}, holder, {}};
  holder->wal = self;
  return SQLITE_OK;
}

}  // namespace

const std::string& file_layer_over(const std::string& beneath) {
  static auto* layers = new std::map<std::string, std::unique_ptr<Layer>>;  // SQLite keeps them
  // SQLite's application mutex: free in the child of a fork, even if the parent held it.
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

namespace {

DatabaseFile& database_of(sqlite3* connection) noexcept {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return database(file);
}

}  // namespace

void keep_inner_pages(sqlite3* connection, std::size_t bytes) noexcept {
  std::unique_ptr<PageCopies>& copies = database_of(connection).copies;
  if (!copies) copies.reset(new (std::nothrow) PageCopies);
  if (copies) copies->bound(bytes);
}

void before_write_unlock(sqlite3* connection, void (*call)(void*), void* context,
                         void (*taken)(void*)) {
  DatabaseFile& file = database_of(connection);
  file.before_unlock = call;
  file.lock_taken = taken;
  file.context = context;
}

Looked look_at_files(sqlite3* connection) {
  DatabaseFile& file = database_of(connection);
  const bool recent = file.files && file.files->recent(std::chrono::steady_clock::now());
  if (recent && !file.index_lost()) return {};
  return {true, file.look(read_stamp(connection))};
}

std::string look_after_commit(sqlite3* connection) {
  DatabaseFile& file = database_of(connection);
  const bool quiet = file.files && file.files->quiet(std::chrono::steady_clock::now());
  return quiet && !file.index_lost() ? std::string() : file.look();
}

void know_stamp(sqlite3* connection, const Stamp& stamp) noexcept {
  try {
    if (const auto& files = database_of(connection).files) files->expect(stamp.epoch());
  } catch (const std::bad_alloc&) {
    // Then the looks search the WAL.
  }
}

std::optional<Identity> main_file_of(sqlite3* connection) {
  DatabaseFile& file = database_of(connection);
  const OpenFiles open = file.open_files();
  return file.files->main(open);
}

bool index_is_lost(sqlite3* connection) noexcept {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  const bool layered =
      file != nullptr && std::any_of(kDatabaseMethods.begin(), kDatabaseMethods.end(),
                                     [&](const Methods& m) { return file->pMethods == &m; });
  return layered && database(file).index_lost();
}

const volatile std::uint32_t* wal_index_of(sqlite3* connection) noexcept {
  return database_of(connection).index;
}

bool index_fits_wal(sqlite3* connection) {
  const DatabaseFile& file = database_of(connection);
  return file.index != nullptr || index_fits(file.beneath, file.path);
}

bool newest_stamp_is_moved(sqlite3* connection) {
  const Epoch newest = read_stamp(connection).epoch();
  return stamp_in_file(database_of(connection).beneath).epoch() == newest;
}

bool may_begin_wal(sqlite3* connection) noexcept {
  const DatabaseFile& file = database_of(connection);
  return file.word(kBackfilled) == file.word(kFrames);
}

}  // namespace graven::sqlite
