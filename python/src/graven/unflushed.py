# SPDX-License-Identifier: MIT
"""What nobody closed: a ResourceWarning tells of it. What is lazy is flushed before it goes, and
where that fails, a line on standard error says so. At the interpreter's end what is not flushed
would be lost with an object that nobody destroys then.
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


_ended = False  # all of them have been flushed or told of at the interpreter's end
_lazy: dict[int, weakref.ref[Closable]] = {}


def has_opened(opened: Closable, lazy: bool) -> None:
    """To be called once it is open: what is lazy is flushed at the end, should it still be then."""
    opened._lazy = lazy
    if lazy:
        key = id(opened)
        _lazy[key] = weakref.ref(opened, lambda _: _lazy.pop(key, None))


def is_gone(opened: Closable, what: Callable[[], str]) -> None:
    """To be called by its __del__()."""
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
    """Flushes what nobody closed, or says that it failed."""
    if _ended:
        return
    try:
        lazy.flush()
    except UsageError:  # in a forked child it is the parent's; a transaction's end will flush it
        pass
    except Exception as error:
        if sys.stderr is not None:
            print(
                f"graven: {type(lazy).__name__} {lazy.name!r} was not closed, and its last flush "
                f"failed: what it had not flushed before is lost with it: {error}",
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
