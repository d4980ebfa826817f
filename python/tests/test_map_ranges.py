# SPDX-License-Identifier: MIT
"""Map as an ordered map: ranges of keys, first and last; times to live that are changed; pop_many
and get_or_set."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import graven
from graven import DB, Map, aio

MODES = ["writethrough", "lazy", "memory"]
KEYS = ["", "\0", "a", "a/1", "a/2", "a/20", "a0", "b", "é", "\uffff", "😀"]


@pytest.fixture(params=MODES)
def m(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Map]:
    with Map(tmp_path / "m.db", persist=request.param) as opened:
        yield opened


def test_ranges_of_keys(m: Map) -> None:
    assert m.first() is None and m.last() is None and list(reversed(m)) == []
    m.update({key: n for n, key in enumerate(KEYS)})
    assert list(m) == list(m.keys()) == KEYS and list(reversed(m)) == KEYS[::-1]
    assert list(m.keys(prefix="a/")) == ["a/1", "a/2", "a/20"]
    assert list(m.keys(prefix="a/", reverse=True, limit=2)) == ["a/20", "a/2"]
    assert list(m.items(start="a/2", stop="b")) == [("a/2", 4), ("a/20", 5), ("a0", 6)]
    assert list(m.values(start="a/2", stop="b", reverse=True)) == [6, 5, 4]
    assert list(m.keys(stop="")) == [] and list(m.keys(limit=0)) == []
    assert list(m.keys(start="b", stop="a")) == []
    assert m.first() == ("", 0) and m.last() == ("😀", 10)


def test_views_of_ranges(m: Map) -> None:
    m.update({key: n for n, key in enumerate(KEYS)})
    some = m.keys(prefix="a/", stop="a/20")
    assert len(some) == 2 and some == {"a/1", "a/2"} and some & {"a/2", "b"} == {"a/2"}
    assert "a/1" in some and "a/20" not in some and "a" not in some and 1 not in some
    m["a/15"] = 0
    assert list(some) == ["a/1", "a/15", "a/2"] and list(reversed(some)) == ["a/2", "a/15", "a/1"]
    del m["a/15"]
    first = m.items(start="a", limit=2)
    assert ("a", 2) in first and ("a/1", 3) in first and ("a/2", 4) not in first
    assert list(reversed(first)) == [("a/1", 3), ("a", 2)] and len(first) == 2
    down = m.values(reverse=True)
    assert len(down) == len(KEYS) and list(reversed(down)) == list(m.values())
    assert repr(m.keys(limit=1)) == "MapKeys([''])" and 3 in m.values(prefix="a/")
    assert some.mapping is m  # type: ignore[attr-defined]


def test_what_is_no_range(m: Map) -> None:
    for view in (m.keys, m.values, m.items):
        for name in ("prefix", "start", "stop"):
            with pytest.raises(TypeError, match=f"{name} of a range of keys must be a str"):
                view(**{name: 1})  # type: ignore[operator]
        with pytest.raises(TypeError, match="prefix"):
            view(prefix=None)  # type: ignore[operator]
        with pytest.raises(ValueError, match="negative"):
            view(limit=-1)  # type: ignore[operator]
        with pytest.raises(TypeError, match="limit"):
            view(limit=1.5)  # type: ignore[operator]
        with pytest.raises(TypeError):
            view("a")  # type: ignore[operator]
        with pytest.raises(ValueError):
            view(start="\ud800")  # type: ignore[operator]
    m.close()
    with pytest.raises(graven.ClosedError):
        m.keys(prefix="a")


def test_adding_to_a_range_while_iterating_is_an_error(m: Map) -> None:
    m.update(dict.fromkeys("abc", 1))
    with pytest.raises(RuntimeError):
        for key in m.keys(reverse=True):
            m["x" + key] = 1
    for key in m.keys(start="b"):
        del m[key]
    assert list(m) == ["a"]


text = st.text(st.sampled_from("a/\0é\uffff\U0001f600\U0010ffff"), max_size=4)
bound = st.none() | text


@pytest.mark.parametrize("mode", MODES)
def test_ranges_are_as_sorted_by_hand(mode: str, tmp_path: Path) -> None:
    with Map(tmp_path / "m.db", persist=mode) as m:

        @given(st.dictionaries(text, st.integers(), max_size=12), text, bound, bound, st.data())
        def agree(
            entries: dict[str, int],
            prefix: str,
            start: str | None,
            stop: str | None,
            data: st.DataObject,
        ) -> None:
            m.clear()
            m.update(entries)
            if data.draw(st.booleans()):
                m.flush()
            for gone in data.draw(st.lists(text, max_size=3)):
                assert m.pop(gone, None) == entries.pop(gone, None)
            reverse = data.draw(st.booleans())
            limit = data.draw(st.none() | st.integers(0, 5))
            found: list[tuple[str, Any]] = list(
                m.items(prefix=prefix, start=start, stop=stop, reverse=reverse, limit=limit)
            )
            expected = [
                (key, value)
                for key, value in sorted(entries.items(), key=lambda entry: entry[0].encode())
                if key.startswith(prefix)
                and (start is None or key >= start)
                and (stop is None or key < stop)
            ]
            assert found == (expected[::-1] if reverse else expected)[:limit]
            ends = sorted(entries)
            assert m.first() == ((ends[0], entries[ends[0]]) if ends else None)
            assert m.last() == ((ends[-1], entries[ends[-1]]) if ends else None)

        agree()


def test_times_to_live_are_changed(m: Map) -> None:
    m["k"] = {"a": 1}
    assert m.ttl("k") is None and m.touch("k", 60) is True
    left = m.ttl("k")
    assert left is not None and 0 < left <= 60 and m["k"] == {"a": 1}
    assert m.touch("k", datetime.timedelta(hours=1)) and (m.ttl("k") or 0) > 60
    assert m.touch("k", None) and m.ttl("k") is None
    assert not m.touch("none", 1) and not m.expire_at("none", 1e12) and "none" not in m
    with pytest.raises(graven.KeyNotFound) as caught:
        m.ttl("none")
    assert caught.value.args[0] == "none" or "none" in str(caught.value)
    with pytest.raises(ValueError, match="positive"):
        m.touch("k", 0)
    assert m.expire_at("k", time.time() + 100) and 0 < (m.ttl("k") or 0) <= 100.1
    in_an_hour = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    assert m.expire_at("k", in_an_hour) and 100.1 < (m.ttl("k") or 0) <= 3600.1
    assert m.expire_at("k", 10**400) and "k" in m
    for wrong in ("now", None, True):
        with pytest.raises(TypeError, match="datetime"):
            m.expire_at("k", wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a number"):
        m.expire_at("k", float("nan"))
    assert m.expire_at("k", in_an_hour - datetime.timedelta(hours=2)) and "k" not in m
    m["k"] = 1
    assert m.expire_at("k", 0) and "k" not in m and len(m) == 0


def test_an_object_that_is_kept_expires_too(m: Map) -> None:
    m["k"] = "value"
    assert [m["k"] for _ in range(100)][-1] == "value"
    assert m.touch("k", 0.02)
    time.sleep(0.03)
    assert m.get("k") is None and "k" not in m


def test_pop_many_and_get_or_set(m: Map) -> None:
    m.update(a=1, b=2, c=[3])
    assert m.pop_many(["a", "x", "c", "a"]) == [1, None, [3], None]
    assert m.pop_many(iter(["b", "b"]), default=0) == [2, 0] and len(m) == 0
    assert m.pop_many([]) == [] and m.pop_many([1], "no") == ["no"]  # type: ignore[list-item]
    with pytest.raises(TypeError):
        m.pop_many(7)  # type: ignore[arg-type]

    calls = []

    def make() -> Any:
        calls.append(1)
        return (1, 2)

    assert m.get_or_set("k", make, ttl=60) == [1, 2] and m.get_or_set("k", make) == [1, 2]
    assert len(calls) == 1 and (m.ttl("k") or 0) > 0
    assert m.get_or_set("other", lambda: m.setdefault("other", "first") and "late") == "first"
    m["none"] = None
    assert m.get_or_set("none", make) is None and len(calls) == 1
    with pytest.raises(ZeroDivisionError):
        m.get_or_set("fails", lambda: 1 // 0)
    assert "fails" not in m
    assert m.setdefault("d", 1, ttl=60) == 1 and (m.ttl("d") or 0) > 0
    assert m.setdefault("d", 2) == 1 and m.ttl("d") is not None


def test_inside_a_transaction(tmp_path: Path) -> None:
    with DB(tmp_path / "s.db") as db, Map(tmp_path / "s.db") as m:
        m.update(a=1, b=2, c=3)
        with pytest.raises(ZeroDivisionError), db.transaction():
            m["d"] = 4
            del m["a"]
            assert list(m.keys(reverse=True)) == ["d", "c", "b"] and m.last() == ("d", 4)
            assert m.touch("b", 60) and m.ttl("b") and m.pop_many(["c", "d"]) == [3, 4]
            raise ZeroDivisionError
        assert list(m.items()) == [("a", 1), ("b", 2), ("c", 3)] and m.ttl("b") is None


def test_awaited(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with aio.AsyncMap(tmp_path / "m.db") as m:
            assert await m.first() is None
            await m.update({"a/1": 1, "a/2": 2, "b": 3})
            assert [key async for key in m.keys(prefix="a/", reverse=True)] == ["a/2", "a/1"]
            assert [item async for item in m.items(start="a/2", limit=1)] == [("a/2", 2)]
            assert [value async for value in m.values(stop="b")] == [1, 2]
            assert await m.first() == ("a/1", 1) and await m.last() == ("b", 3)
            assert await m.touch("b", 60) and (await m.ttl("b") or 0) > 0
            assert await m.expire_at("b", 0) and await m.pop_many(["a/1", "b"], 0) == [1, 0]

            async def make() -> int:
                return 7

            assert await m.get_or_set("n", make) == 7 and await m.get_or_set("n", make) == 7
            assert await m.get_or_set("o", lambda: 8, ttl=60) == 8 and await m.ttl("o")
            assert await m.setdefault("p", 9, ttl=60) == 9 and await m.ttl("p")

    asyncio.run(all_of_it())
