# SPDX-License-Identifier: MIT
"""graven.DB: opening a database, and the little of it that is Python."""

from __future__ import annotations

import os

from graven import _graven
from graven.bulk import BulkImport, Progress
from graven.paths import Path
from graven.unflushed import has_opened, is_gone
from graven.watch import Watch

__all__ = ["DB"]


class DB(_graven.Database):
    """The root dict of one prefix (an independent keyspace) in one store.

    `path_or_url` is the path of a SQLite file (bytes where it is no text), `sqlite:///relative.db`,
    `sqlite:////absolute.db` or `memory://` (or `:memory:`); a URL may carry options by name, which
    win (`?mode=ro&pool_size=20`). Without one the environment names the store: DATABASE_URL, with
    DB_POOL_SIZE, DB_SEPARATE_READ_WRITE, DB_KEEP_ALIVE_TIMEOUT, DB_ENABLE_WAL, DB_BUSY_TIMEOUT and
    DB_SYNCHRONOUS where they are set.

    It is used like a dict: `db["person"] = {"name": "Ada"}`, `db["person"]["name"]`.
    Close it with close(), or use it in a with statement.

    A loop over a Dict or List goes over one state, whatever other threads and processes change;
    RuntimeError if the loop itself changes a Dict's size. The dicts and lists among its values are
    handles: over `d()` or `with db.snapshot() as s: s["d"]` none of them can be gone when it is
    come to.

    prefix: the keyspace, made where the store lacks it; by default "main". Without one, a store
        that has other prefixes but no "main" raises KeyNotFound, which names them.
    link_field: repr() shows a nested dict by this field of its, instead of its uid.
    read_only: nothing can be written through this object.
    create: make a store where there is none; with False that raises UnavailableError.
    new_prefix: start in a prefix of its own, under a new name; `prefix` is not looked at.
    persist: "writethrough" (a write is in the file when it returns), "lazy" (commits are flushed in
        the background, in order and whole, at the latest by flush() and close(); this process is
        the only writer, others may read; what nobody closes is flushed at the program's end, and
        where that fails, a line on sys.stderr says so) or "memory" (nothing is stored, the path is
        a name). Open a lazy DB before the maps on its file.
    flush_interval: seconds between two flushes of a lazy store.
    pending_limit: from so many bytes of unflushed writes on, writers of a lazy store wait.
    memory_mb: MiB (at least 16) that everything of this file may take in this process's memory:
        what is kept for reading (of its maps too), page caches and unflushed writes. Mapped
        files come on top. The last one given counts; 0: each has a limit of its own.
    synchronous: "normal" (a commit survives a crash of the process), "full" (a loss of power
        too) or "off" (an orderly exit only).
    busy_timeout: how many seconds a write waits for other writers before BusyError.
    transaction_limit: after how many seconds a transaction() is rolled back.
    slow_operation: seconds; a commit, read from the file, flush, checkpoint or collection that
        takes longer is logged (logging.getLogger("graven")). 0: none is.
    allow_network_file_system: open a file on NFS, SMB and the like, which is refused otherwise.

    Of the file, where the first DB that a process opens on it decides:

    pool_size: read connections at a time; who finds none free waits.
    separate_read_write: more readers, twice pool_size and at least 20. There is one writer.
    keep_alive: after how many idle seconds a connection is closed.
    reader_limit: after how many seconds a snapshot or an iteration is ended, so that it does not
        keep the WAL from being cleaned up; its next use raises TransactionExpiredError. 0: never.
    wal_autocheckpoint: pages in the WAL from which on they are moved to the database in the
        background, and from four times as many on by the commit; 0: by maintenance() only.
    checkpoint: how far maintenance() goes: "passive", "full", "restart" or "truncate".
    cache_mb: MiB of the page caches of all connections together; 0: 96.
    mmap_mb: MiB of the file that each connection maps for reading.
    temp_store: "file" or "memory".
    """

    _lazy: bool | None = None

    def __init__(
        self,
        path_or_url: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        prefix: str | None = None,
        link_field: str | None = None,
        *,
        read_only: bool = False,
        create: bool = True,
        new_prefix: bool = False,
        persist: str = "writethrough",
        flush_interval: float = 1.0,
        pending_limit: int = 256 << 20,
        memory_mb: int = 0,
        synchronous: str = "normal",
        busy_timeout: float = 30.0,
        transaction_limit: float = 60.0,
        slow_operation: float = 0.0,
        allow_network_file_system: bool = False,
        pool_size: int = 10,
        separate_read_write: bool = False,
        keep_alive: float = 300.0,
        reader_limit: float = 0.0,
        wal_autocheckpoint: int = 4000,
        checkpoint: str = "truncate",
        cache_mb: int = 0,
        mmap_mb: int = 0,
        temp_store: str = "file",
    ) -> None:
        super().__init__(
            path_or_url,
            prefix=prefix or "",
            link_field=link_field or "",
            read_only=read_only,
            create=create,
            new_prefix=new_prefix,
            persist=persist,
            flush_interval=flush_interval,
            pending_limit=pending_limit,
            memory_mb=memory_mb,
            synchronous=synchronous,
            busy_timeout=busy_timeout,
            transaction_limit=transaction_limit,
            slow_operation=slow_operation,
            allow_network_file_system=allow_network_file_system,
            settings={
                "pool_size": str(pool_size),
                "separate_read_write": "on" if separate_read_write else "off",
                "keep_alive": str(keep_alive),
                "reader_limit": str(reader_limit),
                "wal_autocheckpoint": str(wal_autocheckpoint),
                "checkpoint": str(checkpoint),
                "cache_mb": str(cache_mb),
                "mmap_mb": str(mmap_mb),
                "temp_store": str(temp_store),
            },
        )
        has_opened(self, persist == "lazy")

    def with_prefix(self, prefix: str) -> DB:
        """A DB on another prefix of the same store, to be closed for itself."""
        other = DB.__new__(DB)
        _graven.Database.__init__(other, self, prefix)
        has_opened(other, bool(self._lazy))
        return other

    def get_prefix(self) -> str:
        """The prefix this is the root dict of."""
        return self.prefix

    async def maintenance_async(self) -> str | None:
        """maintenance() in another thread, so that the event loop goes on."""
        import asyncio  # here, because it takes longer to import than all of graven

        return await asyncio.to_thread(self.maintenance)

    def bulk_import(self, cache_mb: int = 512, progress: Progress | None = None) -> BulkImport:
        """One large piece of writing, in phases; see BulkImport.

        progress: called with the phase's name, how much is done and of how much (0: unknown).
        """
        return BulkImport(self, cache_mb, progress)

    def watch(self, path: Path) -> Watch:
        """An iterator of the changes of what lies at a path, "a/b" or ["a", "b"]; see Watch."""
        return Watch(self, path)

    def wait(self, path: Path, timeout: float | None = None) -> bool:
        """Sleeps until what lies at a path changes; False after `timeout` seconds."""
        with Watch(self, path) as changes:
            return changes.next(timeout) is not None

    def shutdown(self) -> None:
        """The same as close()."""
        self.close()

    def __enter__(self) -> DB:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Not closed here: handles that are still about may keep the database in use.
        is_gone(self, lambda: f"database {self.name!r}")
