# SPDX-License-Identifier: MIT
"""transactor()."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import graven


class Stop(Exception):
    pass


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
