# SPDX-License-Identifier: MIT
"""Maps in their file: random programs against dict, durability, other processes, beside a graph.

GRAVEN_EXAMPLES sets how many programs are run in each mode.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from plain import same_shape

import graven
from graven import DB, Map

KEYS = st.one_of(
    st.sampled_from(["", "a", "b", "c", "k" * 300, "é", "\0", "🐍"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 2**200]),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20),
    st.integers(5000, 5001).map(lambda size: "x" * size),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(KEYS, st.sampled_from(["$b", "$$"])), inner, max_size=4),
    ),
    max_leaves=6,
)


def unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unshared(each) for key, each in value.items()}
    return [unshared(each) for each in value] if isinstance(value, (list, tuple)) else value


def same(left: Any, right: Any) -> bool:
    """Of the same types and values; a map shares nothing."""
    return same_shape(unshared(left), unshared(right))


class Program(RuleBasedStateMachine):
    mode = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, Any] = {}
        self.capacity = 3
        self.open()

    def open(self) -> None:
        self.map = Map(
            Path(self.folder.name) / "m.db",
            persist=self.mode,
            hot_capacity=self.capacity,
            flush_interval=0.003,
            synchronous="off",
        )

    def both(self, name: str, *arguments: Any) -> None:
        """The same method on both, with the same result or the same kind of error."""
        results = []
        for each in (self.model, self.map):
            try:
                results.append(getattr(each, name)(*arguments))
            except KeyError:
                results.append(KeyError)
        assert same(*results), results

    @rule(key=KEYS, value=VALUES)
    def set_one(self, key: str, value: Any) -> None:
        self.both("__setitem__", key, value)

    @rule(key=KEYS, value=VALUES)
    def set_for_long(self, key: str, value: Any) -> None:
        self.model[key] = value
        self.map.set(key, value, ttl=1000)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.both("__delitem__", key)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        self.both("__getitem__", key)
        self.both("get", key)
        self.both("__contains__", key)

    @rule(key=KEYS, value=SCALARS)
    def pop(self, key: str, value: Any) -> None:
        self.both("pop", key, value)
        self.both("pop", key)

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: str, value: Any) -> None:
        self.both("setdefault", key, value)

    @rule(entries=st.dictionaries(KEYS, VALUES, max_size=20))
    def update(self, entries: dict[str, Any]) -> None:
        self.both("update", entries)

    @rule(keys=st.lists(KEYS, max_size=20))
    def get_many(self, keys: list[str]) -> None:
        assert same(self.map.get_many(keys, ...), [self.model.get(key, ...) for key in keys])

    @rule(keys=st.lists(KEYS, max_size=4))
    def delete_many(self, keys: list[str]) -> None:
        there = {key for key in keys if self.model.pop(key, ...) is not ...}
        assert self.map.delete_many(keys) == len(there)

    @rule()
    def popitem(self) -> None:
        if self.model:
            key, value = self.map.popitem()
            assert key == min(self.model, key=str.encode)
            assert same(value, self.model.pop(key))

    @rule()
    def clear(self) -> None:
        self.both("clear")

    @rule()
    def look_at_all(self) -> None:
        keys = sorted(self.model, key=str.encode)
        assert list(self.map) == keys
        assert same(list(self.map.values()), [self.model[key] for key in keys])
        assert self.map == self.model
        assert same(self.map.copy(), {key: self.model[key] for key in keys})

    @rule(capacity=st.sampled_from([1, 3, 1000]))
    def reopen(self, capacity: int) -> None:
        if self.mode == "memory":
            return
        self.capacity = capacity
        self.map.close()
        self.open()

    @rule()
    def flush(self) -> None:
        self.map.flush()

    @invariant()
    def sizes(self) -> None:
        assert len(self.map) == len(self.model)

    def teardown(self) -> None:
        self.look_at_all()
        self.map.close()
        if self.mode != "memory":
            with DB(Path(self.folder.name) / "m.db") as db:
                assert db.check().ok
        self.folder.cleanup()


EXAMPLES = settings(max_examples=int(os.environ.get("GRAVEN_EXAMPLES", "30")))


class Writethrough(Program):
    mode = "writethrough"


class Lazy(Program):
    mode = "lazy"


TestMemory = Program.TestCase
TestMemory.settings = EXAMPLES
TestWritethrough = Writethrough.TestCase
TestWritethrough.settings = EXAMPLES
TestLazy = Lazy.TestCase
TestLazy.settings = EXAMPLES


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def test_several_maps_beside_a_graph(path: str) -> None:
    with DB(path) as db, Map(path, "one") as one, Map(path, "two") as two, Map(path, "one") as same:
        db["name"] = "graph"
        one["k"], two["k"] = 1, 2
        assert one["k"] == same["k"] == 1 and two["k"] == 2 and db() == {"name": "graph"}
        assert one == same
        one.clear()
        assert same == {} and two == {"k": 2}
        assert db.check().ok


def test_a_transaction_of_the_graph_takes_the_map_along(path: str) -> None:
    with DB(path) as db, Map(path) as m:
        m["k"] = 1
        with db.transaction():
            m["k"] = 2
            m.update(new=[1])
            assert m["k"] == 2 and m.get_many(["k", "new"]) == [2, [1]] and len(m) == 2
            seen = []
            thread = threading.Thread(target=lambda: seen.extend(m.get_many(["k", "new"])))
            thread.start()
            thread.join()
            assert seen == [1, None]
        assert m == {"k": 2, "new": [1]}
        with pytest.raises(ZeroDivisionError), db.transaction():
            del m["k"]
            assert "k" not in m
            raise ZeroDivisionError
        assert m["k"] == 2


def test_a_transaction_of_another_task_is_not_joined(path: str) -> None:
    async def main(db: DB, m: Map) -> None:
        async def other() -> None:
            with pytest.raises(graven.UsageError, match="another asyncio task"):
                m["k"] = 2
            with pytest.raises(graven.UsageError, match="another asyncio task"):
                m["k"]

        with db.transaction():
            m["k"] = 1
            await asyncio.create_task(other())
            assert m["k"] == 1

    with DB(path) as db, Map(path) as m:
        asyncio.run(main(db, m))
        assert m == {"k": 1}


def test_read_only(path: str) -> None:
    with Map(path) as m:
        m["a"] = 1
    with Map(path, read_only=True) as m:
        assert m["a"] == 1 and list(m.items()) == [("a", 1)]
        for act in (lambda: m.__setitem__("a", 2), lambda: m.clear(), lambda: m.pop("a")):
            with pytest.raises(graven.Error):
                act()
        assert m == {"a": 1}
    with pytest.raises(graven.UsageError, match="for writing"):
        Map(path, persist="lazy", read_only=True)


def test_a_lazy_map_has_one_writer(path: str) -> None:
    with Map(path, persist="lazy") as m:
        m["a"] = 1
        with pytest.raises(graven.UsageError, match="another persist mode"):
            Map(path)
        said = run(
            "import sys, graven\n"
            "try: graven.Map(sys.argv[1], persist='lazy')\n"
            "except TimeoutError as error: print(type(error).__name__, error)",
            path,
        )
        assert said.startswith("BusyError") and str(os.getpid()) in said
    with Map(path) as m:
        assert m == {"a": 1}


def test_lazy_stats_and_flush(path: str) -> None:
    with Map(path, persist="lazy", flush_interval=3600) as m:
        for n in range(100):
            m[f"k{n}"] = n
        stats = m.stats()
        assert stats.pending == 100 and stats.pending_bytes > 0 and stats.flushes == 0
        with Map(path, "m2") as other, DB(path):
            assert other == {}
        m.flush()
        assert m.stats().pending == 0 and m.stats().flushes == 1
        m.wait_durable()
        assert m.stats().hot_entries >= 100 and "flushes=1" in repr(m.stats())
        m["x"] = 1
        said = run("import sys, graven; print(len(graven.Map(sys.argv[1], read_only=True)))", path)
        assert said == "100\n"


def test_what_is_pending_at_exit_is_written(path: str) -> None:
    program = """
