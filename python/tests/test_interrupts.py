# SPDX-License-Identifier: MIT
"""Ctrl-C, and any handler of a signal that raises, ends whatever waits in graven.

A signal is sent while the main thread waits for something that does not come: it would wait for a
minute, which is long after the test has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import graven
from graven import aio

PATIENCE = 60.0
HOLDER = """
import sys, graven
db = graven.DB(sys.argv[1], transaction_limit=600)
with db.transaction():
    db["held"] = 1
    print("held", flush=True)
    sys.stdin.read()
"""


class Interrupted(Exception):
    """What a handler of the program's own raises."""


@pytest.fixture
def opened(path: str) -> Iterator[graven.DB]:
    with graven.DB(path, busy_timeout=PATIENCE, pool_size=1) as db:
        db["d"] = {"n": 1}
        db["l"] = [2, 1]
        db.incr("counter")
        yield db


@contextlib.contextmanager
def held_elsewhere(path: str) -> Iterator[None]:
    """Another process has the write lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait()


@contextlib.contextmanager
def in_a_thread(make: Callable[[], Any]) -> Iterator[None]:
    """Another thread of this process is inside a context."""
    inside, over = threading.Event(), threading.Event()

    def hold() -> None:
        with make() as made:
            if isinstance(made, graven.Snapshot):
                len(made)
            inside.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(60)
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def signalled(after: float) -> Iterator[None]:
    """SIGUSR1 comes in a moment, again and again, until the block is left; its handler raises."""
    over = threading.Event()

    def handler(*_: object) -> None:
        if not over.is_set():
            over.set()
            raise Interrupted

    def send() -> None:
        while not over.wait(after):
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def interrupted(wait: Callable[[], Any], after: float = 0.1) -> None:
    begun = time.monotonic()
    with pytest.raises(Interrupted), signalled(after):
        wait()
    assert time.monotonic() - begun < PATIENCE / 2


def bulk(db: graven.DB) -> None:
    with db.bulk_import(cache_mb=1) as session, session.phase("one"):
        pass


def enter(context: Any) -> None:
    with context:
        pass


def watch(db: graven.DB) -> None:
    with db.watch("d") as changes:
        changes.next()


WRITES: dict[str, Callable[[graven.DB], Any]] = {
    "set": lambda db: db.__setitem__("x", 1),
    "delete": lambda db: db.__delitem__("d"),
    "update": lambda db: db["d"].update(x=1),
    "append": lambda db: db["l"].append(1),
    "sort": lambda db: db["l"].sort(),
    "update_with": lambda db: db["d"].update_with("n", lambda n: n + 1),
    "incr": lambda db: db.incr("counter"),
    "transaction": lambda db: enter(db.transaction()),
    "durable": lambda db: enter(db.transaction(durable=True)),
    "execute": lambda db: (lambda t: (t.update(x=1), t.execute()))(db.transactor()),
    "write_connection": lambda db: enter(db.write_connection()),
    "bulk": bulk,
    "batch_insert": lambda db: db.batch_insert(db["l"], [1, 2]),
    "new_prefix": lambda db: db.with_prefix("new"),
    "delete_prefix": lambda db: db.delete_prefix_immediately(db.prefix),
    "collect": lambda db: db.collect(),
    "maintenance": lambda db: db.maintenance(),
}


@pytest.mark.parametrize("name", WRITES)
def test_waiting_for_another_process(opened: graven.DB, path: str, name: str) -> None:
    with held_elsewhere(path):
        interrupted(lambda: WRITES[name](opened))
    assert opened["held"] == 1
    assert "x" not in opened
    assert (opened["d"](), opened["l"](), opened.count("counter")) == ({"n": 1}, [2, 1], 1)
    opened["free"] = 1
    assert opened.check().ok


@pytest.mark.parametrize("name", WRITES)
def test_waiting_for_another_thread(opened: graven.DB, name: str) -> None:
    with in_a_thread(opened.transaction):
        interrupted(lambda: WRITES[name](opened))
    assert "x" not in opened
    opened["free"] = 1


@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_maps(path: str, synchronous: str) -> None:
    with graven.Map(path, busy_timeout=PATIENCE, synchronous=synchronous) as table:
        table["a"] = 1
        with held_elsewhere(path):
            for wait in (
                lambda: table.__setitem__("b", 1),
                lambda: table.update(b=1),
                lambda: table.pop("a"),
                lambda: table.delete_many(["a"]),
                lambda: table.clear(),
                lambda: graven.Map(path, "another", busy_timeout=PATIENCE),
                lambda: graven.Map(path, "lazy", "lazy", busy_timeout=PATIENCE),
            ):
                interrupted(wait)
        assert dict(table) == {"a": 1}


def test_behind_another_writer_of_the_same_commit(path: str) -> None:
    with graven.Map(path, busy_timeout=PATIENCE, synchronous="full") as table:
        table["a"] = 1
        with held_elsewhere(path):
            leader = threading.Thread(target=lambda: table.__setitem__("b", 1))
            leader.start()
            time.sleep(0.1)  # it leads, and waits for the lock
            interrupted(lambda: table.__setitem__("c", 1))
        leader.join()
        assert dict(table) == {"a": 1, "b": 1}
        table["c"] = 1


def test_a_leader_who_is_interrupted_hands_on(path: str) -> None:
    with graven.Map(path, busy_timeout=PATIENCE, synchronous="full") as table:
        table["a"] = 1

        def follow() -> None:
            time.sleep(0.05)
            table["b"] = 1

        with held_elsewhere(path):
            follower = threading.Thread(target=follow)
            follower.start()
            interrupted(lambda: table.__setitem__("c", 1))
        follower.join()
        assert dict(table) == {"a": 1, "b": 1}


def test_lazy(path: str) -> None:
    with graven.DB(path):
        pass
    with graven.Map(
        path, "m", "lazy", pending_limit=1 << 20, busy_timeout=PATIENCE, flush_interval=100
    ) as table:
        table["a"] = b"x"
        with held_elsewhere(path):
            interrupted(table.flush)

            def fill() -> None:
                for n in range(64):
                    table[f"k{n}"] = bytes(1 << 16)

            interrupted(fill)
            interrupted(table.close)
        assert not table.closed
        assert table["a"] == b"x"
        table.flush()


def test_readers(opened: graven.DB) -> None:
    with in_a_thread(opened.snapshot):
        interrupted(lambda: opened.snapshot()["d"])
        interrupted(opened.check)
        interrupted(lambda: opened.connection().execute("SELECT 1").fetchall())
    assert opened["d"]["n"] == 1


def test_watching(opened: graven.DB) -> None:
    interrupted(lambda: watch(opened))
    interrupted(lambda: opened.wait("d", PATIENCE))


def test_waiting_for_the_disk(opened: graven.DB) -> None:
    with in_a_thread(opened.transaction):
        interrupted(opened.wait_durable)


def test_opening(path: str) -> None:
    """Another process makes the file, which takes it forever."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        interrupted(lambda: graven.DB(path, busy_timeout=PATIENCE))
        process.stdin.close()
    with graven.DB(path) as db:
        db["free"] = 1


