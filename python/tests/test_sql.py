# SPDX-License-Identifier: MIT
"""SQL beside the graph."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import graven
from graven import DB


@pytest.fixture
def db(tmp_path: Path) -> DB:
    with DB(tmp_path / "s.db") as db:
        db.connection().execute("CREATE TABLE audit (at INTEGER PRIMARY KEY, what TEXT)")
        yield db


def test_each_statement_for_itself(db: DB) -> None:
    sql = db.connection()
    assert sql.execute("INSERT INTO audit VALUES (?, ?)", (1, "one")).rowcount == 1
    assert sql.execute("INSERT INTO audit (what) VALUES (:what)", {"what": "two"}).lastrowid == 2
    assert sql.executemany("INSERT INTO audit VALUES (?, ?)", [(i, "x") for i in range(3, 6)]) == 3
    rows = sql.execute("SELECT * FROM audit ORDER BY at")
    assert rows.columns == ["at", "what"]
    assert rows.fetchone() == (1, "one")
    assert rows.fetchmany(2) == [(2, "two"), (3, "x")]
    assert list(rows) == [(4, "x"), (5, "x")]
    assert rows.fetchone() is None
    assert sql.execute("SELECT ?, ?, ?", (None, 2.5, b"\0\xff")).fetchall() == [
        (None, 2.5, b"\0\xff")
    ]


def test_one_transaction_with_the_graph(db: DB) -> None:
    with db.write_connection() as sql:
        sql.execute("INSERT INTO audit VALUES (1, 'x')")
        db["state"] = "begun"
    assert db["state"] == "begun"
    with pytest.raises(ZeroDivisionError), db.write_connection() as sql:
        sql.execute("INSERT INTO audit VALUES (2, 'y')")
        db["state"] = "lost"
        1 / 0
    assert db["state"] == "begun"
    with db.read_connection() as sql:
        assert sql.execute("SELECT count(*) FROM audit").fetchone() == (1,)
        db.connection().execute("DELETE FROM audit")
        assert sql.execute("SELECT count(*) FROM audit").fetchone() == (1,)


def test_what_is_refused(db: DB) -> None:
    sql = db.connection()
    for text in ("DELETE FROM node", "BEGIN", "PRAGMA synchronous = OFF", "DROP TABLE edge"):
        with pytest.raises(graven.UsageError, match="not allowed"):
            sql.execute(text)
    with pytest.raises(ValueError, match="syntax error"):
        sql.execute("SELEC 1")
    with pytest.raises(TypeError):
        sql.execute("SELECT ?", ({},))
    with pytest.raises(TypeError):
        sql.execute("SELECT ?", "1")
    with pytest.raises(graven.UsageError):
        DB("memory://").connection().execute("SELECT 1")
    assert db.check().ok


def test_a_wal_that_was_cut_off_is_told(path: str) -> None:
    with graven.DB(path) as db:
        db["rows"] = {str(i): {"text": "x" * 500} for i in range(500)}
        os.truncate(f"{path}-wal", 0)
        with pytest.raises(graven.UnavailableError, match="-wal was cut off by another program"):
            db.connection().execute("SELECT sum(length(body)) FROM node").fetchall()


def in_threads(count: int, work: Callable[[], object]) -> set[str]:
    """Runs it in so many threads at once; what they raised."""
    raised: set[str] = set()
    start = threading.Barrier(count)

    def run() -> None:
        start.wait()
        try:
            work()
        except Exception as error:
            raised.add(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_a_cursor_in_several_threads(db: DB) -> None:
    with db.write_connection() as sql:
        sql.executemany("INSERT INTO audit VALUES (?, 'x')", ((i,) for i in range(2000)))
    sql = db.connection()
    seen: set[str] = set()
    for _ in range(20):
        cursors = [sql.execute("SELECT * FROM audit") for _ in range(10)]
        seen |= in_threads(4, lambda: [each.fetchall() for each in cursors])
        one = sql.execute("SELECT * FROM audit")
        seen |= in_threads(4, lambda: [one.fetchone() for _ in range(500)])
    assert seen <= {"UsageError: this SQL cursor is in use by another thread"}


@pytest.mark.parametrize("kind", ["connection", "read_connection"])
def test_a_connection_in_several_threads(db: DB, kind: str) -> None:
    seen: set[str] = set()
    for _ in range(50):
        sql = getattr(db, kind)()
        seen |= in_threads(4, lambda: [sql.execute("SELECT 1").fetchone() for _ in range(20)])
        seen |= in_threads(2, sql.close)
    assert seen <= {"UsageError: this SQL connection is in use by another thread"}


def test_what_a_connection_in_use_tells_another_thread(db: DB) -> None:
    sql = db.connection()
    long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) "
    thread = threading.Thread(target=lambda: sql.execute(long + "SELECT max(i) FROM n"))
    thread.start()
    told = None
    while thread.is_alive() and told is None:
        try:
            sql.execute("SELECT 1")
        except graven.UsageError as error:
            told = str(error)
    thread.join()
    assert told == "this SQL connection is in use by another thread"


def test_a_block_whose_connection_has_ended(db: DB) -> None:
    def count() -> int:
        return db.connection().execute("SELECT count(*) FROM audit").fetchone()[0]

    with db.write_connection() as sql:
        sql.execute("INSERT INTO audit VALUES (1, 'x')")
        sql.commit()
    assert count() == 1 and not db.in_transaction
    with db.write_connection() as sql:
        sql.execute("INSERT INTO audit VALUES (2, 'y')")
        sql.close()
    assert count() == 1 and not db.in_transaction
    with pytest.raises(graven.ClosedError), db.write_connection() as sql:
        sql.commit()
        sql.execute("INSERT INTO audit VALUES (3, 'z')")
    with db.transaction(), db.write_connection() as sql:
        sql.execute("INSERT INTO audit VALUES (4, 'a')")
        sql.commit()
    assert count() == 2
    with db.read_connection() as sql:
        sql.close()
