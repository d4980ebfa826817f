# SPDX-License-Identifier: MIT
"""Every scope, crossed with everything that may end it.

Scopes: a transaction, one inside another, a write_connection(), a bulk phase, the functions given
to update_with(), sort() and transact(), a snapshot, iterators, a read_connection(), a watch. Ends:
close() of what they were made from, in their thread or another, of another object on the file, the
end of their thread, exit in another thread, fork, an interrupt, the interpreter's end.

Afterwards, always: the store is whole, this thread, another one and another process can write, and
what was acknowledged is there and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import graven
from graven import aio

Inside = Callable[[], None]

PROBER = """
import sys, graven
for line in sys.stdin:
    with graven.DB(line[:-1], "main", busy_timeout=20) as db:
        print(db.incr("probed"), flush=True)
"""


@pytest.fixture(scope="module")
def probe() -> Iterator[Callable[[str], int]]:
    """Another process, which writes to a file and tells how often it has."""
    with subprocess.Popen(
        [sys.executable, "-c", PROBER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(path: str) -> int:
            print(path, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield ask
        process.stdin.close()


# --- Scopes. Each writes "inside" before and "late" after what happens in its midst, if it writes.


def transaction(db: graven.DB, inside: Inside) -> None:
    with db.transaction():
        db["inside"] = 1
        inside()
        db["late"] = 1


def nested(db: graven.DB, inside: Inside) -> None:
    with db.transaction():
        db["inside"] = 1
        with db.transaction():
            db["deeper"] = 1
            inside()
            db["late"] = 1


def write_connection(db: graven.DB, inside: Inside) -> None:
    with db.write_connection() as sql:
        sql.execute("CREATE TABLE IF NOT EXISTS own (n INTEGER)")
        db["inside"] = 1
        inside()
        sql.execute("INSERT INTO own VALUES (1)")
        db["late"] = 1


def bulk_phase(db: graven.DB, inside: Inside) -> None:
    with db.bulk_import(cache_mb=1) as session, session.phase("one"):
        db["inside"] = 1
        inside()
        db["late"] = 1


def update_with(db: graven.DB, inside: Inside) -> None:
    def function(value: int) -> int:
        db["inside"] = 1
        inside()
        db["late"] = 1
        return value

    db["d"].update_with("a", function)


def sort_key(db: graven.DB, inside: Inside) -> None:
    calls: list[int] = []

    def key(value: int) -> int:
        calls.append(value)
        if len(calls) == 2:
            db["inside"] = 1
            inside()
            db["late"] = 1
        return value

    db["l"].sort(key=key)


def transact(db: graven.DB, inside: Inside) -> None:
    t = db.transactor()
    tries: list[int] = []

    def function() -> None:
        tries.append(len(t["d"]))
        t["inside"] = 1
        if len(tries) <= 3:  # three conflicts, and it has the writers' queue to itself
            in_thread(lambda: db["d"].update({"conflict": len(tries)}))
            return
        inside()
        t["late"] = 1

    t.transact(function)


def snapshot(db: graven.DB, inside: Inside) -> None:
    with db.snapshot() as before:
        assert before["d"]["a"] == 1
        inside()
        assert before["d"]()["b"] == 2


def dict_iterator(db: graven.DB, inside: Inside) -> None:
    keys = iter(db["d"])
    assert next(keys) == "a"
    inside()
    list(keys)  # what it has read already it gives
    assert db["d"]["a"] == 1


def list_iterator(db: graven.DB, inside: Inside) -> None:
    items = iter(db["l"])
    assert next(items) == 3
    inside()
    list(items)


def read_connection(db: graven.DB, inside: Inside) -> None:
    with db.read_connection() as sql:
        sql.execute("SELECT count(*) FROM node").fetchall()
        inside()
        sql.execute("SELECT count(*) FROM node").fetchall()


def watch(db: graven.DB, inside: Inside) -> None:
    with db.watch("d") as changes:
        assert changes.next(0) is None
        inside()
        changes.next(0)


WRITING = [transaction, nested, write_connection, bulk_phase, update_with, sort_key, transact]
READING = [snapshot, dict_iterator, list_iterator, read_connection, watch]
SCOPES = WRITING + READING
#: Those that are a call of a function of ours: they cannot be left but by its end.
CALLS = [update_with, sort_key, transact]
Scope = Callable[[graven.DB, Inside], None]


# --- What all tests share


def in_thread(function: Callable[[], Any]) -> None:
    """Runs it in a thread that ends with it; an exception is raised here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result(timeout=60)


