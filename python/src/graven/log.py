# SPDX-License-Identifier: MIT
"""graven's log, as records of logging.getLogger("graven").

The core writes lines into a pipe, from any thread and without the GIL. A thread makes log records
of them. The first line creates both, the pipe and the thread. So nothing in graven waits for a
handler, and a handler may use graven. A record has its fields in the dict `record.graven`.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os

from graven import _graven

_INFO = 1  # a graven::LogLevel; Python's level is (level + 1) * 10
_PATIENCE = 2.0  # seconds that the end of the program waits for handlers

_unread = _thread.allocate_lock()  # held until the thread that reads the pipe has ended
_unread.acquire()


def _deliver(line: bytes) -> None:
    # Imported with the first log line, because they take longer to import than graven.
    import json
    import logging

    logger = logging.getLogger("graven")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # nothing is printed if the program has no handler
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
                    with contextlib.suppress(Exception):  # errors of a handler are ignored
                        _deliver(line)
    finally:
        unread.release()


def _stop() -> None:
    if _graven.log_to_nobody():
        _unread.acquire(timeout=_PATIENCE)


def _in_child() -> None:
    """The pipe and its reader belong to the parent; a forked child gets its own."""
    global _unread
    _unread = _thread.allocate_lock()
    _unread.acquire()
    _graven.log_in_child()


def start() -> None:
    """Starts the delivery of graven's log."""
    _graven.log_to(_read, _INFO)
    atexit.register(_stop)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)
