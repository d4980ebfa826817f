# SPDX-License-Identifier: MIT
"""The threads in which graven.aio waits for the store.

Always holds: a call that nobody waits for any more stops waiting for the store, if it does, and
else goes on to its end; what it gives goes to the event loop that asked, or, if nobody there wants
it any more, to `drop`. Daemon threads, because the interpreter's end must not wait for them.

Any thread; post() and run() wait for nothing.
"""

from __future__ import annotations

import asyncio
import functools
import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from graven._graven import Cancellation

T = TypeVar("T")

_READERS = 8
_WRITERS = 32  # which wait for each other, and share commits
_IDLE_SECONDS = 10.0


class Job:
    """A call, and the future of an event loop that waits for it."""

    __slots__ = ("call", "cancellation", "drop", "future", "loop")

    def __init__(
        self,
        call: Callable[[], Any],
        loop: asyncio.AbstractEventLoop | None = None,
        future: asyncio.Future[Any] | None = None,
        drop: Callable[[Any], None] | None = None,
    ) -> None:
        self.call, self.loop, self.future, self.drop = call, loop, future, drop
        self.cancellation = Cancellation()
        if future is not None:
            future.add_done_callback(self._done)

    def run(self) -> None:
        """In a thread."""
        if self.future is not None and self.future.cancelled():
            return
        result, error = None, None
        try:
            result = self.cancellation.run(self.call)
        except BaseException as caught:
            error = caught
        try:
            if self.loop is not None:
                self.loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:  # the loop is closed
            if self.drop is not None and error is None:
                self.drop(result)
        finally:
            error = None  # or it would keep this frame, and this frame it

    def _done(self, future: asyncio.Future[Any]) -> None:
        """In the event loop."""
        if future.cancelled():
            self.cancellation.cancel()

    def _settle(self, result: Any, error: BaseException | None) -> None:
        """In the event loop."""
        future = self.future
        if future is None or future.done():  # cancelled meanwhile
            if self.drop is not None and error is None:
                writers.post(Job(functools.partial(self.drop, result)))
        elif error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # which no future takes
            future.set_exception(RuntimeError(f"the function raised {error!r}"))
        else:
            future.set_exception(error)


class Workers:
    """Daemon threads, at most so many: started when they are needed, and gone after idling."""

    def __init__(self, limit: int, idle_seconds: float | None = _IDLE_SECONDS) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self.forget()

    def forget(self) -> None:
        """There are no threads: in the beginning, and in a forked child."""
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = 0
        self._free = 0  # threads without a job, less jobs without a thread

    def post(self, job: Job | None) -> None:
        """Leaves a job to a thread; None ends one. With one thread they are done in order."""
        with self._lock:
            if self._free <= 0 and self._threads < self._limit:
                threading.Thread(target=self._work, name="graven", daemon=True).start()
                self._threads += 1
                self._free += 1
            self._free -= 1
            self._jobs.put(job)

    def run(
        self,
        call: Callable[..., T],
        *arguments: Any,
        loop: asyncio.AbstractEventLoop | None = None,
        drop: Callable[[T], None] | None = None,
    ) -> asyncio.Future[T]:
        """The result of a call made in a thread; `drop` gets it if nobody waits for it any more."""
        loop = loop or asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self.post(Job(functools.partial(call, *arguments), loop, future, drop))
        return future

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._idle_seconds)
            except queue.Empty:
                with self._lock:
                    if self._free <= 0:  # one is on its way
                        continue
                    self._free -= 1
                    self._threads -= 1
                    return
            if job is None:
                return
            job.run()
            del job  # with what it holds
            with self._lock:
                self._free += 1


class TransactionThread(Workers):
    """The one thread of a task's transactions, of all stores."""

    def __init__(self) -> None:
        super().__init__(1, idle_seconds=None)
        self.transactions = 0  # begun, and not ended yet


# Of the tasks that are in transactions.
transaction_threads: weakref.WeakKeyDictionary[asyncio.Task[Any], TransactionThread]
transaction_threads = weakref.WeakKeyDictionary()


def transaction_thread() -> TransactionThread | None:
    """The current task's, or None where it is in no transaction. What it does must be done there:
    only that thread is in the transaction, and others would wait for its end."""
    if not transaction_threads:
        return None
    task = asyncio.current_task()
    return None if task is None else transaction_threads.get(task)


readers = Workers(_READERS)  # of their own, because writers may all wait for a lock
writers = Workers(_WRITERS)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=readers.forget)
    os.register_at_fork(after_in_child=writers.forget)


def reading() -> Workers:
    """Where the current task's reads are made."""
    return transaction_thread() or readers


def writing() -> Workers:
    """Where the current task's writes are made."""
    return transaction_thread() or writers


async def finished(future: asyncio.Future[T]) -> T:
    """Awaits what must be over before one goes on; a cancellation is raised after it."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def close(opened: Any) -> None:
    opened.close()
