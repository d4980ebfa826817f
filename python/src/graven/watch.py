# SPDX-License-Identifier: MIT
"""graven.Watch: waiting for changes of a database, by this process or another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from graven import _graven
from graven.errors import BadValueError, WrongTypeError
from graven.paths import Path, text_of

__all__ = ["Change", "Watch"]

_LONG = 3600.0  # seconds of one wait in the core, which looks for signals itself


class Change(NamedTuple):
    """The value at a path has become another one."""

    path: str
    """As a text, with the key behind it where an entry of a dict changed."""
    value: Any
    """What is there now; None when `deleted`."""
    deleted: bool


def deadline_of(timeout: float | None) -> float | None:
    """When `timeout` seconds from now are over; None for ever."""
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)):
        kind = type(timeout).__name__
        raise WrongTypeError(f"timeout must be a number of seconds or None, not {kind}")
    if timeout != timeout:
        raise BadValueError("timeout must be a number of seconds or None, not NaN")
    return time.monotonic() + timeout


class Watch:
    """The changes of what lies at a path: an iterator that sleeps until there is one.

        with db.watch("tasks/T1") as changes:
            for change in changes:
                print(change.path, change.value)

    Watched is the value at the path ("tasks/T1/status" or ["tasks", "T1", "status"]; "" is the
    root) and, if it is a dict or list, its own entries, not what lies deeper. Of a dict each key
    that was set or removed is a change of its own; of a list the list is. Changes that follow each
    other quickly may be seen as one; the last state is always seen. One thread iterates, any may
    close(): a second one that asks for the next change meanwhile gets UsageError.
    """

    def __init__(self, database: _graven.Database, path: Path) -> None:
        self._watcher = _graven.Watcher(database, text_of(path))
        self._closed = False

    def next(self, timeout: float | None = None) -> Change | None:
        """The next change; None after `timeout` seconds (None: no limit) or close()."""
        deadline = deadline_of(timeout)
        while not self._closed:
            rest = _LONG if deadline is None else deadline - time.monotonic()
            change = self._watcher.next(min(max(rest, 0.0), _LONG))
            if change is not None:
                return Change(*change)
            if deadline is not None and time.monotonic() >= deadline:
                return None
        return None

    def __iter__(self) -> Iterator[Change]:
        return self

    def __next__(self) -> Change:
        change = self.next()
        if change is None:
            raise StopIteration
        return change

    def close(self) -> None:
        """Ends the iteration, also one that is waiting in another thread. Idempotent."""
        self._closed = True
        self._watcher.stop()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
