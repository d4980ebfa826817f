// SPDX-License-Identifier: MIT
//
// The wrapper around each file and the counting. sqlite3_io_methods is a table of C functions,
// so a wrapped file is a struct that begins with SQLite's.
#include "backends/sqlite/faulty_vfs.hpp"

#include <thread>
#include <utility>

#include <sqlite3.h>

namespace graven::test {
namespace {

struct File {
  sqlite3_file base;
  sqlite3_file* real;  // in the same allocation, behind this struct
};

struct State {
  FaultPlan plan;
  int calls = 0;
  int syncs = 0;
  bool happened = false;
};
State state;
sqlite3_vfs* real_vfs = nullptr;

constexpr int kRealOffset = (sizeof(File) + 15) / 16 * 16;

/// Counts a call; true when it is to fail. Only a write fails for want of space.
bool fails(bool writes = false) {
  if (state.plan.code == SQLITE_FULL && !writes) return false;
  ++state.calls;
  const bool now = state.plan.at != 0 && (state.calls == state.plan.at ||
                                          (state.plan.for_good && state.calls > state.plan.at));
  if (now) state.happened = true;
  return now;
}

/// Lets the test do something between a failed commit and whatever follows.
void call_between() {
  if (!state.happened || !state.plan.between) return;
  const auto call = std::move(state.plan.between);
  state.plan.between = nullptr;
  call();
}

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }
const sqlite3_io_methods* methods(sqlite3_file* file) { return real(file)->pMethods; }

int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  if (fails(true)) {
    const int left = state.plan.leave == FaultPlan::Leave::kNothing ? 0
                     : state.plan.leave == FaultPlan::Leave::kHalf  ? size / 2
                                                                    : size;
    if (left > 0) methods(file)->xWrite(real(file), data, left, offset);
    return state.plan.code == SQLITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  return methods(file)->xWrite(real(file), data, size, offset);
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (fails()) return SQLITE_IOERR_TRUNCATE;
  return methods(file)->xTruncate(real(file), size);
}

int sync(sqlite3_file* file, int flags) {
  ++state.syncs;
  std::this_thread::sleep_for(state.plan.sync_takes);
  if (fails()) return SQLITE_IOERR_FSYNC;
  return methods(file)->xSync(real(file), flags);
}

int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  if (fails()) return SQLITE_IOERR_SHMMAP;
  return methods(file)->xShmMap(real(file), page, size, extend, out);
}

int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  const int result = methods(file)->xShmLock(real(file), offset, count, flags);
  // Byte 0 is the write lock.
  if (offset == 0 && (flags & SQLITE_SHM_UNLOCK) != 0) call_between();
  return result;
}

int file_control(sqlite3_file* file, int operation, void* argument) {
  if (operation == SQLITE_FCNTL_COMMIT_PHASETWO && state.plan.after_commit) {
    state.plan.after_commit = false;
    state.happened = true;
    call_between();
    return SQLITE_IOERR;
  }
  return methods(file)->xFileControl(real(file), operation, argument);
}

const sqlite3_io_methods& table() {
  static const sqlite3_io_methods made = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // without xFetch: no memory-mapped reads
    m.xClose = [](sqlite3_file* f) { return methods(f)->xClose(real(f)); };
    m.xRead = [](sqlite3_file* f, void* data, int size, sqlite3_int64 offset) {
      return methods(f)->xRead(real(f), data, size, offset);
    };
    m.xWrite = write;
    m.xTruncate = truncate;
    m.xSync = sync;
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return methods(f)->xFileSize(real(f), size);
    };
    m.xLock = [](sqlite3_file* f, int level) { return methods(f)->xLock(real(f), level); };
    m.xUnlock = [](sqlite3_file* f, int level) { return methods(f)->xUnlock(real(f), level); };
    m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return methods(f)->xCheckReservedLock(real(f), out);
    };
    m.xFileControl = file_control;
    m.xSectorSize = [](sqlite3_file* f) { return methods(f)->xSectorSize(real(f)); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      return methods(f)->xDeviceCharacteristics(real(f));
    };
    m.xShmMap = shm_map;
    m.xShmLock = shm_lock;
    m.xShmBarrier = [](sqlite3_file* f) { methods(f)->xShmBarrier(real(f)); };
    m.xShmUnmap = [](sqlite3_file* f, int remove) {
      return methods(f)->xShmUnmap(real(f), remove);
    };
    return m;
  }();
  return made;
}

int open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
  auto* mine = reinterpret_cast<File*>(file);
  mine->base.pMethods = nullptr;
  mine->real = reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + kRealOffset);
  const int result = real_vfs->xOpen(real_vfs, name, mine->real, flags, out);
  if (mine->real->pMethods != nullptr) mine->base.pMethods = &table();
  return result;
}

int remove(sqlite3_vfs*, const char* name, int sync_folder) {
  if (fails()) return SQLITE_IOERR_DELETE;
  return real_vfs->xDelete(real_vfs, name, sync_folder);
}

}  // namespace

const std::string& faulty_vfs() {
  static const std::string name = [] {
    real_vfs = sqlite3_vfs_find(nullptr);
    static sqlite3_vfs vfs = *real_vfs;
    vfs.pNext = nullptr;
    vfs.zName = "faulty";
    vfs.szOsFile = kRealOffset + real_vfs->szOsFile;
    vfs.xOpen = open;
    vfs.xDelete = remove;
    sqlite3_vfs_register(&vfs, 0);
    return std::string("faulty");
  }();
  return name;
}

void arm(const FaultPlan& plan) { state = {.plan = plan}; }

int disarm() {
  state.plan = {};
  return state.calls;
}

int syncs() { return state.syncs; }

bool fault_happened() { return state.happened; }

}  // namespace graven::test
