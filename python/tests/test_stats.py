# SPDX-License-Identifier: MIT
"""What stats(), get_connection_stats() and metrics() tell, and graven's log in Python's."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest

import graven
from graven import DB, Map, aio
from graven import stats as kinds


def check_shape(value: Any, kind: Any) -> None:
    """The dict has exactly the keys its TypedDict says, of those types, all the way down."""
    if not hasattr(kind, "__annotations__"):
        return
    hints = get_type_hints(kind)
    assert set(value) == set(hints)
    for key, hint in hints.items():
        if isinstance(hint, type) and not hasattr(hint, "__annotations__"):
            assert type(value[key]) is hint, key
        check_shape(value[key], hint)


def test_the_figures_have_the_shape_their_types_say(db: DB) -> None:
    db["a"] = 1
    stats = db.stats()
    check_shape(stats, kinds.Stats)
    assert stats["writes"]["commits"] >= 1
    assert stats["writes"]["commit"]["count"] == stats["writes"]["commits"]
    for pool in db.get_connection_stats().values():
        check_shape(pool, kinds.PoolStats)
    buckets = stats["writes"]["commit"]["buckets"]
    assert [most for most, _ in buckets] == sorted(most for most, _ in buckets)
    assert stats["errors"]["bad_value"] >= 0
    before = db.stats()["errors"]["bad_value"]
    with pytest.raises(graven.BadValueError):
        db.with_prefix("a:b")
    assert db.stats()["errors"]["bad_value"] == before + 1


def test_pools_and_metrics_of_a_file(path: str) -> None:
    with DB(path) as db, Map(path, name="odd") as m:
        db["a"] = 1
        m["k"] = "v"
        assert m["k"] == "v"
        assert set(db.get_connection_stats()) == {"readers", "writer"}
        text = db.metrics()
        assert f'graven_commits_total{{store="{path}"}} {db.stats()["writes"]["commits"]}' in text
        for _ in range(5):
            assert m["k"] == "v"
        hits = m.stats().hot_hits
        assert hits > 0 and f'graven_map_hot_hits_total{{map="odd"}} {hits}\n' in m.metrics()
    with pytest.raises(graven.ClosedError):
        db.stats()
    with pytest.raises(graven.ClosedError):
        db.metrics()


def test_the_same_for_asyncio(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path) as db:
            await db.set("a", 1)
            assert (await db.stats())["writes"]["commits"] >= 1
            assert "readers" in await db.get_connection_stats()
            async with db.transaction():
                assert "graven_transaction_open{" in await db.metrics()

    asyncio.run(main())


# --- The log


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logger = logging.getLogger("graven")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_slow_commit_is_logged(path: str, kept: Kept) -> None:
    with DB(path, slow_operation=0.001, synchronous="off") as db:
        wait_for(lambda: bool(db.update(a="x" * 3_000_000) or kept.records))
    record = kept.records[0]
    assert record.levelno == logging.WARNING and record.name == "graven"
    assert record.graven["event"] == "slow_operation"
    assert {"operation", "ms", "store"} < set(record.graven)
    assert record.getMessage().startswith('slow_operation operation="')
    with pytest.raises(graven.UsageError):
        DB(path, slow_operation=-1)


def test_a_slow_commit_of_a_map_is_logged(path: str, kept: Kept) -> None:
    with Map(path, slow_operation=0.001, synchronous="off") as m:
        wait_for(lambda: bool(m.update({str(len(m)): "x" * 3_000_000}) or kept.records))
    assert kept.records[0].graven["event"] == "slow_operation"
    with pytest.raises(graven.UsageError):
        Map(path, slow_operation=-1)


def test_a_handler_may_use_the_database_and_be_slow(path: str) -> None:
    class Writing(logging.Handler):
        seen = 0

        def emit(self, record: logging.LogRecord) -> None:
            if self.seen < 5:
                time.sleep(0.05)
                other["logged"] = record.getMessage()
                self.seen += 1

    handler = Writing()
    logging.getLogger("graven").addHandler(handler)
    try:
        with DB(path, slow_operation=0.001, synchronous="off") as db, DB("memory://") as other:
            wait_for(lambda: bool(db.update(a="x" * 3_000_000) or handler.seen >= 5))
            assert other["logged"].startswith("slow_operation")
    finally:
        logging.getLogger("graven").removeHandler(handler)


def test_nothing_waits_for_a_handler_that_hangs(path: str) -> None:
    hang = threading.Event()

    class Hanging(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            hang.wait(60)

    handler = Hanging()
    logging.getLogger("graven").addHandler(handler)
    try:
        with DB(path, slow_operation=0.001, synchronous="off") as db:
            dropped = graven._graven.log_dropped()
            deadline = time.monotonic() + 60
            while graven._graven.log_dropped() == dropped and time.monotonic() < deadline:
                db.update(a="x" * 1_000_000)  # until the pipe is full, and on
            assert graven._graven.log_dropped() > dropped or len(db["a"]) == 1_000_000
    finally:
        hang.set()
        logging.getLogger("graven").removeHandler(handler)


PROGRAM = """
import os, sys, logging
import graven
assert "logging" not in vars(graven)
logging.basicConfig(format="%(process)d %(message)s", level=logging.INFO)
with graven.DB(sys.argv[1], slow_operation=0.001, synchronous="off") as db:
    for _ in range(20):
        db["a"] = "x" * 3_000_000
    child = os.fork()
    if child == 0:
        for _ in range(20):
            db["a"] = "x" * 3_000_000
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_what_is_logged_last_is_delivered_and_a_fork_has_its_own(path: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "slow_operation" in line]
    assert len({line.split()[0] for line in lines}) == 2, done.stderr


def test_silence_unless_the_program_wants_to_hear(path: str) -> None:
    configured = next(line for line in PROGRAM.splitlines() if "basicConfig" in line)
    quiet = PROGRAM.replace(configured, "")
    done = subprocess.run(
        [sys.executable, "-c", quiet, path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_takes_no_logger_with_it() -> None:
    program = "import sys, graven; sys.exit('logging' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")
def test_who_opens_and_reads_has_no_thread_more(path: str) -> None:
    program = """
import os, sys, graven
db = graven.DB(sys.argv[1])
assert db["a"] == 1
print(len(os.listdir("/proc/self/task")))
"""
    with DB(path) as db:
        db["a"] = 1
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
