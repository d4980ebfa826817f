# SPDX-License-Identifier: MIT
"""graven doctor finds each planted problem, and nothing where there is none."""

import json
import os
import signal
import sqlite3

import pytest


@pytest.fixture
def filled(graven):
    os.chmod(graven.folder, 0o700)
    graven.set("tasks", '{"T1": {"title": "write"}}')
    return graven


def findings(graven, status=0):
    report = json.loads(graven.run("doctor", "state.db", "--json", status=status))
    assert report["ok"] == (status == 0)
    assert report["sqlite"].startswith("3.")
    assert all(finding["what"] for finding in report["findings"])
    return {finding["code"]: finding for finding in report["findings"]}


def without_disk(found):
    """What this machine's disk is like is no matter of these tests."""
    return {code: finding for code, finding in found.items() if code != "disk_space"}


def test_nothing_to_find(filled):
    assert without_disk(findings(filled)) == {}
    assert "nothing to do" in filled.run("doctor", "state.db")


def test_modes(filled):
    os.chmod(filled.folder / "state.db", 0o644)
    found = findings(filled)
    assert found["file_mode"]["severity"] == "note"
    os.chmod(filled.folder / "state.db", 0o660)
    found = findings(filled, status=1)
    assert found["file_mode"]["severity"] == "warning"
    assert "chmod 600" in found["file_mode"]["remedy"]
    os.chmod(filled.folder / "state.db", 0o600)
    os.chmod(filled.folder, 0o777)
    assert "folder_mode" in findings(filled, status=1)
    assert "-> chmod go-w" in filled.run("doctor", "state.db", status=1)


def test_who_has_it_open(filled):
    top = filled.start("top", "state.db", "--interval", "0.05", stdout=-1)
    try:
        top.stdout.readline()
        found = findings(filled)
        assert f"process {top.pid} (graven)" in found["in_use"]["what"]
    finally:
        top.send_signal(signal.SIGTERM)
        top.wait(10)
        top.stdout.close()
    assert "in_use" not in findings(filled)


def test_leftovers(filled):
    (filled.folder / "state.db.partial-0123").write_text("")
    (filled.folder / "state.db.before-restore").write_text("")
    found = findings(filled, status=1)
    assert "partial-0123" in found["partial_file"]["what"]
    assert found["before_restore"]["severity"] == "note"
    (filled.folder / "state.db.before-restore").unlink()
    (filled.folder / "state.db.replaced-1").write_text("")
    found = findings(filled, status=1)
    assert "replaced-1" in found["before_restore"]["what"]
    (filled.folder / "state.db.replaced-1").unlink()
    (filled.folder / "other.db.partial-0123").write_text("")
    os.unlink(filled.folder / "state.db.partial-0123")
    assert "partial_file" not in findings(filled)


def test_a_wal_that_a_killed_process_left(filled):
    load = filled.start("load", "state.db", "rows", "--ndjson", "--parents", "-q", stdin=-1)
    row = json.dumps({"text": "x" * 2000}).encode() + b"\n"
    load.stdin.write(row * 25000)
    load.stdin.flush()
    load.kill()
    load.wait()
    load.stdin.close()
    found = findings(filled)
    assert "keep it beside" in found["wal_left"]["remedy"]
    filled.run("collect", "state.db")
    assert "wal_left" not in findings(filled)


def test_a_large_wal_and_who_reads(filled):
    path = filled.folder / "state.db"
    writer = sqlite3.connect(path, isolation_level=None)
    reader = sqlite3.connect(path, isolation_level=None)
    try:
        # As a program would that shares the file with graven: it is the reader that matters.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchone()
        for _ in range(3):
            writer.execute("BEGIN")
            writer.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('opening', zeroblob(26000000))"
            )
            writer.execute("COMMIT")
        found = findings(filled, status=1)
        assert f"process {os.getpid()}" in found["wal_large"]["what"]
    finally:
        reader.close()
        writer.execute("DELETE FROM meta WHERE key = 'opening'")
        writer.close()
    found = findings(filled, status=1)
    assert found["free_pages"]["remedy"].startswith("graven maintenance")
    assert "wal_large" not in found


def test_what_it_cannot_look_at(filled):
    assert "does not exist" in filled.error("doctor", "none.db")
    filled.write("text", b"x" * 5000)
    assert "not a graven store" in filled.error("doctor", "text")
    filled.error("doctor", "memory://")