class Place:
    """A store, and what was acknowledged in it."""

    def __init__(self, path: str, probe: Callable[[str], int]) -> None:
        self.path, self._probe = path, probe
        self.db = graven.DB(path, "main", busy_timeout=20, transaction_limit=600)
        self.acknowledged: dict[str, int] = {}
        self.db["d"] = {"a": 1, "b": 2}
        self.db["l"] = [3, 1, 2]

    def write(self, key: str, db: graven.DB | None = None) -> None:
        """Through the object, or another one on the file."""
        if db is not None:
            db[key] = 1
        else:
            with graven.DB(self.path, "main", busy_timeout=20) as other:
                other[key] = 1
        self.acknowledged[key] = 1

    def is_as_before(self, committed: bool) -> None:
        """The store is whole and free, and holds what it should; `committed`: of the scope too."""
        self.write("this thread")
        in_thread(lambda: self.write("another thread"))
        assert self._probe(self.path) > 0
        with graven.DB(self.path, "main") as db:
            for key, value in self.acknowledged.items():
                assert db.get(key) == value, key
            for key in ("inside", "late"):
                assert (key in db) == committed, key
            assert db["d"]()["a"] == 1
            assert sorted(db["l"]()) == [1, 2, 3]
            report = db.check()
            assert report.ok, report.problems


@pytest.fixture
def place(path: str, probe: Callable[[str], int]) -> Iterator[Place]:
    one = Place(path, probe)
    yield one
    one.db.close()


def suspended(scope: Scope, db: graven.DB) -> Generator[None, None, None]:
    """The scope as a generator that stands still in its midst, in whichever thread it is in."""
    if scope is transaction:
        with db.transaction():
            db["inside"] = 1
            yield
            db["late"] = 1
    elif scope is nested:
        with db.transaction(), db.transaction():
            db["inside"] = 1
            yield
            db["late"] = 1
    elif scope is write_connection:
        with db.write_connection():
            db["inside"] = 1
            yield
            db["late"] = 1
    elif scope is bulk_phase:
        with db.bulk_import(cache_mb=1) as session, session.phase("one"):
            db["inside"] = 1
            yield
            db["late"] = 1
    elif scope is snapshot:
        with db.snapshot() as before:
            assert before["d"]["a"] == 1
            yield
            assert before["d"]["a"] == 1
    elif scope is read_connection:
        with db.read_connection() as sql:
            sql.execute("SELECT count(*) FROM node").fetchall()
            yield
    elif scope is watch:
        with db.watch("d") as changes:
            yield
            changes.next(0)
    else:
        assert scope in (dict_iterator, list_iterator)
        each = iter(db["d"] if scope is dict_iterator else db["l"])
        next(each)
        yield
        list(each)


STANDING = [scope for scope in SCOPES if scope not in CALLS]


def names(scopes: list[Any]) -> list[str]:
    return [scope.__name__ for scope in scopes]


# --- Ends


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_nothing_happens(place: Place, scope: Scope) -> None:
    scope(place.db, lambda: None)
    place.is_as_before(committed=scope in WRITING)


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_others_on_the_file_are_closed_inside(place: Place, scope: Scope) -> None:
    place.db.with_prefix("audit").close()

    def inside() -> None:
        with place.db.with_prefix("audit") as audit, graven.Map(place.path) as table:
            audit["n"] = 1
            table["n"] = 1
        with graven.DB(place.path, "main", busy_timeout=20) as other:
            assert other["d"]["a"] == 1

    scope(place.db, inside)
    place.is_as_before(committed=scope in WRITING)
    with place.db.with_prefix("audit") as audit:
        assert audit["n"] == 1


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_closed_inside(place: Place, scope: Scope) -> None:
    def inside() -> None:
        place.db.close()
        if scope in WRITING:
            # The rest of the block is no step of its own, through whatever object it is done.
            with pytest.raises(graven.ClosedError):
                place.write("rest")

    with pytest.raises(graven.ClosedError):
        scope(place.db, inside)
    place.is_as_before(committed=False)


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_closed_by_another_thread(place: Place, scope: Scope) -> None:
    def inside() -> None:
        in_thread(place.db.close)
        in_thread(lambda: place.write("meanwhile"))

    with pytest.raises(graven.ClosedError):
        scope(place.db, inside)
    place.is_as_before(committed=False)


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_its_thread_ends(place: Place, scope: Scope) -> None:
    kept = []  # what would end it otherwise

    def thread() -> None:
        if scope in CALLS:
            with contextlib.suppress(SystemExit):
                scope(place.db, sys.exit)
        else:
            kept.append(suspended(scope, place.db))
            next(kept[0])

    in_thread(thread)
    place.is_as_before(committed=False)
    for each in kept:
        each.close()
    place.is_as_before(committed=False)


