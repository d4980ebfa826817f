/* SPDX-License-Identifier: MIT
**
** SQLite's amalgamation, and what fork() needs of its insides (src/backends/sqlite/vfs/fork.hpp
*says why), as
** does the look at a store's files (stamp.hpp, store_files.hpp). Compiled only where SQLite is
** bundled: nothing outside the amalgamation can reach these statics.
**
** Always holds: between graven_sqlite_fork_prepare() and _parent() or _child() the calling
** thread owns every static mutex of SQLite, so no other thread is inside the inode table, the
** page allocator or the random generator while memory is copied.
**
** Called by the fork handlers only.
*/

/* New database files belong to their owner alone; -wal and -shm copy the database's mode. */
#define SQLITE_DEFAULT_FILE_PERMISSIONS 0600

/* Before the first connection: locks that nobody else's close() drops (lock_descriptors.hpp). */
#define SQLITE_EXTRA_INIT_MUTEXED graven_sqlite_use_lock_descriptors

#include "sqlite3.c"

#if !SQLITE_THREADSAFE || !defined(SQLITE_MUTEX_PTHREADS) || !SQLITE_OS_UNIX
#error "the fork handling is written for SQLite on POSIX threads"
#endif

/*
** In the order in which they nest: graven registers its file layer under APP1, which asks for
** MAIN; seeding the generator looks up a layer (PRNG before MAIN); anything may allocate.
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
** The inode table says which locks this process holds; in the child none of it is true. An
** empty table makes the next connection ask the kernel. The parent's entries, with their
** descriptors and mutexes (which some thread of the parent may have held), are leaked. The
** locks are those of the parent's lock descriptors, which the child closes
** (lock_descriptors.hpp).
*/
void graven_sqlite_fork_child(void) {
  inodeList = 0;
  wsdPrng.s[0] = 0; /* else parent and child draw the same WAL salts */
  randomnessPid = 0;
  forkLeaveAll();
}

/* The stamp of the first page, as the connection's transaction sees it (stamp.hpp). */
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

/* Inside a write transaction. Words 9 to 13 of the header lie at its bytes 72 to 91. */
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

/* The descriptor of a file of the default layer, or of the WAL index that belongs to it; -1: it is
** of another layer, or has none. */
int graven_sqlite_descriptor(sqlite3_file* file, int index) {
  unixFile* self = (unixFile*)file;
  if (file->pMethods != &posixIoMethods) return -1;
  if (!index) return self->h;
  return self->pShm != 0 ? self->pShm->pShmNode->hShm : -1;
}
