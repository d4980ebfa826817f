# SPDX-License-Identifier: MIT
"""What close() and the end of `with` leave of a store: no descriptor, no lock, no WAL, whatever is
still referenced, and nothing in the way of who copies, replaces or opens the file next."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pathlib
import random
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest

import graven
import graven.aio


def left_in(folder: pathlib.Path) -> list[str]:
    """What this process has open there, files only an open store has, and locks on its files."""
    left = []
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{entry}")
            if target.startswith(f"{folder}/"):
                left.append(f"open: {target}")
    left += [f"file: {each.name}" for each in folder.iterdir() if ".db-" in each.name]
    inodes = {str(each.stat().st_ino) for each in folder.iterdir()}
    for line in pathlib.Path("/proc/locks").read_text().splitlines():
        if any(word.rpartition(":")[2] in inodes for word in line.split() if word.count(":") == 2):
            left.append(f"lock: {line}")
    return left


@pytest.fixture(params=["writethrough", "lazy"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def things_of(
    db: graven.DB, m: graven.Map, other: graven.DB
) -> list[tuple[Any, Callable[[], Any]]]:
    """One of everything that can be made of them, begun, with a use of it."""
    db["d"] = {str(n): {"n": n} for n in range(500)}
    db["l"] = [1, [2], {"x": 3}]
    other["o"] = {"p": {}}
    m.update({f"k{n}": n for n in range(1000)})
    snapshot = db.snapshot()
    transactor = db.transactor()
    d, items, seen, keys, entries = (
        db["d"],
        iter(db["d"].items()),
        iter(snapshot["d"]),
        iter(m),
        iter(m.items()),
    )
    steps = [items, seen, keys, entries, iter(db["l"]), reversed(db["d"]), iter(transactor["d"])]
    for step in steps[:4]:
        next(step)
    watch = db.watch("d")
    sql = db.connection() if not db_is_lazy(db) else None
    view, nested = d.items(), d["7"]
    uses: list[tuple[Any, Callable[[], Any]]] = [
        (d, lambda: d["1"]),
        (nested, lambda: nested["n"]),
        (view, lambda: list(view)),
        (db["l"], lambda items=db["l"]: items[1]),
        (other["o"], lambda o=other["o"]: o()),
        (snapshot, lambda: snapshot["d"]),
        (snapshot["d"], lambda s=snapshot["d"]: s["1"]),
        (transactor, lambda: transactor["d"]["1"]),
        (watch, lambda: watch.next(0.01)),
        (db, lambda: db["d"]),
        (m, lambda: m["k1"]),
        (m.items(), lambda v=m.items(): list(v)),
        (db.transaction(), lambda t=db.transaction(): t.__enter__()),
    ]
    uses += [(step, lambda step=step: list(step)) for step in steps]
    if sql is not None:
        cursor = sql.execute("SELECT id FROM node")
        uses.append((sql, lambda: sql.execute("SELECT 1")))
        uses.append((cursor, lambda: list(cursor) + list(sql.execute("SELECT 1"))))
    return uses


def db_is_lazy(db: graven.DB) -> bool:
    return getattr(db, "lazy", False)


def opened(path: str, mode: str) -> tuple[graven.DB, graven.Map, graven.DB]:
    db = graven.DB(path, persist=mode)
    db.lazy = mode == "lazy"  # type: ignore[attr-defined]
    return db, graven.Map(path, "m", persist=mode), db.with_prefix("other")


def test_nothing_is_left_whatever_is_referenced(
    tmp_path: pathlib.Path, path: str, mode: str
) -> None:
    db, m, other = opened(path, mode)
    uses = things_of(db, m, other)
    m.close()
    db.close()
    assert left_in(tmp_path)
    other.close()
    assert left_in(tmp_path) == []
    for _, use in uses:
        with pytest.raises(graven.ClosedError):
            use()
    assert left_in(tmp_path) == []
    with graven.DB(path) as again:
        assert again["d"]["7"]() == {"n": 7}
    assert left_in(tmp_path) == []


def test_the_order_in_which_things_go_does_not_matter(
    tmp_path: pathlib.Path, path: str, mode: str, seed: int
) -> None:
    source = random.Random(seed)
    for _ in range(10):
        db, m, other = opened(path, mode)
        things = [thing for thing, _ in things_of(db, m, other)]
        closed: list[Any] = [db, m, other]
        source.shuffle(closed)
        for one in closed:
            one.close()
        assert left_in(tmp_path) == []
        source.shuffle(things)
        del db, m, other, closed, one
        del things[: source.randrange(len(things))]
        gc.collect()
        with graven.DB(path) as again:
            del things
            gc.collect()
            assert again["l"]() == [1, [2], {"x": 3}]
        assert left_in(tmp_path) == []


def test_a_copy_after_with_is_the_whole_store(tmp_path: pathlib.Path, path: str, mode: str) -> None:
    with graven.DB(path, persist=mode) as db, graven.Map(path, "m", persist=mode) as m:
        db["d"] = {str(n): "x" * n for n in range(300)}
        m["k"] = 1
        held = db["d"]
        iterator = iter(held)
        next(iterator)
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    with graven.DB(copy) as db, graven.Map(str(copy), "m") as m:
        assert len(db["d"]) == 300 and m["k"] == 1
        assert db.check().ok


def test_replacing_and_restoring_right_after_with(
    tmp_path: pathlib.Path, path: str, mode: str
) -> None:
    backup = tmp_path / "backup"
    held = []
    with graven.DB(path, persist=mode) as db:
        db["d"] = {"n": 1}
        db.backup(str(backup))
        db["d"]["n"] = 2
        held.append(db["d"])
    graven.restore(str(backup), path)
    with graven.DB(path, persist=mode) as db:
        assert db["d"]["n"] == 1
        held += [db["d"], db.snapshot(), iter(db)]
    made = tmp_path / "made"
    with graven.DB(made) as db:
        db["other"] = True
    os.replace(made, path)
    with graven.DB(path, persist=mode) as db:
        assert db() == {"other": True}
        held.append(db)
    os.remove(path)
    with graven.DB(path, persist=mode) as db:
        assert db() == {}
        db["again"] = 1
    with graven.DB(path) as db:
        assert db["again"] == 1 and db.check().ok


def test_set_prefix_keeps_nothing(tmp_path: pathlib.Path, path: str) -> None:
    with graven.DB(path) as db:
        db["x"] = {"y": 1}
        held = db["x"]
        db.set_prefix("other")
        db["z"] = 1
    assert left_in(tmp_path) == []
    with pytest.raises(graven.ClosedError):
        held()


def test_threads_in_the_middle_of_something(tmp_path: pathlib.Path, path: str, mode: str) -> None:
    for _ in range(3):
        db, m, other = opened(path, mode)
        things_of(db, m, other)
        snapshot = db.snapshot()
        wrong: list[BaseException] = []
        begun = threading.Barrier(6)

        def work(step: Callable[[], Any]) -> None:
            try:
                step()
                begun.wait()
                while True:
                    step()
            except graven.ClosedError:
                pass
            except BaseException as error:
                wrong.append(error)

        steps: list[Callable[[], Any]] = [
            lambda: list(db["d"].items()),
            lambda: list(snapshot["d"].items()),
            lambda: dict(m),
            lambda: db.__setitem__("n", 1),
            lambda: [each() for each in db["d"].values()][:1],
        ]
        workers = [threading.Thread(target=work, args=(step,)) for step in steps]
        for worker in workers:
            worker.start()
        begun.wait()
        for one in (other, m, db):
            one.close()
        for worker in workers:
            worker.join()
        assert wrong == []
        assert left_in(tmp_path) == []


def test_aio(tmp_path: pathlib.Path, path: str, mode: str) -> None:
    async def main() -> list[Any]:
        async with (
            graven.aio.DB(path, persist=mode) as db,
            graven.aio.AsyncMap(path, "m", persist=mode) as m,
        ):
            await db.set("d", {str(n): n for n in range(300)})
            await m.set("k", 1)
            held = [await db.get("d"), db.watch("d"), m.items()]
            assert await held[1].next(timeout=0.01) is None
            assert await held[2].__anext__() == ("k", 1)
            async with db.snapshot() as snapshot:
                held.append(await snapshot.get("d"))
            held.append(db.watch("d"))
        assert left_in(tmp_path) == []
        with pytest.raises(graven.ClosedError):
            await db.get("d")
        return held

    held = asyncio.run(main())
    assert left_in(tmp_path) == []
    with pytest.raises(graven.ClosedError):
        held[0]()
    with pytest.raises(graven.ClosedError):
        held[3]()
