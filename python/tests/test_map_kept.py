# SPDX-License-Identifier: MIT
"""Values that are read again and again keep their objects: never one that is no longer there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import graven
from graven import DB, Map

VALUES: list[Any] = ["text", "", "é", b"bytes", 17, -(2**80), 1.5, True, None, "x" * 300]
TIMES = 70  # more often than it takes the map to be asked again


@pytest.fixture(params=["writethrough", "lazy", "memory"])
def m(request: pytest.FixtureRequest, path: str) -> Iterator[Map]:
    with Map(path, persist=request.param) as opened:
        yield opened


def equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def test_the_object_is_kept(m: Map) -> None:
    m["key"] = "a value"
    for _ in range(20):  # by then it is known in memory
        first = m["key"]
    assert m["key"] is first and m.get("key") is first
    assert m["".join(["k", "ey"])] == first  # another str that is equal
    hits = m.stats().hot_hits
    assert m["key"] is first
    assert m.stats().hot_hits == hits + 1


@pytest.mark.parametrize("key", ["k", "a key of some length" * 3, "k" * 300, "schlüssel", "\0"])
def test_every_change_is_seen(m: Map, key: str) -> None:
    for value in VALUES * 2:
        m[key] = value
        for _ in range(TIMES):
            assert equal(m[key], value)
    changes: list[Callable[[], object]] = [
        lambda: m.update({key: "updated", "other": 1}),
        lambda: m.update({key: ["nested"]}),
        lambda: m.bulk_insert({key: "inserted"}),
        lambda: m.set(key, "set"),
    ]
    for change in changes:
        before = m[key]
        change()
        assert m[key] == m.get_many([key])[0] != before
    removals: list[Callable[[], object]] = [
        lambda: m.pop(key),
        lambda: m.delete_many([key]),
        m.clear,
        m.popitem,
    ]
    for remove in removals:
        m[key] = "there"
        assert [m[key] for _ in range(TIMES)] == ["there"] * TIMES
        remove()
        assert key not in m and m.get(key) is None
        with pytest.raises(KeyError):
            m[key]


def test_get_many_takes_what_is_kept_and_every_change(m: Map) -> None:
    keys = [f"a key {n}" for n in range(200)]
    m.update({key: f"text {n}" for n, key in enumerate(keys)} | {"timed": 1, "nested": [1]})
    m.set("timed", "for a while", ttl=600)
    extra = ["timed", "nested", "not there", "a key 7"]
    for _ in range(20):
        for key in keys + extra:
            m.get(key)
    known = m.get_many(keys)
    assert sum(one is m[key] for one, key in zip(known, keys, strict=True)) > 150
    assert m.get_many(keys + extra, 0) == [*known, "for a while", [1], 0, "text 7"]
    changed = random.sample(keys, 50)
    for number, key in enumerate(changed):
        if number % 2:
            del m[key]
        else:
            m[key] = number
        expected = [m.get(one) for one in keys]
        assert m.get_many(keys) == expected
    m.set("timed", "soon gone", ttl=0.05)
    for _ in range(20):
        m.get("timed")
    time.sleep(0.1)
    assert m.get_many(extra) == [None, [1], None, m.get("a key 7")]
    assert m.get_many([*keys, 5]) == [*expected, None]  # type: ignore[list-item]
    m.close()
    with pytest.raises(graven.ClosedError):
        m.get_many(keys)


def test_get_many_counts_each_key_once(m: Map) -> None:
    keys = [f"a key {n}" for n in range(100)]
    m.update(dict.fromkeys(keys, "text"))
    for _ in range(20):
        for key in keys:
            assert m[key] == "text"
    for asked in (keys, [*keys, "never seen"], ["never seen either", *keys]):
        before = m.stats()
        assert m.get_many(asked) == [m.get(key) if key in keys else None for key in asked]
        after = m.stats()
        counted = sum(
            getattr(after, name) - getattr(before, name) for name in ("hot_hits", "misses")
        )
        assert counted == len(asked) + len(keys)


def test_nested_values_are_made_anew(m: Map) -> None:
    m["key"] = {"list": [1]}
    m["key"]["list"].append(2)
    assert m["key"] == {"list": [1]}


def test_what_expires_is_not_kept(m: Map) -> None:
    m.set("key", "value", ttl=0.2)
    deadline = time.monotonic() + 20
    while m.get("key") is not None:
        assert time.monotonic() < deadline
    assert "key" not in m


def test_with_others_that_write(path: str) -> None:
    """Another handle, another process, a transaction, a snapshot of the file put back."""
    program = "import graven, sys; graven.Map(sys.argv[1])['key'] = sys.argv[2]"
    with Map(path) as m, Map(path) as other, DB(path) as db:
        m["key"] = "mine"
        assert [m["key"] for _ in range(TIMES)] == ["mine"] * TIMES
        other["key"] = "the other handle's"
        assert m["key"] == "the other handle's"
        for value in ("a process's", "another one's"):
            subprocess.run([sys.executable, "-c", program, path, value], check=True)
            assert [m["key"] for _ in range(TIMES)] == [value] * TIMES
        with pytest.raises(ZeroDivisionError), db.transaction():
            m["key"] = "taken back"
            assert m["key"] == "taken back"
            raise ZeroDivisionError
        assert m["key"] == "another one's"
        with db.transaction():
            m["key"] = "committed"
        assert m["key"] == "committed"
    with pytest.raises(graven.ClosedError):
        m["key"]


def test_a_forked_child_goes_its_own_way(m: Map, path: str) -> None:
    m["key"] = "before"
    assert m["key"] == "before"
    if m.persist == "lazy":
        return  # the child may not use it
    child = os.fork()
    if child == 0:
        try:
            m["key"] = "the child's"
            os._exit(0 if m["key"] == "the child's" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert m["key"] == ("before" if m.persist == "memory" else "the child's")


@pytest.mark.parametrize("hot_capacity", [5, 300, 100_000])
def test_against_a_dict(path: str, seed: int, hot_capacity: int) -> None:
    source = random.Random(seed)
    model: dict[str, Any] = {}
    names = [f"key {n}" for n in range(50_000 if hot_capacity > 300 else 500)]
    with Map(path, persist="lazy", hot_capacity=hot_capacity) as m:
        m.update(dict.fromkeys(names, 0))
        model.update(dict.fromkeys(names, 0))
        for step in range(60_000):
            key = source.choice(names[: len(names) if step % 2 else 40])
            dice = source.random()
            if dice < 0.04:
                m[key] = model[key] = source.choice(VALUES)
            elif dice < 0.05:
                assert equal(m.pop(key, None), model.pop(key, None))
            elif dice < 0.0502:
                some = dict.fromkeys(source.sample(names, 20), step)
                m.update(some)
                model.update(some)
            else:
                assert equal(m.get(key), model.get(key)), key
        assert dict(m) == model


def test_readers_beside_writers(path: str) -> None:
    """No thread sees a value and then an older one, whichever thread kept which."""
    names = [f"key {n}" for n in range(6)]
    with Map(path, persist="lazy") as m:
        m.update(dict.fromkeys(names, 0))
        latest = dict.fromkeys(names, 0)  # read before: what is read after is no older
        stop = threading.Event()
        failed: list[str] = []

        def read(at: int) -> None:
            source = random.Random(at)
            while not stop.is_set() and not failed:
                key = source.choice(names)
                least = latest[key]
                value = m[key]
                if value < least:
                    failed.append(f"{key}: {value} after {least}")
                if value > latest[key]:
                    latest[key] = value

        readers = [threading.Thread(target=read, args=(at,)) for at in range(4)]
        for reader in readers:
            reader.start()
        for number in range(1, 4000):
            m[names[number % 6]] = number
            if number % 5 == 0:
                m.update(dict.fromkeys(names[:3], number))
        stop.set()
        for reader in readers:
            reader.join()
        assert not failed


def test_memory_is_bounded(path: str) -> None:
    """memory_mb: the objects are a part of it."""
    program = """
import graven, resource, sys
with graven.Map(sys.argv[1], memory_mb=32, synchronous="off") as m:
    def used():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    before = used()
    for first in range(0, 400_000, 1000):
        m.update({f"key {n}": "x" * 200 for n in range(first, first + 1000)})
    filled = used()
    keys = [f"key {n}" for n in range(400_000)]
    before += used() - filled  # the keys are the program's
    for _ in range(2):
        for key in keys:
            m[key]
    print(used() - before)
"""
    told = subprocess.run(
        [sys.executable, "-c", program, path], check=True, capture_output=True, text=True
    )
    assert int(told.stdout) < 32 * 1024 * 1.2, told.stdout


def test_the_file_may_go_away(path: str) -> None:
    m = Map(path)
    m["key"] = "value"
    assert m["key"] == m["key"]
    m.close()
    with pytest.raises(graven.ClosedError):
        m["key"]
    assert Path(path).exists()
