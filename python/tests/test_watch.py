# SPDX-License-Identifier: MIT
"""DB.watch() and DB.wait(): what they report, and that they wake up for anyone's change."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import graven
from graven import DB

LONG = 60.0


@pytest.fixture(name="db")
def database(tmp_path: Path):
    with DB(tmp_path / "w.db") as db:
        db["tasks"] = {"T1": {"status": "new"}, "T2": {}}
        yield db


def test_a_value(db):
    with db.watch("tasks/T1/status") as changes:
        assert changes.next(0) is None
        db["tasks"]["T1"]["status"] = "done"
        assert changes.next(LONG) == ("tasks/T1/status", "done", False)
        del db["tasks"]["T1"]["status"]
        assert changes.next(LONG) == graven.Change("tasks/T1/status", None, True)


def test_entries_of_a_dict(db):
    with db.watch("tasks") as changes:
        with db.transaction():
            db["tasks"]["T3"] = {"a": 1}
            del db["tasks"]["T2"]
        seen = {change.path: change for change in (next(changes), next(changes))}
    assert seen["tasks/T2"].deleted
    assert seen["tasks/T3"].value() == {"a": 1}
    assert list(changes) == []


def test_wait(db):
    assert db.wait("signal", timeout=0.01) is False
    timer = threading.Timer(0.05, db.__setitem__, ("signal", 1))
    timer.start()
    assert db.wait("signal", timeout=LONG) is True
    timer.join()


def test_another_process(db, tmp_path):
    program = """
import sys, graven
with graven.DB(sys.argv[1]) as db:
    for i in range(100):
        db["n"] = i
"""
    with db.watch("n") as changes:
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "w.db")]) as child:
            last = -1
            while last < 99:
                change = changes.next(LONG)
                assert change is not None and change.value > last
                last = change.value
        assert child.returncode == 0


def test_close_from_another_thread(db):
    changes = db.watch("never")
    timer = threading.Timer(0.05, changes.close)
    timer.start()
    assert list(changes) == []
    timer.join()
    changes.close()


def test_a_closed_database(tmp_path):
    db = DB(tmp_path / "c.db")
    changes = db.watch("a")
    timer = threading.Timer(0.05, db.close)
    timer.start()
    with pytest.raises(graven.ClosedError):
        changes.next(LONG)
    timer.join()


def test_refusals(db):
    with pytest.raises(graven.UsageError):
        db.watch("bad~9")
    with pytest.raises(TypeError):
        db.watch(3)
    with db.transaction(), pytest.raises(graven.UsageError):
        db.wait("a", 0)
    for nan in (float("nan"), -float("nan")):
        with pytest.raises(graven.BadValueError, match="NaN"):
            db.wait("a", nan)
        with db.watch("a") as changes, pytest.raises(ValueError, match="NaN"):
            changes.next(nan)


def test_a_second_thread_is_refused(db):
    changes = db.watch("tasks")
    seen = []

    def work():
        while "stop" not in db:
            try:
                changes.next(0.01)
            except graven.UsageError as error:
                seen.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(3000):
        db["tasks"][f"n{n % 10}"] = n
    db["stop"] = True
    for thread in threads:
        thread.join()
    assert set(seen) == {"this watch is in use by another thread"}
    changes.close()
