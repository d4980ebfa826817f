# SPDX-License-Identifier: MIT
"""graven's log, as records of logging.getLogger("graven").

The core writes lines into a pipe, from any thread and without the GIL; a thread that the first
line starts makes log records of them. So nothing in graven ever waits for a handler, and a
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

_lock = _thread.allocate_lock()
_unread: _thread.LockType | None = None  # until what reads the pipe has ended
_reading: int = -1
_writing: int = -1


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


def _read(reading: int, unread: _thread.LockType) -> None:
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


def start() -> None:
    """Has graven's log delivered; once in a process."""
    global _unread, _reading, _writing
    with _lock:
        if _unread is not None:
            return
        reading, _writing = os.pipe()
        os.set_blocking(_writing, False)
        unread = _thread.allocate_lock()
        unread.acquire()
        _reading, _unread = reading, unread
        _graven.log_to(_writing, _INFO, lambda: _read(reading, unread))


@atexit.register
def _stop() -> None:
    global _unread
    begun = _graven.log_to(-1, _INFO, None)
    unread, _unread = _unread, None
    if unread is None:
        return
    # A call of the sink may be under way in another thread: the descriptor is not given to
    # anything else before the process ends, so it is made a pipe without a reader, not closed.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.dup2(writing, _writing, inheritable=False)
    os.close(writing)
    os.close(reading)
    if begun:
        unread.acquire(timeout=_PATIENCE)


def _in_child() -> None:
    """The pipe and its reader are the parent's; a child that goes on has its own."""
    global _lock, _unread
    _lock = _thread.allocate_lock()
    if _unread is None:
        return
    _unread = None
    _graven.log_to(-1, _INFO, None)
    os.close(_reading)
    os.close(_writing)
    start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
