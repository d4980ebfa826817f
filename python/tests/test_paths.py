# SPDX-License-Identifier: MIT
"""Paths: of files that are no text, and inside a database, where one rule holds everywhere."""

from __future__ import annotations

import asyncio
import os
from collections import UserList, deque
from pathlib import Path
from typing import Any

import pytest

import graven
from graven import DB, Map, aio

BYTES = b"state-\xff\xfe.db"


class Like:
    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


def test_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/" + BYTES
    text = os.fsdecode(raw)
    with DB(raw) as db, Map(Like(raw)) as m:
        db["a"] = 1
        m["a"] = 2
        assert os.fsencode(db.name) == raw and os.fsencode(m.path) == raw
        assert "\\udcff" in repr(m)
        copy = raw + b".copy"
        report = db.backup(copy)
        assert os.fsencode(report.path) == copy and "\\udcff" in repr(report)
        assert db.check().ok and "graven_" in db.metrics() and "graven_" in m.metrics()
        assert os.fsencode(db.repair(dry_run=True).backup) == b""
    for path in (text, raw, Path(text), Like(text), Like(raw)):
        with DB(path) as db, Map(path) as m:
            assert db["a"] == 1 and m["a"] == 2
    del db, m
    report = graven.restore(copy, Like(raw))
    assert os.fsencode(report.replaced) == raw + b".before-restore"
    with pytest.raises(graven.UnavailableError, match=r"\\xff"):
        DB(raw + b".none", read_only=True)
    assert sorted(os.listdir(os.fsencode(tmp_path)))[0].startswith(b"state-\xff\xfe.db")


def test_the_same_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        raw = os.fsencode(tmp_path) + b"/" + BYTES
        async with aio.DB(raw) as db, aio.AsyncMap(Like(raw)) as m:
            await db.set("a", 1)
            await m.set("a", 2)

    asyncio.run(main())


def test_what_names_no_file(tmp_path: Path) -> None:
    for open_it in (DB, Map):
        for wrong in (5, b"x"[0], object(), ["x"], Like(5)):
            with pytest.raises(TypeError, match="path_or_url must be str, bytes"):
                open_it(wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"lone surrogate.*\\ud800"):
            open_it(str(tmp_path / "\ud800.db"))
        with pytest.raises(graven.UsageError, match="NUL"):
            open_it(os.fsencode(tmp_path) + b"/a\0b")
    assert list(tmp_path.iterdir()) == []


# Inside


def test_a_watch_takes_both_ways_of_writing_a_path(tmp_path: Path) -> None:
    with DB(tmp_path / "s.db") as db:
        db["a/b"] = {"~": {"": [1, 2]}}
        paths: list[Any] = ["a~1b/~0//1", ["a/b", "~", "", 1], ("a/b", "~", "", "1")]
        for value, path in enumerate(paths, 10):
            with db.watch(path) as changes:
                db["a/b"]["~"][""][1] = value
                change = changes.next(30)
                assert change == ("a~1b/~0//1", value, False)
        with db.watch([]) as changes:
            db["new"] = 1
            change = changes.next(30)
            assert change is not None and change.path == "new"
        for wrong in (db["a/b"], b"a", 5, None, [1.5], {"a": 1}):
            with pytest.raises(graven.WrongTypeError, match="a path is a str"):
                db.watch(wrong)  # type: ignore[arg-type]


def test_awaited_calls_and_watches_mean_the_same_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.DB(tmp_path / "s.db") as db:
            await db.set("cfg", {"x": 1, "list": [1, {"y": 2}]})
            assert await db.get("cfg/x") == 1 and await db.get(["cfg", "x"]) == 1
            assert await db.get("/cfg/x") == 1 and await db.get(("cfg", "x")) == 1
            assert await db.get("cfg/list/-1/y") == 2 and await db.get(["cfg", "list", 1, "y"]) == 2
            for path in ("cfg/y", ["cfg", "y"]):
                async with db.watch(path) as changes:
                    await db.set("cfg/y", str(path))
                    change = await changes.next(30)
                    assert change is not None and change.path == "cfg/y"
            assert sorted(await db.keys()) == ["cfg"] and await db.keys("cfg/list/1") == ["y"]
            assert await db.materialize("") == await db.materialize(())
            await db.append("cfg/list", 3)
            assert await db.size("cfg/list") == 3 and await db.pop("cfg/list/2") == 3
            await db.update({"z": 1}, "cfg")
            assert await db.setdefault("cfg/z", 2) == 1 and await db.contains("cfg/z")
            await db.delete("cfg/z")
            assert not await db.contains("cfg/z") and await db.get("cfg/z", 5) == 5

    asyncio.run(main())


