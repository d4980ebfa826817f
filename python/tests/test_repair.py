# SPDX-License-Identifier: MIT
"""DB.repair(): planted damage is told and mended, after a copy of the file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import graven
from graven import DB


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    with DB(path) as db:
        db["sound"] = {"a": [1, 2]}
        db["broken"] = {"b": 1}
    connection = sqlite3.connect(path)
    with connection:
        # The newest node: what is under "broken".
        connection.execute("UPDATE node SET body = x'ffff' WHERE id = (SELECT max(id) FROM node)")
    connection.close()
    return path


def test_nothing_to_repair(tmp_path: Path) -> None:
    with DB(tmp_path / "state.db") as db:
        report = db.repair()
        assert isinstance(report, graven.RepairReport)
        assert report.sound
        assert (report.mended, report.lost, report.left, report.backup) == ([], [], [], "")
    assert not (tmp_path / "state.db.before-repair").exists()


def test_a_dry_run_and_the_repair(damaged: Path) -> None:
    with DB(damaged) as db:
        report = db.repair(dry_run=True)
        assert report.dry_run
        assert report.backup == ""
        assert not db.check().ok

        report = db.repair()
        assert not report.dry_run
        assert not report.sound
        assert [one.bytes for one in report.lost] == [b"\xff\xff"]
        assert report.lost[0].node == db["broken"].uid
        assert "could not be read" in report.lost[0].what
        assert isinstance(report.mended[0], graven.Repaired)
        assert report.left == []
        assert "lost=1" in repr(report)
        assert "broken" not in repr(report.lost[0])
        assert db.check().ok
        assert db() == {"sound": {"a": [1, 2]}, "broken": {}}
        assert report.backup == f"{damaged}.before-repair"
    with DB(report.backup, read_only=True) as copy:
        assert not copy.check().ok


def test_without_a_copy_and_what_progress_raises(damaged: Path) -> None:
    with DB(damaged) as db:

        def stop(_done: int, _total: int) -> None:
            raise LookupError("enough")

        with pytest.raises(LookupError, match="enough"):
            db.repair(backup=False, progress=stop)
        assert not db.check().ok
        db.repair(backup=False)
        assert db.check().ok
    assert not Path(f"{damaged}.before-repair").exists()


def test_not_inside_a_transaction(tmp_path: Path) -> None:
    with DB(tmp_path / "state.db") as db:
        with db.transaction(), pytest.raises(graven.UsageError, match="transaction"):
            db.repair()
