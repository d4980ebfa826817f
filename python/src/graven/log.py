# SPDX-License-Identifier: MIT
"""graven's log, as records of logging.getLogger("graven").

The core writes lines into a pipe, from any thread and without the GIL; a thread makes log records
of them. The first line makes both. So nothing in graven ever waits for a handler, and a
handler may use graven. A record has its fields as `record.graven`, a dict.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os

from graven import _graven

_INFO = 1  # of graven::LogLevel; Python's levels are ten times as much, and ten more
_PATIENCE = 2.0  # seconds that the program's end waits for handlers

_unread = _thread.allocate_lock()  # until what reads the pipe has ended
_unread.acquire()


def _deliver(line: bytes) -> None:
    # Not before there is something to log: they take longer to import than all of graven.
    import json
    import logging

    logger = logging.getLogger("graven")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # without handlers of the program's: silence
    level, event, *rest = json.loads(line.decode("utf-8", "replace"))
    fields = {rest[at]: rest[at + 1] for at in range(0, len(rest), 2)}
    shown = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())
    logger.log(
        (level + 1) * 10,
        "%s",
        " ".join((event, *shown)),
        extra={"graven": {"event": event, **fields}},
    )


def _read(reading: int) -> None:
    unread = _unread
    try:
        with open(reading, "rb", buffering=0) as pipe:
            rest = b""
            while read := pipe.read(65536):
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    with contextlib.suppress(Exception):  # a handler's troubles are its own
                        _deliver(line)
    finally:
        unread.release()


def _stop() -> None:
    if _graven.log_to_nobody():
        _unread.acquire(timeout=_PATIENCE)


def _in_child() -> None:
    """The pipe and its reader are the parent's; a child that goes on has its own."""
    global _unread
    _unread = _thread.allocate_lock()
    _unread.acquire()
    _graven.log_in_child()


def start() -> None:
    """Has graven's log delivered."""
    _graven.log_to(_read, _INFO)
    atexit.register(_stop)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)
