# SPDX-License-Identifier: MIT
"""SQL beside the graph."""

from __future__ import annotations

import os
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
