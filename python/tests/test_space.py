# SPDX-License-Identifier: MIT
"""What maintenance() tells, and what a watch of a large container sees, also of other processes."""

import asyncio
import os
import subprocess
import sys

from graven import DB, aio


def test_maintenance_gives_back_what_is_free_or_names_a_reader(tmp_path):
    path = tmp_path / "s.db"
    with DB(path) as db:
        db["stays"] = 1
        db["rows"] = ["x" * 900] * 10_000
        with db.snapshot() as before:
            assert len(before["rows"]) == 10_000
            del db["rows"]
            obstacle = db.maintenance()
            assert isinstance(obstacle, str) and "this process" in obstacle
        assert db.maintenance() is None
        assert asyncio.run(db.maintenance_async()) is None
        assert os.path.getsize(path) < 3 << 20


CHANGE = """
import sys
from graven import DB
with DB(sys.argv[1]) as db:
    for i in range(20):
        db["large"][f"k{i * 100}"] = "by another"
    del db["large"]["k7"]
    db["large"]["new"] = {"n": 1}
    db["large"].update({f"many{i}": i for i in range(100)})
    db["done"] = True
"""


def expected(path):
    changed = {f"large/k{i * 100}": "by another" for i in range(20)}
    changed |= {f"large/many{i}": i for i in range(100)}
    return changed | {"large/k7": None, "large/new": {"n": 1}}


def plain(value):
    return value() if callable(value) else value


def test_a_watch_of_a_large_dict_sees_what_another_process_changed(tmp_path):
    path = tmp_path / "w.db"
    with DB(path) as db:
        db["large"] = {f"k{i}": i for i in range(5000)}
        with db.watch("large") as changes:
            subprocess.run([sys.executable, "-c", CHANGE, str(path)], check=True)
            seen = {}
            for change in changes:
                seen[change.path] = plain(change.value)
                if len(seen) == 122:
                    break
        assert seen == expected(path)


def test_and_so_does_one_of_aio(tmp_path):
    path = tmp_path / "w.db"

    async def look():
        async with aio.DB(path) as db:
            await db.set("large", {f"k{i}": i for i in range(5000)})
            seen = {}
            async with db.watch("large") as changes:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", CHANGE, str(path)
                )
                assert await process.wait() == 0
                async for change in changes:
                    seen[change.path] = plain(change.value)
                    if len(seen) == 122:
                        break
            return seen

    assert asyncio.run(look()) == expected(path)
