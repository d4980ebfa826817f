# SPDX-License-Identifier: MIT
"""transaction(), transactor() and snapshot(); counters."""

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
    with graven.DB(path, busy_timeout=0.2, transaction_limit=1.0) as db:
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
        time.sleep(1.3)
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


# transactor()


def test_writes_wait_for_execute(db: graven.DB) -> None:
    t = db.transactor()
    t.watch()
    t.multi()
    t["numbers"] = [1, 2]
    t["numbers"].append(3)
    t.incr("c", 5)
    assert t["numbers"]() == [1, 2, 3]
    assert t.count("c") == 5
    assert "numbers" not in db
    assert db.count("c") == 0
    t.execute()
    assert db() == {"numbers": [1, 2, 3]}
    assert db.count("c") == 5
    t["numbers"].append(4)
    t.discard()
    t.execute()
    assert db["numbers"]() == [1, 2, 3]


def test_reads_come_from_one_moment(db: graven.DB) -> None:
    db["a"] = 1
    db["b"] = 1
    t = db.transactor()
    assert t["a"] == 1
    db["a"] = db["b"] = 2
    assert t["b"] == 1
    with pytest.raises(graven.WatchError):
        t["x"] = 1
        t.execute()
    assert t["b"] == 2  # it starts afresh
    assert "x" not in db


