# SPDX-License-Identifier: MIT
"""graven backup, once and on a schedule, graven restore and graven maintenance."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

HOLD_A_STATE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM prefix").fetchone()
print("reads", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def filled(graven):
    graven.set("tasks", '{"T1": {"title": "write"}}')
    return graven


def names_in(folder):
    return sorted(os.listdir(folder))


def test_there_and_back(filled):
    out = filled.run("backup", "state.db", "copy.db")
    assert "copy.db: " in out and "dicts and lists" in out and " 0.00 ms" not in out
    assert (filled.folder / "copy.db").stat().st_mode & 0o777 == 0o600
    assert filled.is_sound("copy.db")
    filled.set("tasks", "null")
    out = filled.run("restore", "copy.db", "state.db")
    assert "state.db.before-restore" in out
    assert filled.get() == {"tasks": {"T1": {"title": "write"}}}
    assert json.loads(filled.run("get", "state.db.before-restore")) == {"tasks": None}
    filled.run("restore", "copy.db", "state.db", "--discard")
    assert filled.is_sound()


def test_json(filled):
    report = json.loads(filled.run("backup", "state.db", "copy.db", "--json"))
    assert report["path"] == str(filled.folder / "copy.db")
    assert report["bytes"] == os.path.getsize(filled.folder / "copy.db")
    assert report["nodes"] == 3
    report = json.loads(filled.run("restore", "copy.db", "state.db", "--json"))
    assert report["replaced"] == str(filled.folder / "state.db.before-restore")


def test_what_is_refused(filled):
    filled.run("backup", "state.db", "copy.db")
    refused = filled.error("backup", "state.db", "copy.db")
    assert "exists already" in refused and "--overwrite" in refused
    filled.run("backup", "state.db", "copy.db", "--overwrite")
    assert "itself" in filled.error("backup", "state.db", "state.db", "--overwrite")
    assert "no database" in filled.error("backup", "other.db", "third.db")
    assert "no folder" in filled.error("backup", "state.db", "none", "--every", "1h")
    filled.error("backup", "state.db", ".", "--every", "soon")
    filled.error("backup", "state.db", "x.db", "--keep", "3")
    altered = bytearray((filled.folder / "copy.db").read_bytes())
    altered[-100] ^= 8
    filled.write("copy.db", bytes(altered))
    before = names_in(filled.folder)
    assert "altered" in filled.error("restore", "copy.db", "state.db")
    assert "does not exist" in filled.error("restore", "none.db", "state.db")
    assert names_in(filled.folder) == before
    assert filled.get("tasks/T1/title") == "write"


def test_a_database_in_use_is_not_replaced(filled):
    filled.run("backup", "state.db", "copy.db")
    top = filled.start("top", "state.db", "--interval", "0.05", stdout=-1)
    try:
        top.stdout.readline()
        assert f"process {top.pid}" in filled.error("restore", "copy.db", "state.db")
    finally:
        top.send_signal(signal.SIGTERM)
        top.wait(10)
        top.stdout.close()
    filled.run("restore", "copy.db", "state.db")


def test_scheduled(filled):
    folder = filled.folder / "backups"
    folder.mkdir()
    others = {
        *("state-20010101T000000Z.db", "state-kept.db", "other-20010101T000000Z.db"),
        "state-00000000-20010101T000000Z.db",
    }
    for name in others:
        (folder / name).write_text("")
    backup = filled.start(
        *("backup", "state.db", "backups", "--every", "1.1s", "--keep", "2", "--json"), stdout=-1
    )
    try:
        made = []
        for number in range(4):
            made.append(json.loads(backup.stdout.readline())["path"])
            filled.set("step", str(number))
    finally:
        backup.send_signal(signal.SIGTERM)
        assert backup.wait(10) == 0
        backup.stdout.close()
    assert len(set(made)) == 4
    wanted = re.compile(r"(state-[0-9a-f]{8})-\d{8}T\d{6}Z\.db")
    assert len({wanted.fullmatch(os.path.basename(name)).group(1) for name in made}) == 1
    left = [name for name in names_in(folder) if wanted.fullmatch(name) and name not in others]
    assert left == [os.path.basename(name) for name in made[-2:]]
    # What it did not make it leaves alone.
    assert others < set(names_in(folder))
    filled.run("restore", made[-1], "state.db")
    assert filled.get("step") == 2


def test_stores_of_one_name_share_a_folder(filled):
    folder = filled.folder / "backups"
    folder.mkdir()
    stores = []
    for number in range(3):
        place = filled.folder / f"place{number}"
        place.mkdir()
        stores.append(str(place / "state.db"))
        if number < 2:
            filled.run("set", stores[-1], "which", str(number))
        else:
            filled.run("backup", stores[0], stores[-1])  # the same store, elsewhere
            filled.run("set", stores[-1], "which", str(number))
    running = [
        filled.start(*("backup", each, "backups", "--every", "1.1s", "--keep", "1"), stdout=-1)
        for each in stores
    ]
    try:
        for each in running:
            for _ in range(2):
                each.stdout.readline()
    finally:
        for each in running:
            each.send_signal(signal.SIGTERM)
            assert each.wait(10) == 0
            each.stdout.close()
    kept = {}
    for name in names_in(folder):
        kept[json.loads(filled.run("get", f"backups/{name}", "which"))] = name
    assert sorted(kept) == [0, 1, 2], kept


def test_a_schedule_goes_on_after_a_failure(filled):
    folder = filled.folder / "backups"
    folder.mkdir()
    backup = filled.start(
        *("backup", "state.db", "backups", "--every", "1.1s", "--json"), stdout=-1, stderr=-1
    )
    try:
        backup.stdout.readline()
        os.rename(folder, filled.folder / "away")
        assert json.loads(backup.stderr.readline())["code"] == "unavailable"
        os.rename(filled.folder / "away", folder)
        assert json.loads(backup.stdout.readline())["nodes"] == 3
    finally:
        backup.send_signal(signal.SIGINT)
        assert backup.wait(10) == 0
        backup.stdout.close()
        backup.stderr.close()


def test_a_bar_on_a_terminal(graven):
    graven.load(json.dumps({"rows": ["x" * 1000] * 60000}), "")
    reading, terminal = pty.openpty()
    backup = graven.start("backup", "state.db", "copy.db", stdout=-1, stderr=terminal)
    os.close(terminal)
    assert backup.wait(60) == 0
    backup.stdout.close()
    os.close(reading)
    assert graven.is_sound("copy.db")


def test_stopped_it_leaves_nothing(graven):
    graven.load(json.dumps({"rows": ["x" * 1000] * 60000}), "")
    before = names_in(graven.folder)
    backup = graven.start("backup", "state.db", "copy.db", stderr=-1)
    deadline = time.monotonic() + 20
    while names_in(graven.folder) == before and time.monotonic() < deadline:
        time.sleep(0.0005)
    backup.send_signal(signal.SIGTERM)
    status = backup.wait(30)
    backup.stderr.close()
    if status == 0:  # it was quicker
        assert graven.is_sound("copy.db")
    else:
        assert status == -signal.SIGTERM
        assert not [name for name in names_in(graven.folder) if name.startswith("copy.db")]


def test_maintenance(filled):
    out = filled.run("maintenance", "state.db")
    assert re.fullmatch(r"state\.db: .* before, .* now\n", out)
    assert "no database" in filled.error("maintenance", "other.db")


def test_maintenance_names_who_is_in_its_way(graven):
    graven.load(json.dumps({"rows": ["x" * 900] * 10000}), "")
    reader = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_STATE, str(graven.folder / "state.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert reader.stdout.readline() == b"reads\n"
        graven.run("del", "state.db", "rows")
        obstacle = json.loads(graven.run("maintenance", "state.db", "--json"))["obstacle"]
        assert f"process {reader.pid}" in obstacle
        assert f"process {reader.pid}" in graven.run("maintenance", "state.db")
    finally:
        reader.communicate(b"\n")
    answer = json.loads(graven.run("maintenance", "state.db", "--json"))
    assert answer["obstacle"] is None and answer["bytes"] < 3 << 20
