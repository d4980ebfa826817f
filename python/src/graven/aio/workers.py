# SPDX-License-Identifier: MIT
"""The threads in which graven.aio waits for the store.

Always holds: if nobody waits for a call any more, its wait for the store ends; a call that is
working finishes. Its result goes to the event loop that asked for it; if nobody there waits for it
any more, `drop` gets it. The threads are daemon threads, because the end of the interpreter must
not wait for them.

Any thread may use this; post() and run() never wait.
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
_WRITERS = 32  # they wait for each other, and share commits
_IDLE_SECONDS = 10.0


class Job:
    """A call, and the future in an event loop that waits for it."""

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
        """Runs in a worker thread."""
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
            error = None  # else it and this frame would keep each other alive

    def _done(self, future: asyncio.Future[Any]) -> None:
        """Runs in the event loop."""
        if future.cancelled():
            self.cancellation.cancel()

    def _settle(self, result: Any, error: BaseException | None) -> None:
        """Runs in the event loop."""
        future = self.future
        if future is None or future.done():  # cancelled meanwhile
            if self.drop is not None and error is None:
                writers.post(Job(functools.partial(self.drop, result)))
        elif error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # a future refuses it
            future.set_exception(RuntimeError(f"the function raised {error!r}"))
        else:
            future.set_exception(error)


class Workers:
    """At most `limit` daemon threads: started when they are needed, ended when idle."""

    def __init__(self, limit: int, idle_seconds: float | None = _IDLE_SECONDS) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self.forget()

    def forget(self) -> None:
        """Starts without threads: at the beginning, and in a forked child."""
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = 0
        self._free = 0  # threads without a job, less jobs without a thread

    def post(self, job: Job | None) -> None:
        """Gives a job to a thread; None ends one thread. One thread does its jobs in order."""
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
        """The future result of a call in a thread; `drop` gets it if nobody waits any more."""
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
                    if self._free <= 0:  # a job is about to arrive
                        continue
                    self._free -= 1
                    self._threads -= 1
                    return
            if job is None:
                return
            job.run()
            del job  # releases its references
            with self._lock:
                self._free += 1


class TransactionThread(Workers):
    """The thread of a task's transactions, for all stores."""

    def __init__(self) -> None:
        super().__init__(1, idle_seconds=None)
        self.transactions = 0  # begun and not yet ended


# The threads of the tasks that are in transactions.
transaction_threads: weakref.WeakKeyDictionary[asyncio.Task[Any], TransactionThread]
transaction_threads = weakref.WeakKeyDictionary()


def transaction_thread() -> TransactionThread | None:
    """The thread of the current task, or None if the task is in no transaction. It must do all
    calls of the task: only that thread is in the transaction, others would wait for its end."""
    if not transaction_threads:
        return None
    task = asyncio.current_task()
    return None if task is None else transaction_threads.get(task)


readers = Workers(_READERS)  # separate, because all writers may wait for a lock
writers = Workers(_WRITERS)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=readers.forget)
    os.register_at_fork(after_in_child=writers.forget)


def reading() -> Workers:
    """The threads for reads of the current task."""
    return transaction_thread() or readers


def writing() -> Workers:
    """The threads for writes of the current task."""
    return transaction_thread() or writers


async def finished(future: asyncio.Future[T]) -> T:
    """Awaits a future that must end first; a cancellation is raised afterwards."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def close(opened: Any) -> None:
    opened.close()
