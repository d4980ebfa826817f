# SPDX-License-Identifier: MIT
"""graven.Watch: waits for changes of a database by any process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from graven import _graven
from graven.errors import BadValueError, WrongTypeError
from graven.paths import Path, text_of

__all__ = ["Change", "Watch"]

_LONG = 3600.0  # seconds of one wait in the core, which handles signals itself


class Change(NamedTuple):
    """A change of the value at a path."""

    path: str
    """As a text; if an entry of a dict changed, with its key at the end."""
    value: Any
    """The new value; None if `deleted`."""
    deleted: bool


def deadline_of(timeout: float | None) -> float | None:
    """The time `timeout` seconds from now; None for no limit."""
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)):
        kind = type(timeout).__name__
        raise WrongTypeError(f"timeout must be a number of seconds or None, not {kind}")
    if timeout != timeout:
        raise BadValueError("timeout must be a number of seconds or None, not NaN")
    return time.monotonic() + timeout


class Watch:
    """The changes at a path: an iterator that waits for the next change.

        with db.watch("tasks/T1") as changes:
            for change in changes:
                print(change.path, change.value)

    It watches the value at the path ("tasks/T1/status" or ["tasks", "T1", "status"]; "" is the
    root) and, if that is a dict or list, its direct entries, nothing deeper. For a dict, each key
    that was set or removed is a separate change; for a list, the list is the change. Changes that
    follow each other quickly may be reported as one; the last state is always reported. One thread
    iterates; a second one that asks for the next change at the same time gets UsageError. Any
    thread may call close().
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
        """Ends the iteration, also if it waits in another thread. May be called again."""
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