def test_any_sequence_is_a_path(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.DB(tmp_path / "s.db") as db:
            await db.set("a", [0, [1]])
            paths: list[Any] = [deque(["a", 1, 0]), UserList(["a", 1, 0])]
            for path in paths:
                assert await db.get(path) == 1
                async with db.watch(path) as changes:
                    await db.set(path, str(path))
                    change = await changes.next(30)
                    assert change is not None and change.value == str(path)
                await db.set(path, 1)
            assert await db.get(range(0)) is not None

    asyncio.run(main())


def test_a_default_is_for_whatever_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.DB(tmp_path / "s.db") as db:
            await db.set("cfg", {"list": [1]})
            missing: list[Any] = ["z", "z/y", "cfg/z", "cfg/z/y", "cfg/list/1", "cfg/list/1/x"]
            for path in (*missing, ["z", "y"]):
                assert await db.pop(path, None) is None
                assert await db.pop(path, 5) == await db.get(path, 5) == 5
                with pytest.raises((graven.KeyNotFound, graven.IndexOutOfRange)):
                    await db.pop(path)
            assert await db.pop("cfg/list/0", 5) == 1
            with pytest.raises(graven.WrongTypeError, match="one default"):
                await db.pop("cfg", 1, 2)
            await db.set(["a/b"], 1)
            with pytest.raises(graven.UsageError, match="a key of that text"):
                await db.pop("a/b", None)

    asyncio.run(main())


def test_every_call_tells_of_keys_with_a_slash(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.DB(tmp_path / "s.db") as db:
            await db.set(["a/b"], {})
            for call in (
                lambda: db.update({"x": 1}, "a/b"),
                lambda: db.append("a/b", 1),
                lambda: db.size("a/b"),
                lambda: db.keys("a/b"),
                lambda: db.materialize("a/b"),
                lambda: db.set("a/b", 1),
                lambda: db.setdefault("a/b", 1),
                lambda: db.pop("a/b"),
                lambda: db.delete("a/b"),
            ):
                with pytest.raises(graven.KeyNotFound, match=r"no 'a' on the way.*\['a/b'\]"):
                    await call()
            with pytest.raises(graven.KeyNotFound, match=r"^'x'$"):
                await db.size("x")
            assert await db.materialize() == {"a/b": {}}

    asyncio.run(main())


def test_nothing_goes_elsewhere_in_silence(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.DB(tmp_path / "s.db") as db:
            with pytest.raises(KeyError, match=r"no 'http:' on the way.*give \['http://x'\]"):
                await db.set("http://x", 1)
            assert await db.keys() == []
            await db.set(["http://x"], 1)
            assert await db.keys() == ["http://x"] and await db.get(["http://x"]) == 1
            with pytest.raises(graven.UsageError, match="a key of that text"):
                await db.get("http://x")
            assert await db.get("http:~1~1x") == 1 and await db.get("http:/y") is None
            await db.set("list", [0])
            with pytest.raises(graven.WrongTypeError, match="not an index of a list"):
                await db.set("list/x", 1)
            with pytest.raises(TypeError, match="no dict or list"):
                await db.set("list/0/x", 1)
            for wrong in (5, None, b"x", {"a"}, [1.5]):
                with pytest.raises(graven.WrongTypeError, match="a path is a str"):
                    await db.get(wrong)  # type: ignore[arg-type]

    asyncio.run(main())
