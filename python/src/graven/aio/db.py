# SPDX-License-Identifier: MIT
"""graven.aio.DB: the graph for asyncio, its transactions and snapshots.

Always holds: one thread does all operations of a transaction, its beginning and its end, in order,
because a transaction of the core belongs to a thread.
"""

from __future__ import annotations

import asyncio
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

import graven
from graven import _graven
from graven.aio.contents import Reading, Writing
from graven.aio.opening import Opening
from graven.aio.watch import Watch
from graven.aio.workers import (
    TransactionThread,
    Workers,
    close,
    finished,
    readers,
    transaction_thread,
    transaction_threads,
)
from graven.errors import ClosedError, UsageError
from graven.options import Parameters, takes
from graven.paths import Path

if TYPE_CHECKING:
    from typing_extensions import Self


class DB(Opening[graven.DB], Writing):
    """A graven.DB whose methods are awaited. It takes the same arguments as DB.

    Open it with `async with aio.DB(path) as db:`, or with `db = await aio.DB.open(path)` and
    close() at the end. Use run() for methods of DB that are missing here:
    `report = await db.run(graven.DB.check)`. Everything that a task does while it is in a
    transaction() is part of the transaction, through this object and others on the same file.
    """

    _kind, _shown = "database", "aio.DB"

    @takes(graven.DB.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(graven.DB, *arguments, **options)

    __signature__ = Parameters(_graven.Database)

    def _place(self) -> tuple[Workers | None, Any]:
        _task()
        return transaction_thread(), self._sync

    def transaction(self, *, durable: bool = False) -> Transaction:
        """The block of `async with db.transaction() as t:` is one atomic step, which sees its own
        writes. An exception rolls it back. Inside another transaction it is a savepoint. durable:
        the block ends when its changes survive a power failure; see graven.DB.transaction."""
        return Transaction(self, durable)

    async def wait_durable(self) -> None:
        """Returns when everything that this process has committed survives a power failure, also
        with synchronous="normal" (with "off" only until the next checkpoint). Not inside a
        transaction."""
        await self._write(lambda db: db.wait_durable())

    def snapshot(self) -> Snapshot:
        """A consistent, read-only view of the current state: `async with db.snapshot() as s:`"""
        return Snapshot(self)

    def watch(self, path: Path) -> Watch:
        """The changes at a path, for `async for`; see Watch."""
        return Watch(self, path)

    async def wait(self, path: Path, timeout: float | None = None) -> bool:
        """Waits until the value at a path changes; returns False after `timeout` seconds."""
        async with Watch(self, path) as changes:
            return await changes.next(timeout) is not None

    async def stats(self) -> graven.Stats:
        """What this process has done with the store, and the state of its file."""
        return await self._read(lambda db: db.stats())

    async def get_connection_stats(self) -> dict[str, graven.PoolStats]:
        """The connections to the file for each pool: "readers" and "writer"."""
        return await self._read(lambda db: db.get_connection_stats())

    async def metrics(self) -> str:
        """stats() and get_connection_stats() in Prometheus' text format."""
        return await self._read(lambda db: db.metrics())

    async def flush(self) -> None:
        """Returns when everything that was committed before is in the file; only with
        persist="lazy" is there something to wait for. Not inside a transaction."""
        await self._write(graven.DB.flush)

    def __repr__(self) -> str:
        state = "not open" if self._opened is None else "closed" if self.closed else self._sync.name
        return f"<graven.aio.DB {state}>"


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise UsageError("this is for asyncio tasks")
    return task


class _Block:
    """A synchronous transaction; one thread begins and ends it."""

    def __init__(self, db: graven.DB, durable: bool) -> None:
        self._context = db.transaction(durable=durable)
        self._open = False

    def begin(self) -> None:
        self._context.__enter__()
        self._open = True

    def end(self, error: BaseException | None) -> None:
        """Rolls back if there is an error; does nothing if it was not begun."""
        if self._open:
            self._open = False
            self._context.__exit__(None if error is None else type(error), error, None)


class Transaction(Writing):
    """The object of DB.transaction(). It belongs to the task that enters it."""

    _thread: TransactionThread

    def __init__(self, db: DB, durable: bool = False) -> None:
        self._db = db
        self._durable = durable
        # Weak, or the task would never be destroyed if its loop ended before the transaction.
        self._task: weakref.ref[asyncio.Task[Any]] | None = None
        self._over = False

    def _place(self) -> tuple[Workers | None, Any]:
        if self._task is None or self._over:
            raise UsageError("a transaction is used inside its `async with` block")
        if asyncio.current_task() is not self._task():
            raise UsageError("a transaction belongs to the task that entered it")
        return self._thread, self._db._sync

    def transaction(self) -> Transaction:
        """A savepoint: an exception rolls back only what it did."""
        return self._db.transaction()

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise UsageError("a transaction is entered once")
        task = _task()
        self._loop = asyncio.get_running_loop()
        self._block = _Block(self._db._sync, self._durable)
        self._thread = transaction_thread() or TransactionThread()
        self._thread.transactions += 1
        try:
            await self._thread.run(self._block.begin)
        except BaseException as error:
            self._end(error)  # it may have begun, or may begin later
            raise
        self._task = weakref.ref(task)
        transaction_threads[task] = self._thread
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._over = True
        ending = self._end(error)
        task = self._task()
        if task is not None and self._thread.transactions == 0:
            del transaction_threads[task]
        if kind is not GeneratorExit:  # the task was destroyed; nothing can be awaited in it
            await finished(ending)

    def _end(self, error: BaseException | None) -> asyncio.Future[None]:
        """Lets the thread end the transaction, after its other jobs."""
        ending = self._thread.run(self._block.end, error, loop=self._loop)
        self._thread.transactions -= 1
        if self._thread.transactions == 0:
            self._thread.post(None)
        return ending


class Snapshot(Reading):
    """The object of DB.snapshot(): the root dict as it was when the block was entered."""

    def __init__(self, db: DB) -> None:
        self._db = db
        self._snapshot: graven.Snapshot | None = None

    def _place(self) -> tuple[Workers | None, Any]:
        if self._snapshot is None:
            raise ClosedError("a snapshot is used inside its `async with` block")
        return None, self._snapshot

    async def __aenter__(self) -> Self:
        self._snapshot = await readers.run(self._db._sync.snapshot, drop=close)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._snapshot is not None
        await finished(readers.run(self._snapshot.close))