def test_long_work(opened: graven.DB, path: str) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )
    interrupted(lambda: opened.connection().execute(endless).fetchall())
    interrupted(lambda: opened.backup(path + "-copy", pages_per_step=1, pause=PATIENCE))
    assert not os.path.exists(path + "-copy")
    with opened.write_connection() as sql:
        with pytest.raises(Interrupted):
            interrupted(lambda: sql.execute(endless).fetchall())
            raise Interrupted
        opened["free"] = 1
    assert opened["free"] == 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[graven.DB]:
    path = str(tmp_path_factory.mktemp("large") / "s.db")
    with graven.DB(path) as db:
        db.update({str(n): {"n": n} for n in range(200_000)})
        db.backup(path + ".backup")
        yield db


def restore(db: graven.DB) -> None:
    graven.restore(db.name + ".backup", db.name + ".restored", keep_replaced=False)


LONG: dict[str, Callable[[graven.DB], Any]] = {
    "check": lambda db: db.check(),
    "repair": lambda db: db.repair(),
    "backup": lambda db: db.backup(db.name + ".copy", overwrite=True),
    "restore": restore,
    "iteration": lambda db: sum(each["n"] for each in db.values()),
}


@pytest.mark.parametrize("name", LONG)
def test_long_work_ends_in_its_midst(large: graven.DB, name: str) -> None:
    """By processor time, which does not depend on what else the machine does."""
    begun = time.thread_time()
    LONG[name](large)
    whole = time.thread_time() - begun
    begun = time.thread_time()
    interrupted(lambda: LONG[name](large), after=0.02)
    assert time.thread_time() - begun < whole / 2


def test_ctrl_c(opened: graven.DB, path: str) -> None:
    with held_elsewhere(path), pytest.raises(KeyboardInterrupt):
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            opened["x"] = 1
        finally:
            timer.join()
    opened["free"] = 1


def test_a_handler_that_does_not_raise(opened: graven.DB) -> None:
    seen = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.set())
    try:
        with in_a_thread(opened.transaction):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            assert opened.wait("d", 0.3) is False
            with graven.DB(opened.name, busy_timeout=0.3) as hasty:
                with pytest.raises(graven.BusyError):
                    hasty["x"] = 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen.is_set()


def test_a_handler_that_uses_the_database(opened: graven.DB) -> None:
    """It may, as long as it need not wait for what the interrupted call waits for."""
    outcomes = []

    def handler(*_: object) -> None:
        try:
            opened["by the handler"] = len(outcomes)
            outcomes.append("written")
        except graven.UsageError:
            outcomes.append("refused")
            raise

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert opened.wait("d", 0.3) is False
        with in_a_thread(opened.transaction):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(graven.UsageError, match="handler"):
                opened["x"] = 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert outcomes == ["written", "refused"]
    assert opened["by the handler"] == 0
    opened["free"] = 1


def test_in_a_child(opened: graven.DB, path: str) -> None:
    """The thread that forked is the child's main thread."""
    results = []

    def fork() -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.signal(signal.SIGALRM, signal.default_int_handler)
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                opened["x"] = 1
            except KeyboardInterrupt:
                code = 0
            finally:
                os._exit(code)
        results.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    with held_elsewhere(path):
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert results == [0]


def test_what_is_cancelled_in_asyncio_stops_waiting(path: str) -> None:
    async def main() -> None:
        async with aio.DB(path, busy_timeout=PATIENCE) as db:
            await db.set("a", 1)
            with held_elsewhere(path):
                for wait in (
                    lambda: db.set("x", 1),
                    lambda: db.incr("x"),
                    lambda: db.transaction().__aenter__(),
                    lambda: db.run(graven.DB.collect),
                ):
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(wait(), 0.1)
                begun = time.monotonic()
                while (await db.stats())["writes"]["waiting"] and time.monotonic() < begun + 30:
                    await asyncio.sleep(0.01)
            await db.set("free", 1)
            assert await db.materialize() == {"a": 1, "held": 1, "free": 1}
            assert await db.count("x") == 0

    asyncio.run(main())


def test_housekeeping_honours_busy_timeout(path: str) -> None:
    with graven.DB(path, busy_timeout=0.1) as db, held_elsewhere(path):
        for keep in (db.collect, db.maintenance):
            with pytest.raises(graven.BusyError):
                keep()