CHANGES = {
    "assignment": lambda db: db["watched"].__setitem__("n", 2),
    "new key": lambda db: db["watched"].__setitem__("new", 2),
    "deletion": lambda db: db["watched"].__delitem__("n"),
    "transactor": lambda db: (t := db.transactor(), t["watched"].update(n=5), t.execute()),
    "overwriting": lambda db: db.__setitem__("watched", {}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_conflicts_are_noticed_whoever_writes(db: graven.DB, change: Any) -> None:
    db["watched"] = {"n": 1}
    t = db.transactor()
    old = t["watched"]["n"]
    change(db)
    t["result"] = old
    with pytest.raises(graven.WatchError) as caught:
        t.execute()
    assert isinstance(caught.value, graven.ConflictError)
    assert isinstance(caught.value, RuntimeError)
    assert "result" not in db


def test_looking_for_what_is_missing_is_reading(db: graven.DB) -> None:
    db["d"] = {}
    for look in (
        lambda t: t["d"].get("k"),
        lambda t: "k" in t["d"],
        lambda t: len(t["d"]),
        lambda t: list(t["d"]),
        lambda t: t["d"](),
        lambda t: t["d"] == {},
        lambda t: t.count("counter"),
    ):
        db["d"].clear()
        t = db.transactor()
        look(t)
        db["d"]["k"] = 1
        db.incr("counter")
        t["result"] = 1
        with pytest.raises(graven.WatchError):
            t.execute()


def test_unrelated_changes_do_not_conflict(db: graven.DB) -> None:
    db["a"] = {"n": 1}
    db["b"] = {"n": 1}
    t = db.transactor()
    t["a"]["n"] = t["a"]["n"] + 1
    db["b"]["n"] = 5
    t.execute()
    assert db() == {"a": {"n": 2}, "b": {"n": 5}}


def test_watch_without_arguments_watches_everything(db: graven.DB) -> None:
    db["a"] = {"n": 1}
    db["b"] = {"n": 1}
    t = db.transactor()
    t.watch()
    db["b"]["n"] = 5
    t["a"]["n"] = 2
    with pytest.raises(graven.WatchError):
        t.execute()
    t.watch()
    t["a"]["n"] = 2
    t.execute()
    assert db["a"]["n"] == 2


def test_watch_without_arguments_watches_counters_too(db: graven.DB) -> None:
    db.incr("known")
    t = db.transactor()
    for counter in ("known", "new"):
        t.watch()
        t["a"] = 1
        db.incr(counter)
        with pytest.raises(graven.WatchError):
            t.execute()
    t.watch()
    t["a"] = 2
    t.incr("known")
    t.execute()
    assert (db["a"], db.count("known")) == (2, 3)


def test_a_counter_is_a_conflict_only_where_it_was_read(db: graven.DB) -> None:
    t = db.transactor()
    t["a"] = t.count("read")
    db.incr("other")
    t.execute()
    t["a"] = t.count("read")
    db.incr("read")
    with pytest.raises(graven.WatchError):
        t.execute()


def test_watching_single_nodes(db: graven.DB) -> None:
    db["a"] = {"n": 1}
    db["b"] = [1]
    db["c"] = {}
    for at, node in enumerate(("a", "b")):
        t = db.transactor()
        if at:
            t.watch(db["a"], db["b"])
        else:
            t.watch(db["a"])
            t.watch(db["b"])
        if node == "a":
            db["a"]["n"] += 1
        else:
            db["b"].append(1)
        t["c"]["done"] = True
        with pytest.raises(graven.WatchError):
            t.execute()
    t = db.transactor()
    t.watch(db["a"])
    db["b"].append(2)
    t["c"]["done"] = True
    t.execute()
    assert db["c"]["done"]
    with pytest.raises(TypeError):
        t.watch("a")


def test_transact_retries_until_it_fits(db: graven.DB) -> None:
    db["n"] = {"v": 0}
    t = db.transactor()
    runs = []

    def step() -> str:
        value = t["n"]["v"]
        runs.append(value)
        if len(runs) < 3:
            db["n"]["v"] += 10  # somebody else
        t.multi()
        t["n"]["v"] = value + 1
        return f"run {len(runs)}"

    assert t.transact(step) == "run 3"
    assert runs == [0, 10, 20]
    assert db["n"]["v"] == 21


def test_transact_always_ends(db: graven.DB) -> None:
    db["n"] = {"v": 0}
    t = db.transactor()
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            db["n"]["other"] = time.monotonic()

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(5):

            def step() -> None:
                value = t["n"]["v"]
                time.sleep(0.02)
                t["n"]["v"] = value + 1

            t.transact(step)
    finally:
        stop.set()
        other.join()
    assert db["n"]["v"] == 5


def test_transact_without_multi_and_without_writes(db: graven.DB) -> None:
    t = db.transactor()
    t.transact(lambda: t.__setitem__("a", 1))
    assert db["a"] == 1
    assert t.transact(lambda: t["a"]) == 1
    assert t.transact(lambda: None) is None


def test_an_exception_in_transact_discards(db: graven.DB) -> None:
    t = db.transactor()

    def step() -> None:
        t["a"] = 1
        raise Stop

    with pytest.raises(Stop):
        t.transact(step)
    assert "a" not in db
    t.execute()
    assert "a" not in db
    assert "a" not in t


def test_nodes_made_in_a_transactor(db: graven.DB) -> None:
    t = db.transactor()
    node = graven.Dict(t, {"x": [1]})
    t["a"] = node
    t["b"] = node
    t["list"] = graven.List(t, [node, (1, 2)])
    node["y"] = 2
    assert t["a"]["y"] == 2
    t.execute()
    assert db["a"].uid == db["b"].uid == db["list"][0].uid
    assert db() == {
        "a": {"x": [1], "y": 2}, "b": {"x": [1], "y": 2}, "list": [{"x": [1], "y": 2}, [1, 2]],
    }  # fmt: skip


def test_every_list_method_in_a_transactor(db: graven.DB) -> None:
    db["l"] = [3, {"a": 1}, 2]
    t = db.transactor()
    items = t["l"]
    items.append(1)
    items.remove(3)
    items[1:2] = [5, 6]
    items.insert(0, 0)
    items.reverse()
    items += [9]
    items *= 2
    del items[::3]
    plain: list[Any] = [3, {"a": 1}, 2, 1]
    plain.remove(3)
    plain[1:2] = [5, 6]
    plain.insert(0, 0)
    plain.reverse()
    plain += [9]
    plain *= 2
    del plain[::3]
    assert items() == plain
    assert db["l"]() == [3, {"a": 1}, 2]
    t.execute()
    assert db["l"]() == plain


def test_a_transactor_belongs_to_one_thread_at_a_time(db: graven.DB) -> None:
    t = db.transactor()
    inside = threading.Event()
    leave = threading.Event()

    def step() -> None:
        t["a"] = 1
        inside.set()
        leave.wait()

    other = threading.Thread(target=lambda: t.transact(step))
    other.start()
    inside.wait()
    with pytest.raises(graven.UsageError, match="thread"):
        t["b"] = 2
    leave.set()
    other.join()
    t["b"] = 2
    t.execute()
    assert db() == {"a": 1, "b": 2}


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
