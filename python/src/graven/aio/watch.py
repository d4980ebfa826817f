# SPDX-License-Identifier: MIT
"""graven.aio.Watch: waits for changes without blocking the event loop.

Always holds: at most one thread waits for a watch. If an await is cancelled, the thread continues
to wait, and the next await gets the change that it finds, so no change is lost. close() ends the
wait, and so does the end of the last reference to the watch. The thread has no reference to it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from graven import _graven
from graven.aio.workers import Workers
from graven.errors import UsageError
from graven.paths import Path, text_of
from graven.watch import Change, deadline_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from graven.aio.contents import Reading

_FOREVER = 1e9  # seconds

# One thread for each watch that waits, because each may wait for ever.
_sleepers = Workers(sys.maxsize)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sleepers.forget)


def _seen(step: asyncio.Future[Any]) -> None:
    """Marks the error as seen, so that asyncio does not report it if nobody awaits the step."""
    if not step.cancelled():
        step.exception()


class Watch:
    """The changes at a path; aio.DB.watch() returns it.

        async with db.watch("tasks/T1") as changes:
            async for change in changes:
                print(change.path, change.value)

    It begins when it is entered, or at its first step, and reports the same changes as
    graven.Watch. One task of one event loop iterates. If a step is cancelled, no change is lost:
    the next step gets it.
    """

    _watcher: _graven.Watcher | None = None

    def __init__(self, db: Reading, path: Path) -> None:
        self._db = db
        self._path = text_of(path)
        self._closed = False
        self._busy = False
        self._step: asyncio.Future[tuple[str, Any, bool] | None] | None = None

    async def next(self, timeout: float | None = None) -> Change | None:
        """The next change; None after `timeout` seconds (None: no limit) or close()."""
        deadline = deadline_of(timeout)
        if self._busy:
            raise UsageError("another task waits for this watch's next change")
        self._busy = True
        try:
            watcher = await self._begin()
            while not self._closed:
                rest = _FOREVER if deadline is None else max(deadline - time.monotonic(), 0.0)
                step, limit = self._step, rest
                if step is None:
                    step, limit = _sleepers.run(watcher.next, rest), _FOREVER  # it ends in time
                    step.add_done_callback(_seen)
                    self._step = step
                elif step.get_loop() is not asyncio.get_running_loop():
                    raise UsageError("this watch is waited for in another event loop")
                await asyncio.wait([step], timeout=limit)
                if not step.done():
                    return None
                self._step = None
                found = step.result()
                if found is not None and not self._closed:
                    return Change(*found)
                if deadline is not None and time.monotonic() >= deadline:
                    return None
            return None
        finally:
            self._busy = False

    async def _begin(self) -> _graven.Watcher:
        own, db = self._db._place()
        if own is not None:
            raise UsageError(
                "a watch cannot wait inside a transaction, which keeps others from writing: "
                "wait before or after"
            )
        if self._watcher is None:
            self._watcher = await _sleepers.run(_graven.Watcher, db, self._path)
        return self._watcher

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        change = await self.next()
        if change is None:
            raise StopAsyncIteration
        return change

    async def close(self) -> None:
        """Ends the iteration, also if it waits in another task. May be called again."""
        self._end()

    def _end(self) -> None:
        self._closed = True
        if self._watcher is not None:
            self._watcher.stop()

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def __del__(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
