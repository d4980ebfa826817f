# SPDX-License-Identifier: MIT
"""graven.aio.DB: the graph, awaited; whose a transaction is, and what a cancellation leaves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from loops import Lock, run, ticks

import graven
from graven import aio


def test_a_db_does_what_db_does(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path, link_field="name", synchronous="off") as db:
            assert path in repr(db) and not db.closed
            await db.set("p", {"name": "Ada", "tags": ["a", {"x": 1}]})
            assert await db.get(("p", "name")) == "Ada" and await db.get("zz", 5) == 5
            assert (
                await db.get(["p", "tags", 1, "x"]) == 1 and await db.get(("p", "tags", 9)) is None
            )
            assert isinstance(await db.get("p"), graven.Dict)
            assert await db.materialize(("p", "tags")) == ["a", {"x": 1}]
            assert await db.materialize() == {"p": {"name": "Ada", "tags": ["a", {"x": 1}]}}
            assert await db.contains("p") and not await db.contains(("p", "zz"))
            await db.set(("p", "tags", 0), "z")
            await db.append(("p", "tags"), 7)
            assert await db.size(("p", "tags")) == 3 and await db.keys() == ["p"]
            assert await db.pop(("p", "tags", 2)) == 7 and await db.pop("zz", None) is None
            await db.delete(("p", "tags", 1))
            await db.update({"more": 1}, path=("p",))
            await db.update({"link": await db.get("p")})
            assert await db.materialize(("link", "tags")) == ["z"]
            assert await db.setdefault(("p", "more"), 2) == 1
            assert await db.incr("n") + await db.incr("n", 5) + await db.decr("n") == 12
            assert await db.run(lambda db, by: db.incr("n", by), 5) == 10
            assert await db.run(graven.DB.collect) == 0
            async with db.snapshot() as before:
                await db.delete("p")
                assert await before.get(("p", "name")) == "Ada" and await before.count("n") == 10
                assert await before.keys() == ["p", "link"] and not await db.contains("p")
            with pytest.raises(graven.ClosedError):
                await before.get("p")
            for wrong, error in (
                (lambda: db.delete("zz"), KeyError),
                (lambda: db.get(("link", "name", "x")), TypeError),
                (lambda: db.set(("link", 1), 1), TypeError),
                (lambda: db.set("x", object()), TypeError),
                (lambda: db.set((), 1), graven.UsageError),
                (lambda: db.run(lambda db: 1 // 0), ZeroDivisionError),
                (lambda: db.run(lambda db: next(iter(()))), RuntimeError),
            ):
                with pytest.raises(error):
                    await wrong()
        assert db.closed
        with pytest.raises(graven.ClosedError):
            await db.get("p")
        again = await aio.DB.open(path)
        assert await again.keys() == ["link"]
        await again.close()

    run(main())


def test_transactions(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            async with db.transaction() as t:
                await t.set("a", 1)
                assert await t.get("a") == await db.get("a") == 1
                assert await t.run(lambda db: db.in_transaction)
                assert await asyncio.create_task(db.get("a", "unseen")) == "unseen"
                with pytest.raises(ZeroDivisionError):
                    async with t.transaction() as inner:
                        await inner.set("b", 1)
                        await db.incr("n")
                        raise ZeroDivisionError
                assert await t.get("b") is None
                async with db.transaction():
                    await db.set("c", 1)
            assert await db.materialize() == {"a": 1, "c": 1} and await db.count("n") == 0
            with pytest.raises(ZeroDivisionError):
                async with db.transaction():
                    await db.set("a", 2)
                    raise ZeroDivisionError
            assert await db.get("a") == 1
            with pytest.raises(graven.UsageError, match="inside its"):
                await t.get("a")
            with pytest.raises(graven.UsageError, match="entered once"):
                await t.__aenter__()

    run(main())


def test_maps_and_other_dbs_are_part_of_a_transaction(path: str) -> None:
    async def main() -> None:
        options = {"busy_timeout": 0.5}
        async with aio.DB(path, **options) as db, aio.DB(path, "p2", **options) as other:
            async with aio.AsyncMap(path, "m", **options) as m:
                await m.set("old", 1)
                assert await m.get("old") == 1
                with suppress(ZeroDivisionError):
                    async with db.transaction() as t:
                        await t.set("a", 1)
                        await m.set("old", 2)
                        await m.update({"k": 1}, j=2)
                        assert await m.get("old") == 2 and await m.get_many(["k", "j"]) == [1, 2]
                        assert [key async for key in m] == ["j", "k", "old"]
                        assert await m.size() == 3 and await m.pop("j") == 2
                        await other.set("b", 1)
                        async with other.transaction() as inner:
                            await inner.set("c", await other.get("b") + 1)
                        assert await asyncio.create_task(m.get("old")) == 1
                        1 / 0
                assert await m.copy() == {"old": 1}
                assert not await db.contains("a") and await other.keys() == []
                async with db.transaction():
                    await m.set("old", 3)
                    async with aio.AsyncMap(path, "late", **options) as late:
                        await late.set("x", 1)
                assert await m.get("old") == 3
            async with aio.AsyncMap(path, "late") as late:
                assert await late.copy() == {"x": 1}

    run(main())


def test_transactions_of_several_stores_in_one_task(path: str, tmp_path: Path) -> None:
    async def main() -> None:
        second = str(tmp_path / "second.db")
        async with aio.DB(path) as db, aio.DB(second) as other:
            one, two = db.transaction(), other.transaction()
            await one.__aenter__()
            await two.__aenter__()
            await db.set("a", 1)
            await other.set("a", 2)
            await one.__aexit__(None, None, None)
            await other.set("b", 3)
            await two.__aexit__(None, None, None)
            assert await db.materialize() == {"a": 1}
            assert await other.materialize() == {"a": 2, "b": 3}

    run(main())


def test_a_transaction_belongs_to_its_task(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db, db.transaction() as t:
            await t.set("a", 1)
            for use in (lambda: t.get("a"), lambda: t.set("a", 2), lambda: t.run(len)):
                with pytest.raises(graven.UsageError, match="belongs to the task"):
                    await asyncio.create_task(use())
            assert await t.get("a") == 1

    run(main())


def test_transactions_of_several_tasks_take_turns(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            await db.set("n", 0)

            async def add() -> None:
                async with db.transaction() as t:
                    value = await t.get("n")
                    await asyncio.sleep(0)
                    await t.set("n", value + 1)

            await asyncio.gather(*(add() for _ in range(50)))
            assert await db.get("n") == 50

    run(main())


@pytest.mark.parametrize("where", ["waiting", "working", "entering"])
def test_a_cancelled_transaction_is_rolled_back(path: str, where: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            inside, going_on = asyncio.Event(), threading.Event()

            async def block() -> None:
                async with db.transaction() as t:
                    await t.set("a", 1)
                    inside.set()
                    if where == "working":
                        await t.run(lambda db: going_on.wait(0.05) or db.update(b=1))
                    await asyncio.Event().wait()

            if where == "entering":
                async with Lock(path):  # before the task can have it
                    task = asyncio.create_task(block())
                    await ticks(5)
                    task.cancel()
                    await ticks(5)
            else:
                task = asyncio.create_task(block())
                await inside.wait()
                await ticks(5)
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await db.set("c", 1)  # the lock is free
            assert await db.materialize() == {"c": 1}

    run(main())


def test_a_cancellation_while_committing_waits_for_the_commit(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            for delay in range(30):

                async def block() -> None:
                    async with db.transaction() as t:
                        await t.set("a", 1)
                        await t.set("b", 1)

                task = asyncio.create_task(block())
                for _ in range(delay):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                async with asyncio.Lock():
                    left = await db.materialize()
                assert left in ({}, {"a": 1, "b": 1})
                await db.run(graven.DB.clear)

    run(main())


def test_a_failing_begin(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path, busy_timeout=0.02) as db:
            async with Lock(path):
                with pytest.raises(TimeoutError):
                    async with db.transaction():
                        raise AssertionError("never here")
                with pytest.raises(graven.BusyError):
                    await db.set("x", 1)
            async with db.transaction():
                await db.set("x", 1)

    run(main())


def test_durable(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            async with db.transaction(durable=True) as inside:
                await inside.set("a", 1)
            async with db.transaction():
                async with db.transaction(durable=True):
                    await db.set("b", 2)
                with pytest.raises(graven.UsageError):
                    await db.wait_durable()
            await db.wait_durable()
            assert await db.materialize() == {"a": 1, "b": 2}
        with pytest.raises(graven.ClosedError):
            await db.wait_durable()

    run(main())