import sys, graven
m = graven.Map(sys.argv[1], persist="lazy", flush_interval=3600)
class Keeper:
    pass
keeper = Keeper()
keeper.map, keeper.me = m, keeper
sys.stdin_keeper = keeper
m["a"] = 1
"""
    run(program, path)
    with Map(path) as m:
        assert m == {"a": 1}


def test_after_a_kill_lazy_batches_are_whole(path: str) -> None:
    program = """
import os, sys, graven
m = graven.Map(sys.argv[1], persist="lazy", flush_interval=0.01)
for n in range(100000):
    m.update({f"k{i}": n for i in range(20)})
    if n == 2000:
        m.flush()
        print("now", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    with Map(path) as m:
        assert len(set(m.values())) == 1 and len(m) == 20 and m["k0"] >= 2000


def test_two_processes_write(path: str) -> None:
    program = """
import sys, graven
path, name = sys.argv[1:]
with graven.Map(path) as m, graven.DB(path) as db:
    for n in range(200):
        m[f"{name}{n}"] = n
        assert m[f"{name}{n}"] == n
        with db.transaction():
            m["sum"] = m.get("sum", 0) + 1
        m.update(dict.fromkeys(("x", "y", "z"), f"{name}{n}"))
        values = m.get_many(["x", "y", "z"])
        assert values[0] == values[1] == values[2], values
"""
    with Map(path) as m:
        m["sum"] = 0
        workers = [
            subprocess.Popen([sys.executable, "-c", program, path, name]) for name in ("a", "b")
        ]
        while any(worker.poll() is None for worker in workers):
            values = m.get_many(["x", "y", "z"])
            assert values[0] == values[1] == values[2], values
            assert m["sum"] <= 400
        assert [worker.wait() for worker in workers] == [0, 0]
        assert m["sum"] == 400 and len(m) == 404


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork(path: str) -> None:
    for mode, expected in (("writethrough", 0), ("memory", 0), ("lazy", 1)):
        with Map(path, mode, mode) as m:
            m["a"] = 1
            child = os.fork()
            if child == 0:
                status = 2
                try:
                    m["b"] = m["a"]
                    status = 0
                except graven.UsageError:
                    status = 1
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == expected
            assert m["a"] == 1 and ("b" in m) == (mode == "writethrough")
