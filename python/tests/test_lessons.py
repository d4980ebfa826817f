# SPDX-License-Identifier: MIT
"""What a predecessor of graven got wrong, one test for each.

These are the short versions; the other files test the same ground more thoroughly.
"""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import pytest

import graven


def test_01_rewriting_lists_keeps_nested_containers(db: graven.DB) -> None:
    def fresh() -> graven.List:
        db["l"] = [{"a": 1}, {"b": 2}]
        made = db["l"]
        assert isinstance(made, graven.List)
        return made

    items = fresh()
    items.insert(0, 9)
    assert items() == [9, {"a": 1}, {"b": 2}]
    items.remove(9)
    assert items() == [{"a": 1}, {"b": 2}]
    items.reverse()
    assert items() == [{"b": 2}, {"a": 1}]
    items.sort(key=lambda each: "a" not in each)
    assert items() == [{"a": 1}, {"b": 2}]
    items[1:1] = [{"c": 3}]
    assert items() == [{"a": 1}, {"c": 3}, {"b": 2}]
    del items[0]
    assert items() == [{"c": 3}, {"b": 2}]
    items.pop(0)
    assert items() == [{"b": 2}]


def test_02_what_is_popped_can_still_be_read(db: graven.DB) -> None:
    db["d"] = {"k": {"x": [1]}}
    assert db["d"].pop("k")() == {"x": [1]}
    db["d"]["k"] = {"y": [2]}
    key, value = db["d"].popitem()
    assert (key, value()) == ("k", {"y": [2]})
    db["l"] = [[1, [2]]]
    assert db["l"].pop()() == [1, [2]]


def test_03_the_last_item_can_be_assigned(db: graven.DB) -> None:
    db["l"] = [{"a": 1}, {"b": 2}]
    old = db["l"][-1]
    db["l"][-1] = 5
    assert db["l"]() == [{"a": 1}, 5]
    assert old() == {"b": 2}
    with pytest.raises(IndexError):
        db["l"][-3] = 1


def test_04_a_failed_change_changes_nothing(db: graven.DB) -> None:
    db["d"] = {"k": {"old": 1}}
    db["l"] = [{"a": 1}, 2, 3]
    before = db()
    for act in (
        lambda: db["d"].__setitem__("k", "\ud800"),
        lambda: db["d"].__setitem__("k", {"deep": [{1}]}),
        lambda: db["l"].insert(0, "\ud800"),
        lambda: db["l"].extend([1, "\ud800"]),
        lambda: db["l"].__setitem__(0, object()),
        lambda: db["l"].__setitem__(slice(0, 2), [1, object()]),
        lambda: db["l"].sort(),
    ):
        with pytest.raises((TypeError, ValueError)):
            act()
        assert db() == before
    assert db.check().nodes == 5


def test_05_keys_come_back_as_they_were(db: graven.DB) -> None:
    keys = ["1", "01", " 1", "1e5", "Nan", "$ref", "ref", "#N", "$a", "a"]
    db["d"] = {key: key for key in keys}
    d = db["d"]
    assert list(d) == keys
    assert all(d[key] == key for key in keys)
    d.clear()
    assert d() == {}


