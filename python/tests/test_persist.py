# SPDX-License-Identifier: MIT
"""DB(persist=...): what is in the file when, who may open it how, and its end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graven
from graven import DB, Map, aio


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def in_file(path: str) -> object:
    with DB(path, read_only=True) as db:
        return db()


def test_lazy_writes_are_in_the_file_after_a_flush(path: str) -> None:
    with DB(path, persist="lazy", flush_interval=3600) as db:
        db["a"] = {"n": 1}
        db.flush()
        db["a"]["n"] = 2
        assert db["a"]["n"] == 2 and in_file(path) == {"a": {"n": 1}}
        db.flush()
        assert in_file(path) == {"a": {"n": 2}}
        db["a"]["n"] = 3
        with db.transaction(), pytest.raises(graven.UsageError, match="inside a transaction"):
            db.flush()
        assert db.check().ok
    with DB(path) as db:
        assert db() == {"a": {"n": 3}}


def test_memory_takes_the_path_for_a_name(path: str) -> None:
    with DB(path, persist="memory") as db:
        db["a"] = 1
        db.flush()
        assert db.name == path and db.check().ok
    assert not Path(path).exists()
    with DB("memory://", persist="lazy") as db:
        db["a"] = 1
        db.flush()


def test_options_are_checked(path: str) -> None:
    with pytest.raises(graven.UsageError, match="'writethrough', 'lazy' or 'memory'"):
        DB(path, persist="later")
    with pytest.raises(graven.UsageError, match="flush_interval"):
        DB(path, persist="lazy", flush_interval=0)
    with pytest.raises(graven.UsageError, match="pending_limit"):
        DB(path, persist="lazy", pending_limit=-1)
    with pytest.raises(graven.UsageError, match="memory_mb"):
        DB(path, memory_mb=-1)
    with pytest.raises(graven.UsageError, match="memory_mb is 15"):
        DB(path, memory_mb=15)
    with pytest.raises(graven.UsageError, match="read-only"):
        DB(path, persist="lazy", read_only=True)


def test_a_lazy_store_has_one_writer(path: str) -> None:
    with DB(path, persist="lazy") as db, DB(path, "other", persist="lazy") as other:
        db["a"], other["b"] = 1, 2
        db.flush()
        with pytest.raises(graven.UsageError, match="persist=lazy"):
            DB(path)
        program = (
            "import sys, graven\n"
            "with graven.DB(sys.argv[1], read_only=True, prefix='main') as db: print(db())\n"
            "for persist in ['lazy', 'writethrough']:\n"
            "    try: graven.DB(sys.argv[1], 'main', persist=persist)['x'] = 1\n"
            "    except TimeoutError as error: print(type(error).__name__, error)\n"
        )
        said = run(program, path).splitlines()
        assert said[0] == "{'a': 1}" and len(said) == 3
        for line in said[1:]:
            assert line.startswith("BusyError") and f"process {os.getpid()} " in line
            assert "read-only" in line and path in line
    with DB(path, "main") as db:
        assert db() == {"a": 1}


def test_maps_share_the_store(path: str) -> None:
    with DB(path, persist="lazy", flush_interval=3600) as db:
        db["a"] = 1
        with Map(path) as written:
            written["k"] = 1
            assert in_file(path) == {"a": 1}
        db["a"] = 2
        with Map(path, "later", persist="lazy", flush_interval=3600) as later:
            later["k"] = 1
            assert in_file(path) == {"a": 1}
            later.flush()
            assert in_file(path) == {"a": 2}
            with Map(path, "later", read_only=True) as reader:
                assert reader == {"k": 1}


def test_what_is_pending_at_exit_is_written(path: str) -> None:
    program = """
import sys, graven
db = graven.DB(sys.argv[1], persist="lazy", flush_interval=3600)
sys.keeper = [db]
sys.keeper.append(sys.keeper)
db["a"] = 1
"""
    run(program, path)
    assert in_file(path) == {"a": 1}


ON_A_FULL_DISK = """
import resource, sys, graven
_, path, what, how = sys.argv
opened = getattr(graven, what)(path, persist="lazy", flush_interval=3600)
opened["a"] = 1
opened.flush()
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))  # no file grows beyond it
opened["b"] = "x" * (1 << 20)
if how == "a cycle":
    sys.keeper = [opened]
    sys.keeper.append(sys.keeper)
elif how == "another prefix":
    opened = opened.with_prefix("other")
elif how == "forgotten":
    del opened
    print("later", file=sys.stderr)
"""


@pytest.mark.parametrize("what", ["DB", "Map"])
@pytest.mark.parametrize("how", ["the end", "a cycle", "another prefix", "forgotten"])
def test_what_cannot_be_flushed_at_the_end_is_told(path: str, what: str, how: str) -> None:
    if (what, how) == ("Map", "another prefix"):
        pytest.skip("a map has none")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ON_A_FULL_DISK, path, what, how],
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    said = done.stderr.splitlines()
    if how == "forgotten":
        assert said.pop() == "later"
    name = path if what == "DB" else "main"
    for line in said:
        assert line.startswith(f"graven: {what} {name!r} was not closed, and its last flush failed")
        assert path in line
    assert len(said) == (2 if how == "another prefix" else 1) and done.returncode == 0
    with getattr(graven, what)(path, read_only=True) as read:
        assert dict(read) == {"a": 1}


def test_after_a_kill_transactions_are_whole(path: str) -> None:
    program = """
import sys, graven
db = graven.DB(sys.argv[1], persist="lazy", flush_interval=0.01)
for n in range(100000):
    with db.transaction():
        db["x"], db["y"] = {"n": n}, [n, {"n": n}]
    if n == 500:
        db.flush()
        print("now", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    with DB(path) as db:
        n = db["x"]["n"]
        assert n >= 500 and db["y"]() == [n, {"n": n}] and db.check().ok


def test_a_forked_child_leaves_it_to_its_parent(path: str) -> None:
    with DB(path, persist="lazy", flush_interval=3600) as db:
        db["a"] = 1
        db.flush()
        db["a"] = 2
        child = os.fork()
        if child == 0:
            try:
                for act in (lambda: db["a"], lambda: db.flush(), lambda: db.update(b=1)):
                    with pytest.raises(graven.UsageError, match="parent"):
                        act()
                assert in_file(path) == {"a": 1}
                db.close()
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert db["a"] == 2
    assert in_file(path) == {"a": 2}


def test_for_asyncio(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path, persist="lazy", flush_interval=3600, pending_limit=1 << 20) as db:
            await db.set("a", 1)
            await db.flush()
            assert in_file(path) == {"a": 1}
            async with db.transaction() as t:
                await t.set("a", 2)
                with pytest.raises(graven.UsageError, match="inside a transaction"):
                    await db.flush()
        assert in_file(path) == {"a": 2}

    asyncio.run(main())


def test_one_bound_for_memory(path: str) -> None:
    value = "v" * 1000
    with DB(path, memory_mb=16) as db, graven.Map(path, memory_mb=16, persist="lazy") as m:
        db["items"] = [value] * 5000
        m.update((str(i), value) for i in range(50_000))
        assert all(m[str(i)] == value for i in range(0, 50_000, 500))
        assert m.stats().hot_bytes <= 6 << 20
        assert sum(len(item) for item in db["items"]) == 5_000_000