def is_told_once(place: Place, thread: ThreadPoolExecutor) -> None:
    """The thread of a transaction that another one has left, by what might be in its block."""
    with pytest.raises(graven.UsageError, match="another thread ended it"):
        thread.submit(place.write, "rest").result(timeout=60)
    with graven.DB(place.path, "main") as db:
        assert "rest" not in db
    thread.submit(place.write, "told").result(timeout=60)


@pytest.mark.parametrize("scope", STANDING, ids=names(STANDING))
def test_left_in_another_thread(place: Place, scope: Scope) -> None:
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        standing = suspended(scope, place.db)
        first.submit(next, standing).result(timeout=60)
        if scope in WRITING:
            # It does not even come to the end: its next statement is no part of the transaction.
            second.submit(standing.close).result(timeout=60)
            is_told_once(place, first)
            context = place.db.transaction()
            first.submit(context.__enter__).result(timeout=60)
            with pytest.raises(graven.UsageError, match="left in another"):
                second.submit(context.__exit__, None, None, None).result(timeout=60)
            is_told_once(place, first)
        else:
            with pytest.raises(StopIteration):
                second.submit(next, standing).result(timeout=60)
        for each in (first, second):
            each.submit(place.write, f"afterwards {id(each)}").result(timeout=60)
        place.is_as_before(committed=False)


@pytest.mark.parametrize("scope", STANDING, ids=names(STANDING))
def test_forgotten_in_another_thread(place: Place, scope: Scope) -> None:
    with ThreadPoolExecutor(1) as first:
        standing = [suspended(scope, place.db)]
        first.submit(next, standing[0]).result(timeout=60)
        standing.clear()
        gc.collect()
        if scope in WRITING:
            is_told_once(place, first)
        first.submit(place.write, "afterwards").result(timeout=60)
        place.is_as_before(committed=False)


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_forked_inside(place: Place, scope: Scope) -> None:
    parent = os.getpid()

    def inside() -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with contextlib.suppress(graven.UsageError):
                    place.db["d"]["child"] = 1
                    code = 2  # it is no part of the parent's
                if scope in READING or code == 1:
                    code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in ((0, 2) if scope in READING else (0,))
        assert os.getpid() == parent

    scope(place.db, inside)
    place.is_as_before(committed=scope in WRITING)


@pytest.mark.parametrize("scope", SCOPES, ids=names(SCOPES))
def test_interrupted_inside(place: Place, scope: Scope) -> None:
    with pytest.raises(KeyboardInterrupt):
        scope(place.db, lambda: signal.raise_signal(signal.SIGINT))
    place.is_as_before(committed=False)


LEAVING = """
import sys, threading
sys.path[:0] = {paths!r}
import graven, test_lifetimes as lifetimes
db = graven.DB({path!r}, 'main', transaction_limit=600)
scope = getattr(lifetimes, {scope!r})
kept = []
def stand_still(daemon):
    if scope in lifetimes.CALLS:
        scope(db, threading.Event().wait if daemon else sys.exit)
    else:
        kept.append(lifetimes.suspended(scope, db))
        next(kept[0])
        if daemon:
            here.set()
            threading.Event().wait()
here = threading.Event()
if {daemon}:
    threading.Thread(target=stand_still, args=(True,), daemon=True).start()
    here.wait(0.3)
else:
    stand_still(False)
"""


