# SPDX-License-Identifier: MIT
"""Map: incr, decr, add and update_with, and the time to live of update()."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import graven
from graven import DB, Map, aio

MODES = ["writethrough", "lazy", "memory"]


@pytest.fixture(params=MODES)
def m(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Map]:
    with Map(tmp_path / "m.db", persist=request.param) as opened:
        yield opened


def wait_until(done: Callable[[], bool]) -> None:
    for _ in range(3000):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_numbers_of_any_size(m: Map) -> None:
    assert m.incr("n") == 1 and m.incr("n", 5) == 6 and m.decr("n", by=10) == -4
    assert m.incr("m", 2, 40) == 42 and m.decr("d", default=10) == 9
    assert m.incr("big", 2**63 - 1) == 2**63 - 1 and m.incr("big") == 2**63
    assert m.incr("big", 10**60) == 2**63 + 10**60 and m["big"] == 2**63 + 10**60
    assert m.decr("big", 10**60 + 2**63) == 0 and type(m["big"]) is int
    assert m.incr("n", 0.5) == -3.5 and m.incr("n", 1) == -2.5 and type(m["n"]) is float
    m["f"] = 10**400
    with pytest.raises(graven.LimitError, match="'f'"):
        m.incr("f", 0.5)
    assert m.incr("f", 1) == 10**400 + 1


def test_what_is_no_number_is_refused_by_name(m: Map) -> None:
    for value, kind in (
        (None, "null"),
        (True, "bool"),
        ("1", "str"),
        (b"1", "bytes"),
        ([], "list"),
    ):
        m["visits"] = value
        for call in (m.incr, m.decr):
            with pytest.raises(graven.WrongTypeError, match=f"'visits' is {kind}"):
                call("visits")
            with pytest.raises(graven.WrongTypeError, match="'new' is"):
                call("new", value)  # type: ignore[arg-type]
        assert m["visits"] == value
    with pytest.raises(TypeError, match="Decimal"):
        m.incr("n", Decimal(1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive"):
        m.incr("n", ttl=0)
    with pytest.raises(TypeError, match="number of seconds"):
        m.incr("n", ttl=True)
    assert "n" not in m and "new" not in m


def test_add_and_update_with(m: Map) -> None:
    assert m.add("a", 1) is True and m.add("a", 2) is False and m["a"] == 1
    assert m.update_with("a", lambda old: old + 1) == 2
    assert m.update_with("l", lambda old: [*old, (1,)], []) == [[1]] and m["l"] == [[1]]
    assert m.update_with("l", lambda old: None, default=3) is None and m["l"] is None
    with pytest.raises(KeyError) as caught:
        m.update_with("zz", lambda old: 1)
    assert caught.value.args == ("zz",)
    with pytest.raises(ZeroDivisionError):
        m.update_with("a", lambda old: 1 // 0)
    with pytest.raises(TypeError, match=r"object at \['a'\]"):
        m.update_with("a", lambda old: object())
    with pytest.raises(TypeError, match="function must be Callable"):
        m.update_with("a", 5)  # type: ignore[arg-type]
    runs = []

    def once_disturbed(old: int) -> int:
        runs.append(old)
        if len(runs) == 1:
            m["a"] = 10  # the function may use the map
        return old + 1

    assert m.update_with("a", once_disturbed) == 11 and runs == [2, 10]


def test_the_time_to_live_stays(m: Map) -> None:
    m.set("a", 1, ttl=0.4)
    assert m.incr("a", ttl=3600) == 2
    assert m.update_with("a", lambda old: old) == 2
    assert m.incr("window", ttl=0.4) == 1 and m.incr("window", ttl=0.4) == 2
    assert m.add("lock", "me", ttl=datetime.timedelta(seconds=0.4))
    m.update({"ttl": 1, "u": 2}, v=3, ttl=0.4)
    m.bulk_insert([("w", 4)], ttl=0.4)
    assert m["ttl"] == 1 and len(m) == 7
    wait_until(lambda: len(m) == 0)
    assert m.incr("a", default=10) == 11
    with pytest.raises(graven.UsageError, match="time to live"):
        m.update(ttl=3)
    m.update({"ttl": 3})
    m.update({"k": 1}, ttl=None)
    assert m == {"a": 11, "ttl": 3, "k": 1}
    with pytest.raises(TypeError, match="number of seconds"):
        m.update({"x": 1}, ttl="soon")
    assert "x" not in m


def test_no_count_is_lost_between_threads(m: Map) -> None:
    def count() -> None:
        for _ in range(100):
            m.incr("n")
            m.update_with("u", lambda old: old + 1, 0)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert m["n"] == m["u"] == 400


COUNT = """
import sys
from graven import Map
with Map(sys.argv[1]) as m:
    added = 0
    for i in range(200):
        m.incr("n")
        m.update_with("u", lambda old: old + 1, 0)
        added += m.add(f"k{i}", 1)
    m.incr("added", added)
"""


def test_no_count_is_lost_between_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "m.db")
    children = [subprocess.Popen([sys.executable, "-c", COUNT, path]) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    with Map(path) as m:
        assert m["n"] == m["u"] == 400 and m["added"] == 200


def test_in_a_transaction_they_are_part_of_it(tmp_path: Path) -> None:
    with DB(tmp_path / "m.db") as db, Map(tmp_path / "m.db") as m:
        m["n"] = 1
        with pytest.raises(ZeroDivisionError), db.transaction():
            assert m.incr("n") == 2 and m.update_with("n", lambda old: old * 10) == 20
            assert m.add("a", 1) and not m.add("a", 1)
            _ = 1 // 0
        assert m == {"n": 1}


def test_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.AsyncMap(tmp_path / "m.db") as m:
            await asyncio.gather(*(m.incr("n") for _ in range(20)))
            assert await m.decr("n", 5) == 15 and await m.incr("x", 1, default=2) == 3
            assert await m.add("a", 1) and not await m.add("a", 1)
            assert await m.update_with("a", lambda old: old + 1) == 2
            assert await m.update_with("b", lambda old: old + 1, default=4) == 5
            with pytest.raises(KeyError):
                await m.update_with("zz", lambda old: 1)
            await m.update({"t": 1}, ttl=3600)
            await m.bulk_insert({"self": 1}, ttl=3600)
            await m.update(self=2, other=3)
            with pytest.raises(graven.UsageError, match="time to live"):
                await m.update(ttl=3)
            assert await m.get_many(["t", "self", "other"]) == [1, 2, 3]

    asyncio.run(main())
