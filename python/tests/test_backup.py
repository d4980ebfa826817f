# SPDX-License-Identifier: MIT
"""DB.backup() and graven.restore(): copies made while threads write, and what is refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import graven
from graven import DB


def test_a_backup_is_a_store_and_restores(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    with DB(path) as db:
        db["person"] = {"name": "Ada", "tags": ["a", "b"]}
        report = db.backup(copy)
        assert isinstance(report, graven.BackupReport)
        assert report.path == str(copy)
        assert report.bytes == os.path.getsize(copy)
        assert report.nodes == 3
        assert "copy.db" in repr(report)
        db["person"] = None
        with pytest.raises(graven.BusyError, match="this process"):
            graven.restore(copy, path)
    del db
    restored = graven.restore(str(copy), str(path))
    assert restored.replaced == f"{path}.before-restore"
    with DB(path) as db, DB(restored.replaced) as before:
        assert db() == {"person": {"name": "Ada", "tags": ["a", "b"]}}
        assert before() == {"person": None}
    del db, before
    assert graven.restore(copy, path, keep_replaced=False).replaced == ""


def test_a_handle_is_not_in_the_way_of_a_restore(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    with DB(path) as db:
        db["person"] = {"name": "Ada"}
        person = db["person"]
        db.backup(copy)
        with pytest.raises(graven.BusyError, match="close every database and map"):
            graven.restore(copy, path)
    graven.restore(copy, path)
    with pytest.raises(graven.ClosedError):
        person()


def test_progress_and_its_exceptions(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with DB(tmp_path / "state.db") as db:
        db["rows"] = [{"number": number, "text": "x" * 200} for number in range(2000)]
        seen: list[tuple[int, int]] = []
        db.backup(copy, lambda done, total: seen.append((done, total)), pages_per_step=20)
        assert len(seen) > 5
        assert seen[-1][0] == seen[-1][1]

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            db.backup(tmp_path / "other.db", stop)
        assert not list(tmp_path.glob("other.db*"))
        with pytest.raises(graven.UsageError, match="exists already"):
            db.backup(copy)
        db.backup(copy, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        graven.restore(copy, tmp_path / "new.db", stop)
    assert not list(tmp_path.glob("new.db*"))


def test_one_state_while_threads_write(tmp_path: Path) -> None:
    over = threading.Event()
    with DB(tmp_path / "state.db") as db:
        db["a"] = db["b"] = 0

        def write() -> None:
            while not over.is_set():
                with db.transaction():
                    db["a"] += 1
                    db["b"] += 1

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(5):
                copy = tmp_path / f"copy{number}.db"
                db.backup(copy, pages_per_step=2, pause=0.002)
                with DB(copy, read_only=True) as made:
                    assert made["a"] == made["b"]
        finally:
            over.set()
            for thread in threads:
                thread.join()


def test_what_is_refused(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    with DB("memory://") as db, pytest.raises(graven.UsageError):
        db.backup(copy)
    with DB(path) as db:
        db["a"] = 1
        with pytest.raises(graven.UsageError), db.transaction():
            db.backup(copy)
        db.backup(copy)
        assert db["a"] == 1
    del db
    altered = bytearray(copy.read_bytes())
    altered[len(altered) // 2] ^= 1
    copy.write_bytes(altered)
    before = path.read_bytes()
    with pytest.raises(graven.CorruptionError, match="altered"):
        graven.restore(copy, path)
    assert path.read_bytes() == before
    with pytest.raises(TypeError):
        graven.restore(1, path)  # type: ignore[arg-type]