@pytest.mark.parametrize(
    "value", [{1}, datetime.datetime(2024, 1, 1), uuid.UUID(int=1), object(), 1j], ids=repr
)
def test_06_nothing_is_turned_into_text(db: graven.DB, value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        db["k"] = value
    assert db() == {}
    db["b"] = b"12"
    db["t"] = ("x", 1)
    assert db["b"] == b"12"
    assert db["t"]() == ["x", 1]


def test_07_text_that_looks_like_an_identity_is_text(db: graven.DB) -> None:
    db["node"] = {"x": 1}
    uid = db["node"].uid
    db[uid] = uid
    db["d"] = {"k": uid, uid: [uid]}
    assert db["d"]["k"] == uid
    assert db["d"][uid][0] == uid
    del db["d"]
    del db[uid]
    assert db["node"]() == {"x": 1}


def test_08_missing_things_raise_the_right_error(db: graven.DB) -> None:
    db["d"], db["l"] = {}, [1]
    with pytest.raises(KeyError):
        del db["d"]["missing"]
    with pytest.raises(IndexError):
        db["l"][1]
    with pytest.raises(IndexError):
        del db["l"][1]


def test_09_overwriting_keeps_the_place(db: graven.DB) -> None:
    db["d"] = {"a": 1, "b": 2, "c": 3}
    db["d"]["a"] = {"new": 1}
    db["d"].update(b=5)
    assert list(db["d"]) == ["a", "b", "c"]


def test_10_links_into_another_store_are_refused(db: graven.DB, tmp_path: Any) -> None:
    with graven.DB(tmp_path / "other.db") as other:
        other["x"] = {"y": 1}
        for act in (
            lambda: db.__setitem__("x", other["x"]),
            lambda: db.__setitem__("x", {"deep": [other["x"]]}),
        ):
            with pytest.raises(graven.Error):
                act()
        assert db() == {}
        db["x"] = other["x"]()
        assert db() == {"x": {"y": 1}}


def test_11_printing_and_comparing(db: graven.DB) -> None:
    db["d"] = {"s": "##hi##"}
    assert repr(db["d"]) == "@{'s': '##hi##'}"
    db["a"] = {}
    db["a"]["me"] = db["a"]
    db["b"] = {}
    db["b"]["me"] = db["b"]
    assert db["a"] == db["b"]
    assert repr(db["a"])


def test_12_collection_is_not_exponential(db: graven.DB) -> None:
    started = time.monotonic()
    top: dict[str, Any] = {}
    layer = top
    for _ in range(300):
        bottom: dict[str, Any] = {}
        layer["left"], layer["right"] = {"next": bottom}, {"next": bottom}
        layer = bottom
    layer["top"] = top
    db["diamonds"] = top
    del db["diamonds"]
    friends: list[dict[str, Any]] = [{"friends": []} for _ in range(60)]
    for friend in friends:
        friend["friends"].extend(each for each in friends if each is not friend)
    db["friends"] = friends
    del db["friends"]
    assert db.check().nodes == 1
    assert time.monotonic() - started < 60  # it was minutes for a twentieth of this


def test_13_chains_have_no_limit(db: graven.DB) -> None:
    chain: dict[str, Any] = {}
    for _ in range(5000):
        chain = {"next": chain}
    db["chain"] = chain
    plain = db["chain"]()
    for _ in range(5000):
        plain = plain["next"]
    assert plain == {}
    del db["chain"]
    assert db.check().nodes == 1


def test_14_a_child_of_two_unlinked_parents(db: graven.DB) -> None:
    child = graven.Dict(db, {"x": 1})
    first = graven.Dict(db, {"child": child})
    second = graven.Dict(db, {"child": child})
    del child, first
    db.collect()
    db["second"] = second
    assert db["second"]() == {"child": {"x": 1}}


def test_15_nothing_leaks(db: graven.DB) -> None:
    with pytest.raises(TypeError):
        db["x"] = [{"a": {}}, {"b": {1, 2}}]
    graven.Dict(db, {"deep": {"deeper": []}})
    with pytest.raises(TypeError):
        graven.Dict(db, {"x": {}, "y": {1}})
    db["x"] = {"y": {}}
    db.pop("x")
    db.collect()
    assert db.check().nodes == 1


def test_16_dead_handles_are_dead(path: str) -> None:
    with graven.DB(path) as db:
        db["k"] = {"x": 1}
        handle = db["k"]
        program = f"import graven\nwith graven.DB({path!r}) as db: del db['k']"
        subprocess.run([sys.executable, "-c", program], check=True)
        for use in (
            lambda: handle["x"],
            lambda: len(handle),
            lambda: handle.__setitem__("x", 1),
            lambda: handle.update(x=1),
        ):
            with pytest.raises(graven.CollectedError):
                use()
        assert db.check().nodes == 1


def test_17_nothing_is_printed(db: graven.DB, capfd: pytest.CaptureFixture[str]) -> None:
    db["a"] = {"b": {}}
    db["a"]["b"]["a"] = db["a"]
    db["a"]["me"] = db["a"]
    del db["a"]["b"]
    del db["a"]
    db.collect()
    assert capfd.readouterr() == ("", "")


def test_18_transactors(db: graven.DB) -> None:
    t = db.transactor()
    t["x"] = 1
    assert "x" not in db
    t.discard()
    db["n"] = 1
    t.watch()
    seen = t["n"]
    db["n"] = 5  # an ordinary write
    t.multi()
    t["n"] = seen + 1
    with pytest.raises(graven.WatchError):
        t.execute()
    assert db["n"] == 5
    t.transact(lambda: t.__setitem__("without multi", t["n"] + 1))
    assert db["without multi"] == 6


def test_19_a_change_is_one_step_whenever_one_is_killed(path: str) -> None:
    program = """
import sys, graven
db = graven.DB(sys.argv[1])
fields = {"a": 1, "b": "two", "c": [3], "d": {"x": 4}, "e": None}
print("ready", flush=True)
n = 0
while True:
    db["d"] = dict(fields, n=n)
    db["l"].append({"n": n, "parts": [1, 2, {}]})
    db["l"].sort(key=lambda each: -each["n"])
    if n % 7 == 6:
        db["l"].clear()
    n += 1
"""
    with graven.DB(path) as db:
        db["l"] = []
    for round_ in range(15):
        worker = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(0.01 + 0.013 * (round_ % 5))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        with graven.DB(path) as db:
            report = db.check()
            assert report.ok, report.problems
            if "d" in db:
                assert list(db["d"]) == ["a", "b", "c", "d", "e", "n"]
            assert all(list(each) == ["n", "parts"] for each in db["l"])


def test_20_processes_and_threads_lose_nothing(path: str) -> None:
    # At full size in test_processes.py.
    program = """
import sys, graven
db = graven.DB(sys.argv[1])
t = db.transactor()
for at in range(300):
    db.incr("n")
    db["l"].append(at)
    t.transact(lambda: t["d"].__setitem__("n", t["d"]["n"] + 1))
    db[sys.argv[2]] = db["both"]
    del db[sys.argv[2]]
db.close()
"""
    with graven.DB(path) as db:
        db["l"], db["d"], db["both"] = [], {"n": 0}, {"alive": True}
        workers = [
            subprocess.Popen([sys.executable, "-c", program, path, name]) for name in ("x", "y")
        ]

        def work() -> None:
            for _ in range(300):
                db.incr("n")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [worker.wait() for worker in workers] == [0, 0]
        assert db.count("n") == 2 * 300 + 4 * 300
        assert len(db["l"]) == 600
        assert db["d"]["n"] == 600
        assert db["both"]() == {"alive": True}
        assert db.check().ok


def test_21_reopening_in_one_process(path: str, tmp_path: Any, monkeypatch: Any) -> None:
    db = graven.DB(path)
    db["a"] = 1
    db.shutdown()
    db = graven.DB(path)
    assert db["a"] == 1
    db.close()
    for name in os.listdir(tmp_path):
        os.unlink(tmp_path / name)
    with graven.DB(path) as db:
        assert db() == {}
    monkeypatch.chdir(tmp_path)
    with graven.DB("here.db") as one:
        one["where"] = 1
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "sub")
        with graven.DB("here.db") as two:
            assert two() == {}


def test_22_prefixes(path: str) -> None:
    with pytest.raises(ValueError):
        graven.DB(path, prefix="app:one")
    with graven.DB(path, prefix="ab") as db:
        db["x"] = {"y": 1}
        with db.with_prefix("a*") as other:
            other["z"] = 1
        db.delete_prefix_immediately("a*")
        assert db() == {"x": {"y": 1}}
        db.incr("data:")
        db.incr("data")
        assert db() == {"x": {"y": 1}}
        db.delete_prefix_immediately("ab")
        db["after"] = 1
    with pytest.raises(graven.KeyNotFound, match="'ab'"):  # not an empty "main"
        graven.DB(path)
    with graven.DB(path, prefix="ab") as db:
        assert db() == {"after": 1}
