# SPDX-License-Identifier: MIT
"""What nobody closed: it is flushed before it goes, and where that fails, a line on standard error
says so. At the interpreter's end it would be lost with an object that nobody destroys then.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from typing import Protocol

from graven.errors import UsageError


class Flushable(Protocol):
    """A lazy DB or Map."""

    @property
    def closed(self) -> bool: ...
    @property
    def name(self) -> str: ...
    def flush(self) -> None: ...


_ended = False  # all of them have been flushed or told of at the interpreter's end
_lazy: dict[int, weakref.ref[Flushable]] = {}


def flush_at_exit(lazy: Flushable) -> None:
    """Flushes it at the end, should it still be about and open."""
    key = id(lazy)
    _lazy[key] = weakref.ref(lazy, lambda _: _lazy.pop(key, None))


def flush_forgotten(lazy: Flushable) -> None:
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
            flush_forgotten(forgotten)
    _ended = True
