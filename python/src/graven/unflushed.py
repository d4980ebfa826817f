# SPDX-License-Identifier: MIT
"""What is unflushed at the interpreter's end would be lost with an object nobody destroys then."""

from __future__ import annotations

import atexit
import contextlib
import weakref
from typing import Protocol


class Flushable(Protocol):
    """A lazy DB or Map."""

    @property
    def closed(self) -> bool: ...
    def flush(self) -> None: ...


_lazy: dict[int, weakref.ref[Flushable]] = {}


def flush_at_exit(lazy: Flushable) -> None:
    """Flushes it at the end, should it still be about and open."""
    key = id(lazy)
    _lazy[key] = weakref.ref(lazy, lambda _: _lazy.pop(key, None))


@atexit.register
def _flush_all() -> None:
    for reference in list(_lazy.values()):
        forgotten = reference()
        if forgotten is not None and not forgotten.closed:
            with contextlib.suppress(Exception):
                forgotten.flush()
