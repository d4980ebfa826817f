# SPDX-License-Identifier: MIT
"""Objects that were not closed: a ResourceWarning reports them. A lazy one is flushed before it is
destroyed; if that fails, a line on standard error says so. All lazy ones are flushed at the end of
the interpreter too, because it does not destroy every object and their writes would be lost.
"""

from __future__ import annotations

import atexit
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Protocol

from graven.errors import UsageError


class Closable(Protocol):
    """A DB or Map."""

    _lazy: bool | None  # None until it has been opened

    @property
    def closed(self) -> bool: ...
    @property
    def name(self) -> str: ...
    def flush(self) -> None: ...


_ended = False  # whether all were flushed or reported at the end of the interpreter
_lazy: dict[int, weakref.ref[Closable]] = {}


def has_opened(opened: Closable, lazy: bool) -> None:
    """Call this when it is open: a lazy one that is still open at the end is flushed then."""
    opened._lazy = lazy
    if lazy:
        key = id(opened)
        _lazy[key] = weakref.ref(opened, lambda _: _lazy.pop(key, None))


def is_gone(opened: Closable, what: Callable[[], str]) -> None:
    """Call this in its __del__()."""
    if opened._lazy is None or opened.closed:
        return
    if opened._lazy:
        _flush_forgotten(opened)
    warnings.warn(
        f"unclosed {what()}; close() it or use a with statement",
        ResourceWarning,
        stacklevel=3,
        source=opened,
    )


def _flush_forgotten(lazy: Closable) -> None:
    """Flushes a lazy object that was not closed, or reports that this failed."""
    if _ended:
        return
    try:
        lazy.flush()
    except UsageError:  # it belongs to the parent process, or a transaction is open
        pass
    except Exception as error:
        if sys.stderr is not None:
            print(
                f"graven: {type(lazy).__name__} {lazy.name!r} was not closed, and its last flush "
                f"failed; the writes that were not flushed before are lost: {error}",
                file=sys.stderr,
            )


@atexit.register
def _flush_all() -> None:
    global _ended
    for reference in list(_lazy.values()):
        forgotten = reference()
        if forgotten is not None and not forgotten.closed:
            _flush_forgotten(forgotten)
    _ended = True
