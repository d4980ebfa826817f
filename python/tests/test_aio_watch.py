# SPDX-License-Identifier: MIT
"""graven.aio.DB.watch() and wait(): what they tell, and that a cancellation or the end of a loop
or of the interpreter leaves nobody waiting and nothing lost."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time

import pytest
from loops import run, ticks

import graven
from graven import aio

LONG = 60.0


def sleepers() -> int:
    """Threads that wait for a change: none of theirs is idle for long after a stop."""
    from graven.aio.watch import _sleepers

    return _sleepers._threads - _sleepers._free


async def until_nobody_sleeps() -> None:
    deadline = time.monotonic() + LONG
    while sleepers() > 0:
        assert time.monotonic() < deadline, "a thread still waits"
        gc.collect()
        await asyncio.sleep(0.005)


def test_changes_of_a_dict(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            await db.set("tasks", {"T1": 1, "T2": 2})
            async with db.watch("tasks") as changes:
                assert await changes.next(0) is None
                async with db.transaction() as t:
                    await t.set(("tasks", "T3"), {"a": 1})
                    await t.delete(("tasks", "T2"))
                seen = {}
                async for change in changes:
                    seen[change.path] = change
                    if len(seen) == 2:
                        break
                assert seen["tasks/T2"].deleted and seen["tasks/T3"].value() == {"a": 1}
                await db.set(("tasks", "T1"), 5)
                assert await changes.next(0) == ("tasks/T1", 5, False)
                assert await changes.next(0.01) is None
            assert [change async for change in changes] == []
        with pytest.raises(graven.ClosedError):
            await db.watch("a").next()

    run(main())


def test_wait_and_the_loop_goes_on(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            assert await db.wait("signal", timeout=0.01) is False
            waiting = [asyncio.create_task(db.wait("signal", LONG)) for _ in range(40)]
            while sleepers() < 40:
                await asyncio.sleep(0.001)
            await ticks(20)  # no matter how many sleep, reads and writes find a thread
            await db.set("other", 1)
            assert await db.contains("other")
            while not all(each.done() for each in waiting):  # some may be opening yet
                await db.set("signal", await db.incr("n"))
                await ticks(1)
            assert await asyncio.gather(*waiting) == [True] * 40
            await until_nobody_sleeps()

    run(main())


def test_another_process(path: str) -> None:
    program = """
import sys, graven
with graven.DB(sys.argv[1]) as db:
    for i in range(100):
        db["n"] = i
"""

    async def main() -> None:
        async with aio.DB(path) as db, db.watch("n") as changes:
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, path)
            last = -1
            async for change in changes:
                assert change.value > last
                last = change.value
                if last == 99:
                    break
            assert await child.wait() == 0

    run(main())


def test_a_cancelled_step_loses_nothing(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db, db.watch("n") as changes:
            for n in range(20):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(changes.next(), 0.001)
                await db.set("n", n)
                assert await changes.next(LONG) == ("n", n, False)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(changes.next(), 0.001)
            assert await changes.next(0.01) is None  # though a thread still waits for the first
            assert sleepers() == 1
            await db.set("n", "last")
            assert (await changes.next(LONG)).value == "last"

    run(main())


def test_a_cancelled_wait_wakes_its_thread(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            waiting = asyncio.create_task(db.wait("never"))
            while sleepers() < 1:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await until_nobody_sleeps()

    run(main())


def test_a_loop_that_is_left_wakes_its_thread(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:

            async def first() -> None:
                async for _ in db.watch("a"):  # not closed, but nobody has it any more
                    return

            task = asyncio.create_task(first())
            while not task.done():  # it watches from its first step on
                await db.incr("n")
                await db.set("a", await db.count("n"))
                await ticks(1)
            await task
            forgotten = db.watch("b")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(forgotten.next(), 0.01)
            del forgotten
            await until_nobody_sleeps()

    run(main())


def test_close_from_another_task(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            changes = db.watch("never")

            async def all_of_them() -> list[graven.Change]:
                return [change async for change in changes]

            task = asyncio.create_task(all_of_them())
            while sleepers() < 1:
                await asyncio.sleep(0.001)
            with pytest.raises(graven.UsageError):  # one task iterates
                await changes.next(0)
            await changes.close()
            assert await task == []
            await changes.close()

    run(main())


def test_a_database_that_is_closed_meanwhile(path: str) -> None:
    async def main() -> None:
        db = await aio.DB.open(path)
        task = asyncio.create_task(db.wait("never"))
        forgotten = db.watch("never")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(forgotten.next(), 0.01)
        while sleepers() < 2:
            await asyncio.sleep(0.001)
        await db.close()
        with pytest.raises(graven.ClosedError):
            await task
        with pytest.raises(graven.ClosedError):
            await forgotten.next()
        await until_nobody_sleeps()

    run(main())


def test_refusals(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            with pytest.raises(graven.UsageError):
                await db.wait("bad~9")
            async with db.transaction():
                with pytest.raises(graven.UsageError):
                    await db.wait("a", 0)
            changes = db.watch("a")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(changes.next(), 0.01)
            failed: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    asyncio.run(changes.next(0))
                except graven.UsageError as error:
                    failed.append(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert len(failed) == 1
            await changes.close()

    run(main())


PROGRAMS = {
    "a task that waits": """
        db = await aio.DB.open(path)
        task = asyncio.create_task(db.wait("never"))
        await asyncio.sleep(0.05)
    """,
    "a loop that is under way": """
        db = await aio.DB.open(path)
        async def loop():
            async for change in db.watch("never"):
                pass
        task = asyncio.create_task(loop())
        await asyncio.sleep(0.05)
    """,
    "a watch that is kept": """
        global changes
        db = await aio.DB.open(path)
        changes = db.watch("never")
        try:
            await asyncio.wait_for(changes.next(), 0.05)
        except asyncio.TimeoutError:
            pass
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_interpreter_ends(path: str, name: str) -> None:
    program = f"""
import asyncio, sys
from graven import aio
async def main(path):{PROGRAMS[name]}
asyncio.run(main(sys.argv[1]))
print("end", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, path],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
