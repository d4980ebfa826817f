# SPDX-License-Identifier: MIT
"""graven for asyncio: AsyncMap and DB, whose methods are awaited.

    from graven import aio

    async with aio.AsyncMap("cache.db", persist="lazy") as cache:
        await cache.set("page", "<p>", ttl=60)
        page = await cache.get("page")

    async with aio.DB("state.db") as db:
        await db.set(("person", "name"), "Ada")
        async with db.transaction() as t:
            await t.set("seen", await t.get("seen", 0) + 1)
        async for change in db.watch("person"):  # of any process
            print(change.path, change.value)

Daemon threads do everything that may wait for the store; the thread of the event loop never does.
Reads that memory can answer return at once. Always holds: after an await was cancelled, the
operation is either done or not done. If its thread waits for the store, the wait ends; if the
thread is working, it finishes. A transaction belongs to the task that entered it and to one thread.
If it is cancelled, it is rolled back; it has ended when its block is left. The end of the
interpreter does not wait for the threads.

Works with any event loop, also with several, one after the other or at the same time.
"""

from __future__ import annotations

from graven.aio.db import DB, Snapshot, Transaction
from graven.aio.map import AsyncMap
from graven.aio.watch import Watch

for _class in (AsyncMap, DB, Snapshot, Transaction, Watch):
    _class.__module__ = "graven.aio"
del _class

__all__ = ["AsyncMap", "DB", "Snapshot", "Transaction", "Watch"]
