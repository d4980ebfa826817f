/* SPDX-License-Identifier: MIT
**
** SQLite's amalgamation, with functions that need its internals: for fork()
** (src/backends/sqlite/vfs/fork.hpp says why) and for the check of a store's files (stamp.hpp,
** store_files.hpp). Compiled only if SQLite is bundled: nothing outside the amalgamation can
** reach these statics.
**
** Always holds: between graven_sqlite_fork_prepare() and _parent() or _child() the calling
** thread owns every static mutex of SQLite, so no other thread is inside the inode table, the
** page allocator or the random generator while memory is copied.
**
** The fork functions are called by the fork handlers only, the others by one thread at a time per
** connection.
*/

/* Only its owner may use a new database file; -wal and -shm copy the database's mode. */
#define SQLITE_DEFAULT_FILE_PERMISSIONS 0600

/* Runs before the first connection: installs locks that another library's close() does not drop
** (lock_descriptors.hpp). */
#define SQLITE_EXTRA_INIT_MUTEXED graven_sqlite_use_lock_descriptors

#include "sqlite3.c"

#if !SQLITE_THREADSAFE || !defined(SQLITE_MUTEX_PTHREADS) || !SQLITE_OS_UNIX
#error "the fork handling is written for SQLite on POSIX threads"
#endif

/*
** In the order in which they nest: graven registers its VFS while holding APP1, which takes MAIN;
** seeding the random generator looks up a VFS (PRNG before MAIN); anything may allocate.
*/
static const int kForkOrder[] = {
    SQLITE_MUTEX_STATIC_APP1, SQLITE_MUTEX_STATIC_APP2, SQLITE_MUTEX_STATIC_APP3,
    SQLITE_MUTEX_STATIC_PRNG, SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_MAIN,
    SQLITE_MUTEX_STATIC_VFS1, SQLITE_MUTEX_STATIC_VFS2, SQLITE_MUTEX_STATIC_VFS3,
    SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_MEM,
};
#define FORK_MUTEXES ((int)(sizeof(kForkOrder) / sizeof(kForkOrder[0])))

static void forkLeaveAll(void) {
  int i;
  for (i = FORK_MUTEXES - 1; i >= 0; i--) {
    sqlite3_mutex_leave(sqlite3MutexAlloc(kForkOrder[i]));
  }
}

void graven_sqlite_fork_prepare(void) {
  int i;
  for (i = 0; i < FORK_MUTEXES; i++) {
    sqlite3_mutex_enter(sqlite3MutexAlloc(kForkOrder[i]));
  }
}

void graven_sqlite_fork_parent(void) { forkLeaveAll(); }

/*
** The inode table says which locks this process holds; the child holds none of them. With an
** empty table the next connection asks the kernel. The parent's entries are leaked, with their
** descriptors and mutexes (some thread of the parent may have held those). The locks are those
** of the parent's lock descriptors, which the child closes (lock_descriptors.hpp).
*/
void graven_sqlite_fork_child(void) {
  inodeList = 0;
  wsdPrng.s[0] = 0; /* else parent and child get the same WAL salts */
  randomnessPid = 0;
  forkLeaveAll();
}

/* Reads the stamp of the first page, as the connection's transaction sees it (stamp.hpp). */
void graven_sqlite_read_stamp(sqlite3* db, unsigned char* stamp) {
  Btree* tree = db->aDb[0].pBt;
  u32 word;
  int i;
  sqlite3BtreeEnter(tree);
  for (i = 0; i < 5; i++) {
    sqlite3BtreeGetMeta(tree, 9 + i, &word);
    sqlite3Put4byte(stamp + 4 * i, word);
  }
  sqlite3BtreeLeave(tree);
}

/* Call inside a write transaction. Meta words 9 to 13 are bytes 72 to 91 of the file. */
int graven_sqlite_write_stamp(sqlite3* db, const unsigned char* stamp) {
  Btree* tree = db->aDb[0].pBt;
  int code = SQLITE_OK;
  int i;
  sqlite3BtreeEnter(tree);
  for (i = 0; i < 5 && code == SQLITE_OK; i++) {
    code = sqlite3BtreeUpdateMeta(tree, 9 + i, sqlite3Get4byte(stamp + 4 * i));
  }
  sqlite3BtreeLeave(tree);
  return code;
}

/* The descriptor of a file of the default VFS, or of its WAL index; -1 for a file of another VFS,
** or if there is no index. */
int graven_sqlite_descriptor(sqlite3_file* file, int index) {
  unixFile* self = (unixFile*)file;
  if (file->pMethods != &posixIoMethods) return -1;
  if (!index) return self->h;
  return self->pShm != 0 ? self->pShm->pShmNode->hShm : -1;
}