@pytest.mark.parametrize(
    ("scope", "daemon"),
    [(scope, scope in (transaction, update_with, watch)) for scope in SCOPES],
    ids=names(SCOPES),
)
def test_the_interpreter_ends(place: Place, scope: Scope, daemon: bool) -> None:
    program = LEAVING.format(
        paths=[os.path.dirname(__file__)], path=place.path, scope=scope.__name__, daemon=daemon
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    place.is_as_before(committed=False)


# --- Pairs of scopes that end in an unusual order


def test_the_outer_of_two_objects_is_closed_inside_the_inners_block(place: Place) -> None:
    with graven.DB(place.path, "main") as other:
        with pytest.raises(graven.ClosedError), place.db.transaction():
            place.db["inside"] = 1
            with other.transaction():
                other["late"] = 1
                place.db.close()
                with pytest.raises(graven.ClosedError):
                    other["later"] = 1
        place.is_as_before(committed=False)


def test_the_inner_of_two_objects_is_closed_inside_its_block(place: Place) -> None:
    other = graven.DB(place.path, "main")
    with place.db.transaction():
        place.write("outer", place.db)
        with pytest.raises(graven.ClosedError), other.transaction():
            other["inside"] = 1
            other.close()
            place.db["late"] = 1
        place.write("outer too", place.db)
    place.is_as_before(committed=False)


def test_a_thread_goes_on_after_its_object_was_closed(place: Place) -> None:
    started, closed = threading.Event(), threading.Event()

    def thread() -> None:
        with contextlib.suppress(graven.ClosedError), place.db.transaction():
            place.db["inside"] = 1
            started.set()
            assert closed.wait(60)
            place.db["late"] = 1
        place.write("the same thread")
        with graven.DB(place.path, "main") as other, other.transaction():
            place.write("the same thread again", other)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(thread)
        assert started.wait(60)
        place.db.close()
        closed.set()
        running.result(timeout=60)
    place.is_as_before(committed=False)


def test_asyncio_closes_while_another_task_is_in_a_transaction(place: Place) -> None:
    async def main() -> None:
        db = await aio.DB.open(place.path, "main")
        inside, closed = asyncio.Event(), asyncio.Event()

        async def task() -> None:
            async with db.transaction() as t:
                await t.set("inside", 1)
                inside.set()
                await closed.wait()
                await t.set("late", 1)

        running = asyncio.create_task(task())
        await inside.wait()
        await db.close()
        async with aio.DB(place.path, "main") as other:
            await other.set("meanwhile", 1)
        closed.set()
        with pytest.raises(graven.ClosedError):
            await running

    asyncio.run(main())
    place.acknowledged["meanwhile"] = 1
    place.is_as_before(committed=False)


@pytest.mark.parametrize("persist", ["writethrough", "lazy", "memory"])
def test_a_maps_writes_belong_to_the_transaction_or_are_refused(place: Place, persist: str) -> None:
    with graven.Map(place.path, "m", persist) as table:
        table["a"] = 1
        belongs = persist == "writethrough"
        with contextlib.suppress(Interruption), place.db.transaction():
            for write in (
                lambda: table.__setitem__("b", 1),
                lambda: table.set("b", 1, ttl=60),
                lambda: table.update(b=1),
                lambda: table.setdefault("b", 1),
                lambda: table.pop("a"),
                lambda: table.delete_many(["a"]),
                lambda: table.clear(),
            ):
                if belongs:
                    write()
                    table["a"] = 1
                else:
                    with pytest.raises(graven.UsageError, match="transaction"):
                        write()
            assert table["a"] == 1
            raise Interruption
        assert dict(table) == {"a": 1}
        table["b"] = 2
        assert dict(table) == {"a": 1, "b": 2}
        assert asyncio.run(write_beside(place, persist)) == 3
    place.is_as_before(committed=False)


async def write_beside(place: Place, persist: str) -> int:
    """What is no part of the transaction goes on: the map's writes are done in other threads."""
    async with aio.AsyncMap(place.path, f"other {persist}", persist) as table:
        await table.set("a", 3)
        value: int = await table.get("a")
        return value


class Interruption(Exception):
    """Ends a block of a test."""
