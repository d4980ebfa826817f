# SPDX-License-Identifier: MIT
"""graven.aio.AsyncMap: the same as Map, awaited; that the event loop goes on, and the interpreter
and event loops may end at any time."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from loops import Lock, run, ticks

import graven
from graven import aio

MODES = ["writethrough", "lazy", "memory"]


@pytest.mark.parametrize("mode", MODES)
def test_a_map_does_what_map_does(path: str, mode: str) -> None:
    async def main() -> None:
        async with aio.AsyncMap(path, persist=mode) as m:
            assert m.name == "main" and not m.closed and mode in repr(m)
            await m.set("a", 1)
            await m.set("b", {"x": [1]})
            await m.set("t", "soon gone", ttl=1.0)
            assert await m.get("a") == 1 and await m.get("z") is None and await m.get("z", 5) == 5
            assert await m.get("b") == {"x": [1]} and await m.get("t") == "soon gone"
            assert await m.contains("a") and not await m.contains("z")
            while await m.contains("t"):
                await asyncio.sleep(0.01)
            assert await m.size() == 2
            assert await m.get_many(["a", "z", "b"], 0) == [1, 0, {"x": [1]}]
            assert await m.get_many(iter(["a"])) == [1] and await m.get_many([]) == []
            assert await m.setdefault("a", 2) == 1 and await m.setdefault("c", 2) == 2
            await m.update({"d": 4}, e=5)
            await m.bulk_insert([("f", 6)])
            assert await m.delete_many(["d", "zz"]) == 1
            await m.delete("e")
            assert await m.pop("f") == 6 and await m.pop("f", None) is None
            assert await m.copy() == {"a": 1, "b": {"x": [1]}, "c": 2}
            assert [key async for key in m] == [key async for key in m.keys()] == ["a", "b", "c"]
            assert [value async for value in m.values()] == [1, {"x": [1]}, 2]
            assert [item async for item in m.items()][2] == ("c", 2)
            assert await m.popitem() == ("a", 1)
            await m.flush()
            await m.wait_durable()
            assert (await m.stats()).pending == 0
            await m.clear()
            assert await m.size() == 0
            await m.bulk_insert({f"{n:04}": n for n in range(3000)})
            assert [value async for value in m.values()] == list(range(3000))
            assert await m.get_many([f"{n:04}" for n in range(3000)]) == list(range(3000))
        assert m.closed

    run(main())


def test_errors_keep_their_types(path: str) -> None:
    async def main() -> None:
        unopened = aio.AsyncMap(path)
        with pytest.raises(graven.UsageError, match="open the map"):
            await unopened.get("a")
        assert "not open" in repr(unopened)
        m = await aio.AsyncMap.open(path, "other")
        for wrong, error in (
            (lambda: m.set(1, 1), TypeError),  # type: ignore[arg-type]
            (lambda: m.incr("a", None), TypeError),  # type: ignore[arg-type]
            (lambda: m.set("a", object()), graven.WrongTypeError),
            (lambda: m.set("\ud800", 1), graven.BadValueError),
            (lambda: m.set("a", 1, ttl=-1), ValueError),
            (lambda: m.delete("a"), KeyError),
            (lambda: m.pop("a"), graven.KeyNotFound),
            (lambda: m.popitem(), KeyError),
            (lambda: m.get_many("abc"), TypeError),
            (lambda: m.__aenter__(), graven.UsageError),
        ):
            with pytest.raises(error):
                await wrong()
        await m.close()
        await m.close()
        with pytest.raises(graven.ClosedError):
            await m.get("a")
        with pytest.raises(graven.ClosedError):
            await m.set("a", 1)
        with pytest.raises(graven.UsageError):
            await aio.AsyncMap.open(path, persist="never")

    run(main())


def test_hot_hits_need_no_thread(path: str) -> None:
    async def main() -> None:
        async with aio.AsyncMap(path, persist="lazy") as m:
            await m.set("a", 1)
            before = threading.active_count()
            coroutines: list[Coroutine[Any, Any, Any]] = [m.get("a"), m.get_many(["a"])]
            for coroutine in (*coroutines, m.set("a", 2), m.contains("a")):
                with pytest.raises(StopIteration):
                    coroutine.send(None)
            assert threading.active_count() == before

    run(main())


def test_many_tasks_at_once(path: str) -> None:
    async def main() -> None:
        async with aio.AsyncMap(path) as m, aio.DB(path) as db:

            async def work(name: int) -> None:
                for n in range(20):
                    await m.set(f"{name}:{n}", n)
                    assert await m.get(f"{name}:{n}") == n
                    await db.incr("n")
                    async with db.transaction():
                        await db.set("sum", await db.get("sum", 0) + 1)

            await asyncio.gather(*map(work, range(10)))
            assert await m.size() == 200
            assert await db.count("n") == await db.get("sum") == 200

    run(main())


def test_the_loop_goes_on_while_writers_wait(path: str) -> None:
    async def main() -> None:
        async with aio.AsyncMap(path) as m, aio.DB(path) as db:
            await m.set("a", 1)
            async with Lock(path):
                waiting: list[Awaitable[Any]] = [
                    asyncio.ensure_future(each)
                    for each in (
                        m.set("a", 2),
                        m.update({"b": 1}),
                        m.pop("a", None),
                        db.set("x", 1),
                        db.incr("n"),
                    )
                ]
                await ticks(100)
                assert await m.get("a") == 1 and await m.get("cold") is None
                assert await db.get("x") is None
                assert not any(each.done() for each in waiting)  # type: ignore[attr-defined]
            await asyncio.gather(*waiting)
            assert await db.materialize() == {"x": 1} and await m.get("b") == 1

    run(main())


def test_a_cancelled_wait_leaves_nothing(path: str) -> None:
    async def main() -> None:
        async with aio.AsyncMap(path) as m, aio.DB(path) as db:
            await db.set("x", 0)
            async with Lock(path):
                waiting = [asyncio.ensure_future(each) for each in (m.set("a", 2), db.incr("n"))]
                for _ in range(100):  # more than there are threads
                    waiting.append(asyncio.ensure_future(m.set("b", 1)))

                async def transact() -> None:
                    async with db.transaction() as t:
                        await t.set("x", 1)

                waiting.append(asyncio.ensure_future(transact()))
                await ticks(20)
                assert await m.get("cold") is None and await db.get("x") == 0
                for each in waiting:
                    each.cancel()
                await ticks(20)
            for each in waiting:
                with suppress(asyncio.CancelledError):
                    await each
            await m.set("after", 1)
            assert await m.get("after") == 1
        async with aio.DB(path) as db:
            assert await db.get("x") == 0 and await db.count("n") in (0, 1)
            async with db.transaction():
                await db.set("x", 5)
            assert (await db.run(graven.DB.check)).ok

    run(main())


def test_a_cancelled_opening_is_closed_again(path: str) -> None:
    async def main() -> None:
        for _ in range(20):
            opening = asyncio.ensure_future(aio.AsyncMap.open(path, persist="lazy"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            opening.cancel()
            with suppress(asyncio.CancelledError):
                await (await opening).close()
        while True:  # it may be on its way still
            try:
                async with aio.AsyncMap(path) as m:
                    return await m.set("a", 1)
            except (graven.UsageError, graven.BusyError):
                await asyncio.sleep(0.001)

    run(main())


# Loops and ends


def test_one_loop_after_the_other(path: str) -> None:
    m = run(aio.AsyncMap.open(path))
    db = run(aio.DB.open(path))
    for n in range(3):
        run(m.set("n", n))
        assert run(m.get("n")) == n

        async def block(n: int = n) -> None:
            async with db.transaction() as t:
                await t.set("n", n)

        run(block())
        assert run(db.get("n")) == n
    run(m.close())
    run(db.close())


def test_two_loops_at_once(path: str) -> None:
    m = run(aio.AsyncMap.open(path))

    async def work(name: str) -> None:
        for n in range(50):
            await m.set(f"{name}{n}", n)
            assert await m.get(f"{name}{n}") == n

    threads = [threading.Thread(target=lambda name=name: run(work(name))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run(m.size()) == 100
    run(m.close())


def test_a_loop_that_ends_in_the_middle(path: str) -> None:
    async def open_both() -> tuple[aio.AsyncMap, aio.DB]:
        return await aio.AsyncMap.open(path), await aio.DB.open(path)

    loop = asyncio.new_event_loop()
    m, db = loop.run_until_complete(open_both())

    async def never_ends() -> None:
        async with db.transaction() as t:
            await t.set("a", 1)
            await asyncio.Event().wait()

    tasks = [loop.create_task(never_ends()), *(loop.create_task(m.set("a", n)) for n in range(9))]
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    del tasks, task
    gc.collect()  # the transaction's block is left for good
    run(m.set("b", 1))
    assert run(m.get("b")) == 1 and run(db.materialize()) == {}
    run(m.close())
    run(db.close())


PROGRAMS = {
    "waiting for the lock": """
        async with aio.DB(path) as db, aio.AsyncMap(path) as m:
            held = threading.Event()
            def hold():
                with graven.DB(path) as other, other.transaction():
                    held.set()
                    threading.Event().wait()
            threading.Thread(target=hold, daemon=True).start()
            held.wait()
            tasks = [asyncio.create_task(each) for each in (m.set("a", 1), db.set("a", 1))]
            await asyncio.sleep(0.05)
            print("end", flush=True)
            sys.exit(0)
    """,
    "forgotten": """
        m = await aio.AsyncMap.open(path, persist="lazy", flush_interval=3600)
        await m.set("a", 1)
        print("end", flush=True)
    """,
    "a transaction left open": """
        db = await aio.DB.open(path)
        t = db.transaction()
        await t.__aenter__()
        await t.set("a", 1)
        print("end", flush=True)
    """,
    "an endless call": """
        db = await aio.DB.open(path)
        task = asyncio.create_task(db.run(lambda db: threading.Event().wait()))
        await asyncio.sleep(0.01)
        print("end", flush=True)
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_interpreter_ends(path: str, name: str) -> None:
    program = f"""
import asyncio, sys, threading, graven
from graven import aio
async def main(path):{PROGRAMS[name]}
asyncio.run(main(sys.argv[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "end\n" and done.returncode == 0, done.stderr
    with graven.DB(path) as db, graven.Map(path) as m:
        assert db.check().ok and "a" not in db and ("a" in m) == (name == "forgotten")


def test_aio_is_imported_when_asked_for() -> None:
    program = """
import sys, graven
assert "asyncio" not in sys.modules
assert graven.aio.AsyncMap.__module__ == "graven.aio"
try:
    graven.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "module 'graven' has no attribute 'nothing'\n", done.stderr
