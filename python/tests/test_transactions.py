# SPDX-License-Identifier: MIT
"""transaction() and snapshot(); counters."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import graven


class Stop(Exception):
    pass


# transaction()


def test_a_transaction_is_all_or_nothing(db: graven.DB) -> None:
    db["a"] = {"n": 1}
    with db.transaction() as inside:
        assert inside is db
        assert db.in_transaction
        db["a"]["n"] = 2
        db["b"] = [db["a"]]
        db.incr("c")
        assert db["b"][0]["n"] == 2  # sees its own writes
    assert not db.in_transaction
    assert db() == {"a": {"n": 2}, "b": [{"n": 2}]}
    before = db()
    with pytest.raises(Stop), db.transaction():
        db["a"]["n"] = 3
        del db["b"]
        db["c"] = {}
        db.incr("c", 10)
        raise Stop
    assert db() == before
    assert db.count("c") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_exception_rolls_back(db: graven.DB, error: type[BaseException]) -> None:
    with pytest.raises(error), db.transaction():
        db["x"] = 1
        raise error
    assert "x" not in db


def test_errors_of_graven_inside_are_ordinary(db: graven.DB) -> None:
    with db.transaction():
        db["a"] = 1
        with pytest.raises(TypeError):
            db["b"] = {1, 2}
        with pytest.raises(KeyError):
            db["missing"]
        db["c"] = 2
    assert db() == {"a": 1, "c": 2}


def test_savepoints(db: graven.DB) -> None:
    with db.transaction():
        db["a"] = 1
        with pytest.raises(Stop), db.transaction():
            db["b"] = 2
            with db.transaction():
                db["c"] = 3
            raise Stop
        assert db() == {"a": 1}
        with db.transaction():
            db["d"] = 4
    assert db() == {"a": 1, "d": 4}
    with pytest.raises(Stop), db.transaction():
        with db.transaction():
            db["e"] = 5
        raise Stop
    assert "e" not in db


def test_a_durable_transaction(tmp_path: Path) -> None:
    with graven.DB(tmp_path / "d.db") as db:
        with db.transaction(durable=True) as inside:
            inside["a"] = 1
        with db.transaction():
            with db.transaction(durable=True):  # the outer one's end waits
                db["b"] = 2
            with pytest.raises(graven.UsageError):
                db.wait_durable()
        db.wait_durable()
        with pytest.raises(Stop), db.transaction(durable=True):
            db["c"] = 3
            raise Stop
        transactor = db.transactor()
        transactor["d"] = 4
        transactor.execute(durable=True)

        def add() -> int:
            transactor["d"] += 1
            return transactor["d"]

        assert transactor.transact(add, durable=True) == 5
        transactor.watch()
        transactor["e"] = 1
        db["other"] = 1
        with pytest.raises(graven.WatchError):
            transactor.execute(durable=True)
        assert db() == {"a": 1, "b": 2, "d": 5, "other": 1}
    with pytest.raises(graven.ClosedError):
        db.wait_durable()


def test_handles_of_a_rolled_back_transaction(db: graven.DB) -> None:
    db["old"] = {"x": 1}
    with pytest.raises(Stop), db.transaction():
        db["new"] = {"y": 1}
        made = db["new"]
        built = graven.List(db, [1])
        kept = db.pop("old")
        raise Stop
    for gone in (made, built):
        with pytest.raises(graven.CollectedError):
            gone()
    assert kept["x"] == 1
    assert db["old"].uid == kept.uid


def test_list_methods_inside_a_transaction(db: graven.DB) -> None:
    db["l"] = [3, 1, 2]
    with pytest.raises(Stop), db.transaction():
        db["l"].sort()
        db["l"].remove(3)
        db["l"][0:1] = [7, 8]
        db["l"] *= 2
        assert db["l"]() == [7, 8, 2, 7, 8, 2]
        raise Stop
    assert db["l"]() == [3, 1, 2]


def test_other_threads_see_the_state_before(db: graven.DB) -> None:
    db["n"] = 1
    seen: list[Any] = []
    with db.transaction():
        db["n"] = 2
        reader = threading.Thread(target=lambda: seen.append((db["n"], db.in_transaction)))
        reader.start()
        reader.join()
    assert seen == [(1, False)]
    assert db["n"] == 2


def test_other_writers_wait_their_turn(db: graven.DB) -> None:
    db["l"] = []
    entered = threading.Event()

    def other() -> None:
        entered.wait()
        db["l"].append("other")

    writer = threading.Thread(target=other)
    writer.start()
    with db.transaction():
        entered.set()
        db["l"].append("first")
        time.sleep(0.1)
        db["l"].append("second")
    writer.join()
    assert db["l"]() == ["first", "second", "other"]


def test_busy_and_expired(path: str) -> None:
    with graven.DB(path, busy_timeout=0.2, transaction_limit=3) as db:
        holding = threading.Event()
        done = threading.Event()

        def hold() -> None:
            with pytest.raises(graven.TransactionExpiredError), db.transaction():
                db["x"] = 1
                holding.set()
                done.wait()
                db["y"] = 1

        holder = threading.Thread(target=hold)
        holder.start()
        holding.wait()
        with pytest.raises(graven.BusyError) as caught:
            db["z"] = 1
        assert isinstance(caught.value, TimeoutError)
        time.sleep(3.1)
        done.set()
        holder.join()
        assert db() == {}
        db["z"] = 1
        assert db() == {"z": 1}


def test_leaving_without_entering(db: graven.DB) -> None:
    transaction = db.transaction()
    with pytest.raises(graven.UsageError):
        transaction.__exit__(None, None, None)
    with transaction:
        db["a"] = 1
    with transaction:  # it can be used again
        db["b"] = 2
    assert db() == {"a": 1, "b": 2}


def test_a_transaction_of_one_task_is_not_joined_by_another(db: graven.DB) -> None:
    async def first(inside: asyncio.Event, leave: asyncio.Event) -> None:
        with db.transaction():
            db["a"] = 1
            inside.set()
            await leave.wait()
            db["b"] = 2

    async def second(inside: asyncio.Event, leave: asyncio.Event) -> None:
        await inside.wait()
        try:
            with pytest.raises(graven.UsageError, match="task"):
                db["c"] = 3
            with pytest.raises(graven.UsageError, match="task"):
                db["a"]
        finally:
            leave.set()

    async def main() -> None:
        inside, leave = asyncio.Event(), asyncio.Event()
        await asyncio.gather(first(inside, leave), second(inside, leave))
        db["d"] = 4

    asyncio.run(main())
    assert db() == {"a": 1, "b": 2, "d": 4}


# snapshot()


def test_a_snapshot_stays_as_it_was(db: graven.DB) -> None:
    db["a"] = {"n": 1}
    db.incr("c")
    snapshot = db.snapshot()
    uid = db["a"].uid
    db["a"]["n"] = 2
    db["b"] = 1
    db.incr("c")
    assert snapshot() == {"a": {"n": 1}}
    assert snapshot["a"]["n"] == 1
    assert snapshot.count("c") == 1
    assert snapshot.get_via_uid(uid)["n"] == 1
    del db["a"]
    assert snapshot["a"]() == {"n": 1}
    assert list(snapshot) == ["a"]
    for act in (
        lambda: snapshot.__setitem__("x", 1),
        lambda: snapshot["a"].__setitem__("n", 5),
        lambda: snapshot["a"].clear(),
        lambda: graven.Dict(snapshot),
        lambda: snapshot.update_with("a", lambda old: old),
    ):
        with pytest.raises(graven.UsageError):
            act()
    node = snapshot["a"]
    snapshot.close()
    snapshot.close()
    with pytest.raises(graven.ClosedError):
        node["n"]
    with db.snapshot() as later:
        assert later() == {"b": 1}
    with pytest.raises(graven.ClosedError):
        later()


# counters


def test_counters(db: graven.DB) -> None:
    assert db.count("c") == 0
    assert db.incr("c") == 1
    assert db.incr("c", 5) == 6
    assert db.decr("c", 2) == 4
    assert db.decr("c") == 3
    assert db.incr("c", -10) == -7
    assert db.count("c") == -7
    assert len(db) == 0  # a namespace of their own
    db["c"] = "a key"
    assert db.count("c") == -7
    db.incr("main:D0")
    db.incr("\0")
    with pytest.raises(ValueError, match="name"):
        db.incr("")
    assert db.check().ok


def test_counters_refuse(db: graven.DB) -> None:
    db.incr("c", 2**63 - 1)
    for act in (
        lambda: db.incr("c"),
        lambda: db.incr("c", 2**63),
        lambda: db.decr("c", -(2**63)),
    ):
        with pytest.raises(graven.LimitError):
            act()
    for bad in (1, None, b"c"):
        with pytest.raises(TypeError):
            db.incr(bad)
    for bad in (1.5, "1", None):
        with pytest.raises(TypeError):
            db.incr("c", bad)
    with pytest.raises(ValueError):
        db.incr("\ud800")
    assert db.count("c") == 2**63 - 1


def test_counters_belong_to_their_prefix(file_db: graven.DB) -> None:
    file_db.incr("c")
    with file_db.with_prefix("other") as other:
        assert other.count("c") == 0
        other.incr("c", 7)
    assert file_db.count("c") == 1
