# SPDX-License-Identifier: MIT
"""Bulk imports, batch_insert, and options by name."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import graven
from graven import DB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bulk.db"


def wal_size(path: Path) -> int:
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0


def test_phases_and_progress(path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    with DB(path) as db:
        db["people"] = {}
        with db.bulk_import(
            cache_mb=16, progress=lambda *report: reports.append(report)
        ) as session:
            with session.phase("people"):
                people = db["people"]
                for i in session.each(range(3000), total=3000):
                    people[str(i)] = {"number": i}
                time.sleep(0.06)
                session.advance(3000, 3000)
            with session.phase("rest"):
                db["rest"] = list(range(10))
        assert wal_size(path) == 0
        assert len(db["people"]) == 3000
        assert [(name, committed) for name, _, committed, _ in session.phases] == [
            ("people", True),
            ("rest", True),
        ]
        assert reports[-1] == ("people", 3000, 3000)
        assert db.check().ok


def test_the_end_of_each_phase_is_told_once(path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    with (
        DB(path) as db,
        db.bulk_import(cache_mb=16, progress=lambda *report: reports.append(report)) as session,
    ):
        with session.phase("short"):
            session.advance(1, 2)
            session.advance(2, 2)
        with session.phase("long"):
            time.sleep(0.06)
            session.advance(2, 2)
        with session.phase("without"):
            db["a"] = 1
    ends = [("short", 2, 2), ("long", 2, 2)]
    assert [report for report in reports if report[1] == 2] == ends


def test_an_exception_rolls_its_phase_back(path: Path) -> None:
    with DB(path) as db:
        with pytest.raises(ZeroDivisionError), db.bulk_import() as session:
            with session.phase("good"):
                db["good"] = 1
            with session.phase("bad"):
                db["bad"] = 1
                1 / 0
        assert db() == {"good": 1}
        assert wal_size(path) == 0
        with pytest.raises(graven.UsageError), session.phase("late"):
            pass


def test_an_abort_keeps_what_is_whole(path: Path) -> None:
    with DB(path) as db:
        db["rows"] = []
        ready = threading.Event()
        with db.bulk_import() as session:

            def stop() -> None:
                ready.wait()
                session.abort()

            thread = threading.Thread(target=stop)
            thread.start()
            with session.phase("rows"):
                for i in session.each(iter(lambda: 1, 0)):
                    db["rows"].append(i)
                    ready.set()
            thread.join()
            with session.phase("never"):
                raise AssertionError("was begun")
        assert session.aborted
        assert len(db["rows"]) >= 1
        assert [phase[0] for phase in session.phases] == ["rows"]


KILLED = """
import sys
from graven import DB
db = DB(sys.argv[1])
db["done"] = {}
session = db.bulk_import(cache_mb=1)
with session.phase("whole"):
    for i in range(2000):
        db["done"][str(i)] = {"number": i}
session.begin_phase("half")
db["half"] = {}
while True:
    for i in range(1000):
        db["half"][str(i)] = {"number": i, "text": "x" * 200}
    print("ready", flush=True)
"""


def test_killed_in_a_phase_nothing_stays_that_should_not(path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with DB(path, wal_autocheckpoint=100) as db:
        assert "half" not in db
        assert len(db["done"]) == 2000
        assert db.check().ok
        db["list"] = []
        for _ in range(600):
            db["list"].append("x" * 900)
        with db.bulk_import():
            pass
        assert wal_size(path) == 0


def test_batch_insert(path: Path) -> None:
    with DB(path) as db:
        db["people"] = {}
        made = db.batch_insert(db["people"], {str(i): {"number": i} for i in range(2500)})
        assert [each["number"] for each in made] == list(range(2500))
        assert made[7] == db["people"]["7"]
        assert db.batch_insert(db["people"], [("x", 5), ("7", {"number": -7})])[0] == 5
        assert db["people"]["7"]() == {"number": -7}
        db["list"] = [0]
        rows = db.batch_insert(db["list"], ({"number": i, "of": made[i]} for i in range(1500)))
        assert len(db["list"]) == 1501
        assert rows[3]["of"].uid == made[3].uid
        with pytest.raises(TypeError, match="object"):
            db.batch_insert(db["people"], {"good": 1, "bad": object()})
        assert "good" not in db["people"]
        with pytest.raises(TypeError):
            db.batch_insert({}, {})  # type: ignore[arg-type]
        assert db.check().ok


def test_options_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DB(path, pool_size=3, keep_alive=0.5, checkpoint="passive", temp_store="memory") as db:
        db["a"] = 1
    with pytest.raises(graven.UsageError, match="pool_size is '0': give a number from 1 to 1000"):
        DB(path, pool_size=0)
    with pytest.raises(graven.UsageError, match="checkpoint is 'none'"):
        DB(path, checkpoint="none")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(graven.UsageError, match="DATABASE_URL"):
        DB()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}?mode=ro")
    monkeypatch.setenv("DB_POOL_SIZE", "4")
    with DB() as db:
        assert db.read_only
        assert db["a"] == 1
    monkeypatch.setenv("DB_POOL_SIZE", "many")
    with pytest.raises(graven.UsageError, match="DB_POOL_SIZE is 'many'"):
        DB()


def test_a_snapshot_that_is_held_too_long_is_ended(path: Path) -> None:
    with DB(path, reader_limit=1) as db:
        db["list"] = list(range(1000))
        snapshot = db.snapshot()
        assert snapshot["list"][999] == 999
        deadline = time.monotonic() + 30
        with pytest.raises(graven.TransactionExpiredError, match="reader_limit"):
            while time.monotonic() < deadline:
                snapshot["list"][5]
                time.sleep(0.01)
        assert db["list"][5] == 5


def test_handles_of_another_store_or_prefix(tmp_path: Path) -> None:
    with DB(tmp_path / "x.db") as x, DB(tmp_path / "y.db") as y, x.with_prefix("z") as z:
        x["own"] = {"b": 1}
        with DB(tmp_path / "x.db") as same:  # another opening of one store and prefix
            assert x.batch_insert(same["own"], {"a": 1}) == [1]
            assert x.why_alive(same["own"]) == [x.uid, x["own"].uid]
            x.transactor().watch(same["own"])
        for other in (y, z):
            other.update(k={}, l=[], m={})
            for wrong in (
                lambda of: x.batch_insert(of["k"], {"a": 1}),
                lambda of: x.batch_insert(of["l"], [1]),
                lambda of: x.why_alive(of["m"]),
                lambda of: x.why_alive(of),
                lambda of: x.transactor().watch(of["k"]),
                lambda of: x.transactor().watch(of["l"]),
            ):
                with pytest.raises(graven.BadValueError, match="another database or prefix"):
                    wrong(other)
            assert other() == {"k": {}, "l": [], "m": {}}
