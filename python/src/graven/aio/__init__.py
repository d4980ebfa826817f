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
        async for change in db.watch("person"):  # whoever made it
            print(change.path, change.value)

What may wait for the store is done by daemon threads, never by the event loop's; what is in
memory is answered at once. Always holds: an await that is cancelled leaves nothing behind but,
perhaps, the operation done: what waits for the store in a thread stops waiting, what is at work
there goes on to its end. A transaction
belongs to the task that entered it and to one thread; cancelled, it is rolled back, and it is over
when its block is left. The interpreter's end waits for none of the threads.

For any event loop, one after the other or several at once.
"""

from __future__ import annotations

from graven.aio.db import DB, Snapshot, Transaction
from graven.aio.map import AsyncMap
from graven.aio.watch import Watch

for _class in (AsyncMap, DB, Snapshot, Transaction, Watch):
    _class.__module__ = "graven.aio"
del _class

__all__ = ["AsyncMap", "DB", "Snapshot", "Transaction", "Watch"]
