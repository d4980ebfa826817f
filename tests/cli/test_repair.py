# SPDX-License-Identifier: MIT
"""graven repair: planted damage is told, mended, and the file as it was kept."""

import json
import sqlite3
import subprocess

import pytest


@pytest.fixture
def damaged(graven):
    graven.set("tasks", '{"T1": {"title": "write"}, "T2": {"title": "read"}}')
    connection = sqlite3.connect(graven.folder / "state.db")
    with connection:
        # The newest node: T2.
        connection.execute("UPDATE node SET body = x'ffff' WHERE id = (SELECT max(id) FROM node)")
    connection.close()
    assert not json.loads(graven.run("check", "state.db", "--json", status=1))["ok"]
    return graven


def test_nothing_to_repair(graven):
    graven.set("a", "1")
    assert "nothing to repair" in graven.run("repair", "state.db")
    assert not (graven.folder / "state.db.before-repair").exists()


def test_a_dry_run_changes_nothing(damaged):
    before = (damaged.folder / "state.db").read_bytes()
    assert "would be lost" in damaged.run("repair", "state.db", "--dry-run")
    assert (damaged.folder / "state.db").read_bytes() == before
    assert not (damaged.folder / "state.db.before-repair").exists()
    assert not json.loads(damaged.run("check", "state.db", "--json", status=1))["ok"]


def test_it_is_mended_and_the_file_as_it_was_is_kept(damaged):
    report = json.loads(damaged.run("repair", "state.db", "--json"))
    assert report["ok"] and not report["dry_run"]
    assert [one["bytes"] for one in report["lost"]] == [{"$bytes": "//8="}]
    assert report["mended"] and report["left"] == []
    assert report["backup"] == str(damaged.folder / "state.db.before-repair")
    assert damaged.is_sound()
    assert damaged.get("tasks") == {"T1": {"title": "write"}, "T2": {}}
    assert not json.loads(damaged.run("check", report["backup"], "--json", status=1))["ok"]


def test_without_a_backup(damaged):
    assert "sound now" in damaged.run("repair", "state.db", "--no-backup")
    assert damaged.is_sound()
    assert not (damaged.folder / "state.db.before-repair").exists()


def test_an_index_that_lacks_rows(graven):
    graven.set("a", "1")
    connection = sqlite3.connect(graven.folder / "state.db", isolation_level=None)
    try:
        connection.execute("CREATE TABLE own (x)")
        connection.execute("CREATE INDEX own_x ON own (x)")
        connection.executemany("INSERT INTO own VALUES (?)", [(i,) for i in range(100)])
        connection.execute("PRAGMA writable_schema = ON")
        row = connection.execute(
            "SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_schema "
            "WHERE name = 'own_x'"
        ).fetchone()
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'own_x'")
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("INSERT INTO own VALUES (1000)")  # the index does not hear of it
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_schema (rowid, type, name, tbl_name, rootpage, sql) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
    finally:
        connection.close()
    assert "own_x" in graven.run("check", "state.db", status=1)
    graven.run("repair", "state.db")
    assert graven.is_sound()


def test_pages_that_cannot_be_read_are_left(graven):
    graven.load(b"[" + b",".join(b'"%d-%s"' % (i, b"x" * 90) for i in range(5000)) + b"]", "big")
    graven.run("maintenance", "state.db")
    connection = sqlite3.connect(graven.folder / "state.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = graven.folder / "state.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    out = graven.run("repair", "state.db", "--no-backup", status=1)
    assert "left:" in out and "restore a backup" in out


def damage_many(graven):
    """Half of many dicts lose their bodies."""
    graven.set("many", json.dumps({f"k{i}": {"n": i} for i in range(3000)}))
    connection = sqlite3.connect(graven.folder / "state.db")
    with connection:
        connection.execute(
            "UPDATE node SET body = x'ffff' WHERE id IN (SELECT id FROM node WHERE "
            "body NOT NULL ORDER BY id DESC LIMIT 1500)"
        )
    connection.close()
    return len(json.loads(graven.run("check", "state.db", "--json", status=1))["problems"])


def test_a_kill_leaves_all_of_it_or_nothing(graven):
    problems = damage_many(graven)
    for moment in range(1, 400, 15):
        repair = graven.start("repair", "state.db", "--no-backup", "--json", stdout=-1)
        try:
            repair.wait(moment / 1000)
        except subprocess.TimeoutExpired:
            repair.kill()
        repair.wait()
        repair.stdout.close()
        out, _ = graven.both("check", "state.db", "--json", status=None)
        found = len(json.loads(out)["problems"])
        assert found in (0, problems)
        if found == 0:
            break
    graven.run("repair", "state.db", "--no-backup")
    assert graven.is_sound()
    assert graven.get("many/k0") in ({"n": 0}, {})


def test_others_may_write_meanwhile(graven):
    damage_many(graven)
    load = graven.start("load", "state.db", "rows", "--ndjson", "--batch", "5", "-q", stdin=-1)
    for i in range(2000):
        load.stdin.write(b"%d\n" % i)
    load.stdin.flush()
    graven.run("repair", "state.db")
    for i in range(2000, 4000):
        load.stdin.write(b"%d\n" % i)
    load.stdin.close()
    assert load.wait(60) == 0
    assert graven.is_sound()
    assert graven.get("rows") == list(range(4000))


def test_wrong_usage(graven):
    graven.error("repair", "none.db")
    graven.error("repair")


def test_what_is_left_of_a_file_whose_end_is_missing_is_read(graven):
    rows = {f"key {i}": {"text": "x" * 300, "n": [i]} for i in range(2000)}
    graven.load(json.dumps(rows), "rows")
    graven.set("small", "1")
    whole = (graven.folder / "state.db").read_bytes()
    for size in (len(whole) - 4096, len(whole) - 100, len(whole) // 2):
        (graven.folder / "cut.db").write_bytes(whole[:size])
        out, err = graven.both("dump", "cut.db", status=None)  # 0 where links alone are missing
        saved = json.loads(out)
        assert saved["small"] == 1 and ("left out of" in err) == (saved["rows"] != rows)
        report = json.loads(graven.run("check", "cut.db", "--json", status=1))
        assert any("its end is missing" in one["what"] for one in report["problems"])
        assert "file_cut" in graven.run("doctor", "cut.db", "--json", status=None)
        refused = graven.error("backup", "cut.db", "copy of it.db")
        assert refused.count("cut.db is damaged") == 1 and ".partial" not in refused
        if size % 4096 == 0:
            assert "damaged" in graven.error("set", "cut.db", "small", "2")
        assert (graven.folder / "cut.db").read_bytes() == whole[:size]
    assert saved["rows"] != rows
    (graven.folder / "cut.db").write_bytes(whole[:30_000])
    assert "what is left of it cannot be read" in graven.error("dump", "cut.db")
