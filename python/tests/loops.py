# SPDX-License-Identifier: MIT
"""What the tests of graven.aio share: event loops that are watched, and a lock that is held."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import graven

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """In an event loop of its own, which complains about what was forgotten."""
    problems: list[Any] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: problems.append(what))
        result = await main
        gc.collect()
        await asyncio.sleep(0)
        return result

    result = asyncio.run(watched())
    assert not problems, problems
    return result


class Lock:
    """The write lock of a store, held by a thread while the block runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.held, self.done = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.hold)

    def hold(self) -> None:
        with graven.DB(self.path) as db, db.transaction():
            self.held.set()
            self.done.wait()

    async def __aenter__(self) -> Lock:
        self.thread.start()
        while not self.held.is_set():
            assert self.thread.is_alive(), "the lock could not be taken"
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.done.set()
        await asyncio.to_thread(self.thread.join)


async def ticks(count: int) -> None:
    """Turns of the event loop, each of which had to be waited for."""
    for _ in range(count):
        await asyncio.sleep(0.001)
